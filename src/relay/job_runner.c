/*
 * job_runner.c - which queues there are to work on, the session, from start to stop.
 */
#include "relay/job_runner_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "engine/node.h"

#define HOST_CONNECTIONS 1000 /* the concurrency of a queue is the limit, not this */
#define LIST_BYTES_MAX   (64u << 20)

void *runner_post_new(struct job_runner *runner, size_t bytes, size_t arena_bytes)
{
    return busy_post_new(&runner->busy, runner->config.loop, loop_wall_us(runner->config.loop), bytes, arena_bytes);
}

void runner_post_free(struct job_runner *runner, struct post *post)
{
    busy_post_free(&runner->busy, post);
}

/* ----------------------------------------------------------------------------------------------------------- queues */

struct look {
    struct post post; /* first */
    struct job_runner *runner;
    struct handled_queue *queues;
    size_t count;
};

static enum err look_run(struct post *post)
{
    struct look *look = (struct look *)post;
    return job_handled_list(&post->op, post->tx, &look->queues, &look->count);
}

static void runner_look(struct job_runner *runner);
static void runner_beat(struct job_runner *runner);

static enum err looked(struct post *post)
{
    struct look *look = (struct look *)post;
    struct job_runner *runner = look->runner;
    bool is_ill = post->err != OK;
    runner->is_looking = false;
    if (!is_ill && !runner->is_quiet)
        crews_take(runner, look->queues, look->count);
    if (runner->crews && !runner->is_known && !runner->is_quiet)
        runner_beat(runner); /* without work there is no worker to be seen */
    runner_post_free(runner, post);
    if (runner->is_quiet)
        return OK;
    if (is_ill)
        loop_timer_set(runner->config.loop, &runner->look_timer, RUNNER_AGAIN_MS);
    else if (runner->is_rung)
        runner_look(runner);
    return OK;
}

static void runner_look(struct job_runner *runner)
{
    static const struct hop route[] = { { look_run, THREAD_WRITER }, { looked, THREAD_CALLER }, { 0 } };
    if (runner->is_looking) {
        runner->is_rung = true;
        return;
    }
    runner->is_rung = false;
    runner->is_looking = true;
    struct look *look = runner_post_new(runner, sizeof *look, LIST_BYTES_MAX);
    look->runner = runner;
    look->post.hop = route;
    post_send(&look->post);
}

static void look_due(struct timer *timer)
{
    runner_look((struct job_runner *)((char *)timer - offsetof(struct job_runner, look_timer)));
}

static void rung(struct errand *errand)
{
    struct job_runner *runner = (struct job_runner *)((char *)errand - offsetof(struct job_runner, ring));
    atomic_store(&runner->is_ringing, false);
    if (!runner->is_quiet)
        runner_look(runner);
}

/* On the writer's thread. One errand is enough for all rings until it has run. */
static void ring(void *data)
{
    struct job_runner *runner = data;
    if (!atomic_exchange(&runner->is_ringing, true))
        loop_send(runner->config.loop, &runner->ring);
}

/* ---------------------------------------------------------------------------------------------------------- session */

struct beat {
    struct post post; /* first */
    struct job_runner *runner;
    bool is_first;
    struct session_id session;
};

static enum err beat_run(struct post *post)
{
    struct beat *beat = (struct beat *)post;
    char host[256] = "";
    gethostname(host, sizeof host - 1);
    struct session_info info = {
        .name = str_of(beat->runner->name), .hostname = str_of(host), .pid = getpid(), .http = true
    };
    struct session_view view;
    enum session_state state;
    TRY(session_beat(&post->op, post->tx, &info, SESSION_RUNNING, 0, &state, NULL, NULL));
    TRY(session_get(&post->op, post->tx, info.name, &view));
    beat->session = view.id;
    for (bool more = beat->is_first; more;)
        TRY(job_left_behind(&post->op, post->tx, view.id, &more));
    return OK;
}

