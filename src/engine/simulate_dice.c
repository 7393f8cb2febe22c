#include "engine/simulate_dice.h"

#include <assert.h>

/* splitmix64: any two states, also neighbours, give unrelated numbers. */
static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

#define STEP UINT64_C(0x9e3779b97f4a7c15)

struct sim_dice sim_dice_of(uint64_t seed, uint32_t purpose, uint64_t number, uint64_t part)
{
    uint64_t state = mix(seed + STEP * (purpose + 1));
    state = mix(state ^ (number + STEP));
    return (struct sim_dice){ mix(state + STEP * (part + 1)) };
}

uint64_t sim_dice_next(struct sim_dice *dice)
{
    return mix(dice->state += STEP);
}

uint32_t sim_dice_below(struct sim_dice *dice, uint64_t limit)
{
    assert(limit > 0 && limit <= UINT64_C(1) << 32);
    return (uint32_t)((sim_dice_next(dice) >> 32) * limit >> 32);
}

bool sim_dice_share(struct sim_dice *dice, int64_t ppm)
{
    return sim_dice_below(dice, 1000000) < ppm;
}

int64_t sim_dice_between(struct sim_dice *dice, int64_t min, int64_t max)
{
    assert(min <= max);
    return min + sim_dice_below(dice, (uint64_t)(max - min) + 1);
}

/* Quantiles of the standard normal distribution at i/64, times 4096; the ends stand for three deviations. */
static const int16_t normal_quantile[65] = {
    -12288, -8822, -7630, -6865, -6284, -5807, -5399, -5038, -4712, -4414, -4137, -3878, -3634,
    -3402,  -3180, -2968, -2763, -2565, -2372, -2185, -2002, -1823, -1648, -1475, -1305, -1137,
    -972,   -807,  -644,  -482,  -321,  -160,  0,     160,   321,   482,   644,   807,   972,
    1137,   1305,  1475,  1648,  1823,  2002,  2185,  2372,  2565,  2763,  2968,  3180,  3402,
    3634,   3878,  4137,  4414,  4712,  5038,  5399,  5807,  6284,  6865,  7630,  8822,  12288,
};

/* 2^(i/64), times 65536. */
static const int32_t power_of_two[65] = {
    65536,  66250,  66971,  67700,  68438,  69183,  69936,  70698,  71468,  72246,  73032,  73828,  74632,
    75444,  76266,  77096,  77936,  78785,  79642,  80510,  81386,  82273,  83169,  84074,  84990,  85915,
    86851,  87796,  88752,  89719,  90696,  91684,  92682,  93691,  94711,  95743,  96785,  97839,  98905,
    99982,  101070, 102171, 103283, 104408, 105545, 106694, 107856, 109031, 110218, 111418, 112631, 113858,
    115098, 116351, 117618, 118899, 120194, 121502, 122825, 124163, 125515, 126882, 128263, 129660, 131072,
};

/* A standard normal number times 4096, between three deviations. */
static int64_t throw_normal(struct sim_dice *dice)
{
    uint64_t u = sim_dice_next(dice);
    int64_t knot = (int64_t)(u >> 58);
    int64_t between = (int64_t)(u >> 26 & 0xFFFFFFFF);
    int64_t low = normal_quantile[knot];
    int64_t high = normal_quantile[knot + 1];
    return low + (((high - low) * between) >> 32);
}

/* median * 2^(exponent / 65536) */
static int64_t times_power(int64_t median, int64_t exponent)
{
    int64_t whole = exponent >> 16; /* floor, also below zero */
    int64_t rest = exponent & 0xFFFF;
    int64_t low = power_of_two[rest >> 10];
    int64_t high = power_of_two[(rest >> 10) + 1];
    int64_t factor = low + (((high - low) * (rest & 1023)) >> 10);
    int64_t value = (median >> 16) * factor + (((median & 0xFFFF) * factor) >> 16);
    return whole >= 0 ? value << whole : value >> -whole;
}

int64_t sim_dice_lognormal(struct sim_dice *dice, int64_t median, int64_t spread_milli)
{
    assert(median >= 0 && median < INT64_C(1) << 44 && spread_milli >= 0 && spread_milli <= 2000);
    /* ln to log2: times 1.442695; 94548 is that in 65536ths. */
    int64_t exponent = throw_normal(dice) * spread_milli / 1000 * 94548 / 4096;
    return times_power(median, exponent);
}
