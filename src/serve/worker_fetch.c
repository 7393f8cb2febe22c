/*
 * worker_fetch.c - FETCH: a job for a worker, or two seconds of waiting for one; FETCHB: several.
 *
 * The wait is the engine's: the command stays with it and comes home with a
 * job or without. When the client leaves meanwhile, a second post ends the
 * wait. A job that was leased and whose bytes the system never took goes back
 * to the head of its queue (LEASE-5).
 */
#include "engine/job_ahead.h"
#include "serve/worker_command.h"

struct fetch {
    struct job_fetch fetch;
    struct worker_queues queues;
    bool cancelled;
};

static enum err fetch_commit(struct post *post)
{
    struct fetch *fetch = command_of(post)->data;
    return job_fetch(&post->op, post->tx, &fetch->fetch);
}

static void fetch_ahead(struct post *post)
{
    struct fetch *fetch = command_of(post)->data;
    job_fetch_ahead(post->tx, &fetch->fetch);
}

static enum err begin(struct worker_command *command, struct str queues, int max)
{
    static const struct hop route[] = { { fetch_commit, THREAD_WRITER, fetch_ahead },
                                        { command_home, THREAD_CALLER },
                                        { 0 } };
    static const struct str no_queue = { "", 0 };
    struct fetch *fetch;
    TRY(op_alloc(&command->post.op, sizeof *fetch, &fetch));
    TRY(worker_read_fetch(&command->post.op, queues, &fetch->queues));
    command->data = fetch;
    if (command->conn->ended)
        return OK; /* it would not be there to get the job */
    fetch->fetch = (struct job_fetch){
        .post = &command->post,
        .queues = fetch->queues.count ? fetch->queues.names : &no_queue,
        .queue_count = fetch->queues.count ? fetch->queues.count : 1,
        .max = max,
        .wait_us = WORKER_FETCH_WAIT_US,
        .session = command->session,
        .worker = arena_str(command->post.op.arena, command->conn->wid),
    };
    command_send(command, route);
    return OK;
}

static enum err fetch_begin(struct worker_command *command)
{
    return begin(command, command->argument, 1);
}

/* FETCHB 100 q1 q2 */
static enum err fetchb_begin(struct worker_command *command)
{
    struct str queues = command->argument, number = str_given(queues) ? str_cut(&queues, ' ') : S("");
    int64_t max;
    if (!str_to_int(number, 1, FETCH_MAX, &max))
        return fail(&command->post.op, ERR_INVALID, "FETCHB needs a number of jobs from 1 to %d", FETCH_MAX);
    return begin(command, str_given(queues) ? queues : S(""), (int)max);
}

static void fetchb_answer(struct worker_command *command)
{
    struct fetch *fetch = command->data;
    struct buf jobs;
    buf_init_arena(&jobs, command->post.op.arena, COMMAND_BYTES_MAX);
    buf_add_char(&jobs, '[');
    for (int i = 0; i < fetch->fetch.count; i++) {
        if (i)
            buf_add_char(&jobs, ',');
        job_write(&jobs, &fetch->fetch.jobs[i], S(""));
    }
    buf_add_char(&jobs, ']');
    reply_bulk(&command->reply, buf_str(&jobs));
}

static void fetch_answer(struct worker_command *command)
{
    struct fetch *fetch = command->data;
    if (fetch->fetch.count == 0) {
        reply_null(&command->reply);
        return;
    }
    struct buf job;
    buf_init_arena(&job, command->post.op.arena, COMMAND_BYTES_MAX);
    job_write(&job, &fetch->fetch.jobs[0], S(""));
    reply_bulk(&command->reply, buf_str(&job));
}

/* --- the client left ------------------------------------------------------ */

static enum err cancel_commit(struct post *post)
{
    struct fetch *fetch = command_of_beside(post)->data;
    return job_fetch_cancel(&post->op, post->tx, &fetch->fetch);
}

static enum err cancel_home(struct post *post)
{
    command_back(command_of_beside(post));
    return OK;
}

static void fetch_leave(struct worker_command *command)
{
    static const struct hop route[] = { { cancel_commit, THREAD_WRITER }, { cancel_home, THREAD_CALLER }, { 0 } };
    struct fetch *fetch = command->data;
    if (fetch->cancelled)
        return;
    fetch->cancelled = true;
    command_send_beside(command, route);
}

/* --- what became of the job ----------------------------------------------- */

static enum err return_commit(struct post *post)
{
    struct fetch *fetch = command_of(post)->data;
    for (int i = 0; i < fetch->fetch.count; i++)
        TRY(job_return(&post->op, post->tx, fetch->fetch.jobs[i].id, fetch->fetch.jobs[i].lease));
    return OK;
}

static enum err return_home(struct post *post)
{
    struct fetch *fetch = command_of(post)->data;
    fetch->fetch.count = 0;
    command_back(command_of(post));
    return OK;
}

static void fetch_lost(struct worker_command *command)
{
    static const struct hop route[] = { { return_commit, THREAD_WRITER }, { return_home, THREAD_CALLER }, { 0 } };
    struct fetch *fetch = command->data;
    if (fetch && command->post.err == OK && fetch->fetch.count > 0)
        command_send(command, route);
}

static void fetch_sent(struct worker_command *command)
{
    struct fetch *fetch = command->data;
    for (int i = 0; fetch && i < fetch->fetch.count; i++)
        job_delivered(command->door->config.jobs, fetch->fetch.jobs[i].lease);
}

const struct worker_verb worker_fetch_verbs[] = {
    { .name = "FETCH",
      .flags = VERB_HOLDS,
      .begin = fetch_begin,
      .answer = fetch_answer,
      .leave = fetch_leave,
      .lost = fetch_lost,
      .sent = fetch_sent },
    { .name = "FETCHB",
      .flags = VERB_HOLDS,
      .begin = fetchb_begin,
      .answer = fetchb_answer,
      .leave = fetch_leave,
      .lost = fetch_lost,
      .sent = fetch_sent },
    { 0 },
};
