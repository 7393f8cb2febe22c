#include "serve/worker_door.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "serve/worker_command.h"

#define ABOVE_MAX         128   /* connections above the maximum that may still hear so at a time */
#define HELLO_BYTES_MAX   65536 /* of the first line */
#define SCRATCH_BYTES_MAX (1u << 20)

/* --- sessions ------------------------------------------------------------- */

/* HELLO with a wid registers its process; the answer waits until that is on disk. */
struct hello {
    struct worker_hello said;
    struct session_id session;
};

static enum err hello_join(struct post *post)
{
    struct hello *hello = command_of(post)->data;
    struct session_info info = {
        .name = hello->said.wid, .hostname = hello->said.hostname, .pid = hello->said.pid, .labels = hello->said.labels
    };
    return session_join(&post->op, post->tx, &info, &hello->session);
}

static enum err hello_leave(struct post *post)
{
    return session_leave(&post->op, post->tx, command_of(post)->session);
}

static const struct hop join_route[] = { { hello_join, THREAD_WRITER }, { command_home, THREAD_CALLER }, { 0 } };
static const struct hop leave_route[] = { { hello_leave, THREAD_WRITER }, { command_home, THREAD_CALLER }, { 0 } };

static const struct worker_verb leave_verb = { .name = "leave" };

static void session_is_left(struct worker_door *door, struct session_id session)
{
    if (session.no == 0)
        return;
    struct worker_command *command = command_errand(door, &leave_verb);
    command->session = session;
    command_send(command, leave_route);
}

/* --- HELLO ---------------------------------------------------------------- */

/* Read once more, now into the memory of the command. Until it is welcome, its answer is the last. */
static enum err hello_begin(struct worker_command *command)
{
    struct hello *hello;
    TRY(op_alloc(&command->post.op, sizeof *hello, &hello));
    TRY(worker_read_hello(&command->post.op, command->argument, &hello->said));
    command->data = hello;
    command->ends = true;
    if (hello->said.wid.n > 0)
        command_send(command, join_route);
    return OK;
}

static void hello_answer(struct worker_command *command)
{
    struct worker_conn *conn = command->conn;
    struct hello *hello = command->data;
    conn->session = hello->session;
    if (hello->session.no) {
        memcpy(conn->wid_bytes, hello->said.wid.p, hello->said.wid.n);
        conn->wid = (struct str){ conn->wid_bytes, hello->said.wid.n };
    }
    reply_ok(&command->reply);
    int most = conn->door->config.connections_max;
    command->ends = line_server_counts(conn->door->server).connections > (uint64_t)most;
    if (command->ends)
        reply_error(&command->reply, arena_fmt(command->post.op.arena, "too many connections: %d", most));
}

/* Joined for nobody. */
static void hello_lost(struct worker_command *command)
{
    struct hello *hello = command->data;
    if (hello && hello->session.no && command->post.err == OK)
        session_is_left(command->door, hello->session);
}

const struct worker_verb worker_hello_verb = {
    .name = "HELLO", .flags = VERB_HOLDS, .begin = hello_begin, .answer = hello_answer, .lost = hello_lost
};

/* Tells a wrong password when its time has come. */
static void on_late(struct timer *timer)
{
    struct worker_conn *conn = MAIL_OF(timer, struct worker_conn, late);
    line_conn_add(conn->line, S("-ERR Invalid password\r\n"));
    line_conn_finish(conn->line);
}

static bool password_is_right(struct worker_conn *conn, const struct worker_hello *hello)
{
    const struct worker_door_config *config = &conn->door->config;
    if (config->password.n == 0)
        return true;
    if (config->require_v2_auth && hello->version < 2)
        return false;
    return challenge_is_met(&conn->challenge, config->password, hello->version, hello->password_hash);
}

/* The first line. Anything but a HELLO ends the connection without a word. */
static void greet(struct worker_conn *conn, struct str line)
{
    struct worker_door *door = conn->door;
    struct worker_line parts = worker_line_cut(line);
    struct worker_hello hello;
    struct op op;
    arena_reset(door->scratch);
    op_init(&op, door->scratch, 0);
    if (!str_eq(parts.verb, S("HELLO")) || line.n > HELLO_BYTES_MAX ||
        worker_read_hello(&op, parts.argument, &hello) != OK) {
        line_conn_close(conn->line);
        return;
    }
    if (!password_is_right(conn, &hello)) {
        struct addr peer = line_conn_peer(conn->line);
        int64_t delay_ms = wrong_answers_note(&door->wrong, &peer, loop_now_ms(door->config.loop));
        line_conn_pause(conn->line);
        loop_timer_set(door->config.loop, &conn->late, delay_ms);
        return;
    }
    conn->greeted = true;
    command_begin(conn, &worker_hello_verb, parts.argument, line.n);
}

