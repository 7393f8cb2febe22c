/*
 * api_job_work.c - work over HTTP: fetch, ack, fail, extend. Workers and their beats: api_workers.c.
 *
 * A fetch that waits is held by the engine and answered when a job is there.
 * Its client may be gone by then; since the answer is handed over as a whole,
 * a client that has left before gets nothing and its jobs go back (LEASE-5).
 */
#include "base/duration.h"
#include "engine/job_ahead.h"
#include "engine/job_progress.h"
#include "engine/job_read.h"
#include "engine/session.h"
#include "serve/access.h"
#include "serve/api.h"
#include "serve/api_jobs.h"
#include "serve/call.h"
#include "serve/render.h"

#include <stdio.h>

#define LEASES_PER_CALL 1000
#define NAME_MAX        SESSION_NAME_BYTES_MAX

/* A duration in a body: "2s". */
static enum err read_duration(struct call *call, const char *pointer, struct str text, int64_t min_ms, int64_t max_ms,
                              int64_t *ret_us)
{
    int64_t ms;
    char low[DURATION_TEXT_BYTES], high[DURATION_TEXT_BYTES];
    if (!str_given(text))
        return OK;
    if (duration_parse(text, &ms) && ms >= min_ms && ms <= max_ms) {
        *ret_us = ms * 1000;
        return OK;
    }
    struct str from = duration_text(min_ms, low), to = duration_text(max_ms, high);
    return json_problem(&call->post.op, &call->problems, pointer, "%s must be a duration from %.*s to %.*s",
                        pointer + 1, STR(from), STR(to));
}

/* --- fetch ------------------------------------------------------------------ */

struct fetch_call {
    struct call call;
    struct {
        struct json_strs queues;
        int64_t max;
        struct str wait, worker, order;
    } body;
    struct job_fetch fetch;
    struct job_lease *leases;
};

#define FETCH_BODY offsetof(struct fetch_call, body)
static const struct json_field fetch_fields[] = {
    { "queues", JSON_FIELD_STRS, offsetof(struct fetch_call, body.queues) - FETCH_BODY, JOB_QUEUE_BYTES_MAX,
      JSON_REQUIRED, 1, FETCH_QUEUES_MAX },
    { "max", JSON_FIELD_INT, offsetof(struct fetch_call, body.max) - FETCH_BODY, FETCH_MAX, 0, 1, 0 },
    { "wait", JSON_FIELD_STR, offsetof(struct fetch_call, body.wait) - FETCH_BODY, 32, JSON_NULLABLE, 1, 0 },
    { "worker", JSON_FIELD_STR, offsetof(struct fetch_call, body.worker) - FETCH_BODY, NAME_MAX, JSON_NULLABLE, 1, 0 },
    { "order", JSON_FIELD_STR, offsetof(struct fetch_call, body.order) - FETCH_BODY, 16, JSON_NULLABLE, 1, 0 },
};

static void fetch_render(struct fetch_call *c)
{
    struct json_writer *w = &c->call.json;
    json_object_begin(w);
    json_put_name(w, "jobs");
    json_array_begin(w);
    for (int i = 0; i < c->fetch.count; i++) {
        char token[LEASE_TOKEN_BYTES];
        struct buf buf;
        struct str text = job_token(&c->leases[i], token);
        buf_init_arena(&buf, c->call.post.op.arena, CALL_ANSWER_BYTES_MAX);
        job_write(&buf, &c->fetch.jobs[i],
                  arena_fmt(c->call.post.op.arena, "\"attempt\":%d,\"lease\":\"%.*s\"", c->fetch.jobs[i].attempt,
                            STR(text)));
        json_put_raw(w, buf_str(&buf));
    }
    json_array_end(w);
    json_object_end(w);
}

static void fetch_ahead(struct post *post)
{
    const struct fetch_call *c = (struct fetch_call *)post;
    job_fetch_ahead(post->tx, &c->fetch);
}

static enum err fetch_run(struct post *post)
{
    struct fetch_call *c = (struct fetch_call *)post;
    struct session_view session;
    c->fetch.session = (struct session_id){ 0 };
    if (str_given(c->body.worker) && session_get(&post->op, post->tx, c->body.worker, &session) == OK)
        c->fetch.session = session.id;
    return job_fetch(&post->op, post->tx, &c->fetch);
}

