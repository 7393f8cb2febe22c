/*
 * worker_ops.c - BEAT, INFO, QUEUE, FLUSH and END: everything about workers and queues that is not about one job.
 */
#include <unistd.h>

#include "base/instant.h"
#include "base/process.h"
#include "engine/job_queue.h"
#include "engine/jobs.h"
#include "serve/worker_command.h"

#define INFO_PAGE       1000    /* queues read at a time */
#define FAKTORY_VERSION "1.9.4" /* whose protocol this is; clients look for major 1, minor 8 or above */

/* --- BEAT ----------------------------------------------------------------- */

struct beat {
    struct worker_beat said;
    struct str own; /* wid of the connection */
    enum session_state state;
    struct session_id joined; /* the connection's wid was unknown and is registered again */
};

static enum session_state wish_of(struct str state)
{
    if (str_eq(state, S("quiet")))
        return SESSION_QUIET;
    return str_eq(state, S("terminate")) ? SESSION_TERMINATE : SESSION_RUNNING;
}

static enum err beat_commit(struct post *post)
{
    struct beat *beat = command_of(post)->data;
    struct op *op = &post->op;
    struct session_info info = { .name = beat->said.wid };
    enum session_state wish = wish_of(beat->said.state);
    beat->joined = (struct session_id){ 0 };
    enum err err = session_beat(op, post->tx, &info, wish, beat->said.rss_kb, &beat->state, NULL, NULL);
    if (err != ERR_NOT_FOUND)
        return err;
    if (!str_eq(beat->said.wid, beat->own))
        return fail(op, ERR_NOT_FOUND, "unknown worker %.*s", STR(worker_quote(op, beat->said.wid)));
    TRY(session_join(op, post->tx, &info, &beat->joined));
    return session_beat(op, post->tx, &info, wish, beat->said.rss_kb, &beat->state, NULL, NULL);
}

static enum err beat_begin(struct worker_command *command)
{
    static const struct hop route[] = { { beat_commit, THREAD_WRITER }, { command_home, THREAD_CALLER }, { 0 } };
    struct beat *beat;
    TRY(op_alloc(&command->post.op, sizeof *beat, &beat));
    TRY(worker_read_beat(&command->post.op, command->argument, &beat->said));
    beat->own = arena_str(command->post.op.arena, command->conn->wid);
    command->data = beat;
    command_send(command, route);
    return OK;
}

static void beat_answer(struct worker_command *command)
{
    struct beat *beat = command->data;
    if (beat->joined.no)
        command->conn->session = beat->joined;
    if (beat->state == SESSION_RUNNING && command->door->stopping)
        beat->state = SESSION_QUIET;
    if (beat->state == SESSION_RUNNING)
        reply_ok(&command->reply);
    else
        reply_bulk(&command->reply,
                   beat->state == SESSION_QUIET ? S("{\"state\":\"quiet\"}") : S("{\"state\":\"terminate\"}"));
}

/* --- INFO ----------------------------------------------------------------- */

struct info {
    struct job_totals totals;
    struct buf queues; /* {"name":size,...} */
};

/* Goes through all queues by their names. */
static enum err each_queue(struct op *op, struct tx *tx,
                           enum err (*fn)(struct op *op, struct tx *tx, const struct queue_view *view, void *arg),
                           void *arg)
{
    struct str after = S("");
    for (;;) {
        struct queue_view *views;
        size_t count;
        TRY(queue_list(op, tx, after, INFO_PAGE, &views, &count));
        for (size_t i = 0; i < count; i++)
            TRY(fn(op, tx, &views[i], arg));
        if (count < INFO_PAGE)
            return OK;
        after = views[count - 1].name;
    }
}

static enum err put_size(struct op *op, struct tx *tx, const struct queue_view *view, void *arg)
{
    (void)op;
    (void)tx;
    struct json_writer *w = arg;
    json_put_name_str(w, view->name);
    json_put_int(w, view->ready);
    return OK;
}

static enum err info_read(struct post *post)
{
    struct info *info = command_of(post)->data;
    struct json_writer w;
    command_heard(post);
    job_totals(post->tx, &info->totals);
    buf_init_arena(&info->queues, post->op.arena, COMMAND_BYTES_MAX);
    json_write_init(&w, &info->queues);
    json_object_begin(&w);
    TRY(each_queue(&post->op, post->tx, put_size, &w));
    json_object_end(&w);
    return OK;
}

