/*
 * meter.h - how many of something happened in the last minute.
 *
 * A count for each second, the oldest overwritten as time goes on. Reads no
 * clock; nothing is done while nothing happens.
 */
#pragma once

#include <stdint.h>

#define METER_SECONDS 60

struct meter {
    int64_t second; /* the newest one that has a count */
    uint32_t counts[METER_SECONDS];
};

/* n more at this instant. */
void meter_add(struct meter *meter, int64_t now_us, int64_t n);

/* Those of the last METER_SECONDS. */
int64_t meter_sum(const struct meter *meter, int64_t now_us);
