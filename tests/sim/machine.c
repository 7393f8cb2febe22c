#include "machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/check.h"

#define ROUNDS_QUIET 40  /* after so many tries in a row the disk relents */
#define ROUNDS_MAX   100 /* and then a command must have come through */

static enum store_fault ask(void *data, enum store_point point)
{
    struct machine *machine = data;
    if (machine->is_calm || point == STORE_AT_READ ||
        !rng_chance(machine->rng, point == STORE_AT_COMMIT ? machine->at_commit : machine->at_statement))
        return STORE_NO_FAULT;
    switch (rng_below(machine->rng, point == STORE_AT_COMMIT ? 4 : 3)) {
    case 0:
        return STORE_FAIL_IO;
    case 1:
        return STORE_FAIL_FULL;
    case 2:
        return STORE_CRASH_BEFORE;
    default:
        return STORE_CRASH_AFTER;
    }
}

/* Opening may fail too, or die half way through. */
static void open_store(struct machine *machine)
{
    struct store_config config = { .directory = machine->directory,
                                   .url = machine->database.url[0] ? machine->database.url : NULL,
                                   .faults = &machine->faults,
                                   .clock = &machine->clock,
                                   .readers = 1 };
    for (int i = 0; i < ROUNDS_MAX; i++) {
        bool was_calm = machine->is_calm;
        machine->is_calm = was_calm || i > 3;
        enum err err = store_open(&machine->op, &config, &machine->store);
        machine->is_calm = was_calm;
        if (err == OK)
            return;
        machine->store = NULL;
    }
    seed_fails("the store cannot be opened: %s", machine->op.error);
}

static int64_t clock_of(void *data)
{
    return ((const struct machine *)data)->mono_us;
}

void machine_start(struct machine *machine, struct rng *rng, int64_t now_us)
{
    *machine = (struct machine){ .rng = rng, .now_us = now_us, .arena = arena_new(64 << 20) };
    machine->clock = (struct store_clock){ clock_of, machine };
    op_init(&machine->op, machine->arena, now_us);
    machine->faults = (struct store_faults){ ask, machine };
    const char *place = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(machine->directory, sizeof machine->directory, "%s/posthouse-sim-XXXXXX", place);
    SIM_YES(mkdtemp(machine->directory), "no directory in %s", place);
    test_database_make(&machine->database);
    machine->is_calm = true;
    open_store(machine);
    machine->is_calm = false;
}

void machine_trouble(struct machine *machine, double at_commit_max, double at_statement_max)
{
    if (!rng_chance(machine->rng, 0.8))
        return;
    machine->at_commit = rng_unit(machine->rng) * at_commit_max;
    machine->at_statement = rng_unit(machine->rng) * at_statement_max;
}

void machine_stop(struct machine *machine)
{
    static const char *const files[] = { "posthouse.db", "posthouse.db-wal", "posthouse.db-shm", "posthouse.lock" };
    if (machine->store)
        store_close(machine->store);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", machine->directory, files[i]);
        unlink(path);
    }
    rmdir(machine->directory);
    arena_free(machine->arena);
}

void machine_kill(struct machine *machine)
{
    machine->crashes++;
    store_close(machine->store);
    machine->store = NULL;
    open_store(machine);
    if (machine->reopened)
        machine->reopened(machine->data);
}

void machine_calm(struct machine *machine)
{
    machine->is_calm = true;
    if (store_is_dead(machine->store))
        machine_kill(machine);
}

/* --- commands --- */

static enum err run_command(struct post *post)
{
    struct command *command = (struct command *)(void *)post;
    return command->run(&post->op, post->tx, command);
}

static enum err answer_command(struct post *post)
{
    ((struct command *)(void *)post)->is_answered = true;
    return post->err;
}

static const struct hop command_route[] = { { run_command, THREAD_WRITER }, { answer_command, THREAD_CALLER }, { 0 } };

static void take_home(struct post *post)
{
    post_run(post);
}

void machine_send(struct machine *machine, struct command *command)
{
    struct arena *arena = command->post.op.arena;
    if (arena)
        arena_reset(arena);
    else
        arena = arena_new(COMMAND_BYTES_MAX);
    command->is_answered = false;
    command->post = (struct post){ .hop = command_route, .home = take_home };
    op_init(&command->post.op, arena, machine->now_us);
    post_send(&command->post);
}

/* True when the command needs no further try. */
static bool settle(struct machine *machine, struct command *command)
{
    if (!command->is_answered)
        return false;
    enum err wanted = command->is_meant_to_fail ? ERR_CONFLICT : OK;
    if (command->post.err == ERR_UNAVAILABLE) {
        machine->refusals++;
        SIM_YES(command->post.op.retry_after_s > 0, "a command was refused without a time to come again");
        return false;
    }
    SIM_YES(command->post.err == wanted, "a command ended with %s: %s", err_name(command->post.err),
            command->post.op.error);
    arena_free(command->post.op.arena);
    command->post.op.arena = NULL;
    return true;
}

void machine_turn(struct machine *machine)
{
    while (store_turn(machine->store) > 0)
        continue;
    if (store_is_dead(machine->store))
        machine_kill(machine);
    else if (!store_is_ready(machine->store) && rng_chance(machine->rng, 0.3) &&
             store_probe(&machine->op, machine->store) != OK && store_is_dead(machine->store))
        machine_kill(machine);
}

bool machine_try(struct machine *machine, struct command *command)
{
    machine_send(machine, command);
    machine_turn(machine);
    return command->is_answered;
}

void machine_run(struct machine *machine, struct command *const *commands, size_t count)
{
    bool is_settled[64] = { false };
    size_t left = count;
    SIM_YES(count <= 64, "too many commands");
    bool was_calm = machine->is_calm;
    for (int round = 0; left > 0; round++) {
        SIM_YES(round < ROUNDS_MAX, "a command does not come through: %s", commands[0]->post.op.error);
        machine->is_calm = was_calm || round > ROUNDS_QUIET;
        for (size_t i = 0; i < count; i++)
            if (!is_settled[i])
                machine_send(machine, commands[i]);
        machine_turn(machine);
        for (size_t i = 0; i < count; i++)
            if (!is_settled[i] && settle(machine, commands[i])) {
                is_settled[i] = true;
                left--;
            }
    }
    machine->is_calm = was_calm;
}

void machine_run_one(struct machine *machine, struct command *command)
{
    machine_run(machine, &command, 1);
}

static void differs(void *data, const char *line)
{
    (void)data;
    seed_fails("check: %s", line);
}

void machine_check(struct machine *machine)
{
    struct check check = { .store = machine->store, .difference = differs };
    if (store_is_dead(machine->store))
        return;
    arena_reset(machine->arena);
    SIM_OK(&machine->op, check_run(&machine->op, &check));
}

void machine_jobs(struct machine *machine, struct jobs **jobs)
{
    struct jobs_config config = { .store = machine->store, .seed = 7 };
    struct arena *arena = arena_new(1 << 20);
    struct op op;
    jobs_close(*jobs);
    *jobs = NULL;
    op_init(&op, arena, machine->now_us);
    bool was_calm = machine->is_calm;
    machine->is_calm = true;
    SIM_OK(&op, jobs_open(&op, &config, jobs));
    machine->is_calm = was_calm;
    arena_free(arena);
}
