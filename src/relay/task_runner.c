#include "relay/task_runner.h"

#include <stdlib.h>

#include "base/log.h"
#include "engine/source_task.h"
#include "relay/poller_parts.h"

#define TASK_ARENA_BYTES (1u << 20)
#define SLOT_AGAIN_MS    100 /* the provider's host has no free slot */

struct task_runner {
    struct poller *poller;
    struct timer timer;
    bool is_running, is_stopping, is_woken;
    struct run *run; /* the one under way */
};

/* One task from its taking to its end. */
struct run {
    struct post post; /* first */
    struct task_runner *runner;
    bool has_task;
    struct task task;
    struct source_task what;
    struct source_row *accounts;
    size_t account_n, account;
    struct fetch fetch;
    bool is_fetched;
    struct poll_host *host;
    struct str error; /* not given: well so far */
    bool is_useless;  /* no attempt can help */
};

/* ---------------------------------------------------------------------------------------------------------- taking */

static enum err run_take(struct post *post)
{
    struct run *run = (struct run *)post;
    struct op *op = &post->op;
    struct task *tasks;
    int count;
    run->has_task = run->is_useless = false;
    TRY(store_task_take(op, post->tx, op_now_ms(op), TASK_LEASE_MS, 1, &tasks, &count));
    if (count == 0)
        return OK;
    run->has_task = true;
    run->task = tasks[0];
    run->is_useless = source_task_read(op, &run->task, &run->what) != OK;
    if (run->is_useless || !run->what.is_release)
        return OK;
    return source_task_accounts(op, post->tx, &run->what, TASK_ACCOUNTS_MAX, &run->accounts, &run->account_n);
}

static enum err run_taken(struct post *post);

static const struct hop take_route[] = {
    { run_take, THREAD_WRITER },
    { run_taken, THREAD_CALLER },
    { 0 },
};

static void runner_look(struct task_runner *runner)
{
    runner->is_woken = false;
    if (runner->is_running || runner->is_stopping)
        return;
    struct run *run = poller_post_new(runner->poller, sizeof *run, TASK_ARENA_BYTES);
    runner->is_running = true;
    run->runner = runner;
    run->post.hop = take_route;
    post_send(&run->post);
}

static void run_next(struct run *run);

static void runner_due(struct timer *timer)
{
    struct task_runner *runner = (struct task_runner *)((char *)timer - offsetof(struct task_runner, timer));
    if (runner->run)
        run_next(runner->run); /* it waited for a slot */
    else
        runner_look(runner);
}

static void run_free(struct run *run)
{
    if (run->is_fetched)
        fetch_free(&run->fetch);
    poller_post_free(run->runner->poller, &run->post);
}

/* The next look: at once when there may be more. */
static void runner_rest(struct task_runner *runner, bool is_more)
{
    runner->is_running = false;
    runner->run = NULL;
    if (!runner->is_stopping)
        loop_timer_set(runner->poller->config.loop, &runner->timer, is_more || runner->is_woken ? 0 : TASK_LOOK_MS);
}

/* ---------------------------------------------------------------------------------------------------------- ending */

static int64_t retry_ms(int attempts)
{
    int64_t ms = attempts < 16 ? (int64_t)TASK_RETRY_MS << (attempts > 0 ? attempts - 1 : 0) : TASK_RETRY_MS_MAX;
    return ms < TASK_RETRY_MS_MAX ? ms : TASK_RETRY_MS_MAX;
}

static enum err run_settle(struct post *post)
{
    struct run *run = (struct run *)post;
    struct op *op = &post->op;
    if (!str_given(run->error) || run->is_useless || run->task.attempts >= TASK_ATTEMPTS_MAX)
        return store_task_done(op, post->tx, run->task.no);
    return store_task_retry(op, post->tx, run->task.no, op_now_ms(op) + retry_ms(run->task.attempts), run->error);
}

static enum err run_settled(struct post *post)
{
    struct run *run = (struct run *)post;
    struct task_runner *runner = run->runner;
    bool is_given_up = run->is_useless || (str_given(run->error) && run->task.attempts >= TASK_ATTEMPTS_MAX);
    if (is_given_up)
        log_error("a task was given up", LOG_STR("kind", run->task.kind), LOG_STR("error", run->error));
    run_free(run);
    runner_rest(runner, true);
    return OK;
}

