/*
 * worker_many.c - ACKB, FAILB and EXTEND: verbs of our own, many ends in one command, and a lease that lives longer
 * (WORK-10).
 *
 * INFO tells clients that they are there (server.posthouse.verbs). FETCHB is in worker_fetch.c.
 */
#include "engine/job_end.h"
#include "serve/worker_command.h"

#define MANY_MAX 5000 /* of one command */

struct many {
    bool fails;
    struct worker_fail *items; /* of ACKB only the jid */
    struct str *refusals;      /* not given: it was applied, or is finished already */
    size_t count;
};

static struct job_ref ref_of(const struct worker_command *command, struct str jid)
{
    return (struct job_ref){ .by_jid = true, .jid = jid, .session = command->session };
}

static enum err end_one(struct op *op, struct tx *tx, const struct worker_command *command, struct many *many, size_t i)
{
    const struct worker_fail *item = &many->items[i];
    struct job_ref ref = ref_of(command, item->jid);
    struct job_failure failure = { .errtype = item->errtype,
                                   .message = item->message,
                                   .backtrace = item->backtrace,
                                   .backtrace_lines = item->backtrace_lines };
    enum job_stale stale;
    if (item->jid.n == 0)
        return OK; /* what it is instead was said when it was read */
    TRY(many->fails ? job_fail(op, tx, &ref, &failure, &stale) : job_ack(op, tx, &ref, &stale));
    many->refusals[i] = (struct str){ 0 };
    if (many->fails && stale != STALE_NOT)
        many->refusals[i] = S("Job not found");
    else if (stale != STALE_NOT && stale != STALE_FINISHED)
        many->refusals[i] = str_of(job_stale_name(stale));
    return OK;
}

static enum err many_commit(struct post *post)
{
    struct worker_command *command = command_of(post);
    struct many *many = command->data;
    for (size_t i = 0; i < many->count; i++)
        TRY(end_one(&post->op, post->tx, command, many, i));
    return OK;
}

/* One item of the array: a jid, or the object of a FAIL. One that is neither is refused alone, as without a jid. */
static void read_item(struct op *op, struct json *j, struct many *many)
{
    struct worker_fail *item = &many->items[many->count];
    struct str raw;
    many->refusals[many->count] = (struct str){ 0 };
    if (!many->fails && json_type(j) == JSON_STRING) {
        json_string(j, &item->jid);
        if (item->jid.n == 0)
            many->refusals[many->count] = S("unknown");
    } else if (json_raw(j, &raw) && !many->fails) {
        many->refusals[many->count] = S("a jid is a text");
    } else if (json_ok(j) && worker_read_fail(op, raw, item) != OK) {
        *item = (struct worker_fail){ 0 };
        many->refusals[many->count] = arena_str(op->arena, str_of(op->error));
    }
    many->count++;
}

static enum err many_read(struct worker_command *command, struct many *many)
{
    struct op *op = &command->post.op;
    const char *name = many->fails ? "FAILB" : "ACKB";
    struct json j;
    TRY(op_alloc(op, MANY_MAX * sizeof *many->items, &many->items));
    TRY(op_alloc(op, MANY_MAX * sizeof *many->refusals, &many->refusals));
    json_init(&j, op->arena, str_given(command->argument) ? command->argument : S(""), JSON_STRICT);
    bool array = json_type(&j) == JSON_ARRAY;
    if (json_enter_array(&j))
        while (json_next_item(&j)) {
            if (many->count == MANY_MAX)
                return fail(op, ERR_TOO_LARGE, "%s takes at most %d jobs", name, MANY_MAX);
            read_item(op, &j, many);
        }
    return json_finish(&j, op) == OK && array ? OK : fail(op, ERR_MALFORMED, "invalid %s", name);
}

static enum err many_begin(struct worker_command *command, bool fails)
{
    static const struct hop route[] = { { many_commit, THREAD_WRITER }, { command_home, THREAD_CALLER }, { 0 } };
    struct many *many;
    TRY(op_alloc(&command->post.op, sizeof *many, &many));
    many->fails = fails;
    TRY(many_read(command, many));
    command->data = many;
    if (many->count)
        command_send(command, route);
    return OK;
}

static enum err ackb_begin(struct worker_command *command)
{
    return many_begin(command, false);
}

static enum err failb_begin(struct worker_command *command)
{
    return many_begin(command, true);
}

static void many_answer(struct worker_command *command)
{
    const struct many *many = command->data;
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, command->post.op.arena, COMMAND_BYTES_MAX);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    for (size_t i = 0; i < many->count; i++)
        if (str_given(many->refusals[i])) {
            json_put_name_str(&w, many->items[i].jid);
            json_put_str(&w, many->refusals[i]);
        }
    json_object_end(&w);
    reply_bulk(&command->reply, buf_str(&buf));
}

/* --- EXTEND --------------------------------------------------------------- */

struct extend {
    struct worker_track said;
    enum job_stale stale;
};

static enum err extend_commit(struct post *post)
{
    struct extend *extend = command_of(post)->data;
    struct job_ref ref = ref_of(command_of(post), extend->said.jid);
    int64_t until_us, for_us = extend->said.until_us - post->op.now_us;
    return job_extend(&post->op, post->tx, &ref, for_us > 0 ? for_us : 0, &extend->stale, &until_us);
}

static enum err extend_begin(struct worker_command *command)
{
    static const struct hop route[] = { { extend_commit, THREAD_WRITER }, { command_home, THREAD_CALLER }, { 0 } };
    struct op *op = &command->post.op;
    struct str json = str_given(command->argument) ? command->argument : S("");
    struct extend *extend;
    TRY(op_alloc(op, sizeof *extend, &extend));
    if (worker_read_track(op, arena_fmt(op->arena, "SET %.*s", STR(json)), &extend->said) != OK ||
        extend->said.until_us == 0)
        return fail(op, ERR_INVALID, "invalid EXTEND %.*s", STR(worker_quote(op, json)));
    command->data = extend;
    command_send(command, route);
    return OK;
}

static void extend_answer(struct worker_command *command)
{
    const struct extend *extend = command->data;
    if (extend->stale == STALE_NOT)
        reply_ok(&command->reply);
    else
        reply_error(&command->reply, arena_fmt(command->post.op.arena, "Job not found %.*s",
                                               STR(worker_quote(&command->post.op, extend->said.jid))));
}

const struct worker_verb worker_many_verbs[] = {
    { .name = "ACKB", .flags = VERB_STAYS, .begin = ackb_begin, .answer = many_answer },
    { .name = "FAILB", .flags = VERB_STAYS, .begin = failb_begin, .answer = many_answer },
    { .name = "EXTEND", .flags = VERB_STAYS, .begin = extend_begin, .answer = extend_answer },
    { 0 },
};
