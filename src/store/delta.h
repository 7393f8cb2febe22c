/*
 * delta.h - what counters moved by, as rows that wait to be folded into them (LED-18).
 *
 * Only on PostgreSQL. A counter that every group updates becomes a chain of
 * dead versions as long as the oldest snapshot anybody holds, and reading it
 * walks the chain. So a group adds a row for each counter it moved, and readers
 * add what waits to what stands:
 *
 *     mailing_stats   figures of a mailing              mailing_stats_delta
 *     fact            messages of a cohort by status    fact_delta
 *     mailing_link    members and clicks of a link      mailing_link_delta
 *     parked_count    parked reports of a source        parked_count_delta
 *
 * Rows of all four are numbered in one sequence. Folding takes the next numbers
 * in order, so one number (delta_fold) says for every reader which rows count
 * still: an index by counter and number starts behind the folded ones, dead or
 * not. docs/adr/0005-postgres-tables.md has the figures.
 */
#pragma once

#include "store/rows.h"

#define DELTA_WAIT_MAX 4000 /* rows that wait before a group folds by itself: what a reader adds at most, about */

/* For the texts of readers: rows with a higher number are not in their counters yet. */
#define DELTA_FOLDED "(SELECT no FROM delta_fold WHERE one = 1)"

enum delta { DELTA_STATS, DELTA_FACT, DELTA_LINK, DELTA_PARKED, DELTAS };

/* A row of the group, its number given; the caller adds the other columns. */
struct rows *delta_begin(struct tx *tx, enum delta delta);
