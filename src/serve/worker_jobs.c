/*
 * worker_jobs.c - PUSH, PUSHB, ACK, FAIL: jobs in, and how their attempts end.
 *
 * FETCH is worker_fetch.c.
 */
#include <string.h>

#include "engine/job_ahead.h"
#include "serve/worker_command.h"

/* --- PUSH ----------------------------------------------------------------- */

struct push {
    struct job_spec spec;
    struct job_pushed pushed;
};

static enum err push_commit(struct post *post)
{
    struct push *push = command_of(post)->data;
    command_heard(post);
    return job_push(&post->op, post->tx, &push->spec, 1, false, &push->pushed);
}

static void push_ahead(struct post *post)
{
    struct push *push = command_of(post)->data;
    job_push_ahead(post->tx, &push->spec, 1);
}

static enum err push_begin(struct worker_command *command)
{
    static const struct hop route[] = { { push_commit, THREAD_WRITER, push_ahead },
                                        { command_home, THREAD_CALLER },
                                        { 0 } };
    struct push *push;
    TRY(op_alloc(&command->post.op, sizeof *push, &push));
    TRY(job_read(&command->post.op, &command->door->reader, command->argument, &push->spec));
    command->data = push;
    command_send(command, route);
    return OK;
}

static void push_answer(struct worker_command *command)
{
    const struct job_pushed *pushed = &((struct push *)command->data)->pushed;
    if (pushed->result == JOB_NOT_UNIQUE)
        reply_not_unique(&command->reply);
    else if (pushed->result == JOB_REFUSED)
        reply_error(&command->reply, pushed->detail);
    else
        reply_ok(&command->reply);
}

/* --- PUSHB ---------------------------------------------------------------- */

struct refused_item {
    struct str jid, sentence;
};

struct pushb {
    struct job_spec *specs;
    struct job_pushed *pushed;
    size_t count, room; /* of specs */
    struct refused_item *refused;
    size_t refused_count, refused_room;
};

#define ITEMS_MIN 128 /* room for so many, then for twice as many, and so on */

/* Room for one more behind `count` items; where they were is left to the arena. */
static enum err room_for_item(struct op *op, size_t count, size_t item_bytes, void *items, size_t *room)
{
    char *old, *more;
    if (count < *room)
        return OK;
    size_t wanted = *room ? 2 * *room : ITEMS_MIN;
    memcpy(&old, items, sizeof old);
    TRY(op_alloc(op, wanted * item_bytes, &more));
    if (count)
        memcpy(more, old, count * item_bytes);
    memcpy(items, &more, sizeof more);
    *room = wanted;
    return OK;
}

static enum err read_item(struct worker_command *command, struct pushb *pushb, struct str item)
{
    struct op *op = &command->post.op;
    TRY(room_for_item(op, pushb->count, sizeof *pushb->specs, &pushb->specs, &pushb->room));
    struct job_spec *spec = &pushb->specs[pushb->count];
    if (job_read(op, &command->door->reader, item, spec) == OK) {
        pushb->count++;
        return OK;
    }
    struct refused_item refused = { .jid = str_given(spec->jid) ? spec->jid : S("") };
    refused.sentence = arena_str(op->arena, str_of(op->error));
    TRY(room_for_item(op, pushb->refused_count, sizeof refused, &pushb->refused, &pushb->refused_room));
    pushb->refused[pushb->refused_count++] = refused;
    return OK;
}

/* Nothing of it goes on before its end has proved that the argument is an array. */
static enum err read_items(struct worker_command *command, struct pushb *pushb)
{
    struct op *op = &command->post.op;
    struct str item;
    struct json j;
    size_t count = 0;
    json_init(&j, op->arena, command->argument, JSON_STRICT);
    bool is_array = json_type(&j) == JSON_ARRAY;
    if (json_enter_array(&j))
        while (json_next_item(&j))
            if (++count <= WORKER_PUSHB_JOBS_MAX && json_raw(&j, &item))
                TRY(read_item(command, pushb, item));
    if (json_finish(&j, op) != OK || !is_array)
        return fail(op, ERR_MALFORMED, "invalid JSON");
    if (count > WORKER_PUSHB_JOBS_MAX)
        return fail(op, ERR_TOO_LARGE, "PUSHB takes at most %d jobs", WORKER_PUSHB_JOBS_MAX);
    return OK;
}

static enum err pushb_commit(struct post *post)
{
    struct pushb *pushb = command_of(post)->data;
    command_heard(post);
    return job_push(&post->op, post->tx, pushb->specs, pushb->count, false, pushb->pushed);
}

static void pushb_ahead(struct post *post)
{
    struct pushb *pushb = command_of(post)->data;
    job_push_ahead(post->tx, pushb->specs, pushb->count);
}

