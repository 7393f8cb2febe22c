/*
 * job_run.c - one job in the hands of a crew: from its lease to what becomes of it.
 */
#include "relay/job_runner_parts.h"

#include "base/log.h"
#include "engine/job_read.h"

#define LEASE_SPARE_US (10 * INT64_C(1000000))

/* ---------------------------------------------------------------------------------------------------------- the end */

static enum err settle_commit(struct post *post)
{
    struct run *run = (struct run *)post;
    struct job_ref ref = { .lease = run->lease, .result = run->result };
    enum job_stale stale;
    switch (run->end) {
    case END_ACK:
        return job_ack(&post->op, post->tx, &ref, &stale);
    case END_FAIL:
        return job_fail(&post->op, post->tx, &ref, &run->failure, &stale);
    case END_RETURN:
        return job_return(&post->op, post->tx, run->lease.id, run->lease.number);
    case END_HAND_OVER:
        return job_hand_over(&post->op, post->tx, &run->lease);
    }
    return OK;
}

void run_free(struct run *run)
{
    struct crew *crew = run->crew;
    *run->link = run->next;
    if (run->next)
        run->next->link = run->link;
    crew->under_way--;
    runner_post_free(crew->runner, &run->post);
    crew_fetch(crew);
}

static void settle_again(struct timer *timer)
{
    run_over((struct run *)((char *)timer - offsetof(struct run, again)));
}

/* A store that cannot write now is asked again, until a stop: then the lease stays, and is left behind. */
static enum err settled(struct post *post)
{
    struct run *run = (struct run *)post;
    struct job_runner *runner = run->crew->runner;
    if (post->err != OK)
        log_warn("what became of a job could not be stored", LOG_STR("jid", run->jid), LOG_ERROR_OF(&post->op));
    if (post->err != OK && !runner->is_cut) {
        run->again.run = settle_again;
        loop_timer_set(runner->config.loop, &run->again, RUNNER_AGAIN_MS);
        return OK;
    }
    run_free(run);
    return OK;
}

void run_over(struct run *run)
{
    static const struct hop route[] = { { settle_commit, THREAD_WRITER }, { settled, THREAD_CALLER }, { 0 } };
    run->post.op.now_us = loop_wall_us(run->crew->runner->config.loop);
    run->post.hop = route;
    post_send(&run->post);
}

void run_failed(struct run *run, const char *errtype, struct str message)
{
    run->end = END_FAIL;
    run->failure = (struct job_failure){ .errtype = str_of(errtype), .message = message };
}

/* -------------------------------------------------------------------------------------------------------- the start */

static void run_go(struct run *run)
{
    if (run->crew->runner->is_quiet) {
        run->end = END_RETURN;
        run_over(run);
        return;
    }
    if (run->crew->queue.handler.kind == HANDLER_OWN)
        run_own(run);
    else if (run->crew->queue.handler.kind == HANDLER_EXEC)
        run_exec(run);
    else
        run_http(run);
}

/* The lease must outlive the call; where the job's own timeout does not allow that, the call is shorter. */
static enum err lengthen(struct post *post)
{
    struct run *run = (struct run *)post;
    struct job_ref ref = { .lease = run->lease };
    enum job_stale stale;
    int64_t until_us;
    if (job_extend(&post->op, post->tx, &ref, run->timeout_ms * 1000 + LEASE_SPARE_US, &stale, &until_us) != OK)
        return OK;
    run->until_us = until_us;
    return OK;
}

static enum err lengthened(struct post *post)
{
    struct run *run = (struct run *)post;
    int64_t left_ms = (run->until_us - loop_wall_us(run->crew->runner->config.loop)) / 1000;
    if (left_ms < run->timeout_ms)
        run->timeout_ms = left_ms > 1000 ? left_ms : 1000;
    run_go(run);
    return OK;
}

void run_start(struct run *run)
{
    static const struct hop route[] = { { lengthen, THREAD_WRITER }, { lengthened, THREAD_CALLER }, { 0 } };
    int64_t now_us = loop_wall_us(run->crew->runner->config.loop);
    if (run->until_us >= now_us + run->timeout_ms * 1000 + LEASE_SPARE_US) {
        run_go(run);
        return;
    }
    run->post.hop = route;
    post_send(&run->post);
}

struct run *run_new(struct crew *crew, const struct job_out *job)
{
    struct job_runner *runner = crew->runner;
    struct run *run = runner_post_new(runner, sizeof *run, RUN_BYTES_MAX);
    struct arena *arena = run->post.op.arena;
    struct siphash_key key = siphash_key_from(store_hash_key(runner->config.store));
    struct buf buf;
    run->crew = crew;
    run->lease = (struct job_lease){ job->id, job->lease, siphash64(key, job->jid.p, job->jid.n) };
    run->until_us = job->until_us;
    run->jid = arena_str(arena, job->jid);
    run->jobtype = arena_str(arena, job->jobtype);
    run->body = arena_str(arena, job->body);
    run->attempt = job->attempt;
    run->timeout_ms = crew->timeout_ms;
    buf_init_arena(&buf, arena, RUN_BYTES_MAX / 2);
    job_write(&buf, job, arena_fmt(arena, "\"attempt\":%d", job->attempt));
    run->text = buf_str(&buf);
    run->next = crew->runs;
    run->link = &crew->runs;
    if (run->next)
        run->next->link = &run->next;
    crew->runs = run;
    crew->under_way++;
    return run;
}
