/*
 * subject.h - the one message in hand while something happens to it.
 *
 * open reads its state records; whoever holds it changes their fields; close
 * compares every figure of the mailing before and after and moves exactly the
 * counters whose truth changed (LED-15). So no caller ever says "+1".
 *
 *     struct subject subject;
 *     TRY(subject_open(op, tx, no, &subject));
 *     subject_deliver(&subject, at_us);
 *     TRY(subject_move(op, &subject, STATUS_DELIVERED, cause, &answer));
 *     TRY(subject_close(op, &subject));
 *
 * The pointers are valid inside the transaction. Test-key messages are in no
 * figure and in no fact, members count them all.
 */
#pragma once

#include "engine/status.h"
#include "store/records.h"
#include "store/store_fact.h"
#include "store/store_tenant.h"
#include "store/tx.h"

/* Bits of what a message counts for; the place is enum mailing_figure. */
typedef uint32_t figures;

struct subject {
    struct tx *tx;
    uint64_t no;
    struct message_fixed *fixed;
    struct message_delivery *delivery;
    struct message_engagement *engagement;
    struct cohort cohort;
    bool in_mailing;
    bool track_opens; /* of its mailing */
    bool changed;     /* a field, status, figure, failure or suppression moved: "applied" */
    bool reclassify;  /* what soon depends on has changed */
    uint8_t status_before;
    figures before;
};

/* ERR_NOT_FOUND when no such message was ever made. */
enum err subject_open(struct op *op, struct tx *tx, uint64_t no, struct subject *ret);

/* Reclassifies touches when needed, then moves counters and facts by what is different now. */
enum err subject_close(struct op *op, struct subject *subject);

/* Which figures these records count for. */
figures subject_figures(const struct message_delivery *delivery, const struct message_engagement *engagement);

/* Earliest known (LED-9): sets *field when it is 0 or later than at_us. True when it went from not known to known;
 * *subject is marked changed either way. */
bool subject_earliest(struct subject *subject, int64_t *field, int64_t at_us);

/* Asks the table; moves with history (cause, op->now) when allowed. A refused move writes the log line of LED-8. */
enum err subject_move(struct op *op, struct subject *subject, enum status to, struct str cause,
                      enum status_answer *ret_answer);

/* delivered_at, else sent_at, else INT64_MIN: what "soon" counts from. */
int64_t subject_soon_base(const struct subject *subject);
