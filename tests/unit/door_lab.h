/*
 * door_lab.h - a worker door over a store of its own, and clients that speak raw lines.
 */
#pragma once

#include "base/clock.h"
#include "engine/jobs.h"
#include "line_lab.h"
#include "serve/worker_door.h"
#include "store_test.h"

struct door_lab {
    struct fixture fixture;
    struct loop *loop;
    struct worker_door *door;
    struct jobs *jobs;
};

static inline void door_open(struct door_lab *lab, struct worker_door_config config)
{
    memset(lab, 0, sizeof *lab);
    fixture_directory(&lab->fixture);
    lab->fixture.op.now_us = clock_wall_us();
    struct store_config store = fixture_config(&lab->fixture);
    store.threads = true;
    SUCCEEDS(&lab->fixture.op, store_open(&lab->fixture.op, &store, &lab->fixture.store));
    struct jobs_config jobs = { .store = lab->fixture.store };
    SUCCEEDS(&lab->fixture.op, jobs_open(&lab->fixture.op, &jobs, &lab->jobs));
    lab->loop = loop_start("door");
    config.store = lab->fixture.store;
    config.jobs = lab->jobs;
    config.loop = lab->loop;
    if (!str_given(config.description))
        config.description = S("Posthouse");
    SUCCEEDS(&lab->fixture.op, addr_parse(&lab->fixture.op, S("127.0.0.1:0"), &config.listen));
    SUCCEEDS(&lab->fixture.op, worker_door_open(&lab->fixture.op, &config, &lab->door));
}

static inline void door_close(struct door_lab *lab)
{
    worker_door_close(lab->door, 0);
    loop_stop(lab->loop);
    store_close(lab->fixture.store);
    jobs_close(lab->jobs);
    lab->fixture.store = NULL;
    fixture_end(&lab->fixture);
}

static inline int door_dial(struct door_lab *lab)
{
    int fd = dial(worker_door_addr(lab->door));
    lab_hear(fd, S("+HI {\"v\":2}\r\n"));
    return fd;
}

/* Greeted and welcome; wid NULL = a producer. */
static inline int door_enter(struct door_lab *lab, const char *wid)
{
    int fd = door_dial(lab);
    char hello[256];
    snprintf(hello, sizeof hello, "HELLO {\"v\":2,\"wid\":\"%s\"}\r\n", wid ? wid : "");
    lab_say(fd, str_of(hello));
    lab_hear(fd, S("+OK\r\n"));
    return fd;
}

/* One command, and exactly this answer. */
static inline void door_ask(int fd, const char *command, const char *answer)
{
    lab_say(fd, str_of(command));
    lab_say(fd, S("\r\n"));
    lab_hear(fd, str_of(answer));
    lab_hear(fd, S("\r\n"));
}