static enum err beaten(struct post *post)
{
    struct beat *beat = (struct beat *)post;
    struct job_runner *runner = beat->runner;
    bool is_first = false, is_ill = post->err != OK;
    runner->is_beating = false;
    if (!is_ill) {
        runner->session = beat->session;
        is_first = !runner->is_known;
        runner->is_known = true;
    }
    runner_post_free(runner, post);
    if (runner->is_quiet)
        return OK;
    loop_timer_set(runner->config.loop, &runner->beat_timer, is_ill ? RUNNER_AGAIN_MS : RUNNER_BEAT_MS);
    for (struct crew *crew = is_first ? runner->crews : NULL, *next; crew; crew = next) {
        next = crew->next;
        crew_fetch(crew);
    }
    return OK;
}

static void runner_beat(struct job_runner *runner)
{
    static const struct hop route[] = { { beat_run, THREAD_WRITER }, { beaten, THREAD_CALLER }, { 0 } };
    if (runner->is_beating)
        return;
    runner->is_beating = true;
    struct beat *beat = runner_post_new(runner, sizeof *beat, SMALL_BYTES_MAX);
    beat->runner = runner;
    beat->is_first = !runner->is_known;
    beat->post.hop = route;
    post_send(&beat->post);
}

static void beat_due(struct timer *timer)
{
    runner_beat((struct job_runner *)((char *)timer - offsetof(struct job_runner, beat_timer)));
}

/* --------------------------------------------------------------------------------------------------- start and stop */

static void begin(void *data)
{
    runner_look(data);
}

struct job_runner *job_runner_start(const struct job_runner_config *config)
{
    struct job_runner *runner = calloc(1, sizeof *runner);
    if (!runner)
        abort();
    runner->config = *config;
    struct node_life life = node_board_get(config->nodes);
    snprintf(runner->name, sizeof runner->name, "posthouse@%s", life.id);
    runner->ring.run = rung;
    runner->beat_timer.run = beat_due;
    runner->look_timer.run = look_due;
    busy_init(&runner->busy);
    struct http_client_config client = {
        .ca_file = config->ca_file,
        .user_agent = "posthouse/" POSTHOUSE_VERSION,
        .host_max = HOST_CONNECTIONS,
    };
    runner->client = http_client_open(config->loop, &client);
    jobs_on_handlers(config->jobs, ring, runner);
    loop_call(config->loop, begin, runner);
    return runner;
}

struct commanding {
    struct job_runner *runner;
    const struct exec_commands *commands;
};

static void take_commands(void *data)
{
    const struct commanding *given = data;
    crews_commands(given->runner, given->commands);
}

void job_runner_commands(struct job_runner *runner, const struct exec_commands *commands)
{
    struct commanding given = { runner, commands };
    loop_call(runner->config.loop, take_commands, &given);
}

static void quiet(void *data)
{
    struct job_runner *runner = data;
    runner->is_quiet = true;
    loop_timer_clear(runner->config.loop, &runner->look_timer);
    for (struct crew *crew = runner->crews; crew; crew = crew->next) {
        loop_timer_clear(runner->config.loop, &crew->timer);
        for (struct run *run = crew->runs; run; run = run->next) {
            run_own_quiet(run);
            run_exec_stop(run);
        }
    }
    for (struct target *target = runner->targets; target; target = target->next)
        loop_timer_clear(runner->config.loop, &target->timer);
}

void job_runner_quiet(struct job_runner *runner)
{
    jobs_on_handlers(runner->config.jobs, NULL, NULL);
    loop_call(runner->config.loop, quiet, runner);
}

static void cut_off(void *data)
{
    struct job_runner *runner = data;
    runner->is_cut = true;
    loop_timer_clear(runner->config.loop, &runner->beat_timer);
    for (struct crew *crew = runner->crews, *after; crew; crew = after) {
        after = crew->next;
        for (struct run *run = crew->runs, *next; run; run = next) {
            next = run->next; /* the last one may take its crew along */
            run_http_cut(run);
            if (run->again.place == 0)
                continue;
            loop_timer_clear(runner->config.loop, &run->again);
            run_free(run);
        }
    }
}

bool job_runner_wait(struct job_runner *runner, int64_t wait_ms)
{
    return busy_wait(&runner->busy, wait_ms);
}

void job_runner_stop(struct job_runner *runner)
{
    loop_call(runner->config.loop, cut_off, runner);
    (void)busy_wait(&runner->busy, -1);
    loop_await(runner->config.loop); /* a ring on its way runs before this */
    http_client_close(runner->client);
    crews_free(runner);
    targets_free(runner);
    busy_done(&runner->busy);
    free(runner);
}