static enum err pushb_begin(struct worker_command *command)
{
    static const struct hop route[] = { { pushb_commit, THREAD_WRITER, pushb_ahead },
                                        { command_home, THREAD_CALLER },
                                        { 0 } };
    struct op *op = &command->post.op;
    struct pushb *pushb;
    TRY(op_alloc(op, sizeof *pushb, &pushb));
    TRY(read_items(command, pushb));
    TRY(op_alloc(op, pushb->count * sizeof *pushb->pushed, &pushb->pushed));
    command->data = pushb;
    if (pushb->count > 0)
        command_send(command, route);
    return OK;
}

/* The rejected ones by their jid. Those without one share the empty name, which is written once. */
static void pushb_answer(struct worker_command *command)
{
    struct pushb *pushb = command->data;
    struct buf buf;
    struct json_writer w;
    bool nameless = false;
    buf_init_arena(&buf, command->post.op.arena, COMMAND_BYTES_MAX);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    for (size_t i = 0; i < pushb->refused_count; i++) {
        if (pushb->refused[i].jid.n == 0 && nameless)
            continue;
        nameless = nameless || pushb->refused[i].jid.n == 0;
        json_put_name_str(&w, pushb->refused[i].jid);
        json_put_str(&w, pushb->refused[i].sentence);
    }
    for (size_t i = 0; i < pushb->count; i++) {
        const struct job_pushed *pushed = &pushb->pushed[i];
        if (pushed->result != JOB_NOT_UNIQUE && pushed->result != JOB_REFUSED)
            continue;
        json_put_name_str(&w, pushb->specs[i].jid);
        json_put_str(&w, pushed->result == JOB_NOT_UNIQUE ? S("NOTUNIQUE Job not unique") : pushed->detail);
    }
    json_object_end(&w);
    reply_bulk(&command->reply, buf_str(&buf));
}

/* --- ACK ------------------------------------------------------------------ */

struct end {
    struct str jid;
    struct worker_fail failure;
    enum job_stale stale;
};

static struct job_ref ref_of(const struct worker_command *command, struct str jid)
{
    return (struct job_ref){ .by_jid = true, .jid = jid, .session = command->session };
}

static enum err ack_commit(struct post *post)
{
    struct end *end = command_of(post)->data;
    struct job_ref ref = ref_of(command_of(post), end->jid);
    return job_ack(&post->op, post->tx, &ref, &end->stale);
}

static void ack_ahead(struct post *post)
{
    struct end *end = command_of(post)->data;
    struct job_ref ref = ref_of(command_of(post), end->jid);
    job_end_ahead(post->tx, &ref);
}

static enum err ack_begin(struct worker_command *command)
{
    static const struct hop route[] = { { ack_commit, THREAD_WRITER, ack_ahead },
                                        { command_home, THREAD_CALLER },
                                        { 0 } };
    struct end *end;
    TRY(op_alloc(&command->post.op, sizeof *end, &end));
    TRY(worker_read_ack(&command->post.op, command->argument, &end->jid));
    command->data = end;
    if (end->jid.n > 0)
        command_send(command, route);
    return OK;
}

/* Whatever became of it: a second ACK, one of another worker, one of a job nobody knows (LEASE-3). */
static void ack_answer(struct worker_command *command)
{
    reply_ok(&command->reply);
}

/* --- FAIL ----------------------------------------------------------------- */

static enum err fail_commit(struct post *post)
{
    struct end *end = command_of(post)->data;
    struct job_ref ref = ref_of(command_of(post), end->failure.jid);
    struct job_failure failure = { .errtype = end->failure.errtype,
                                   .message = end->failure.message,
                                   .backtrace = end->failure.backtrace,
                                   .backtrace_lines = end->failure.backtrace_lines };
    return job_fail(&post->op, post->tx, &ref, &failure, &end->stale);
}

static enum err fail_begin(struct worker_command *command)
{
    static const struct hop route[] = { { fail_commit, THREAD_WRITER }, { command_home, THREAD_CALLER }, { 0 } };
    struct end *end;
    TRY(op_alloc(&command->post.op, sizeof *end, &end));
    TRY(worker_read_fail(&command->post.op, command->argument, &end->failure));
    command->data = end;
    command_send(command, route);
    return OK;
}

static void fail_answer(struct worker_command *command)
{
    struct end *end = command->data;
    if (end->stale == STALE_NOT)
        reply_ok(&command->reply);
    else
        reply_error(&command->reply, arena_fmt(command->post.op.arena, "Job not found %.*s",
                                               STR(worker_quote(&command->post.op, end->failure.jid))));
}

const struct worker_verb worker_job_verbs[] = {
    { .name = "PUSH", .begin = push_begin, .answer = push_answer },
    { .name = "ACK", .flags = VERB_STAYS, .begin = ack_begin, .answer = ack_answer },
    { .name = "FAIL", .flags = VERB_STAYS, .begin = fail_begin, .answer = fail_answer },
    { .name = "PUSHB", .begin = pushb_begin, .answer = pushb_answer },
    { 0 },
};
