/*
 * job_run_own.c - a job of Posthouse's own: step after step in the writer, with a rest between them (HAND-5, BUD-2).
 */
#include "base/clock.h"
#include "base/log.h"
#include "relay/job_runner_parts.h"

/* As long as a step runs, all others wait for the writer: it shall not be seen beside the sync of a commit. */
#define STEP_SHORT_US 2500 /* a step that took less may be twice as long, ... */
#define STEP_LONG_US  5000 /* ... one that took more is halved */
#define REST_MS_MAX   1000
#define TRIES_MAX     10 /* of a step that fails, each time half as long */

/* One step on its way; the run waits for it. */
struct stepping {
    struct post post; /* first */
    struct run *run;
    struct own_turn turn;
    int64_t took_us;
};

static enum err step_run(struct post *post)
{
    struct stepping *s = (struct stepping *)post;
    int64_t began_us = clock_mono_us();
    enum err err = own_step(&post->op, post->tx, &s->turn);
    s->took_us = clock_mono_us() - began_us;
    return err;
}

static void run_step(struct run *run);

static void step_due(struct timer *timer)
{
    run_step((struct run *)((char *)timer - offsetof(struct run, again)));
}

static void step_later(struct run *run, int64_t ms)
{
    run->again.run = step_due;
    loop_timer_set(run->crew->runner->config.loop, &run->again, ms);
}

/* The next step is as long as this one was quick; then the writer belongs to the others for their share. */
static void go_on(struct run *run, const struct stepping *s)
{
    if (s->took_us < STEP_SHORT_US)
        run->rows = run->rows * 2 < OWN_ROWS_MAX ? run->rows * 2 : OWN_ROWS_MAX;
    if (s->took_us > STEP_LONG_US)
        run->rows = run->rows / 2 > OWN_ROWS_MIN ? run->rows / 2 : OWN_ROWS_MIN;
    run->tries = 0;
    int64_t rest_ms = s->took_us * (1000000 - s->turn.share_ppm) / s->turn.share_ppm / 1000;
    step_later(run, rest_ms < 1 ? 1 : rest_ms < REST_MS_MAX ? rest_ms : REST_MS_MAX);
}

/* Nothing of the step is stored: again with half of it, and in the end the job fails and has its retries. */
static void try_again(struct run *run, const struct stepping *s)
{
    bool is_store = s->post.err == ERR_UNAVAILABLE || s->post.err == ERR_BUSY;
    if (!is_store)
        log_warn("a step of own work failed", LOG_STR("jid", run->jid), LOG_ERROR_OF(&s->post.op));
    if (!is_store && ++run->tries >= TRIES_MAX) {
        run_failed(run, "StepFailed", arena_str(run->post.op.arena, str_of(s->post.op.error)));
        run_over(run);
        return;
    }
    run->rows = run->rows / 2 > 1 ? run->rows / 2 : 1;
    step_later(run, RUNNER_AGAIN_MS);
}

static enum err stepped(struct post *post)
{
    struct stepping *s = (struct stepping *)post;
    struct run *run = s->run;
    struct job_runner *runner = run->crew->runner;
    bool is_over = post->err == OK && s->turn.is_over, is_cut = post->err != OK && runner->is_quiet;
    if (is_over) {
        run_free(run); /* acked with its last step */
    } else if (is_cut || runner->is_quiet || (post->err == OK && s->turn.is_yielding)) {
        run->end = END_RETURN;
        run_over(run);
    } else if (post->err == OK) {
        go_on(run, s);
    } else {
        try_again(run, s);
    }
    runner_post_free(runner, post);
    return OK;
}

static void run_step(struct run *run)
{
    static const struct hop route[] = { { step_run, THREAD_WRITER }, { stepped, THREAD_CALLER }, { 0 } };
    struct stepping *s = runner_post_new(run->crew->runner, sizeof *s, RUN_BYTES_MAX);
    s->run = run;
    s->turn = (struct own_turn){
        .lease = run->lease, .jobtype = run->jobtype, .body = run->body, .rows = run->rows, .share_ppm = 1000000
    };
    s->post.hop = route;
    post_send(&s->post);
}

void run_own(struct run *run)
{
    run->rows = OWN_ROWS;
    run_step(run);
}

/* It rests between two steps and has waited long enough. */
void run_own_quiet(struct run *run)
{
    if (run->again.place == 0 || run->again.run != step_due)
        return;
    loop_timer_clear(run->crew->runner->config.loop, &run->again);
    run->end = END_RETURN;
    run_over(run);
}
