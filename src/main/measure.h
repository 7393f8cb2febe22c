/*
 * measure.h - what the benches have in common: percentiles, the price of a sync, figures in JSON.
 */
#pragma once

#include "base/json_write.h"

/* The value below which this share of the microseconds lies, in ms; sorts them. 0 without any. */
double measure_percentile_ms(int64_t *us, size_t count, double share);

/* The value in the middle, the upper one of two; sorts them. 0 without any. */
double measure_median(double *values, size_t count);

/* Median of an fdatasync of 4 KiB in the directory, ms; 0 when it cannot be written. */
double measure_sync_ms(const char *directory);

/* What every bench says, whatever else it measures. */
struct measure_head {
    const char *bench, *engine;
    double rate, p50_ms, p99_ms, seconds, sync_ms;
    int64_t rss_bytes, clients;
};

/* Its members, into the object that is open. */
void measure_put_head(struct json_writer *w, const struct measure_head *head);

/* A member with this many decimals. */
void measure_put(struct json_writer *w, const char *name, double value, int places);