/* --- commands ------------------------------------------------------------- */

static enum err unknown_begin(struct worker_command *command)
{
    return fail(&command->post.op, ERR_INVALID, "unknown command %.*s",
                STR(worker_quote(&command->post.op, command->argument)));
}

static const struct worker_verb unknown_verb = { .name = "", .flags = VERB_STAYS, .begin = unknown_begin };

/* Behind the answers to what came before it, the last word. */
static enum err too_long_begin(struct worker_command *command)
{
    command->ends = true;
    return fail(&command->post.op, ERR_TOO_LARGE, "command too long");
}

static const struct worker_verb too_long_verb = { .name = "", .flags = VERB_STAYS, .begin = too_long_begin };

static const struct worker_verb *find_verb(struct str name)
{
    static const struct worker_verb *const tables[] = { worker_job_verbs,    worker_fetch_verbs, worker_ops_verbs,
                                                        worker_mutate_verbs, worker_batch_verbs, worker_track_verbs,
                                                        worker_many_verbs };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct worker_verb *verb = tables[i]; verb->name; verb++)
            if (str_eq(name, str_of(verb->name)))
                return verb;
    return NULL;
}

static void on_line(struct line_conn *line, struct str text)
{
    struct worker_conn *conn = line_conn_data(line);
    if (!conn->greeted) {
        greet(conn, text);
        return;
    }
    struct worker_line parts = worker_line_cut(text);
    const struct worker_verb *verb = find_verb(parts.verb);
    command_begin(conn, verb ? verb : &unknown_verb, verb ? parts.argument : parts.verb, text.n);
}

static void on_too_long(struct line_conn *line)
{
    struct worker_conn *conn = line_conn_data(line);
    if (!conn->greeted) {
        line_conn_close(line);
        return;
    }
    command_begin(conn, &too_long_verb, S(""), 0);
}

/* --- connections ---------------------------------------------------------- */

static void on_opened(struct line_conn *line)
{
    struct worker_door *door = line_conn_server_data(line);
    struct worker_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        abort();
    *conn = (struct worker_conn){ .door = door, .line = line, .next = door->conns, .wid = S("") };
    conn->last = &conn->first;
    conn->unsent_last = &conn->unsent;
    conn->late.run = on_late;
    if (conn->next)
        conn->next->before = conn;
    door->conns = conn;
    line_conn_keep(line, conn);
    line_conn_deadline(line, WORKER_HELLO_MS);

    char greeting[80];
    int n = snprintf(greeting, sizeof greeting, "+HI {\"v\":2}\r\n");
    if (door->config.password.n > 0) {
        challenge_make(&conn->challenge);
        n = snprintf(greeting, sizeof greeting, "+HI {\"v\":2,\"i\":%d,\"s\":\"%s\"}\r\n", conn->challenge.iterations,
                     conn->challenge.salt);
    }
    line_conn_add(line, (struct str){ greeting, (size_t)n });
}

static void on_sent(struct line_conn *line, uint64_t bytes)
{
    conn_sent(line_conn_data(line), bytes);
}

static void on_ended(struct line_conn *line)
{
    struct worker_conn *conn = line_conn_data(line);
    conn->ended = true;
    for (struct worker_command *command = conn->first; command; command = command->next)
        if (command->out > 0 && command->verb->leave)
            command->verb->leave(command);
}

static void on_closed(struct line_conn *line)
{
    struct worker_conn *conn = line_conn_data(line);
    struct worker_door *door = conn->door;
    if (conn->before)
        conn->before->next = conn->next;
    else
        door->conns = conn->next;
    if (conn->next)
        conn->next->before = conn->before;
    loop_timer_clear(door->config.loop, &conn->late);
    conn_abandon(conn);
    session_is_left(door, conn->session);
    free(conn);
}

/* --- lost workers --------------------------------------------------------- */

struct suspect {
    struct errand errand;
    struct worker_door *door;
    struct session_id session;
};

static void close_suspect(struct errand *errand)
{
    struct suspect *suspect = (struct suspect *)errand;
    struct worker_conn *next;
    for (struct worker_conn *conn = suspect->door->conns; conn; conn = next) {
        next = conn->next;
        if (conn->session.no == suspect->session.no && conn->session.epoch == suspect->session.epoch)
            line_conn_close(conn->line);
    }
    free(suspect);
}

