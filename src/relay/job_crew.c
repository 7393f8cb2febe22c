/*
 * job_crew.c - crews: one for each queue with a handler, with as many hands as the queue allows, fetching for those
 * that are free.
 */
#include "relay/job_runner_parts.h"

#include <stdlib.h>

#include "base/log.h"

#define FETCH_ARENA_BYTES (160u << 20)

/* --------------------------------------------------------------------------------------------------------- fetching */

static void crew_leave(struct crew *crew)
{
    struct crew **link = &crew->runner->crews;
    if (crew->under_way || crew->is_fetching)
        return;
    loop_timer_clear(crew->runner->config.loop, &crew->timer);
    while (*link != crew)
        link = &(*link)->next;
    *link = crew->next;
    arena_free(crew->memory);
    free(crew);
}

struct crew_fetch {
    struct post post; /* first */
    struct crew *crew;
    struct job_fetch fetch;
};

static enum err fetch_run(struct post *post)
{
    struct crew_fetch *f = (struct crew_fetch *)post;
    return job_fetch(&post->op, post->tx, &f->fetch);
}

static enum err fetch_back(struct post *post)
{
    struct crew_fetch *f = (struct crew_fetch *)post;
    for (int i = 0; i < f->fetch.count; i++)
        TRY(job_return(&post->op, post->tx, f->fetch.jobs[i].id, f->fetch.jobs[i].lease));
    return OK;
}

static enum err fetch_over(struct post *post)
{
    struct crew *crew = ((struct crew_fetch *)post)->crew;
    bool is_ill = post->err != OK;
    if (is_ill)
        log_warn("jobs for a handler could not be fetched", LOG_STR("queue", crew->queue.name),
                 LOG_ERROR_OF(&post->op));
    crew->is_fetching = false;
    runner_post_free(crew->runner, post);
    if (is_ill && !crew->runner->is_quiet && !crew->is_leaving)
        loop_timer_set(crew->runner->config.loop, &crew->timer, RUNNER_AGAIN_MS);
    else
        crew_fetch(crew);
    return OK;
}

static enum err fetch_came(struct post *post)
{
    static const struct hop back[] = { { fetch_back, THREAD_WRITER }, { fetch_over, THREAD_CALLER }, { 0 } };
    struct crew_fetch *f = (struct crew_fetch *)post;
    struct crew *crew = f->crew;
    bool is_down =
        crew->target && breaker_allows(&crew->target->breaker, 1, loop_now_ms(crew->runner->config.loop)) == 0;
    if (post->err == OK && f->fetch.count && (is_down || crew->is_leaving || crew->runner->is_quiet)) {
        post->hop = back;
        post_send(post);
        return OK;
    }
    for (int i = 0; post->err == OK && i < f->fetch.count; i++) {
        job_delivered(crew->runner->config.jobs, f->fetch.jobs[i].lease);
        run_start(run_new(crew, &f->fetch.jobs[i]));
    }
    if (post->err == OK && f->fetch.count && crew->target)
        breaker_began(&crew->target->breaker);
    return fetch_over(post);
}

/* How many more jobs the crew may take: none while its URL is left alone, one to see whether it is back. */
static int hands_free(const struct crew *crew)
{
    int hands = crew->limit - crew->under_way;
    if (crew->target)
        hands = breaker_allows(&crew->target->breaker, hands, loop_now_ms(crew->runner->config.loop));
    return hands < RUNNER_FETCH_MAX ? hands : RUNNER_FETCH_MAX;
}

