#include "engine/subject.h"

#include <assert.h>
#include <stdio.h>
#include <inttypes.h>

#include "base/log.h"
#include "engine/touches.h"
#include "store/block.h"
#include "store/store_history.h"
#include "store/tally.h"

#define HISTORY_SEQ_MASK ((UINT64_C(1) << 48) - 1) /* the width of history_last */
#define BIT(figure)      (1u << (figure))

figures subject_figures(const struct message_delivery *delivery, const struct message_engagement *engagement)
{
    bool delivered = delivery->delivered_at_us != 0;
    bool failed = delivery->failed_at_us != 0;
    figures mask = BIT(MAILING_MESSAGES);
    mask |= delivered ? BIT(MAILING_DELIVERED) : 0;
    mask |= failed ? BIT(MAILING_FAILED_PERMANENT) : 0;
    mask |= delivery->failure == FAILURE_TEMPORARY && !delivered && !failed ? BIT(MAILING_FAILED_TEMPORARY) : 0;
    mask |= delivery->words & WORD_COMPLAINED ? BIT(MAILING_COMPLAINED) : 0;
    mask |= delivery->words & WORD_UNSUBSCRIBED ? BIT(MAILING_UNSUBSCRIBED) : 0;
    mask |= engagement->opened_at_us ? BIT(MAILING_OPENED) : 0;
    mask |= engagement->open_human ? BIT(MAILING_OPENED_HUMAN) : 0;
    mask |= engagement->open_machine ? BIT(MAILING_OPENED_MACHINE) : 0;
    mask |= engagement->clicked_at_us ? BIT(MAILING_CLICKED) : 0;
    mask |= engagement->click_human ? BIT(MAILING_CLICKED_HUMAN) : 0;
    mask |= engagement->click_machine ? BIT(MAILING_CLICKED_MACHINE) : 0;
    return mask;
}

enum err subject_open(struct op *op, struct tx *tx, uint64_t no, struct subject *ret)
{
    struct subject subject = { .tx = tx, .no = no };
    TRY(store_block_get(op, tx, BLOCK_MESSAGE_FIXED, no, &subject.fixed));
    if (subject.fixed->cohort_no == 0)
        return fail(op, ERR_NOT_FOUND, "there is no message %" PRIu64, no);
    TRY(store_block_get(op, tx, BLOCK_MESSAGE_DELIVERY, no, &subject.delivery));
    TRY(store_block_get(op, tx, BLOCK_MESSAGE_ENGAGEMENT, no, &subject.engagement));
    TRY(store_cohort_brief(op, tx, subject.fixed->cohort_no, &subject.cohort));

    if (subject.fixed->mailing_no) {
        struct mailing_brief mailing;
        TRY(store_mailing_brief(op, tx, subject.fixed->mailing_no, &mailing));
        subject.in_mailing = true;
        subject.track_opens = mailing.track_opens;
    }
    subject.status_before = subject.delivery->status;
    subject.before = subject_figures(subject.delivery, subject.engagement);
    *ret = subject;
    return OK;
}

/* The member's two figures that an open moves (LED-17); an untracked mailing is none of its rate (LED-16). */
static enum err count_member_open(struct op *op, struct subject *subject)
{
    struct member_state *member;
    TRY(store_block_edit(op, subject->tx, BLOCK_MEMBER, subject->fixed->member_no, &member));
    member->opened++;
    member->tracked_opened += subject->track_opens;
    return OK;
}

static void count_figures(struct subject *subject, figures after)
{
    figures moved = subject->before ^ after;
    for (enum mailing_figure figure = 0; figure < MAILING_FIGURES && moved >> figure; figure++)
        if (moved & BIT(figure))
            store_mailing_count(subject->tx, subject->fixed->mailing_no, figure, after & BIT(figure) ? 1 : -1);
}

enum err subject_close(struct op *op, struct subject *subject)
{
    if (subject->reclassify)
        TRY(touches_reclassify(op, subject));

    figures after = subject_figures(subject->delivery, subject->engagement);
    if (after & ~subject->before & BIT(MAILING_OPENED) && subject->fixed->member_no)
        TRY(count_member_open(op, subject));
    subject->changed |= after != subject->before;

    if (subject->cohort.key == KEY_TEST)
        return OK; /* test messages are in no figure and no fact */
    if (subject->in_mailing)
        count_figures(subject, after);
    if (subject->delivery->status != subject->status_before) {
        store_fact_count(subject->tx, subject->cohort.no, subject->status_before, -1);
        store_fact_count(subject->tx, subject->cohort.no, subject->delivery->status, 1);
    }
    return OK;
}

bool subject_earliest(struct subject *subject, int64_t *field, int64_t at_us)
{
    bool was_known = *field != 0;
    if (was_known && *field <= at_us)
        return false;
    *field = at_us;
    subject->changed = true;
    return !was_known;
}

static void log_refused(const struct op *op, const struct subject *subject, enum status to, struct str cause)
{
    char text[96];
    snprintf(text, sizeof text, "New status was %s, current status is %s.", status_name(to),
             status_name((enum status)subject->delivery->status));
    log_info(text, LOG_INT("message", (int64_t)subject->no), LOG_INT("tenant", subject->cohort.tenant_no),
             LOG_STR("cause", cause),
             LOG_INT("elapsed_seconds",
                     subject->fixed->sent_at_us ? (op->now_us - subject->fixed->sent_at_us) / 1000000 : 0));
}

enum err subject_move(struct op *op, struct subject *subject, enum status to, struct str cause,
                      enum status_answer *ret_answer)
{
    struct message_delivery *delivery = subject->delivery;
    enum status from = (enum status)delivery->status;
    *ret_answer = status_may_move(from, to, (enum channel)subject->cohort.channel);
    if (*ret_answer == STATUS_REFUSED)
        log_refused(op, subject, to, cause);
    if (*ret_answer != STATUS_MOVES)
        return OK;

    struct history_entry entry = { .at_ms = op_now_ms(op), .from = (uint8_t)from, .to = (uint8_t)to, .cause = cause };
    uint64_t seq;
    TRY(store_history_add(op, subject->tx, subject->no, delivery->history_last, &entry, &seq));
    delivery->history_last = seq & HISTORY_SEQ_MASK;
    delivery->status = (uint8_t)to;
    subject->changed = true;
    store_block_dirty(subject->tx, BLOCK_MESSAGE_DELIVERY, subject->no);
    return OK;
}

int64_t subject_soon_base(const struct subject *subject)
{
    if (subject->delivery->delivered_at_us)
        return subject->delivery->delivered_at_us;
    return subject->fixed->sent_at_us ? subject->fixed->sent_at_us : INT64_MIN;
}
