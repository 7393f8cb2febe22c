/*
 * job_target.c - URLs that handlers are called by: left alone while they are in trouble (HAND-3), and what is told of
 * it.
 */
#include "relay/job_runner_parts.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct telling {
    struct post post; /* first */
    struct job_runner *runner;
    struct handler_word word;
};

static enum err tell_run(struct post *post)
{
    return job_handler_tell(&post->op, post->tx, &((struct telling *)post)->word);
}

static enum err tell_over(struct post *post)
{
    runner_post_free(((struct telling *)post)->runner, post);
    return OK;
}

void crew_tell(struct crew *crew, bool is_news)
{
    static const struct hop route[] = { { tell_run, THREAD_WRITER }, { tell_over, THREAD_CALLER }, { 0 } };
    struct job_runner *runner = crew->runner;
    struct telling *telling = runner_post_new(runner, sizeof *telling, SMALL_BYTES_MAX);
    const struct breaker *breaker = &crew->target->breaker;
    int64_t left_ms = breaker->until_ms - loop_now_ms(runner->config.loop);
    telling->runner = runner;
    telling->word = (struct handler_word){
        .queue = arena_str(telling->post.op.arena, crew->queue.name),
        .url = arena_str(telling->post.op.arena, crew->queue.handler.url),
        .worker = str_of(runner->name),
        .until_us = breaker->open_ms ? loop_wall_us(runner->config.loop) + left_ms * 1000 : 0,
        .is_news = is_news,
    };
    telling->post.hop = route;
    post_send(&telling->post);
}

/* All crews of the URL go on as far as they may; one that leaves is gone after its turn. */
static void target_crews(struct target *target)
{
    for (struct crew *crew = target->runner->crews, *next; crew; crew = next) {
        next = crew->next;
        if (crew->target == target)
            crew_fetch(crew);
    }
}

static void target_due(struct timer *timer)
{
    target_crews((struct target *)((char *)timer - offsetof(struct target, timer)));
}

static void target_tell(struct target *target, bool is_news)
{
    for (struct crew *crew = target->runner->crews; crew; crew = crew->next)
        if (crew->target == target && !crew->is_leaving)
            crew_tell(crew, is_news);
}

void target_heard(struct crew *crew, bool is_trouble)
{
    struct target *target = crew->target;
    struct job_runner *runner = target->runner;
    bool was_down = target->breaker.open_ms != 0;
    if (!breaker_heard(&target->breaker, is_trouble, loop_now_ms(runner->config.loop)))
        return;
    int64_t pause_ms = target->breaker.open_ms;
    if (pause_ms)
        log_warn("a handler is down", LOG_TEXT("url", target->url), LOG_INT("pause_ms", pause_ms));
    else
        log_info("a handler is up again", LOG_TEXT("url", target->url));
    if (pause_ms && !runner->is_quiet)
        loop_timer_set(runner->config.loop, &target->timer, pause_ms);
    target_tell(target, was_down != (pause_ms != 0));
    target_crews(target);
}

struct target *target_get(struct job_runner *runner, struct str url)
{
    struct target *target = runner->targets;
    while (target && !str_eq(str_of(target->url), url))
        target = target->next;
    if (target)
        return target;
    target = calloc(1, sizeof *target + url.n + 1);
    if (!target)
        abort();
    target->url = memcpy(target + 1, url.p, url.n);
    target->runner = runner;
    target->timer.run = target_due;
    target->next = runner->targets;
    runner->targets = target;
    return target;
}

void targets_free(struct job_runner *runner)
{
    while (runner->targets) {
        struct target *target = runner->targets;
        runner->targets = target->next;
        free(target);
    }
}
