/*
 * worker_track.c - TRACK: what a job says of itself, and how it stands.
 */
#include "base/instant.h"
#include "engine/job_progress.h"
#include "serve/worker_command.h"

struct track_command {
    struct worker_track said;
    struct job_track found;
};

static enum err track_run(struct post *post)
{
    struct worker_command *command = command_of(post);
    struct track_command *track = command->data;
    struct job_ref ref = { .by_jid = true, .jid = track->said.jid, .session = command->session };
    struct job_said said = { track->said.percent, track->said.desc };
    command_heard(post);
    if (track->said.set)
        return job_track_set(&post->op, post->tx, &ref, &said, track->said.until_us);
    return job_track_get(&post->op, post->tx, track->said.jid, &track->found);
}

static enum err track_begin(struct worker_command *command)
{
    static const struct hop route[] = { { track_run, THREAD_WRITER }, { command_home, THREAD_CALLER }, { 0 } };
    struct op *op = &command->post.op;
    struct track_command *track;
    TRY(op_alloc(op, sizeof *track, &track));
    TRY(worker_read_track(op, command->argument, &track->said));
    command->data = track;
    command_send(command, route);
    return OK;
}

static void track_answer(struct worker_command *command)
{
    const struct track_command *track = command->data;
    const struct job_track *found = &track->found;
    struct buf buf;
    struct json_writer w;
    char updated[INSTANT_TEXT_BYTES];
    if (track->said.set) {
        reply_ok(&command->reply);
        return;
    }
    buf_init_arena(&buf, command->post.op.arena, 6 * (PROGRESS_DESC_MAX + track->said.jid.n) + 256);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "jid", track->said.jid);
    json_member_str(&w, "state", str_of(found->state));
    json_member_str(&w, "updated_at", found->updated_us ? instant_text(found->updated_us, 6, updated) : S(""));
    if (found->said.percent >= 0)
        json_member_int(&w, "percent", found->said.percent);
    if (str_given(found->said.desc))
        json_member_str(&w, "desc", found->said.desc);
    json_object_end(&w);
    reply_bulk(&command->reply, buf_str(&buf));
}

const struct worker_verb worker_track_verbs[] = {
    { .name = "TRACK", .flags = VERB_STAYS, .begin = track_begin, .answer = track_answer },
    { 0 },
};