/* In the writer: a worker has been silent for too long. */
static void on_suspect(void *data, struct session_id session)
{
    struct worker_door *door = data;
    struct suspect *suspect = malloc(sizeof *suspect);
    if (!suspect)
        abort();
    *suspect = (struct suspect){ .errand.run = close_suspect, .door = door, .session = session };
    loop_send(door->config.loop, &suspect->errand);
}

/* --- the thread of the loop, lent ------------------------------------------ */

_Static_assert((int)SETTLE_DONE == (int)LEND_DONE && (int)SETTLE_NOTHING == (int)LEND_NOTHING, "one answer for both");

static int64_t settle(void *data)
{
    return store_lend(((struct worker_door *)data)->config.store);
}

/* Nearly all that workers say is for the writer. */
static void lend_on_loop(void *data)
{
    struct worker_door *door = data;
    store_lend_begin(door->config.store);
    loop_settle(door->config.loop, settle, door);
}

/* --- open and close ------------------------------------------------------- */

static struct line_server_config server_config(struct worker_door *door)
{
    return (struct line_server_config){
        .listen = door->config.listen,
        .connections_max = door->config.connections_max + ABOVE_MAX,
        .line_bytes_max = door->config.command_bytes_max,
        .data = door,
        .opened = on_opened,
        .line = on_line,
        .too_long = on_too_long,
        .sent = on_sent,
        .ended = on_ended,
        .closed = on_closed,
    };
}

enum err worker_door_open(struct op *op, const struct worker_door_config *config, struct worker_door **ret_door)
{
    struct worker_door *door = calloc(1, sizeof *door);
    if (!door)
        abort();
    door->config = *config;
    if (!door->config.connections_max)
        door->config.connections_max = WORKER_CONNECTIONS_MAX;
    door->scratch = arena_new(SCRATCH_BYTES_MAX);
    door->opened_us = op->now_us;
    door->reader = (struct job_reader){
        .door = JOB_WORKER,
        .key = siphash_key_from(store_hash_key(config->store)),
        .bytes_max = config->job_bytes_max ? config->job_bytes_max : JOB_BYTES_DEFAULT,
    };
    struct line_server_config server = server_config(door);
    enum err err = line_server_open(op, config->loop, &server, &door->server);
    if (err != OK) {
        arena_free(door->scratch);
        free(door);
        return err;
    }
    session_on_suspect(config->jobs, on_suspect, door);
    loop_call(config->loop, lend_on_loop, door);
    *ret_door = door;
    return OK;
}

static void stop_on_loop(void *data)
{
    ((struct worker_door *)data)->stopping = true;
}

void worker_door_stop(struct worker_door *door)
{
    loop_call(door->config.loop, stop_on_loop, door);
    line_server_stop(door->server);
}

/* No more commands; a connection ends behind the last answer it waits for. */
static void finish_on_loop(void *data)
{
    struct worker_door *door = data;
    for (struct worker_conn *conn = door->conns, *next; conn; conn = next) {
        next = conn->next;
        conn->over = true;
        conn_drain(conn);
    }
}

struct drain_call {
    struct worker_door *door;
    sem_t drained;
    bool waits;
};

static void drain_on_loop(void *data)
{
    struct drain_call *call = data;
    call->waits = call->door->out > 0;
    if (call->waits)
        call->door->drained = &call->drained;
}

static void free_on_loop(void *data)
{
    struct worker_door *door = data;
    loop_settle(door->config.loop, NULL, NULL);
    store_lend_end(door->config.store);
    commands_free(door);
}

void worker_door_close(struct worker_door *door, int64_t wait_ms)
{
    loop_call(door->config.loop, finish_on_loop, door);
    line_server_close(door->server, wait_ms);
    struct drain_call call = { .door = door };
    sem_init(&call.drained, 0, 0);
    loop_call(door->config.loop, drain_on_loop, &call);
    while (call.waits && sem_wait(&call.drained) != 0)
        continue;
    sem_destroy(&call.drained);
    loop_call(door->config.loop, free_on_loop, door);
    arena_free(door->scratch);
    free(door);
}

struct addr worker_door_addr(const struct worker_door *door)
{
    return line_server_addr(door->server);
}

struct worker_figures worker_door_figures(const struct worker_door *door)
{
    return (struct worker_figures){ .lines = line_server_counts(door->server),
                                    .commands = atomic_load_explicit(&door->commands, memory_order_relaxed) };
}
