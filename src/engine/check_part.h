/*
 * check_part.h - what the parts of check share: comparing and reporting. Private to check*.c.
 */
#pragma once

#include "engine/check.h"

/* Compares one fact; false when it differs, which is then counted and reported. `what` as printf. */
bool check_fact(struct check *check, int64_t counter, int64_t rows, const char *what, ...)
    __attribute__((format(printf, 4, 5)));

/* Reports a fact that is no pair of numbers. */
void check_claim(struct check *check, bool holds, const char *what, ...) __attribute__((format(printf, 3, 4)));

/* Between two snapshots: false when the check is to end. */
bool check_goes_on(struct check *check);

/* A snapshot has read `rows` of at most `rows_max` since began_us: may it read on? */
bool check_reads_on(const struct check *check, int64_t began_us, uint64_t rows, uint64_t rows_max);

/* The time for began_us; 0 without a clock. */
int64_t check_clock(const struct check *check);

enum err check_totals(struct op *op, struct check *check);
enum err check_details(struct op *op, struct check *check);
enum err check_links(struct op *op, struct check *check);
enum err check_jobs(struct op *op, struct check *check);
enum err check_runs(struct op *op, struct tx *tx, struct check *check);
enum err check_batches(struct op *op, struct tx *tx, struct check *check);

/* The same counters as check_totals in short snapshots. What changes while it is being counted is left for another
 * time. *ret_doubt: something did not agree, and only check_totals can say whether it differs. */
enum err check_slices(struct op *op, struct check *check, bool *ret_doubt);
