/*
 * worker_mutate.c - MUTATE: many jobs of a set at once, in slices.
 *
 * Each slice is a command of the writer of its own, so a million jobs hold
 * nobody up. Clients give up after five seconds without an answer: a mutation
 * that takes longer is answered after three and goes on behind its answer.
 */
#include "engine/job_mutate.h"
#include "serve/worker_command.h"

#define ANSWER_BY_MS 3000

struct mutate {
    struct worker_mutate said;
    struct job_mutation mutation;
    int64_t began_ms;
};

static enum err slice_commit(struct post *post)
{
    struct mutate *mutate = command_of(post)->data;
    command_heard(post);
    return job_mutate(&post->op, post->tx, &mutate->mutation);
}

static enum err slice_home(struct post *post);

static const struct hop slice_route[] = { { slice_commit, THREAD_WRITER }, { slice_home, THREAD_CALLER }, { 0 } };

/* What is left goes on in a command that nobody waits for, with memory of its own. */
static void go_on_alone(struct worker_command *command);

static enum err slice_home(struct post *post)
{
    struct worker_command *command = command_of(post);
    struct mutate *mutate = command->data;
    if (post->err != OK || mutate->mutation.is_over) {
        command_back(command);
        return OK;
    }
    mutate->mutation.from = mutate->mutation.to;
    if (command->conn && loop_now_ms(command->door->config.loop) - mutate->began_ms >= ANSWER_BY_MS) {
        go_on_alone(command);
        command_back(command);
        return OK;
    }
    command_again(command, slice_route);
    return OK;
}

static enum err read_argument(struct op *op, struct str argument, struct mutate *ret)
{
    static const enum job_state sets[] = {
        [SET_SCHEDULED] = JOB_SCHEDULED, [SET_RETRIES] = JOB_RETRY, [SET_DEAD] = JOB_DEAD
    };
    static const enum job_mutation_verb verbs[] = { [MUTATE_CLEAR] = MUTATION_DISCARD,
                                                    [MUTATE_KILL] = MUTATION_KILL,
                                                    [MUTATE_DISCARD] = MUTATION_DISCARD,
                                                    [MUTATE_REQUEUE] = MUTATION_REQUEUE };
    TRY(worker_read_mutate(op, argument, &ret->said));
    ret->mutation = (struct job_mutation){ .verb = verbs[ret->said.verb], .set = sets[ret->said.target] };
    if (ret->said.verb == MUTATE_CLEAR)
        return OK; /* all of them, whatever the filter says */
    ret->mutation.by_jids = ret->said.by_jids;
    ret->mutation.jids = ret->said.jids;
    ret->mutation.jid_count = ret->said.jid_count;
    ret->mutation.jobtype = ret->said.jobtype;
    ret->mutation.glob = ret->said.regexp;
    return OK;
}

static enum err mutate_prepare(struct worker_command *command)
{
    struct mutate *mutate;
    TRY(op_alloc(&command->post.op, sizeof *mutate, &mutate));
    TRY(read_argument(&command->post.op, command->argument, mutate));
    mutate->began_ms = loop_now_ms(command->door->config.loop);
    command->data = mutate;
    return OK;
}

static enum err mutate_begin(struct worker_command *command)
{
    TRY(mutate_prepare(command));
    command_send(command, slice_route);
    return OK;
}

static void mutate_answer(struct worker_command *command)
{
    reply_ok(&command->reply);
}

static const struct worker_verb rest_verb = { .name = "mutate" };

static void go_on_alone(struct worker_command *command)
{
    const struct mutate *mutate = command->data;
    struct worker_command *rest = command_errand(command->door, &rest_verb);
    rest->argument = arena_str(rest->post.op.arena, command->argument);
    if (!str_given(rest->argument) || mutate_prepare(rest) != OK)
        return; /* it was read once, and there is as much room */
    ((struct mutate *)rest->data)->mutation.from = mutate->mutation.from;
    command_send(rest, slice_route);
}

const struct worker_verb worker_mutate_verbs[] = {
    { .name = "MUTATE", .flags = VERB_HOLDS, .begin = mutate_begin, .answer = mutate_answer },
    { 0 },
};
