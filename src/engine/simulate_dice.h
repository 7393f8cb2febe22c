/*
 * simulate_dice.h - chance that can be thrown again, in whole numbers only.
 *
 * Each recipient (and each item, for its lateness) has dice of its own, made
 * from (seed, purpose, numbers), so nothing depends on the order in which things
 * are asked for. No floating point: every machine throws the same.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sim_dice {
    uint64_t state;
};

/* Dice of one thing: `purpose` keeps uses apart that share the numbers. */
struct sim_dice sim_dice_of(uint64_t seed, uint32_t purpose, uint64_t number, uint64_t part);

uint64_t sim_dice_next(struct sim_dice *dice);

/* Uniform in [0, limit); limit at most 2^32. The bias is below limit / 2^32. */
uint32_t sim_dice_below(struct sim_dice *dice, uint64_t limit);

/* True with this probability, in millionths. */
bool sim_dice_share(struct sim_dice *dice, int64_t ppm);

/* Uniform in [min, max]; at most 2^32 apart. */
int64_t sim_dice_between(struct sim_dice *dice, int64_t min, int64_t max);

/* Lognormal around median, cut at three deviations. spread_milli is the deviation of the logarithm, in thousandths:
 * 1000 makes the largest value e^3 = 20 times the median. */
int64_t sim_dice_lognormal(struct sim_dice *dice, int64_t median, int64_t spread_milli);