static enum err info_begin(struct worker_command *command)
{
    static const struct hop route[] = { { info_read, THREAD_WRITER }, { command_home, THREAD_CALLER }, { 0 } };
    struct info *info;
    TRY(op_alloc(&command->post.op, sizeof *info, &info));
    command->data = info;
    command_send(command, route);
    return OK;
}

/* The fields that clients read by name; what a task of another server counts is 0 here. */
static void put_task(struct json_writer *w, const char *name, int64_t size, bool moves_jobs)
{
    json_put_name(w, name);
    json_object_begin(w);
    json_member_int(w, "size", size);
    if (moves_jobs) {
        json_member_int(w, "enqueued", 0);
        json_member_int(w, "cycles", 0);
        json_member_int(w, "wall_time_sec", 0);
    } else {
        json_member_int(w, "reaped", 0);
    }
    json_object_end(w);
}

static void put_faktory(struct json_writer *w, const struct info *info)
{
    const struct job_totals *totals = &info->totals;
    json_put_name(w, "faktory");
    json_object_begin(w);
    json_member_raw(w, "queues", buf_str(&info->queues));
    json_put_name(w, "sets");
    json_object_begin(w);
    json_member_int(w, "scheduled", totals->scheduled);
    json_member_int(w, "retries", totals->retry);
    json_member_int(w, "dead", totals->dead);
    json_member_int(w, "working", totals->leased);
    json_object_end(w);
    json_put_name(w, "tasks");
    json_object_begin(w);
    put_task(w, "Scheduled", totals->scheduled, true);
    put_task(w, "Retries", totals->retry, true);
    put_task(w, "Dead", totals->dead, true);
    put_task(w, "Busy", totals->leased, false);
    put_task(w, "Workers", totals->sessions, false);
    json_object_end(w);
    json_member_int(w, "total_failures", totals->failures);
    json_member_int(w, "total_processed", totals->processed);
    json_member_int(w, "total_enqueued", totals->ready);
    json_member_int(w, "total_queues", totals->queues);
    json_object_end(w);
}

/* Beyond the protocol, for clients that ask. */
static const char *const own_verbs[] = { "FETCHB", "ACKB", "FAILB", "EXTEND" };

static void put_server(struct json_writer *w, const struct worker_door *door, int64_t now_us)
{
    struct worker_figures figures = worker_door_figures(door);
    int64_t up_s = (now_us - door->opened_us) / 1000000;
    json_put_name(w, "server");
    json_object_begin(w);
    json_member_str(w, "description", door->config.description);
    json_member_str(w, "faktory_version", S(FAKTORY_VERSION));
    json_member_int(w, "uptime", up_s > 0 ? up_s : 1);
    json_member_int(w, "connections", (int64_t)figures.lines.connections);
    json_member_int(w, "command_count", (int64_t)figures.commands);
    json_member_int(w, "used_memory_mb", process_rss_bytes(getpid()) >> 20);
    json_put_name(w, "posthouse");
    json_object_begin(w);
    json_member_str(w, "version", S(POSTHOUSE_VERSION));
    json_put_name(w, "verbs");
    json_array_begin(w);
    for (size_t i = 0; i < sizeof own_verbs / sizeof *own_verbs; i++)
        json_put_str(w, str_of(own_verbs[i]));
    json_array_end(w);
    json_object_end(w);
    json_object_end(w);
}

static void info_answer(struct worker_command *command)
{
    struct worker_door *door = command->door;
    int64_t now_us = loop_wall_us(door->config.loop);
    char instant[INSTANT_TEXT_BYTES];
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, command->post.op.arena, COMMAND_BYTES_MAX);
    json_write_init(&w, &buf);
    instant_text(now_us, 6, instant);
    json_object_begin(&w);
    json_member_str(&w, "now", str_of(instant));
    /* "2026-11-21T19:00:00.000000Z": the time of day stands behind the T. */
    json_member_str(&w, "server_utc_time", arena_fmt(command->post.op.arena, "%.8s UTC", instant + 11));
    put_faktory(&w, command->data);
    put_server(&w, door, now_us);
    json_object_end(&w);
    reply_bulk(&command->reply, buf_str(&buf));
}

/* --- QUEUE ---------------------------------------------------------------- */

