/*
 * busy.h - what a part of the loop has under way: posts, calls, errands. Its stop waits until there is none.
 *
 *     struct look *look = busy_post_new(&poller->busy, loop, now_us, sizeof *look, LIST_BYTES_MAX);
 *     ...
 *     busy_post_free(&poller->busy, &look->post);
 *
 * Thread: any; busy_wait not on the loop, which would have to go on for it to end.
 */
#pragma once

#include "net/loop.h"

#include <pthread.h>

struct busy {
    pthread_mutex_t lock;
    pthread_cond_t is_idle;
    int count;
};

void busy_init(struct busy *busy);
void busy_done(struct busy *busy);

/* Something is under way, or came to its end. */
void busy_begin(struct busy *busy);
void busy_end(struct busy *busy);

/* True when nothing is under way any more. wait_ms below 0: as long as it takes. */
bool busy_wait(struct busy *busy, int64_t wait_ms);

/* A zeroed struct of `bytes` that begins with a struct post, in an arena of its own, at home on the loop; counted until
 * busy_post_free. */
void *busy_post_new(struct busy *busy, struct loop *loop, int64_t now_us, size_t bytes, size_t arena_bytes);
void busy_post_free(struct busy *busy, struct post *post);
