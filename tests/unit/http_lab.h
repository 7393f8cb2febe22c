/*
 * http_lab.h - a server with handlers for tests, and a client that speaks raw bytes.
 *
 * The client blocks on its socket, so a test waits for what really comes and
 * never for a clock; a lost answer ends in a receive time-out of 10 s.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "dial.h"
#include "net/http_reply.h"

#define LAB_ANSWER_BYTES_MAX (4 * 1024 * 1024)

struct lab {
    struct loop *loop;
    struct loop *also[HTTP_LOOPS_MAX - 1]; /* those besides it */
    int also_count;
    struct http_server *server;
    struct arena *arena;
    struct op op;
};

static inline void lab_open_on(struct lab *lab, int loops, struct http_server_config config,
                               const struct http_route *routes, size_t count)
{
    lab->arena = arena_new(64 * 1024 * 1024);
    op_init(&lab->op, lab->arena, 0);
    lab->loop = loop_start("lab");
    lab->also_count = loops - 1;
    for (int i = 0; i < lab->also_count; i++)
        lab->also[i] = loop_start("lab-also");
    config.also = lab->also;
    config.also_count = lab->also_count;
    SUCCEEDS(&lab->op, addr_parse(&lab->op, S("127.0.0.1:0"), &config.listen));
    SUCCEEDS(&lab->op, http_server_open(&lab->op, lab->loop, &config, routes, count, &lab->server));
}

static inline void lab_open(struct lab *lab, struct http_server_config config, const struct http_route *routes,
                            size_t count)
{
    lab_open_on(lab, 1, config, routes, count);
}

/* What is left of the lab when its server has been closed. */
static inline void lab_stop(struct lab *lab)
{
    for (int i = 0; i < lab->also_count; i++)
        loop_stop(lab->also[i]);
    loop_stop(lab->loop);
    arena_free(lab->arena);
}

static inline void lab_close(struct lab *lab)
{
    http_server_close(lab->server, 0);
    lab_stop(lab);
}

static inline void lab_wait_connections(const struct lab *lab, uint64_t connections)
{
    while (http_server_counts(lab->server).connections != connections)
        usleep(200);
}

static inline int lab_connect(const struct lab *lab)
{
    return dial(http_server_addr(lab->server));
}

static inline void lab_send(int fd, struct str bytes)
{
    while (bytes.n) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        assert_true(n > 0);
        bytes.p += n;
        bytes.n -= (size_t)n;
    }
}

/* Everything until the server ends the connection; fails when it does not. */
static inline struct str lab_read_all(const struct lab *lab, int fd)
{
    static char buffer[LAB_ANSWER_BYTES_MAX];
    size_t n = 0;
    for (;;) {
        ssize_t got = recv(fd, buffer + n, sizeof buffer - n, 0);
        assert_true(got >= 0);
        if (got == 0)
            return arena_str(lab->arena, (struct str){ buffer, n });
        n += (size_t)got;
    }
}

/* Bytes up to and with `end`, one at a time so that nothing behind is taken. */
static inline struct str lab_read_until(const struct lab *lab, int fd, struct str end)
{
    char *buffer = arena_alloc_raw(lab->arena, 65536);
    size_t n = 0;
    while (!str_ends((struct str){ buffer, n }, end)) {
        assert_true(n < 65536);
        assert_int_equal(recv(fd, buffer + n, 1, 0), 1);
        n++;
    }
    return (struct str){ buffer, n };
}

/* Sends, shuts our side, reads to the end: the whole talk of one connection. */
static inline struct str lab_talk(const struct lab *lab, struct str bytes)
{
    int fd = lab_connect(lab);
    lab_send(fd, bytes);
    shutdown(fd, SHUT_WR);
    struct str answer = lab_read_all(lab, fd);
    close(fd);
    return answer;
}

/* The answer without its Date line, which no test can know. */
static inline struct str lab_undated(const struct lab *lab, struct str answer)
{
    char *out = arena_alloc_raw(lab->arena, answer.n + 1);
    size_t n = 0;
    while (answer.n) {
        size_t end = str_find(answer, '\n');
        size_t line = end < answer.n ? end + 1 : answer.n;
        if (!str_starts(answer, S("Date: "))) {
            memcpy(out + n, answer.p, line);
            n += line;
        }
        answer.p += line;
        answer.n -= line;
    }
    return (struct str){ out, n };
}

static inline bool has(struct str text, const char *part)
{
    bool found = str_search(text, str_of(part)) < text.n;
    if (!found)
        fprintf(stderr, "\"%s\" is not in:\n%.*s\n", part, STR(text));
    return found;
}

static inline int count_of(struct str text, struct str part)
{
    int count = 0;
    for (size_t at; (at = str_search(text, part)) < text.n; count++) {
        text.p += at + part.n;
        text.n -= at + part.n;
    }
    return count;
}