struct queue_command {
    struct worker_queue said;
    int64_t *latency_us; /* of each name */
};

static enum err queue_do(struct op *op, struct tx *tx, enum worker_queue_verb verb, struct str name)
{
    enum err err = OK;
    if (!queue_name_valid(name))
        return fail(op, ERR_INVALID, "queue names must match [A-Za-z0-9._-]+, got \"%.*s\"",
                    STR(worker_quote(op, name)));
    if (verb == QUEUE_REMOVE)
        err = queue_delete(op, tx, name);
    else
        err = queue_pause(op, tx, name, verb == QUEUE_PAUSE);
    return err == ERR_NOT_FOUND ? OK : err; /* unknown names are passed over */
}

static enum err queue_do_all(struct op *op, struct tx *tx, const struct queue_view *view, void *arg)
{
    const struct queue_command *queue = arg;
    return queue_do(op, tx, queue->said.verb, view->name);
}

static enum err queue_latency(struct op *op, struct tx *tx, struct str name, int64_t *ret_us)
{
    struct queue_view view;
    *ret_us = 0;
    enum err err = queue_get(op, tx, name, &view);
    if (err == OK)
        *ret_us = view.latency_us;
    return err == ERR_NOT_FOUND ? OK : err;
}

static enum err queue_commit(struct post *post)
{
    struct queue_command *queue = command_of(post)->data;
    const struct worker_queues *queues = &queue->said.queues;
    command_heard(post);
    if (queue->said.all)
        return each_queue(&post->op, post->tx, queue_do_all, queue);
    for (size_t i = 0; i < queues->count; i++)
        if (queue->said.verb == QUEUE_LATENCY)
            TRY(queue_latency(&post->op, post->tx, queues->names[i], &queue->latency_us[i]));
        else
            TRY(queue_do(&post->op, post->tx, queue->said.verb, queues->names[i]));
    return OK;
}

static enum err queue_begin(struct worker_command *command)
{
    static const struct hop route[] = { { queue_commit, THREAD_WRITER }, { command_home, THREAD_CALLER }, { 0 } };
    struct op *op = &command->post.op;
    struct queue_command *queue;
    TRY(op_alloc(op, sizeof *queue, &queue));
    TRY(worker_read_queue(op, command->argument, &queue->said));
    TRY(op_alloc(op, (queue->said.queues.count + 1) * sizeof *queue->latency_us, &queue->latency_us));
    command->data = queue;
    command_send(command, route);
    return OK;
}

static void queue_answer(struct worker_command *command)
{
    struct queue_command *queue = command->data;
    if (queue->said.verb != QUEUE_LATENCY) {
        reply_ok(&command->reply);
        return;
    }
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, command->post.op.arena, COMMAND_BYTES_MAX);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    for (size_t i = 0; i < queue->said.queues.count; i++) {
        json_put_name_str(&w, queue->said.queues.names[i]);
        json_put_decimal(&w, queue->latency_us[i], 6);
    }
    json_object_end(&w);
    reply_bulk(&command->reply, buf_str(&buf));
}

/* --- FLUSH ---------------------------------------------------------------- */

static enum err flush_commit(struct post *post)
{
    return jobs_flush(&post->op, post->tx);
}

static enum err flush_begin(struct worker_command *command)
{
    static const struct hop route[] = { { flush_commit, THREAD_WRITER }, { command_home, THREAD_CALLER }, { 0 } };
    if (!command->door->config.allow_flush)
        return fail(&command->post.op, ERR_FORBIDDEN, "FLUSH is disabled");
    command_send(command, route);
    return OK;
}

static void flush_answer(struct worker_command *command)
{
    reply_ok(&command->reply);
}

/* --- END ------------------------------------------------------------------ */

static enum err end_begin(struct worker_command *command)
{
    command->ends = true;
    return OK;
}

const struct worker_verb worker_ops_verbs[] = {
    { .name = "BEAT", .flags = VERB_STAYS, .begin = beat_begin, .answer = beat_answer },
    { .name = "INFO", .flags = VERB_STAYS, .begin = info_begin, .answer = info_answer },
    { .name = "QUEUE", .begin = queue_begin, .answer = queue_answer },
    { .name = "FLUSH", .begin = flush_begin, .answer = flush_answer },
    { .name = "END", .flags = VERB_STAYS, .begin = end_begin },
    { 0 },
};
