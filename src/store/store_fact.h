/*
 * store_fact.h - cohorts and the daily facts counted for them.
 *
 * A cohort is one (tenant, local day, channel, key, template); messages carry
 * its number, and a fact is how many messages of a cohort have a status now
 * (LED-28). The counters themselves move through tally.h.
 */
#pragma once

#include "store/tx.h"

struct cohort {
    uint32_t no;
    uint32_t tenant_no;
    int32_t local_day;
    uint8_t channel;
    uint8_t key;
    struct str template_name; /* "" when absent */
};

/* The cohort of these values, made when there is none. */
enum err store_cohort_meet(struct op *op, struct tx *tx, struct cohort *cohort);

/* Its values by its number, without the template's name, remembered between transactions. ERR_NOT_FOUND for a number
 * never given. */
enum err store_cohort_brief(struct op *op, struct tx *tx, uint32_t no, struct cohort *ret);

/* Facts of a tenant for days from..to (both included) with count above zero, ordered by day, channel, key, template,
 * status (LED-29). channel 0 = all. */
enum err store_fact_list(struct op *op, struct tx *tx, uint32_t tenant_no, int32_t from_day, int32_t to_day,
                         uint8_t channel,
                         enum err (*fn)(struct op *op, struct tx *tx, const struct cohort *cohort, uint8_t status,
                                        int64_t count, void *arg),
                         void *arg);
