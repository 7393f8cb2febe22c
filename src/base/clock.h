/*
 * clock.h - the only place that reads a clock.
 *
 * Edges (a loop's turn, a command's start) read it once and hand the value
 * down in struct op; engine code never asks, which makes tests exact and lets
 * the simulation run at any speed.
 */
#pragma once

#include <stdint.h>

/* Microseconds since 1970 UTC, as the machine believes; may step either way. */
int64_t clock_wall_us(void);

/* Microseconds since some start; never steps. For leases, rates and time-outs within a run. */
int64_t clock_mono_us(void);
