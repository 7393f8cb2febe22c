#include "engine/job_handler.h"

#include "base/crypto.h"
#include "base/duration.h"
#include "base/hex.h"
#include "engine/job_log.h"
#include "engine/job_own.h"

#define SECOND_US        INT64_C(1000000)
#define SECRET_TEXT_MAX  256
#define LEFT_BEHIND_STEP 500 /* leases in one transaction */

/* --- reading ---------------------------------------------------------------- */

struct handler_raw {
    struct str kind, url, secret, old_secret, command, timeout;
    bool internal;
};

#define FIELD(word, kind, max, min)                                                                                    \
    {                                                                                                                  \
#word, kind, offsetof(struct handler_raw, word), max, JSON_NULLABLE, min, 0                                    \
    }

static const struct json_field handler_fields[] = {
    FIELD(kind, JSON_FIELD_STR, 16, 1),
    FIELD(url, JSON_FIELD_STR, HANDLER_URL_BYTES_MAX, 1),
    FIELD(secret, JSON_FIELD_STR, SECRET_TEXT_MAX, 1),
    FIELD(old_secret, JSON_FIELD_STR, SECRET_TEXT_MAX, 1),
    FIELD(command, JSON_FIELD_STR, HANDLER_COMMAND_BYTES_MAX, 1),
    FIELD(timeout, JSON_FIELD_STR, 32, 1),
    FIELD(internal, JSON_FIELD_BOOL, 0, 0),
};

bool job_handler_key(struct str secret, uint8_t *ret, size_t *ret_bytes)
{
    uint8_t bytes[BASE64_RAW_MAX(SECRET_TEXT_MAX)];
    if (!str_starts(secret, S("whsec_")) || secret.n > SECRET_TEXT_MAX)
        return false;
    struct str text = { secret.p + 6, secret.n - 6 };
    if (!base64_decode(text, bytes, ret_bytes) || *ret_bytes < 16 || *ret_bytes > HANDLER_SECRET_BYTES_MAX)
        return false;
    memcpy(ret, bytes, *ret_bytes);
    return true;
}

static enum err check_secret(struct op *op, struct json_problems *problems, const char *pointer, struct str secret)
{
    uint8_t key[HANDLER_SECRET_BYTES_MAX];
    size_t bytes;
    if (job_handler_key(secret, key, &bytes))
        return OK;
    return json_problem(op, problems, pointer,
                        "a secret is whsec_ and 16 to %d bytes as base64: echo whsec_$(openssl rand -base64 24)",
                        HANDLER_SECRET_BYTES_MAX);
}

static enum err check_http(struct op *op, struct json_problems *problems, const struct job_handler *handler)
{
    if (!str_starts(handler->url, S("http://")) && !str_starts(handler->url, S("https://")))
        return json_problem(op, problems, "/handler/url", "url must be an http or https URL");
    TRY(check_secret(op, problems, "/handler/secret", handler->secret));
    return str_given(handler->old_secret) ? check_secret(op, problems, "/handler/old_secret", handler->old_secret) : OK;
}

static enum err read_timeout(struct op *op, struct json_problems *problems, struct str text, int64_t *ret_us)
{
    int64_t ms;
    if (!str_given(text))
        return OK;
    if (!duration_parse(text, &ms) || ms < 1000 || ms * 1000 > JOB_LEASE_US_MAX)
        return json_problem(op, problems, "/handler/timeout", "timeout must be a duration from 1s to 24h");
    *ret_us = ms * 1000;
    return OK;
}