static const struct hop settle_route[] = {
    { run_settle, THREAD_WRITER },
    { run_settled, THREAD_CALLER },
    { 0 },
};

static void run_end(struct run *run)
{
    run->runner->run = NULL;
    run->post.op.now_us = loop_wall_us(run->runner->poller->config.loop);
    run->post.hop = settle_route;
    post_send(&run->post);
}

/* -------------------------------------------------------------------------------------------------------- requests */

static void note_answer(struct run *run)
{
    const struct fetch *fetch = &run->fetch;
    bool is_done = fetch->err == OK &&
                   ((fetch->status >= 200 && fetch->status < 300) || (run->what.is_release && fetch->status == 404));
    if (is_done)
        return;
    run->error = fetch->err == OK ? arena_fmt(run->post.op.arena, "the provider answered %d", fetch->status)
                                  : arena_str(run->post.op.arena, str_of(fetch->error));
}

static void run_fetched(struct fetch *fetch)
{
    struct run *run = fetch->data;
    if (run->host)
        run->host->under_way--;
    run->host = NULL;
    run->is_fetched = true;
    note_answer(run);
    run->account++;
    fetch_free(fetch);
    run->is_fetched = false;
    run_next(run);
}

static enum err prepare(struct run *run, struct str *ret_base)
{
    struct op *op = &run->post.op;
    if (!run->what.is_release) {
        run->fetch = (struct fetch){ .method = S("GET"), .url = run->what.url, .public_only = true };
        *ret_base = run->what.url;
        return OK;
    }
    const struct source_row *row = &run->accounts[run->account];
    struct poll_account account = { .base_url = row->base_url, .domain = row->domain, .api_key = row->api_key };
    *ret_base = row->base_url;
    return poll_mailgun_release(op, &account, run->what.reason, run->what.address, &run->fetch);
}

/* The next request of the task, or its end. */
static void run_next(struct run *run)
{
    struct task_runner *runner = run->runner;
    struct poller *poller = runner->poller;
    struct str base;
    bool is_over = run->account >= (run->what.is_release ? run->account_n : 1);
    if (runner->is_stopping) {
        runner->run = NULL;
        run_free(run);
        return;
    }
    if (run->is_useless || is_over || prepare(run, &base) != OK) {
        run_end(run);
        return;
    }
    runner->run = run;
    struct poll_host *host = poll_host_get(&poller->hosts, base);
    if (host->under_way >= POLLER_HOST_MAX) {
        loop_timer_set(poller->config.loop, &runner->timer, SLOT_AGAIN_MS);
        return;
    }
    host->under_way++;
    run->host = host;
    run->fetch.done = run_fetched;
    run->fetch.data = run;
    http_fetch(poller->config.client, &run->fetch);
}

static enum err run_taken(struct post *post)
{
    struct run *run = (struct run *)post;
    struct task_runner *runner = run->runner;
    bool has_task = post->err == OK && run->has_task;
    if (post->err != OK)
        log_warn("tasks could not be taken", LOG_ERROR_OF(&post->op));
    if (!has_task || runner->is_stopping) {
        run_free(run);
        runner_rest(runner, false);
        return OK;
    }
    run_next(run);
    return OK;
}

/* ----------------------------------------------------------------------------------------------------------- life */

struct task_runner *task_runner_start(struct poller *poller)
{
    struct task_runner *runner = calloc(1, sizeof *runner);
    if (!runner)
        abort();
    runner->poller = poller;
    runner->timer.run = runner_due;
    runner_look(runner);
    return runner;
}

void task_runner_wake(struct task_runner *runner)
{
    runner->is_woken = true;
    if (!runner->is_running)
        runner_look(runner);
}

void task_runner_stop(struct task_runner *runner)
{
    runner->is_stopping = true;
    loop_timer_clear(runner->poller->config.loop, &runner->timer);
    struct run *run = runner->run;
    if (run && run->host)
        http_fetch_cancel(&run->fetch);
    else if (run)
        run_next(run); /* it waits for a slot: ends at once */
}

void task_runner_free(struct task_runner *runner)
{
    free(runner);
}
