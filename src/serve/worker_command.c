#include "serve/worker_command.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define FREE_COMMANDS_MAX 1024 /* kept for reuse: about 5 KiB each with the first chunk of the arena */

/* --- memory --------------------------------------------------------------- */

static struct worker_command *command_take(struct worker_door *door)
{
    struct worker_command *command = door->free;
    struct arena *arena;
    if (command) {
        door->free = command->next;
        door->free_count--;
        arena = command->post.op.arena;
    } else {
        command = malloc(sizeof *command);
        if (!command)
            abort();
        arena = arena_new(COMMAND_BYTES_MAX);
    }
    door->out++;
    post_init(&command->post, arena, loop_wall_us(door->config.loop));
    memset(&command->next, 0, offsetof(struct worker_command, beside) - offsetof(struct worker_command, next));
    command->door = door;
    buf_init_arena(&command->reply, arena, COMMAND_BYTES_MAX);
    loop_adopt(door->config.loop, &command->post);
    return command;
}

static void command_give(struct worker_command *command)
{
    struct worker_door *door = command->door;
    door->out--;
    door->bytes -= command->bytes;
    if (door->free_count < FREE_COMMANDS_MAX) {
        arena_reset(command->post.op.arena);
        command->next = door->free;
        door->free = command;
        door->free_count++;
    } else {
        arena_free(command->post.op.arena);
        free(command);
    }
    if (door->drained && door->out == 0)
        sem_post(door->drained);
}

void commands_free(struct worker_door *door)
{
    while (door->free) {
        struct worker_command *next = door->free->next;
        arena_free(door->free->post.op.arena);
        free(door->free);
        door->free = next;
    }
    door->free_count = 0;
}

/* --- under way ------------------------------------------------------------ */

void command_send(struct worker_command *command, const struct hop *route)
{
    command->out++;
    command->post.hop = route;
    post_send(&command->post);
}

void command_send_beside(struct worker_command *command, const struct hop *route)
{
    struct loop *loop = command->door->config.loop;
    post_init(&command->beside, NULL, loop_wall_us(loop));
    loop_adopt(loop, &command->beside);
    command->out++;
    command->beside.hop = route;
    post_send(&command->beside);
}

void command_again(struct worker_command *command, const struct hop *route)
{
    command->post.hop = route;
    post_send(&command->post);
}

/* Home, or answered, with nobody there to hear it. */
static void command_lose(struct worker_command *command)
{
    command->conn = NULL;
    if (command->verb->lost)
        command->verb->lost(command);
    if (command->out == 0)
        command_give(command);
}

static void command_done(struct worker_command *command, enum err err)
{
    command->done = true;
    if (err == OK && command->verb->answer)
        command->verb->answer(command);
    if (err == OK && command->reply.full)
        err = fail(&command->post.op, ERR_TOO_LARGE, "the answer is too large");
    if (err != OK) {
        buf_reset(&command->reply);
        reply_error(&command->reply, str_of(command->post.op.error));
    }
}

void command_back(struct worker_command *command)
{
    if (--command->out > 0)
        return; /* another post of it is still under way */
    if (!command->conn) {
        command_lose(command);
        return;
    }
    if (command->verb->leave && command->verb->lost && line_conn_is_left(command->conn->line)) {
        command->verb->lost(command); /* what it brings would be sent to nobody */
        if (command->out > 0)
            return;
    }
    command_done(command, command->post.err);
    conn_drain(command->conn);
}

void command_heard(struct post *post)
{
    session_heard(post->tx, command_of(post)->session);
}

enum err command_home(struct post *post)
{
    command_back(command_of(post));
    return OK;
}

struct worker_command *command_errand(struct worker_door *door, const struct worker_verb *verb)
{
    struct worker_command *command = command_take(door);
    command->verb = verb;
    return command;
}

/* --- in order ------------------------------------------------------------- */

static enum err may_begin(struct worker_command *command)
{
    struct worker_door *door = command->door;
    struct op *op = &command->post.op;
    if (door->stopping && !(command->verb->flags & VERB_STAYS))
        return fail(op, ERR_UNAVAILABLE, "shutdown in progress");
    if (door->bytes > WORKER_DOOR_BYTES_MAX)
        return fail(op, ERR_BUSY, "too many commands are under way");
    return OK;
}

static enum err keep_argument(struct worker_command *command, struct str argument)
{
    command->argument = arena_str(command->post.op.arena, argument);
    return str_given(command->argument) || !str_given(argument)
               ? OK
               : fail(&command->post.op, ERR_TOO_LARGE, "the command is too large");
}

void command_begin(struct worker_conn *conn, const struct worker_verb *verb, struct str argument, size_t line_bytes)
{
    struct worker_door *door = conn->door;
    struct worker_command *command = command_take(door);
    command->conn = conn;
    command->verb = verb;
    command->session = conn->session;
    command->bytes = line_bytes;
    door->bytes += line_bytes;
    conn->bytes += line_bytes;
    conn->count++;
    *conn->last = command;
    conn->last = &command->next;
    atomic_store_explicit(&door->commands, door->commands + 1, memory_order_relaxed);

    enum err err = may_begin(command);
    if (err == OK)
        err = keep_argument(command, argument);
    if (err == OK)
        err = verb->begin(command);
    if (err != OK || command->out == 0)
        command_done(command, err);
    else if (verb->flags & VERB_HOLDS)
        conn->holds = true;
    conn->over = command->done && command->ends;
    conn_drain(conn);
}

static bool conn_is_full(const struct worker_conn *conn)
{
    return conn->holds || conn->over || conn->count >= WORKER_PIPELINE_MAX || conn->bytes >= WORKER_PIPELINE_BYTES;
}

static struct worker_command *conn_pop(struct worker_conn *conn)
{
    struct worker_command *command = conn->first;
    conn->first = command->next;
    if (!conn->first)
        conn->last = &conn->first;
    command->next = NULL;
    conn->count--;
    conn->bytes -= command->bytes;
    if (command->verb->flags & VERB_HOLDS)
        conn->holds = false;
    return command;
}

void conn_drain(struct worker_conn *conn)
{
    bool ends = false;
    while (conn->first && conn->first->done && !ends) {
        struct worker_command *command = conn_pop(conn);
        ends = command->ends;
        command->sent_at = line_conn_add(conn->line, buf_str(&command->reply));
        if (command->verb->sent) {
            *conn->unsent_last = command;
            conn->unsent_last = &command->next;
        } else {
            command_give(command);
        }
    }
    if (ends || (conn->over && !conn->first))
        line_conn_finish(conn->line);
    else if (conn_is_full(conn))
        line_conn_pause(conn->line);
    else
        line_conn_resume(conn->line);
}

void conn_sent(struct worker_conn *conn, uint64_t bytes)
{
    while (conn->unsent && conn->unsent->sent_at <= bytes) {
        struct worker_command *command = conn->unsent;
        conn->unsent = command->next;
        if (!conn->unsent)
            conn->unsent_last = &conn->unsent;
        command->verb->sent(command);
        command_give(command);
    }
}

/* Each is freed here, or when it comes home. */
static void abandon_list(struct worker_command *command)
{
    while (command) {
        struct worker_command *next = command->next;
        command->conn = NULL;
        if (command->out == 0)
            command_lose(command);
        else if (command->verb->leave)
            command->verb->leave(command);
        command = next;
    }
}

void conn_abandon(struct worker_conn *conn)
{
    abandon_list(conn->unsent);
    abandon_list(conn->first);
}
