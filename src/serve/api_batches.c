/*
 * api_batches.c - batches over HTTP: made, committed, opened again, looked at.
 */
#include "base/instant.h"
#include "engine/job_batch.h"
#include "serve/api.h"
#include "serve/api_jobs.h"
#include "serve/call.h"

struct batch_call {
    struct call call;
    struct batch_new new;
    struct {
        bool committed, open;
    } patch;
};

static const struct json_field new_fields[] = {
    { "description", JSON_FIELD_STR, offsetof(struct batch_new, description), BATCH_TEXT_MAX, JSON_NULLABLE, 0, 0 },
    { "parent", JSON_FIELD_STR, offsetof(struct batch_new, parent), JOB_JID_BYTES_MAX, JSON_NULLABLE, 1, 0 },
    { "complete", JSON_FIELD_OBJECT, offsetof(struct batch_new, complete), 0, JSON_NULLABLE, 0, 0 },
    { "success", JSON_FIELD_OBJECT, offsetof(struct batch_new, success), 0, JSON_NULLABLE, 0, 0 },
};

#define PATCH_BODY offsetof(struct batch_call, patch)
static const struct json_field patch_fields[] = {
    { "committed", JSON_FIELD_BOOL, offsetof(struct batch_call, patch.committed) - PATCH_BODY, 0, 0, 0, 0 },
    { "open", JSON_FIELD_BOOL, offsetof(struct batch_call, patch.open) - PATCH_BODY, 0, 0, 0, 0 },
};

/* --- looking ---------------------------------------------------------------- */

static struct str part_word(const char *part)
{
    if (!part)
        return (struct str){ 0 };
    return !*part ? S("waiting") : *part == '1' ? S("pushed") : S("acked");
}

static enum err get_run(struct post *post)
{
    struct call *call = call_of(post);
    struct json_writer *w = &call->json;
    struct batch_view view;
    char created[INSTANT_TEXT_BYTES];
    call_restart(call);
    TRY(batch_get(&post->op, post->tx, call_param(call, 0), &view));
    json_object_begin(w);
    json_member_str(w, "id", view.bid);
    json_member_str(w, "description", view.description);
    json_member_str(w, "parent", view.parent);
    json_member_str(w, "created_at", instant_text(view.created_us, 6, created));
    json_member_bool(w, "committed", view.committed);
    json_member_int(w, "total", view.total);
    json_member_int(w, "pending", view.pending);
    json_member_int(w, "failed", view.failed);
    json_member_int(w, "cancelled", view.cancelled);
    json_member_str(w, "complete", part_word(view.complete));
    json_member_str(w, "success", part_word(view.success));
    json_object_end(w);
    return OK;
}

void batches_get(struct http_request *request)
{
    static const struct hop route[] = { { get_run, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run_named(request, route);
}

/* --- changing --------------------------------------------------------------- */

static enum err create_commit(struct post *post)
{
    struct batch_call *c = (struct batch_call *)post;
    struct str id;
    call_restart(&c->call);
    TRY(batch_create(&post->op, post->tx, &c->new, JOB_HTTP, &id));
    c->call.status = 201;
    json_object_begin(&c->call.json);
    json_member_str(&c->call.json, "id", id);
    json_object_end(&c->call.json);
    return OK;
}

/* A token that is bound to queues may not push elsewhere by way of a callback. */
static enum err check_new(struct batch_call *c)
{
    struct op *op = &c->call.post.op;
    struct job_reader reader = { JOB_HTTP, siphash_key_from(store_hash_key(c->call.api->config.store)),
                                 JOB_BYTES_DEFAULT, false, false };
    struct str queues[2] = { { 0 } };
    TRY(batch_new_check(op, &reader, &c->new, queues));
    for (int i = 0; i < 2; i++)
        if (str_given(queues[i]))
            TRY(call_may_queue(op, &c->call, queues[i]));
    return OK;
}

void batches_post(struct http_request *request)
{
    static const struct hop route[] = { { create_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct batch_call *c = call_new(request, sizeof *c);
    if (!c || !call_body(&c->call, new_fields, sizeof new_fields / sizeof *new_fields, &c->new, NULL))
        return;
    enum err err = check_new(c);
    call_send_if(&c->call, err, route);
}

static enum err patch_commit(struct post *post)
{
    struct batch_call *c = (struct batch_call *)post;
    if (c->patch.open)
        TRY(batch_open(&post->op, post->tx, call_param(&c->call, 0)));
    if (c->patch.committed)
        TRY(batch_commit(&post->op, post->tx, call_param(&c->call, 0)));
    return get_run(post);
}

void batches_patch(struct http_request *request)
{
    static const struct hop route[] = { { patch_commit, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct batch_call *c = call_new(request, sizeof *c);
    if (!c || !call_id(&c->call) ||
        !call_body(&c->call, patch_fields, sizeof patch_fields / sizeof *patch_fields, &c->patch, NULL))
        return;
    if (c->patch.open == c->patch.committed)
        call_end(&c->call, fail_at(&c->call.post.op, ERR_INVALID, "/committed",
                                   "say \"committed\": true, or \"open\": true to add more"));
    else
        call_send(&c->call, route);
}