enum err job_handler_read(struct op *op, struct str text, struct job_handler *ret, struct json_problems *problems)
{
    struct handler_raw raw = { .kind = S("pull") };
    *ret = (struct job_handler){ 0 };
    if (!str_given(text))
        return OK;
    TRY(json_read_nested(op, text, "/handler", handler_fields, sizeof handler_fields / sizeof *handler_fields, &raw,
                         NULL, problems));
    TRY(read_timeout(op, problems, raw.timeout, &ret->timeout_us));
    ret->internal = raw.internal;
    if (str_eq(raw.kind, S("pull")))
        return OK;
    if (str_eq(raw.kind, S("exec"))) {
        ret->kind = HANDLER_EXEC;
        ret->command = raw.command;
        return str_given(raw.command) ? OK
                                      : json_problem(op, problems, "/handler/command",
                                                     "command must name a section [exec NAME] of the configuration");
    }
    if (!str_eq(raw.kind, S("http")))
        return json_problem(op, problems, "/handler/kind", "kind must be one of pull, http, exec");
    ret->kind = HANDLER_HTTP;
    ret->url = raw.url;
    ret->secret = raw.secret;
    ret->old_secret = raw.old_secret;
    ret->timeout_us = ret->timeout_us ? ret->timeout_us : HANDLER_HTTP_US;
    return check_http(op, problems, ret);
}

static struct str sign_with(struct op *op, struct str secret, const struct str *parts, size_t n)
{
    uint8_t key[HANDLER_SECRET_BYTES_MAX], mac[CRYPTO_SHA256_BYTES];
    size_t key_bytes;
    if (!job_handler_key(secret, key, &key_bytes))
        return S("");
    crypto_hmac_sha256((struct str){ (const char *)key, key_bytes }, parts, n, mac);
    return arena_fmt(op->arena, "v1,%.*s", STR(base64_str(op->arena, mac, sizeof mac)));
}

struct str job_handler_sign(struct op *op, const struct job_handler *handler, struct str id, struct str timestamp,
                            struct str body)
{
    const struct str parts[] = { id, S("."), timestamp, S("."), body };
    const size_t n = sizeof parts / sizeof *parts;
    struct str signature = sign_with(op, handler->secret, parts, n);
    if (!str_given(handler->old_secret))
        return signature;
    return arena_fmt(op->arena, "%.*s %.*s", STR(signature), STR(sign_with(op, handler->old_secret, parts, n)));
}

/* --- what is shown and stored ------------------------------------------------ */

static bool hide_secret(struct json_writer *w, struct str name, struct str value, void *data)
{
    (void)data;
    if ((!str_eq(name, S("secret")) && !str_eq(name, S("old_secret"))) || str_eq(value, S("null")))
        return false;
    json_put_name_str(w, name);
    json_put_str(w, S("set"));
    return true;
}

static bool hide_in_handler(struct json_writer *w, struct str name, struct str value, void *data)
{
    struct op *op = data;
    if (!str_eq(name, S("handler")) || !str_starts(value, S("{")))
        return false;
    json_put_name_str(w, name);
    json_object_begin(w);
    (void)json_copy_members(op, w, value, hide_secret, NULL); /* it was read before */
    json_object_end(w);
    return true;
}

enum err policy_shown(struct op *op, struct str policy, struct str *ret)
{
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, op->arena, policy.n + 256);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    TRY(json_copy_members(op, &w, policy, hide_in_handler, op));
    json_object_end(&w);
    *ret = buf_str(&buf);
    return OK;
}

struct patching {
    struct op *op;
    bool is_admin, says_internal, says_url;
};

static bool drop_internal(struct json_writer *w, struct str name, struct str value, void *data)
{
    struct patching *patching = data;
    (void)w;
    (void)value;
    patching->says_url |= str_eq(name, S("url"));
    if (!str_eq(name, S("internal")))
        return false;
    patching->says_internal = true;
    return true;
}

static bool mark_handler(struct json_writer *w, struct str name, struct str value, void *data)
{
    struct patching *patching = data;
    if (!str_eq(name, S("handler")) || !str_starts(value, S("{")))
        return false;
    json_put_name_str(w, name);
    json_object_begin(w);
    (void)json_copy_members(patching->op, w, value, drop_internal, patching);
    if (patching->says_url) { /* who sets the URL answers for it; what else is patched leaves the mark as it is */
        json_put_name(w, "internal");
        if (patching->is_admin)
            json_put_bool(w, true);
        else
            json_put_null(w);
    }
    json_object_end(w);
    return true;
}

enum err handler_patch(struct op *op, struct str patch, bool is_admin, struct str *ret)
{
    struct patching patching = { .op = op, .is_admin = is_admin };
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, op->arena, patch.n + 256);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    TRY(json_copy_members(op, &w, patch, mark_handler, &patching));
    json_object_end(&w);
    if (patching.says_internal && !is_admin)
        return fail_at(op, ERR_INVALID, "/handler/internal", "internal is set by the scope admin of whoever asks");
    *ret = buf_str(&buf);
    return OK;
}