void crew_fetch(struct crew *crew)
{
    static const struct hop route[] = { { fetch_run, THREAD_WRITER }, { fetch_came, THREAD_CALLER }, { 0 } };
    struct job_runner *runner = crew->runner;
    if (crew->is_leaving) {
        crew_leave(crew);
        return;
    }
    int hands = hands_free(crew);
    if (crew->is_fetching || runner->is_quiet || !runner->is_known || hands <= 0)
        return;
    struct crew_fetch *f = runner_post_new(runner, sizeof *f, FETCH_ARENA_BYTES);
    crew->is_fetching = true;
    f->crew = crew;
    f->fetch = (struct job_fetch){
        .post = &f->post,
        .queues = &crew->queue.name,
        .queue_count = 1,
        .max = hands,
        .wait_us = RUNNER_WAIT_MS * INT64_C(1000),
        .session = runner->session,
        .worker = str_of(runner->name),
        .inside = true,
    };
    f->post.hop = route;
    post_send(&f->post);
}

static void crew_due(struct timer *timer)
{
    crew_fetch((struct crew *)((char *)timer - offsetof(struct crew, timer)));
}

/* ------------------------------------------------------------------------------------------------------------ crews */

static struct str keep(struct crew *crew, struct str text)
{
    return arena_str(crew->memory, text);
}

static void crew_set_timeout(struct crew *crew)
{
    const struct job_handler *handler = &crew->queue.handler;
    const struct exec_command *command =
        handler->kind == HANDLER_EXEC ? exec_command_of(crew->runner, handler->command) : NULL;
    crew->timeout_ms = handler->timeout_us / 1000;
    if (command && (!crew->timeout_ms || command->timeout_ms < crew->timeout_ms))
        crew->timeout_ms = command->timeout_ms;
}

static void crew_new(struct job_runner *runner, const struct handled_queue *queue)
{
    struct crew *crew = calloc(1, sizeof *crew);
    if (!crew)
        abort();
    crew->runner = runner;
    crew->memory = arena_new(SMALL_BYTES_MAX);
    crew->queue = *queue;
    crew->queue.name = keep(crew, queue->name);
    crew->queue.text = keep(crew, queue->text);
    crew->queue.handler.url = keep(crew, queue->handler.url);
    crew->queue.handler.secret = keep(crew, queue->handler.secret);
    crew->queue.handler.old_secret = keep(crew, queue->handler.old_secret);
    crew->limit = (int)queue->concurrency;
    crew->queue.handler.command = keep(crew, queue->handler.command);
    crew_set_timeout(crew);
    if (crew->queue.handler.kind == HANDLER_HTTP)
        crew->target = target_get(runner, crew->queue.handler.url);
    crew->timer.run = crew_due;
    crew->is_wanted = true;
    crew->next = runner->crews;
    runner->crews = crew;
}

static struct crew *crew_of(struct job_runner *runner, const struct handled_queue *queue)
{
    struct crew *crew = runner->crews;
    while (crew && (crew->is_leaving || !str_eq(crew->queue.name, queue->name) ||
                    !str_eq(crew->queue.text, queue->text) || crew->queue.concurrency != queue->concurrency))
        crew = crew->next;
    return crew;
}

void crews_take(struct job_runner *runner, const struct handled_queue *queues, size_t count)
{
    for (struct crew *crew = runner->crews; crew; crew = crew->next)
        crew->is_wanted = false;
    for (size_t i = 0; i < count; i++) {
        struct crew *crew = crew_of(runner, &queues[i]);
        if (crew)
            crew->is_wanted = true;
        else
            crew_new(runner, &queues[i]);
    }
    for (struct crew *crew = runner->crews, *next; crew; crew = next) {
        next = crew->next;
        crew->is_leaving = crew->is_leaving || !crew->is_wanted;
        if (!crew->is_leaving && crew->target && crew->target->breaker.open_ms)
            crew_tell(crew, false);
        crew_fetch(crew);
    }
}

void crews_commands(struct job_runner *runner, const struct exec_commands *commands)
{
    runner->config.commands = *commands;
    for (struct crew *crew = runner->crews; crew; crew = crew->next)
        crew_set_timeout(crew);
}

void crews_free(struct job_runner *runner)
{
    while (runner->crews) {
        struct crew *crew = runner->crews;
        runner->crews = crew->next;
        arena_free(crew->memory);
        free(crew);
    }
}
