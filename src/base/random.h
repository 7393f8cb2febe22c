/*
 * random.h - chance: the kernel's for secrets, a seeded one for repeatable runs.
 *
 * Keys, tokens and ids that others must not guess come from random_bytes.
 * Jitter, simulation and fault plans use struct rng (xoshiro256**), so the
 * same seed gives the same run on every machine.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes nobody can guess; aborts when the kernel has none to give. */
void random_bytes(void *ret_bytes, size_t n);
uint64_t random_u64(void);

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *rng, uint64_t seed);
uint64_t rng_next(struct rng *rng);

/* Uniform in [0, limit), without bias; limit at least 1. */
uint64_t rng_below(struct rng *rng, uint64_t limit);

/* Uniform in [min, max], both ends included. */
int64_t rng_between(struct rng *rng, int64_t min, int64_t max);

/* Uniform in [0, 1). */
double rng_unit(struct rng *rng);

/* True with this probability. */
bool rng_chance(struct rng *rng, double share);
