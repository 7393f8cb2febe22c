/*
 * job_run_own.c - a job of Posthouse's own: step after step in the writer, with a rest between them (HAND-5, BUD-2).
 */
#include "base/clock.h"
#include "base/log.h"
#include "relay/job_runner_parts.h"

#define TRIES_MAX 10 /* of a step that fails, each time half as long */

#define PACE_MS       30000 /* between two marks of how far it was */
#define PACE_FIRST_MS 2000  /* less says nothing */

/* One step on its way; the run waits for it. */
struct stepping {
    struct post post; /* first */
    struct run *run;
    struct own_turn turn;
    int64_t began_us; /* in the writer */
};

static enum err step_run(struct post *post)
{
    struct stepping *s = (struct stepping *)post;
    s->began_us = clock_mono_us();
    return own_step(&post->op, post->tx, &s->turn);
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

/* How long the rest takes at the pace of the last minute: marks are 30 s apart, and the older one counts. */
static void note_pace(struct run *run, const struct own_turn *turn)
{
    struct run_mark now = { loop_now_ms(run->crew->runner->config.loop), turn->done };
    if (!run->pace[1].at_ms)
        run->pace[0] = run->pace[1] = now;
    if (now.at_ms - run->pace[1].at_ms >= PACE_MS) {
        run->pace[0] = run->pace[1];
        run->pace[1] = now;
    }
    int64_t done = now.done - run->pace[0].done, took_ms = now.at_ms - run->pace[0].at_ms;
    int64_t left = turn->total > turn->done ? turn->total - turn->done : 0;
    run->eta_s = took_ms >= PACE_FIRST_MS && done > 0 ? left * took_ms / done / 1000 : -1;
}

/* The next step is as long as this one was quick; until then the writer belongs to the others for their share. Until it
 * is stored others wait for it, and on PostgreSQL most of its work is done then. */
static void go_on(struct run *run, const struct stepping *s)
{
    struct job_runner *runner = run->crew->runner;
    bool crowded =
        own_crowd_look(&runner->crowd, store_figures(runner->config.store).commands, loop_now_ms(runner->config.loop));
    int64_t took_us = clock_mono_us() - s->began_us;
    own_pace_took(&run->own, took_us, crowded);
    run->tries = 0;
    note_pace(run, &s->turn);
    step_later(run, own_pace_rest_ms(took_us, s->turn.share_ppm, crowded));
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
    own_pace_failed(&run->own);
    step_later(run, RUNNER_AGAIN_MS);
}

static enum err stepped(struct post *post)
{
    struct stepping *s = (struct stepping *)post;
    struct run *run = s->run;
    struct job_runner *runner = run->crew->runner;
    bool is_over = post->err == OK && s->turn.is_over, is_cut = post->err != OK && runner->is_quiet;
    if (is_over) {
        run_free(run); /* acked with its last step, or ready again behind others */
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
    s->turn = (struct own_turn){ .lease = run->lease,
                                 .jobtype = run->jobtype,
                                 .body = run->body,
                                 .rows = run->own.rows,
                                 .eta_s = run->eta_s,
                                 .share_ppm = 1000000 };
    s->post.hop = route;
    post_send(&s->post);
}

void run_own(struct run *run)
{
    run->own = own_pace_begin(run->crew->queue.name);
    run->eta_s = -1;
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
