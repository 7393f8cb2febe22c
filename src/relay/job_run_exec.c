/*
 * job_run_exec.c - a job as a process of a declared command (HAND-4): what it is given, what its end means.
 */
#include <signal.h>
#include <string.h>

#include "relay/job_runner_parts.h"

#define EXIT_FINAL  65 /* EX_DATAERR: no attempt can help */
#define EXIT_SNOOZE 75 /* EX_TEMPFAIL */
#define SNOOZE_US   (60 * INT64_C(1000000))
#define ENV_MAX     64

const struct exec_command *exec_command_of(const struct job_runner *runner, struct str name)
{
    const struct exec_commands *commands = &runner->config.commands;
    for (size_t i = 0; i < commands->count; i++)
        if (str_eq(commands->items[i].name, name))
            return &commands->items[i];
    return NULL;
}

/* Little of our own environment, what the section says, and which job it is. */
static const char *const *environment(struct run *run, const struct exec_command *command)
{
    struct arena *arena = run->post.op.arena;
    const char **env = arena_alloc(arena, (ENV_MAX + 8) * sizeof *env);
    size_t n = 0;
    if (!env)
        return command->env;
    env[n++] = "PATH=/usr/local/bin:/usr/bin:/bin";
    env[n++] = "LANG=C.UTF-8";
    for (size_t i = 0; i < ENV_MAX && command->env[i]; i++)
        env[n++] = command->env[i];
    env[n++] = arena_fmt(arena, "POSTHOUSE_JID=%.*s", STR(run->jid)).p;
    env[n++] = arena_fmt(arena, "POSTHOUSE_QUEUE=%.*s", STR(run->crew->queue.name)).p;
    env[n++] = arena_fmt(arena, "POSTHOUSE_ATTEMPT=%d", run->attempt).p;
    return env;
}

static struct str why(struct run *run)
{
    const struct child *child = &run->child;
    struct str errors = str_trim(child->errors);
    if (errors.n > JOB_MESSAGE_BYTES_MAX) /* what it said last is what it died of */
        errors = (struct str){ errors.p + errors.n - JOB_MESSAGE_BYTES_MAX, JOB_MESSAGE_BYTES_MAX };
    while (errors.n && ((unsigned char)*errors.p & 0xC0) == 0x80)
        errors = (struct str){ errors.p + 1, errors.n - 1 };
    if (errors.n)
        return arena_str(run->post.op.arena, errors);
    return child->signal ? arena_fmt(run->post.op.arena, "ended by signal %d", child->signal)
                         : arena_fmt(run->post.op.arena, "ended with %d", child->exit_code);
}

static void by_exit(struct run *run)
{
    const struct child *child = &run->child;
    if (child->err != OK) {
        run_failed(run, "ExecFailed", arena_str(run->post.op.arena, str_of(child->error)));
    } else if (child->was_stopped) {
        run->end = END_RETURN;
    } else if (child->timed_out) {
        run_failed(run, "Timeout", S("the command took longer than its timeout"));
    } else if (child->exit_code == 0) {
        run->end = END_ACK;
        if (!child->output_cut)
            run->result = run_result(run, child->output);
    } else if (child->exit_code == EXIT_SNOOZE) {
        run->end = END_FAIL;
        run->failure = (struct job_failure){ .snooze_us = SNOOZE_US };
    } else {
        run_failed(run, child->signal ? "Signal" : "ExitCode", why(run));
        run->failure.final = child->exit_code == EXIT_FINAL;
        run->failure.crash = child->signal != 0;
    }
}

static void exec_done(struct child *child)
{
    struct run *run = child->data;
    run->is_running = false;
    by_exit(run);
    child_free(child);
    run_over(run);
}

void run_exec(struct run *run)
{
    struct job_runner *runner = run->crew->runner;
    const struct exec_command *command = exec_command_of(runner, run->crew->queue.handler.command);
    if (!command) {
        run_failed(run, "ExecFailed", S("the configuration declares no such command any more"));
        run_over(run);
        return;
    }
    run->child = (struct child){
        .argv = command->argv,
        .envp = environment(run, command),
        .input = run->text,
        .output_max = HANDLER_RESULT_BYTES_MAX,
        .timeout_ms = run->timeout_ms,
        .memory_bytes = command->memory_bytes,
        .has_user = command->has_user,
        .user = command->user,
        .group = command->group,
        .done = exec_done,
        .data = run,
    };
    run->is_running = true;
    child_start(runner->config.loop, &run->child);
}

void run_exec_stop(struct run *run)
{
    if (run->is_running)
        child_stop(&run->child);
}
