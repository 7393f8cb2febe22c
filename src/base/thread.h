/*
 * thread.h - a named thread, started and joined.
 *
 * Threads are made at start and joined at stop; nothing is detached. Signals
 * are blocked in all of them, so that the main thread's loop gets every one.
 */
#pragma once

#include <pthread.h>

#include "base/op.h"

#define THREAD_NAME_BYTES_MAX 15 /* what the kernel shows, without the NUL */

struct thread {
    pthread_t handle;
    void (*run)(void *context);
    void *context;
    char name[THREAD_NAME_BYTES_MAX + 1];
};

/* `thread` must stay in place until joined. ERR_UNAVAILABLE when the system has no thread to give. */
enum err thread_start(struct op *op, struct thread *thread, const char *name, void (*run)(void *context),
                      void *context);

/* Waits until run has returned. */
void thread_join(struct thread *thread);

/* The calling thread leaves processors to others that want them, of this program and of others, and still has a tenth
 * of what one of them gets: for work that nobody waits for. */
void thread_give_way(void);

/* Processor time it has had, microseconds. Any thread, between start and join. */
int64_t thread_ran_us(const struct thread *thread);

/* What a thread of this process had of processors, and how long it stood in line for one, microseconds. */
struct thread_times {
    int64_t ran_us, queued_us;
};

/* By the kernel's number of the thread. False when it is gone, or the kernel does not tell. */
bool thread_times(pid_t id, struct thread_times *ret);

/* A lock held for a moment only, and never while anything is waited for: who finds it taken looks again for a while
 * before he sleeps. Ends with pthread_mutex_destroy. */
void short_lock_init(pthread_mutex_t *lock);