/* --- for the runner ---------------------------------------------------------- */

enum err job_handled_list(struct op *op, struct tx *tx, struct handled_queue **ret, size_t *ret_count)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(op_alloc(op, (jobs->by_no_room + 1) * sizeof **ret, ret));
    *ret_count = 0;
    for (size_t i = 0; i < jobs->by_no_room; i++) {
        const struct queue *queue = jobs->by_no[i];
        if (!queue || queue->gone || (!queue->own && !str_given(queue->policy.handler)))
            continue;
        struct handled_queue *handled = &(*ret)[*ret_count];
        handled->name = arena_str(op->arena, queue->name);
        handled->text = arena_str(op->arena, queue->policy.handler);
        handled->concurrency = queue->policy.concurrency;
        TRY(job_handler_read(op, handled->text, &handled->handler, NULL));
        if (queue->own) {
            handled->handler = (struct job_handler){ .kind = HANDLER_OWN };
            handled->concurrency = handled->concurrency == POLICY_NONE ? OWN_CONCURRENCY : handled->concurrency;
        }
        *ret_count += handled->handler.kind != HANDLER_PULL;
    }
    return OK;
}

void jobs_commands(struct jobs *jobs, const struct job_commands *commands)
{
    atomic_store(&jobs->commands, commands);
}

enum err handler_check(struct op *op, const struct jobs *jobs, const struct queue_policy *policy)
{
    struct job_handler handler;
    TRY(job_handler_read(op, policy->handler, &handler, NULL));
    if (handler.kind != HANDLER_EXEC)
        return OK;
    const struct job_commands *commands = atomic_load(&jobs->commands);
    for (size_t i = 0; commands && i < commands->count; i++)
        if (str_eq(commands->names[i], handler.command))
            return OK;
    return fail_at(op, ERR_INVALID, "/handler/command", "the configuration declares no [exec %.*s]",
                   STR(handler.command));
}

void jobs_on_handlers(struct jobs *jobs, void (*fn)(void *data), void *data)
{
    pthread_mutex_lock(&jobs->ears_lock);
    jobs->on_handlers = fn;
    jobs->on_handlers_data = data;
    pthread_mutex_unlock(&jobs->ears_lock);
}

void handlers_changed(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->ears_lock);
    if (jobs->on_handlers)
        jobs->on_handlers(jobs->on_handlers_data);
    pthread_mutex_unlock(&jobs->ears_lock);
}

enum err job_handler_tell(struct op *op, struct tx *tx, const struct handler_word *word)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    struct queue *queue = queue_find(jobs, word->queue);
    if (queue)
        queue->down_until_us = word->until_us;
    return queue && word->is_news ? news_handler(op, tx, jobs, word) : OK;
}

enum err job_left_behind(struct op *op, struct tx *tx, struct session_id id, bool *ret_more)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    struct session *session = session_of(jobs, id);
    *ret_more = false;
    if (!session)
        return OK;
    struct lease *lease = session->leases;
    for (int n = 0; lease && n < LEFT_BEHIND_STEP; n++, lease = session->leases)
        TRY(lease_lost(op, tx, jobs, lease));
    *ret_more = session->leases != NULL;
    return jobs_serve(op, tx, jobs);
}

enum err job_hand_over(struct op *op, struct tx *tx, const struct job_lease *named)
{
    struct jobs *jobs;
    TRY(jobs_begin(op, tx, &jobs));
    struct lease *lease = lease_find(jobs, named->jid_hash);
    if (!lease || lease->number != named->number || !lease->session)
        return OK;
    struct lease_row row;
    TRY(store_lease_get(op, tx, lease->id, &row));
    jobs_touch(jobs, tx);
    row.session_no = row.session_epoch = 0;
    TRY(store_lease_delete(op, tx, lease->id));
    TRY(store_lease_add(op, tx, &row));
    log_lease_leaves(jobs, lease);
    lease_leave_session(lease);
    return OK;
}
