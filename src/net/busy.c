#include "net/busy.h"

#include <assert.h>
#include <time.h>

#include "base/clock.h"

void busy_init(struct busy *busy)
{
    pthread_mutex_init(&busy->lock, NULL);
    pthread_cond_init(&busy->is_idle, NULL);
    busy->count = 0;
}

void busy_done(struct busy *busy)
{
    assert(busy->count == 0);
    pthread_cond_destroy(&busy->is_idle);
    pthread_mutex_destroy(&busy->lock);
}

void busy_begin(struct busy *busy)
{
    pthread_mutex_lock(&busy->lock);
    busy->count++;
    pthread_mutex_unlock(&busy->lock);
}

void busy_end(struct busy *busy)
{
    pthread_mutex_lock(&busy->lock);
    assert(busy->count > 0);
    if (--busy->count == 0)
        pthread_cond_broadcast(&busy->is_idle);
    pthread_mutex_unlock(&busy->lock);
}

bool busy_wait(struct busy *busy, int64_t wait_ms)
{
    int64_t end_us = clock_mono_us() + wait_ms * 1000;
    const struct timespec end = { .tv_sec = end_us / 1000000, .tv_nsec = end_us % 1000000 * 1000 };
    int failed = 0;
    pthread_mutex_lock(&busy->lock);
    while (busy->count > 0 && failed == 0)
        failed = wait_ms < 0 ? pthread_cond_wait(&busy->is_idle, &busy->lock)
                             : pthread_cond_clockwait(&busy->is_idle, &busy->lock, CLOCK_MONOTONIC, &end);
    bool is_idle = busy->count == 0;
    pthread_mutex_unlock(&busy->lock);
    return is_idle;
}

void *busy_post_new(struct busy *busy, struct loop *loop, int64_t now_us, size_t bytes, size_t arena_bytes)
{
    struct arena *arena = arena_new(arena_bytes);
    struct post *post = arena_alloc(arena, bytes);
    assert(post); /* the arena is larger than any of our structs */
    op_init(&post->op, arena, now_us);
    loop_adopt(loop, post);
    busy_begin(busy);
    return post;
}

void busy_post_free(struct busy *busy, struct post *post)
{
    arena_free(post->op.arena);
    busy_end(busy);
}
