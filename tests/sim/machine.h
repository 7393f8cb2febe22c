/*
 * machine.h - a computer that may fail at any step, and the store on its disk.
 *
 * Commands travel to the writer as in the daemon, several in one group. The
 * plan of faults decides at every statement and commit whether the disk
 * refuses or the process dies; a dead process is started again on what its disk
 * holds. A command that was answered is never sent again, so what was answered
 * and is missing later was lost (promise 1).
 *
 *     machine_start(&machine, &rng, now_us);
 *     machine_run(&machine, commands, 3);   // until each is answered
 *     machine_calm(&machine);               // no faults from here on
 */
#pragma once

#include "base/post.h"
#include "base/random.h"
#include "engine/jobs.h"
#include "seeds.h"
#include "store/tx.h"
#include "test_database.h"

#define COMMAND_BYTES_MAX (4u << 20)

struct machine {
    struct rng *rng;
    char directory[64];
    struct test_database database; /* with POSTHOUSE_TEST_DATABASE instead of the directory */
    struct store *store;
    struct store_faults faults;
    double at_statement, at_commit; /* chance of a fault at each such point */
    bool is_calm;
    int64_t now_us;  /* its clock: steps forward and back */
    int64_t mono_us; /* goes on evenly, by the harness' hand */
    struct store_clock clock;
    struct arena *arena;
    struct op op; /* for what the harness itself asks */
    int crashes, refusals;
    void (*reopened)(void *data); /* after each crash, before anything else runs; may be NULL */
    void *data;
};

/* One change on its way. Put it first in a struct of your own. */
struct command {
    struct post post;
    enum err (*run)(struct op *op, struct tx *tx, struct command *command); /* must be repeatable */
    bool is_answered;
    bool is_meant_to_fail; /* with ERR_CONFLICT */
};

void machine_start(struct machine *machine, struct rng *rng, int64_t now_us);

/* Takes the disk away. */
void machine_stop(struct machine *machine);

/* Sends them in one go and again until each is answered: OK, or ERR_CONFLICT when it is meant to. Anything else fails
 * the seed. */
void machine_run(struct machine *machine, struct command *const *commands, size_t count);

/* The same for one. */
void machine_run_one(struct machine *machine, struct command *command);

/* One try of one command: true when it was answered; its answer is in post.err. */
bool machine_try(struct machine *machine, struct command *command);

/* The same in two steps, for several commands of one group: sent, and then what the writer makes of them. */
void machine_send(struct machine *machine, struct command *command);
void machine_turn(struct machine *machine);

/* From here on things fail: in four seeds of five, with chances up to these at each commit and each statement. */
void machine_trouble(struct machine *machine, double at_commit_max, double at_statement_max);

/* From here on nothing fails; a store that is dead is opened again. */
void machine_calm(struct machine *machine);

/* The process is killed now, between two steps, and started again. */
void machine_kill(struct machine *machine);

/* Counts everything again; a difference fails the seed and is named. Nothing on a store that is dead. */
void machine_check(struct machine *machine);

/* The engine of jobs, as a new process opens it on the store: *jobs, which may be NULL, is closed and opened anew. */
void machine_jobs(struct machine *machine, struct jobs **jobs);
