/*
 * job_run_http.c - a job as a call of a URL (HAND-2): the request, its signature, what an answer means.
 */
#include "base/json_write.h"
#include "relay/job_runner_parts.h"

#define CONNECT_MS       10000
#define ANSWER_BYTES_MAX (1 << 20) /* more is not read */
#define SNOOZE_MS_MIN    1000
#define SNOOZE_MS_MAX    3600000

/* --- asking ----------------------------------------------------------------- */

static void add_header(struct fetch *fetch, struct str name, struct str value)
{
    fetch->headers[fetch->header_count++] = (struct http_header){ name, value };
}

/* The trace the job belongs to, when whoever pushed it said so in custom.traceparent. */
static struct str traceparent(struct op *op, struct str body)
{
    struct json j;
    struct str name, value = { 0 };
    json_init(&j, op->arena, arena_fmt(op->arena, "{%.*s}", STR(body)), JSON_STRICT);
    if (!json_enter_object(&j))
        return value;
    while (json_next_member(&j, &name)) {
        if (!str_eq(name, S("custom")) || json_type(&j) != JSON_OBJECT || !json_enter_object(&j))
            continue;
        while (json_next_member(&j, &name))
            if (str_eq(name, S("traceparent")) && json_type(&j) == JSON_STRING)
                json_string(&j, &value);
    }
    return value.n == 55 ? value : (struct str){ 0 };
}

static void sign(struct run *run, struct fetch *fetch)
{
    struct op *op = &run->post.op;
    const struct job_handler *handler = &run->crew->queue.handler;
    struct str timestamp =
        arena_fmt(op->arena, "%lld", (long long)(loop_wall_us(run->crew->runner->config.loop) / 1000000));
    struct str signatures = job_handler_sign(op, handler, run->jid, timestamp, run->text);
    add_header(fetch, S("webhook-id"), run->jid);
    add_header(fetch, S("webhook-timestamp"), timestamp);
    add_header(fetch, S("webhook-signature"), signatures);
}

/* --- what the answer means --------------------------------------------------- */

struct str run_result(struct run *run, struct str body)
{
    struct op *op = &run->post.op;
    struct json j;
    struct buf buf;
    struct json_writer w;
    body = str_trim(body);
    if (body.n == 0 || body.n > HANDLER_RESULT_BYTES_MAX)
        return (struct str){ 0 };
    json_init(&j, op->arena, body, JSON_STRICT);
    json_skip(&j);
    if (json_finish(&j, op) == OK)
        return arena_str(op->arena, body);
    buf_init_arena(&buf, op->arena, body.n * 6 + 16);
    json_write_init(&w, &buf);
    json_put_str(&w, body);
    return buf_str(&buf);
}

static void snooze(struct run *run, int64_t ms)
{
    ms = ms < SNOOZE_MS_MIN ? SNOOZE_MS_MIN : ms > SNOOZE_MS_MAX ? SNOOZE_MS_MAX : ms;
    run->end = END_FAIL;
    run->failure = (struct job_failure){ .snooze_us = ms * 1000 };
}

static void refused_for_good(struct run *run, bool is_gone)
{
    struct str body = str_trim(run->fetch.response);
    struct str message = body.n ? arena_str(run->post.op.arena, str_clip(body, JOB_MESSAGE_BYTES_MAX))
                                : arena_fmt(run->post.op.arena, "the handler answered %d", run->fetch.status);
    run_failed(run, is_gone ? "HandlerGone" : "Refused", message);
    run->failure.final = true;
    run->failure.gone = is_gone;
}

static void by_status(struct run *run, int status)
{
    const struct fetch *fetch = &run->fetch;
    int64_t after_ms = fetch_retry_after_ms(fetch, loop_wall_us(run->crew->runner->config.loop));
    bool says_when = str_given(fetch_header(fetch, S("Retry-After")));
    target_heard(run->crew, status >= 500);
    if (status == 200 || status == 201 || status == 204) {
        run->end = END_ACK;
        run->result = run_result(run, fetch->response);
    } else if (status == 202) {
        run->end = END_HAND_OVER;
    } else if ((status == 429 || status == 503) && says_when) {
        snooze(run, after_ms);
    } else if (status == 410 || status == 422) {
        refused_for_good(run, status == 410);
    } else {
        run_failed(run, "HttpStatus", arena_fmt(run->post.op.arena, "the handler answered %d", status));
    }
}

static void http_done(struct fetch *fetch)
{
    struct run *run = fetch->data;
    run->is_calling = false;
    if (fetch->err == OK || (fetch->err == ERR_TOO_LARGE && fetch->status)) {
        by_status(run, fetch->status);
    } else if (fetch->err == ERR_UNAVAILABLE) {
        run->end = END_RETURN;              /* cut off by a stop */
    } else if (fetch->err == ERR_INVALID) { /* its jid makes no header, or the URL is none: no attempt can help */
        run_failed(run, "Unsendable", arena_str(run->post.op.arena, str_of(fetch->error)));
        run->failure.final = true;
        breaker_forget(&run->crew->target->breaker);
    } else if (fetch->unsent) {
        target_heard(run->crew, true);
        run->end = END_RETURN;
    } else {
        target_heard(run->crew, true);
        run_failed(run, fetch->timed_out ? "Timeout" : "HttpBroken",
                   arena_str(run->post.op.arena, str_of(fetch->error)));
    }
    fetch_free(fetch);
    run_over(run);
}

void run_http(struct run *run)
{
    const struct job_handler *handler = &run->crew->queue.handler;
    struct op *op = &run->post.op;
    struct fetch *fetch = &run->fetch;
    char token[LEASE_TOKEN_BYTES];
    *fetch = (struct fetch){
        .method = S("POST"),
        .url = handler->url,
        .body = run->text,
        .connect_ms = CONNECT_MS < run->timeout_ms ? CONNECT_MS : run->timeout_ms,
        .total_ms = run->timeout_ms,
        .response_bytes_max = ANSWER_BYTES_MAX,
        .public_only = true,
        .private_too = handler->internal,
        .done = http_done,
        .data = run,
    };
    add_header(fetch, S("Content-Type"), S("application/json"));
    add_header(fetch, S("Idempotency-Key"), run->jid);
    add_header(fetch, S("Posthouse-Lease"), arena_str(op->arena, job_token(&run->lease, token)));
    struct str trace = traceparent(op, run->body);
    if (str_given(trace))
        add_header(fetch, S("traceparent"), trace);
    sign(run, fetch);
    run->is_calling = true;
    http_fetch(run->crew->runner->client, fetch);
}

void run_http_cut(struct run *run)
{
    if (run->is_calling)
        http_fetch_cancel(&run->fetch);
}
