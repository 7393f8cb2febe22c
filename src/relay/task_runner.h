/*
 * task_runner.h - runs follow-up tasks at providers until they are done (source_task.h).
 *
 * One at a time, from durable rows: a task is taken for two minutes, so it
 * comes again if this process dies. Success and "not there" (404) end it,
 * everything else puts it off, longer each time. The reading of events never
 * waits for it (SRC-26).
 *
 * Thread: the poller's loop.
 */
#pragma once

#define TASK_LEASE_MS     120000
#define TASK_LOOK_MS      30000
#define TASK_RETRY_MS     10000 /* doubled with each attempt, ... */
#define TASK_RETRY_MS_MAX 3600000
#define TASK_ATTEMPTS_MAX 50 /* then it is given up and logged: about two days */
#define TASK_ACCOUNTS_MAX 16 /* sources of one tenant that a release goes to */

struct poller;
struct task_runner;

struct task_runner *task_runner_start(struct poller *poller);

/* A task may have been added. */
void task_runner_wake(struct task_runner *runner);

/* Cancels the request under way; its task comes again. */
void task_runner_stop(struct task_runner *runner);
void task_runner_free(struct task_runner *runner);
