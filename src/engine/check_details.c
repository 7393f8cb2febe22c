/*
 * check_details.c - message by message: records against history, failure, words and touches.
 *
 * 5,000 messages a snapshot, so that a running daemon can give up its log in between.
 */
#include "engine/check_part.h"
#include "engine/messages.h"
#include "engine/touches.h"
#include "store/block.h"

struct details {
    struct check *check;
    uint64_t from, to;    /* messages of this snapshot */
    struct arena *memory; /* of one message */
    bool any;
};

static void check_instant(struct check *check, const struct message_view *view, const char *name, int64_t field_us,
                          int64_t rows_us)
{
    check_claim(check, field_us == rows_us, "message %.*s %s: not the earliest of its rows", STR(view->row.id), name);
}

/* Bits must be what the rules make of the touches, class counts what the bits say. */
static enum err check_touches(struct op *op, struct tx *tx, struct check *check, const struct message_view *view,
                              const struct message_fixed *fixed)
{
    struct touch *touches;
    size_t count;
    const struct message_engagement *e = &view->engagement;
    TRY(touches_read(op, tx, e->touch_last, &touches, &count));
    int64_t classes[2][2] = { { 0 } }, earliest[2] = { 0 };
    for (size_t i = 0; i < count; i++) {
        int kind = touches[i].kind == TOUCH_CLICK;
        if (touches[i].kind == TOUCH_HONEYPOT)
            continue; /* evidence, in no figure */
        classes[kind][classify_is_machine(touches[i].bits)]++;
        if (earliest[kind] == 0 || touches[i].at_us < earliest[kind])
            earliest[kind] = touches[i].at_us;
    }
    struct subject subject = { .delivery = (struct message_delivery *)(uintptr_t)&view->delivery,
                               .fixed = (struct message_fixed *)(uintptr_t)fixed };
    size_t wrong = classify_touches(touches, count, subject_soon_base(&subject));
    check_fact(check, (int64_t)wrong, 0, "message %.*s bits of its touches", STR(view->row.id));
    check_fact(check, e->open_human, classes[0][0], "message %.*s open_human", STR(view->row.id));
    check_fact(check, e->open_machine, classes[0][1], "message %.*s open_machine", STR(view->row.id));
    check_fact(check, e->click_human, classes[1][0], "message %.*s click_human", STR(view->row.id));
    check_fact(check, e->click_machine, classes[1][1], "message %.*s click_machine", STR(view->row.id));
    if (count >= TOUCHES_PER_MESSAGE_MAX)
        return OK; /* later ones moved the instants and left no row */
    check_instant(check, view, "opened_at", e->opened_at_us, earliest[0]);
    check_instant(check, view, "clicked_at", e->clicked_at_us, earliest[1]);
    return OK;
}

static enum err check_failure(struct op *op, struct tx *tx, struct check *check, const struct message_view *view)
{
    struct failure_row row = { 0 };
    enum err err = store_failure_get(op, tx, view->row.no, &row);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    bool permanent = row.severity == FAILURE_PERMANENT;
    check_fact(check, view->delivery.failure, row.severity, "message %.*s severity of its failure", STR(view->row.id));
    check_claim(check, (view->delivery.failed_at_us != 0) == permanent,
                "message %.*s failed_at: does not go with its failure row", STR(view->row.id));
    return OK;
}

static enum err check_message(struct op *op, struct tx *tx, struct check *check, uint64_t no)
{
    const struct message_fixed *fixed;
    struct message_view view;
    TRY(store_block_get(op, tx, BLOCK_MESSAGE_FIXED, no, &fixed));
    if (fixed->cohort_no == 0)
        return OK;
    TRY(message_view(op, tx, no, &view));
    check_fact(check, view.delivery.status, view.history[view.history_count - 1].to,
               "message %.*s status against its history", STR(view.row.id));
    unsigned words =
        (view.word.complained_at_us ? WORD_COMPLAINED : 0u) | (view.word.unsubscribed_at_us ? WORD_UNSUBSCRIBED : 0u);
    check_fact(check, view.delivery.words, words, "message %.*s complaint and unsubscription", STR(view.row.id));
    TRY(check_failure(op, tx, check, &view));
    return check_touches(op, tx, check, &view, fixed);
}

static enum err details_read(struct op *op, struct tx *tx, void *arg)
{
    struct details *d = arg;
    struct arena *outer = op->arena;
    enum err err = OK;
    op->arena = d->memory;
    for (uint64_t no = d->from; no < d->to && err == OK; no++) {
        arena_reset(d->memory);
        err = check_message(op, tx, d->check, no);
    }
    op->arena = outer;
    return err;
}

static enum err newest_read(struct op *op, struct tx *tx, void *arg)
{
    return store_message_newest(op, tx, arg);
}

enum err check_details(struct op *op, struct check *check)
{
    struct details d = { .check = check, .memory = arena_new(16u << 20) };
    uint64_t newest;
    enum err err = store_read(op, check->store, newest_read, &newest);
    for (d.from = 1; err == OK && d.from <= newest; d.from = d.to) {
        uint64_t step = check->by_slices ? CHECK_FEW_MESSAGES : CHECK_CHUNK_MESSAGES;
        d.to = d.from + step <= newest + 1 ? d.from + step : newest + 1;
        err = store_read(op, check->store, details_read, &d);
        if (check->progress)
            check->progress(check->data, d.to - 1, newest);
        if (!check_goes_on(check))
            break;
    }
    arena_free(d.memory);
    return err;
}
