/*
 * worker_batch.c - BATCH: sets of jobs and their callbacks.
 */
#include "base/instant.h"
#include "engine/job_batch.h"
#include "serve/worker_command.h"

struct batch_command {
    struct worker_batch said;
    struct batch_new new;
    struct str bid;
    struct batch_view view;
};

/* --- NEW ------------------------------------------------------------------ */

static bool read_callback(struct json *j, struct str *ret)
{
    if (json_null(j))
        return true;
    return json_type(j) == JSON_OBJECT && json_raw(j, ret);
}

static bool read_text(struct json *j, struct str *ret)
{
    struct str text;
    if (json_null(j))
        return true;
    if (!json_string(j, &text) || text.n > BATCH_TEXT_MAX || json_has_nul(text))
        return false;
    if (text.n)
        *ret = text;
    return true;
}

static enum err read_new(struct op *op, struct str json, struct batch_new *ret)
{
    struct json j;
    struct str name;
    bool good = true;
    json_init(&j, op->arena, json, JSON_STRICT);
    bool object = json_type(&j) == JSON_OBJECT;
    if (json_enter_object(&j))
        while (json_next_member(&j, &name)) {
            if (str_eq(name, S("success")))
                good = read_callback(&j, &ret->success) && good;
            else if (str_eq(name, S("complete")))
                good = read_callback(&j, &ret->complete) && good;
            else if (str_eq(name, S("description")))
                good = read_text(&j, &ret->description) && good;
            else if (str_eq(name, S("parent_bid")))
                good = read_text(&j, &ret->parent) && good;
        }
    if (json_finish(&j, op) == OK && object && good)
        return OK;
    return fail(op, ERR_MALFORMED, "invalid BATCH NEW %.*s", STR(worker_quote(op, json)));
}

/* --- all four ------------------------------------------------------------- */

static enum err batch_run(struct post *post)
{
    struct batch_command *batch = command_of(post)->data;
    struct op *op = &post->op;
    command_heard(post);
    switch (batch->said.verb) {
    case BATCH_NEW:
        return batch_create(op, post->tx, &batch->new, JOB_WORKER, &batch->bid);
    case BATCH_OPEN:
        batch->bid = batch->said.bid;
        return batch_open(op, post->tx, batch->bid);
    case BATCH_COMMIT:
        return batch_commit(op, post->tx, batch->said.bid);
    case BATCH_STATUS:
        return batch_get(op, post->tx, batch->said.bid, &batch->view);
    }
    return OK;
}

static enum err batch_begin(struct worker_command *command)
{
    static const struct hop route[] = { { batch_run, THREAD_WRITER }, { command_home, THREAD_CALLER }, { 0 } };
    struct op *op = &command->post.op;
    struct batch_command *batch;
    TRY(op_alloc(op, sizeof *batch, &batch));
    TRY(worker_read_batch(op, command->argument, &batch->said));
    if (batch->said.verb == BATCH_NEW) {
        TRY(read_new(op, batch->said.json, &batch->new));
        TRY(batch_new_check(op, &command->door->reader, &batch->new, NULL));
    }
    command->data = batch;
    command_send(command, route);
    return OK;
}

static void put_text(struct json_writer *w, const char *name, struct str text)
{
    if (str_given(text))
        json_member_str(w, name, text);
}

static void status_answer(struct worker_command *command, const struct batch_view *view)
{
    struct buf buf;
    struct json_writer w;
    char created[INSTANT_TEXT_BYTES];
    buf_init_arena(&buf, command->post.op.arena, BATCH_TEXT_MAX * 8);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "bid", view->bid);
    json_member_str(&w, "created_at", instant_text(view->created_us, 6, created));
    put_text(&w, "description", view->description);
    put_text(&w, "parent_bid", view->parent);
    json_member_int(&w, "total", view->total);
    json_member_int(&w, "pending", view->pending);
    json_member_int(&w, "failed", view->failed);
    json_member_str(&w, "complete_st", str_of(view->complete ? view->complete : ""));
    json_member_str(&w, "success_st", str_of(view->success ? view->success : ""));
    json_object_end(&w);
    reply_bulk(&command->reply, buf_str(&buf));
}

static void batch_answer(struct worker_command *command)
{
    const struct batch_command *batch = command->data;
    if (batch->said.verb == BATCH_STATUS)
        status_answer(command, &batch->view);
    else if (batch->said.verb == BATCH_COMMIT)
        reply_ok(&command->reply);
    else
        reply_bulk(&command->reply, batch->bid);
}

const struct worker_verb worker_batch_verbs[] = {
    { .name = "BATCH", .begin = batch_begin, .answer = batch_answer },
    { 0 },
};
