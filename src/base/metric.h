/*
 * metric.h - counters, gauges and histograms for /metrics.
 *
 * A metric is declared once with its label names; metric_at gives the cell of
 * one set of label values, which the caller keeps and moves with one atomic
 * add. Everything inside is an integer in a small unit (microseconds, bytes);
 * `scale`, a power of ten, says how many make one base unit of the output, so
 * sums stay exact.
 * The number of label sets is bounded: beyond it all go into one cell whose
 * labels read "other".
 *
 * Names begin with "posthouse_" and follow Prometheus' rules (base units,
 * counters end in _total): `promtool check metrics` stays quiet.
 *
 * Thread: any; declaring and metric_at take a lock, moving a cell does not.
 */
#pragma once

#include "base/op.h"

#define METRICS_MAX            256
#define METRIC_LABELS_MAX      4
#define METRIC_CELLS_MAX       1000 /* label sets of one metric */
#define METRIC_BOUNDS_MAX      20
#define METRIC_LABEL_BYTES_MAX 128 /* of a value; longer ones are cut */

#define METRIC_ONE     1       /* plain counts, bytes */
#define METRIC_SECONDS 1000000 /* cells hold microseconds, the output seconds */

struct buf;
struct metric;
struct metric_cell;

/* Declares a metric, or finds it when it was declared before. labels is "source,lane" or "". */
struct metric *metric_counter(const char *name, const char *help, const char *labels, int64_t scale);
struct metric *metric_gauge(const char *name, const char *help, const char *labels, int64_t scale);

/* bounds: upper ends of the buckets in cell units, rising; +Inf is added. */
struct metric *metric_histogram(const char *name, const char *help, const char *labels, int64_t scale,
                                const int64_t *bounds, size_t count);

/* Bounds from 100 us to 10 s, for histograms of METRIC_SECONDS. */
#define METRIC_LATENCY_BOUNDS_COUNT 16
extern const int64_t metric_latency_bounds[METRIC_LATENCY_BOUNDS_COUNT];

/* The cell of these label values, one for each name; valid until the process ends. */
struct metric_cell *metric_at(struct metric *metric, const struct str *values, size_t count);

/* The same for text values: METRIC_AT(events, S("mg"), S("opens")). METRIC_PLAIN for a metric without labels. */
#define METRIC_AT(metric, ...)                                                                                         \
    metric_at((metric), (const struct str[]){ __VA_ARGS__ },                                                           \
              sizeof((const struct str[]){ __VA_ARGS__ }) / sizeof(struct str))
#define METRIC_PLAIN(metric) metric_at((metric), NULL, 0)

/* Leaves the cell out of the output until metric_at asks for it again: its source or queue is gone. */
void metric_hide(struct metric_cell *cell);

/* Counters: n >= 0. Gauges: either way. */
void metric_add(struct metric_cell *cell, int64_t n);

/* Gauges. */
void metric_set(struct metric_cell *cell, int64_t value);

/* Histograms. */
void metric_observe(struct metric_cell *cell, int64_t value);

/* The value of a counter or gauge, or the number of observations; for tests and the overview. */
int64_t metric_value(const struct metric_cell *cell);

/* Called before each metric_write, to bring gauges up to date; at most 32 are kept. */
void metric_on_write(void (*refresh)(void *context), void *context);

/* All metrics in Prometheus' text format 0.0.4, in the order of their declaration. */
enum err metric_write(struct op *op, struct buf *out);