/* The client left while its fetch waited or was on its way: its jobs are given back. */
static enum err fetch_back(struct post *post)
{
    struct fetch_call *c = (struct fetch_call *)post;
    for (int i = 0; i < c->fetch.count; i++)
        TRY(job_return(&post->op, post->tx, c->fetch.jobs[i].id, c->fetch.jobs[i].lease));
    c->fetch.count = 0;
    return OK;
}

static enum err fetch_reply(struct post *post)
{
    static const struct hop back[] = { { fetch_back, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct fetch_call *c = (struct fetch_call *)post;
    if (post->err == OK && c->fetch.count && !c->call.request->conn) {
        post->hop = back;
        post_send(post);
        return OK;
    }
    if (post->err == OK) {
        struct siphash_key key = siphash_key_from(store_hash_key(c->call.api->config.store));
        enum err err = op_alloc(&post->op, ((size_t)c->fetch.count + 1) * sizeof *c->leases, &c->leases);
        for (int i = 0; err == OK && i < c->fetch.count; i++) {
            const struct job_out *job = &c->fetch.jobs[i];
            c->leases[i] = (struct job_lease){ job->id, job->lease, siphash64(key, job->jid.p, job->jid.n) };
            job_delivered(c->call.api->config.jobs, job->lease);
        }
        if (err == OK)
            fetch_render(c);
        post->err = err;
    }
    return call_reply(post);
}

static enum err fetch_check(struct fetch_call *c)
{
    struct call *call = &c->call;
    if (c->body.queues.count == 0)
        json_problem(&call->post.op, &call->problems, "/queues", "queues must name at least one queue");
    for (size_t i = 0; i < c->body.queues.count; i++)
        TRY(call_may_queue(&call->post.op, call, c->body.queues.items[i]));
    read_duration(call, "/wait", c->body.wait, 0, FETCH_WAIT_US_MAX / 1000, &c->fetch.wait_us);
    if (str_given(c->body.order) && !str_eq(c->body.order, S("weighted")) && !str_eq(c->body.order, S("given")))
        json_problem(&call->post.op, &call->problems, "/order", "order is given or weighted");
    return call->problems.count ? ERR_INVALID : OK;
}

void jobs_fetch(struct http_request *request)
{
    static const struct hop route[] = { { fetch_run, THREAD_WRITER, fetch_ahead },
                                        { fetch_reply, THREAD_CALLER },
                                        { 0 } };
    struct fetch_call *c = call_new(request, sizeof *c);
    if (!c)
        return;
    c->body.max = 1;
    if (!call_body(&c->call, fetch_fields, sizeof fetch_fields / sizeof *fetch_fields, &c->body, NULL))
        return;
    enum err err = fetch_check(c);
    if (err != OK) {
        call_end(&c->call, err);
        return;
    }
    c->fetch.post = &c->call.post;
    c->fetch.queues = c->body.queues.items;
    c->fetch.queue_count = c->body.queues.count;
    c->fetch.max = (int)c->body.max;
    c->fetch.worker = c->body.worker;
    c->fetch.weighted = str_eq(c->body.order, S("weighted"));
    c->call.shown_once = true; /* a fetch sent again fetches again */
    call_send(&c->call, route);
}

/* --- ack and fail ----------------------------------------------------------- */

struct failure_body {
    struct str lease, errtype, message, retry_in, snooze;
    struct json_strs backtrace;
    bool final;
};

struct end_call {
    struct call call;
    struct {
        struct json_strs leases;
        struct str failures;
    } body;
    struct str *tokens; /* as they came */
    struct job_ref *refs;
    struct job_failure *failures; /* NULL: acks */
    bool *known;                  /* the token parses */
    size_t count;
};

static void stale_render(struct json_writer *w, struct str token, const char *reason)
{
    json_object_begin(w);
    json_member_str(w, "lease", token);
    json_member_str(w, "reason", str_of(reason));
    json_object_end(w);
}

static enum err end_commit(struct post *post)
{
    struct end_call *c = (struct end_call *)post;
    struct json_writer *w = &c->call.json;
    int64_t applied = 0;
    enum job_stale *stale;
    call_restart(&c->call);
    TRY(op_alloc(&post->op, (c->count + 1) * sizeof *stale, &stale));
    for (size_t i = 0; i < c->count; i++) {
        stale[i] = STALE_UNKNOWN;
        if (c->known[i] && c->failures)
            TRY(job_fail(&post->op, post->tx, &c->refs[i], &c->failures[i], &stale[i]));
        else if (c->known[i])
            TRY(job_ack(&post->op, post->tx, &c->refs[i], &stale[i]));
        applied += stale[i] == STALE_NOT;
    }
    json_object_begin(w);
    json_member_int(w, "acked", applied);
    json_put_name(w, "stale");
    json_array_begin(w);
    for (size_t i = 0; i < c->count; i++)
        if (stale[i] != STALE_NOT)
            stale_render(w, c->tokens[i], job_stale_name(stale[i]));
    json_array_end(w);
    json_object_end(w);
    return OK;
}

static void end_ahead(struct post *post)
{
    const struct end_call *c = (struct end_call *)post;
    for (size_t i = 0; i < c->count; i++)
        if (c->known[i])
            job_end_ahead(post->tx, &c->refs[i]);
}

static const struct hop end_route[] = { { end_commit, THREAD_WRITER, end_ahead },
                                        { call_reply, THREAD_CALLER },
                                        { 0 } };

static enum err end_room(struct end_call *c, size_t n)
{
    struct op *op = &c->call.post.op;
    TRY(op_alloc(op, (n + 1) * sizeof *c->tokens, &c->tokens));
    TRY(op_alloc(op, (n + 1) * sizeof *c->refs, &c->refs));
    return op_alloc(op, (n + 1) * sizeof *c->known, &c->known);
}

static void add_token(struct end_call *c, struct str token)
{
    c->tokens[c->count] = token;
    c->known[c->count] = job_token_parse(token, &c->refs[c->count].lease);
    c->refs[c->count].queues = call_queues(&c->call);
    c->count++;
}

void jobs_ack(struct http_request *request)
{
    static const struct json_field fields[] = {
        { "leases", JSON_FIELD_STRS, 0, 128, JSON_REQUIRED, 0, LEASES_PER_CALL },
    };
    struct end_call *c = call_new(request, sizeof *c);
    if (!c || !call_body(&c->call, fields, 1, &c->body.leases, NULL))
        return;
    enum err err = end_room(c, c->body.leases.count);
    for (size_t i = 0; err == OK && i < c->body.leases.count; i++)
        add_token(c, c->body.leases.items[i]);
    call_send_if(&c->call, err, end_route);
}

static const struct json_field failure_fields[] = {
    { "lease", JSON_FIELD_STR, offsetof(struct failure_body, lease), 128, JSON_REQUIRED, 0, 0 },
    { "errtype", JSON_FIELD_STR, offsetof(struct failure_body, errtype), 1 << 20, JSON_NULLABLE, 0, 0 },
    { "message", JSON_FIELD_STR, offsetof(struct failure_body, message), 1 << 20, JSON_NULLABLE, 0, 0 },
    { "backtrace", JSON_FIELD_STRS, offsetof(struct failure_body, backtrace), 1 << 20, JSON_NULLABLE, 0, 1000 },
    { "retry_in", JSON_FIELD_STR, offsetof(struct failure_body, retry_in), 32, JSON_NULLABLE, 1, 0 },
    { "final", JSON_FIELD_BOOL, offsetof(struct failure_body, final), 0, JSON_NULLABLE, 0, 0 },
    { "snooze", JSON_FIELD_STR, offsetof(struct failure_body, snooze), 32, JSON_NULLABLE, 1, 0 },
};

static enum err read_failure(struct end_call *c, struct json *j)
{
    struct call *call = &c->call;
    struct failure_body body = { 0 };
    char at[40], retry_in[64], snooze[64];
    snprintf(at, sizeof at, "/failures/%zu", c->count);
    snprintf(retry_in, sizeof retry_in, "%s/retry_in", at);
    snprintf(snooze, sizeof snooze, "%s/snooze", at);
    if (c->count == LEASES_PER_CALL)
        return json_problem(&call->post.op, &call->problems, "/failures", "at most %d failures in one call",
                            LEASES_PER_CALL);
    TRY(json_fields(&call->post.op, j, at, failure_fields, sizeof failure_fields / sizeof *failure_fields, &body, NULL,
                    &call->problems));
    struct job_failure *failure = &c->failures[c->count];
    *failure = (struct job_failure){ .errtype = body.errtype,
                                     .message = body.message,
                                     .backtrace = body.backtrace.items,
                                     .backtrace_lines = body.backtrace.count,
                                     .final = body.final };
    TRY(read_duration(call, retry_in, body.retry_in, 1000, INT64_C(30) * 86400000, &failure->retry_in_us));
    TRY(read_duration(call, snooze, body.snooze, 1000, INT64_C(7) * 86400000, &failure->snooze_us));
    add_token(c, body.lease);
    return OK;
}

void jobs_fail(struct http_request *request)
{
    static const struct json_field fields[] = { { "failures", JSON_FIELD_ARRAY, 0, 0, JSON_REQUIRED, 0, 0 } };
    struct end_call *c = call_new(request, sizeof *c);
    if (!c || !call_body(&c->call, fields, 1, &c->body.failures, NULL))
        return;
    struct op *op = &c->call.post.op;
    struct json j;
    enum err err = end_room(c, LEASES_PER_CALL);
    if (err == OK)
        err = op_alloc(op, LEASES_PER_CALL * sizeof *c->failures, &c->failures);
    json_init(&j, op->arena, c->body.failures, JSON_STRICT);
    if (err == OK && json_enter_array(&j))
        while (err == OK && json_next_item(&j))
            err = read_failure(c, &j);
    call_send_if(&c->call, err, end_route);
}

/* --- extend ----------------------------------------------------------------- */

struct extend_call {
    struct call call;
    struct {
        struct str lease, length, desc;
        int64_t percent;
    } body;
    struct job_ref ref;
    int64_t for_us;
};

#define EXTEND_BODY offsetof(struct extend_call, body)
static const struct json_field extend_fields[] = {
    { "lease", JSON_FIELD_STR, offsetof(struct extend_call, body.lease) - EXTEND_BODY, 128, JSON_REQUIRED, 0, 0 },
    { "for", JSON_FIELD_STR, offsetof(struct extend_call, body.length) - EXTEND_BODY, 32, JSON_REQUIRED, 1, 0 },
    { "percent", JSON_FIELD_INT, offsetof(struct extend_call, body.percent) - EXTEND_BODY, 100, JSON_NULLABLE, 0, 0 },
    { "desc", JSON_FIELD_STR, offsetof(struct extend_call, body.desc) - EXTEND_BODY, PROGRESS_DESC_MAX, JSON_NULLABLE,
      0, 0 },
};

static enum err extend_commit(struct post *post)
{
    struct extend_call *c = (struct extend_call *)post;
    enum job_stale stale;
    int64_t until_us;
    call_restart(&c->call);
    TRY(job_extend(&post->op, post->tx, &c->ref, c->for_us, &stale, &until_us));
    if (stale != STALE_NOT)
        return fail_at(&post->op, ERR_CONFLICT, "/lease", "%s", job_stale_name(stale));
    struct job_said said = { (int)c->body.percent, c->body.desc };
    if (said.percent >= 0 || str_given(said.desc))
        TRY(job_progress_set(&post->op, post->tx, &c->ref, &said, &stale));
    json_object_begin(&c->call.json);
    json_member_str(&c->call.json, "lease", c->body.lease);
    render_us(&c->call.json, "until", until_us, 0);
    json_object_end(&c->call.json);
    return OK;
}

void jobs_extend(struct http_request *request)
{
    static const struct hop route[] = { { extend_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct extend_call *c = call_new(request, sizeof *c);
    if (!c)
        return;
    c->body.percent = -1;
    if (!call_body(&c->call, extend_fields, sizeof extend_fields / sizeof *extend_fields, &c->body, NULL))
        return;
    enum err err = read_duration(&c->call, "/for", c->body.length, 1000, JOB_LEASE_US_MAX / 1000, &c->for_us);
    if (err == OK && !job_token_parse(c->body.lease, &c->ref.lease))
        err = fail_at(&c->call.post.op, ERR_CONFLICT, "/lease", "unknown");
    c->ref.queues = call_queues(&c->call);
    call_send_if(&c->call, err, route);
}
