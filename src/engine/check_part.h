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

enum err check_totals(struct op *op, struct check *check);
enum err check_details(struct op *op, struct check *check);
enum err check_links(struct op *op, struct check *check);
