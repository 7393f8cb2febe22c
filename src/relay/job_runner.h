/*
 * job_runner.h - works on the queues that have a handler (engine/job_handler.h).
 *
 *     crew      one queue with its handler: holds a fetch open as long as it has a hand free
 *     run       one job in hand: a call, a process, or steps of our own work; ends as ack, failure or return
 *     target    a URL; one that is nothing but trouble is left alone for a while (breaker.h)
 *
 * The engine decides which jobs start; the runner is a worker among others, a
 * session named posthouse@NODE that beats. Which queues have handlers it is
 * told (jobs_on_handlers) and asks the writer for. What a process of the same
 * name had in hand when it died is begun again at the start.
 *
 * Stopping has two steps, so that those who wait for each other can be told
 * first: quiet takes no new job, asks commands to end and lets our own work
 * stop at its next step; stop waits for what is under way and returns the rest.
 *
 * Thread: start, commands, quiet and stop from any thread but the loop's; all else on the loop.
 */
#pragma once

#include "base/op.h"
#include "relay/exec_command.h"

#define RUNNER_BEAT_MS   15000
#define RUNNER_WAIT_MS   10000 /* of one fetch */
#define RUNNER_AGAIN_MS  1000  /* after the store could not answer */
#define RUNNER_FETCH_MAX 64    /* jobs of one fetch */

struct jobs;
struct loop;
struct node_board;
struct store;
struct job_runner;

struct job_runner_config {
    struct store *store;
    struct jobs *jobs;
    struct loop *loop;
    struct node_board *nodes; /* whose name the session bears */
    const char *ca_file;      /* NULL: the system's */
    struct exec_commands commands;
};

/* Everything the config names outlives the runner. */
struct job_runner *job_runner_start(const struct job_runner_config *config);

/* Other commands from now on; when this returns nobody looks at the former ones any more. */
void job_runner_commands(struct job_runner *runner, const struct exec_commands *commands);

void job_runner_quiet(struct job_runner *runner);

/* Waits for what is under way, at most wait_ms; true: nothing is. */
bool job_runner_wait(struct job_runner *runner, int64_t wait_ms);

/* Cuts off what is still under way; frees the runner. */
void job_runner_stop(struct job_runner *runner);
