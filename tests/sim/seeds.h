/*
 * seeds.h - one number, one run of the world.
 *
 * A simulation is a function of a seed. Everything in it that looks like chance
 * comes from that number, so a run that fails can be had again:
 *
 *     SIM_FIRST=77 SIM_SEEDS=1 build/release/tests/sim/sim_ledger
 *
 * Results are TAP: one line for all seeds that passed and one for each that
 * failed, with what was wrong and the command to repeat it.
 */
#pragma once

#include <stdint.h>

#include "base/op.h"

#define SEEDS_DEFAULT 150

/* Runs `one` for the seeds of the environment; the program's exit status. */
int seeds_run(const char *program, void (*one)(uint64_t seed));

/* Ends the seed under way as failed; what it owns is left behind. */
void seed_fails(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* SIM_YES(condition, "what was expected, %d", ...) */
#define SIM_YES(condition, ...)                                                                                        \
    do {                                                                                                               \
        if (!(condition))                                                                                              \
            seed_fails(__VA_ARGS__);                                                                                   \
    } while (0)

/* A call that must succeed whatever the plan of faults is. */
#define SIM_OK(op, call)                                                                                               \
    do {                                                                                                               \
        enum err sim_err_ = (call);                                                                                    \
        if (sim_err_ != OK)                                                                                            \
            seed_fails("%s:%d: %s: %s", __FILE__, __LINE__, err_name(sim_err_), (op)->error);                          \
    } while (0)
