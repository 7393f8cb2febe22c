/*
 * tally.h - counters that move by transitions, written once per group.
 *
 * Within a transaction deltas add up in RAM; before COMMIT each mailing and
 * each (cohort, status) touched is one update in key order (LED-15). A reader
 * sees only committed figures; inside the transaction the functions that get
 * add what is pending.
 */
#pragma once

#include "store/tx.h"

enum mailing_figure {
    MAILING_MESSAGES,
    MAILING_DELIVERED,
    MAILING_FAILED_PERMANENT,
    MAILING_FAILED_TEMPORARY,
    MAILING_OPENED,
    MAILING_CLICKED,
    MAILING_OPENED_HUMAN,
    MAILING_CLICKED_HUMAN,
    MAILING_OPENED_MACHINE,
    MAILING_CLICKED_MACHINE,
    MAILING_COMPLAINED,
    MAILING_UNSUBSCRIBED,
    MAILING_FIGURES
};

struct mailing_stats {
    int64_t figure[MAILING_FIGURES];
    int64_t first_event_at_us; /* 0 = none yet */
    int64_t last_event_at_us;
};

/* Column name and JSON key of a figure: "failed_permanent". */
const char *mailing_figure_name(enum mailing_figure figure);

/* Adds delta to a figure of the mailing. */
void store_mailing_count(struct tx *tx, uint32_t mailing_no, enum mailing_figure figure, int64_t delta);

/* An event of this instant was applied to one of the mailing's messages. */
void store_mailing_seen(struct tx *tx, uint32_t mailing_no, int64_t at_us);

/* The figures as of now; all zero for a mailing without any. */
enum err store_mailing_stats_get(struct op *op, struct tx *tx, uint32_t mailing_no, struct mailing_stats *ret_stats);

/* Adds delta to the number of the cohort's messages that stand in `status`. */
void store_fact_count(struct tx *tx, uint32_t cohort_no, unsigned status, int64_t delta);

/* Messages of the cohort by status, ret_count[0 .. statuses - 1]. For snapshots. */
enum err store_facts_get(struct op *op, struct tx *tx, uint32_t cohort_no, int64_t *ret_count, unsigned statuses);

/* Messages of the cohort in `status`. */
enum err store_fact_get(struct op *op, struct tx *tx, uint32_t cohort_no, unsigned status, int64_t *ret_count);
