/*
 * check_details.c - message by message: records against history, failure, words and touches.
 *
 * 5,000 messages a snapshot, so that a running daemon can give up its log in between; beside its own daemon 500 or 20
 * ms (LED-35). What is compared is read together, table by table.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/check_chain.h"
#include "engine/check_part.h"
#include "engine/subject.h"
#include "engine/touches.h"
#include "store/block.h"
#include "store/store_message.h"
#include "store/store_outcome.h"

#define MESSAGES_A_PART 100 /* of a snapshot beside the daemon; the clock is asked in between */

/* What the rows say of a message. */
struct said {
    struct str id; /* not given: it has no row */
    uint8_t severity, words;
};

struct details {
    struct check *check;
    uint64_t newest;
    uint64_t part_rows, snapshot_rows;
    uint64_t from, to;    /* messages of the part under way */
    struct arena *memory; /* of one snapshot */
    struct arena *chains; /* of touches read together */
    struct message_fixed fixed[CHECK_CHUNK_MESSAGES];
    struct message_delivery delivery[CHECK_CHUNK_MESSAGES];
    struct message_engagement engagement[CHECK_CHUNK_MESSAGES];
    struct said said[CHECK_CHUNK_MESSAGES];
    uint64_t last[CHECK_CHUNK_MESSAGES];  /* newest rows of their logs */
    uint8_t status[CHECK_CHUNK_MESSAGES]; /* as the history has it */
};

/* --- reading ---------------------------------------------------------------------- */

#define TAKE(field)                                                                                                    \
    static enum err take_##field(struct op *op, uint64_t no, const void *record, void *arg)                            \
    {                                                                                                                  \
        (void)op;                                                                                                      \
        struct details *d = arg;                                                                                       \
        memcpy(&d->field[no - d->from], record, sizeof d->field[0]);                                                   \
        return OK;                                                                                                     \
    }
TAKE(fixed)
TAKE(delivery)
TAKE(engagement)

static void take_message(const struct message_brief *brief, void *arg)
{
    struct details *d = arg;
    d->said[brief->no - d->from].id = arena_str(d->memory, brief->id);
    d->status[brief->no - d->from] = brief->first_status;
}

static void take_failure(uint64_t message_no, uint8_t severity, void *arg)
{
    struct details *d = arg;
    d->said[message_no - d->from].severity = severity;
}

static void take_word(uint64_t message_no, const struct word_row *row, void *arg)
{
    struct details *d = arg;
    d->said[message_no - d->from].words =
        (row->complained_at_us ? WORD_COMPLAINED : 0) | (row->unsubscribed_at_us ? WORD_UNSUBSCRIBED : 0);
}

static enum err read_rows(struct op *op, struct tx *tx, struct details *d)
{
    memset(d->fixed, 0, sizeof d->fixed);
    memset(d->delivery, 0, sizeof d->delivery);
    memset(d->engagement, 0, sizeof d->engagement);
    memset(d->said, 0, sizeof d->said);
    memset(d->status, 0, sizeof d->status);
    TRY(store_block_each(op, tx, BLOCK_MESSAGE_FIXED, d->from, d->to, take_fixed, d));
    TRY(store_block_each(op, tx, BLOCK_MESSAGE_DELIVERY, d->from, d->to, take_delivery, d));
    TRY(store_block_each(op, tx, BLOCK_MESSAGE_ENGAGEMENT, d->from, d->to, take_engagement, d));
    TRY(store_message_each(op, tx, d->from, d->to, take_message, d));
    TRY(store_failure_each(op, tx, d->from, d->to, take_failure, d));
    TRY(store_word_each(op, tx, d->from, d->to, take_word, d));
    size_t count = (size_t)(d->to - d->from);
    for (size_t i = 0; i < count; i++)
        d->last[i] = d->fixed[i].cohort_no ? d->delivery[i].history_last : 0;
    return check_histories(op, tx, d->last, count, d->status);
}

/* --- comparing -------------------------------------------------------------------- */

static void check_instant(struct details *d, size_t i, const char *name, int64_t field_us, int64_t rows_us)
{
    check_claim(d->check, field_us == rows_us, "message %.*s %s: not the earliest of its rows", STR(d->said[i].id),
                name);
}

/* Bits must be what the rules make of the touches, class counts what the bits say. */
static void check_touches(struct details *d, size_t i, const struct check_chain *chain)
{
    struct check *check = d->check;
    struct str id = d->said[i].id;
    const struct message_engagement *e = &d->engagement[i];
    int64_t classes[2][2] = { { 0 } }, earliest[2] = { 0 };
    for (size_t t = 0; t < chain->count; t++) {
        const struct touch *touch = &chain->touches[t];
        int kind = touch->kind == TOUCH_CLICK;
        if (touch->kind == TOUCH_HONEYPOT)
            continue; /* evidence, in no figure */
        classes[kind][classify_is_machine(touch->bits)]++;
        if (earliest[kind] == 0 || touch->at_us < earliest[kind])
            earliest[kind] = touch->at_us;
    }
    if (chain->broken)
        check_claim(check, false, "message %.*s touches: a row is missing", STR(id));
    struct subject subject = { .delivery = &d->delivery[i], .fixed = &d->fixed[i] };
    size_t wrong = chain->count ? classify_touches(chain->touches, chain->count, subject_soon_base(&subject)) : 0;
    check_fact(check, (int64_t)wrong, 0, "message %.*s bits of its touches", STR(id));
    check_fact(check, e->open_human, classes[0][0], "message %.*s open_human", STR(id));
    check_fact(check, e->open_machine, classes[0][1], "message %.*s open_machine", STR(id));
    check_fact(check, e->click_human, classes[1][0], "message %.*s click_human", STR(id));
    check_fact(check, e->click_machine, classes[1][1], "message %.*s click_machine", STR(id));
    if (chain->count >= TOUCHES_PER_MESSAGE_MAX)
        return; /* later ones moved the instants and left no row */
    check_instant(d, i, "opened_at", e->opened_at_us, earliest[0]);
    check_instant(d, i, "clicked_at", e->clicked_at_us, earliest[1]);
}

static void check_message(struct details *d, size_t i, const struct check_chain *chain)
{
    const struct message_delivery *delivery = &d->delivery[i];
    const struct said *said = &d->said[i];
    if (d->fixed[i].cohort_no == 0)
        return;
    if (!str_given(said->id)) {
        check_claim(d->check, false, "message number %llu has a record and no row", (unsigned long long)d->from + i);
        return;
    }
    check_fact(d->check, delivery->status, d->status[i], "message %.*s status against its history", STR(said->id));
    check_fact(d->check, delivery->words, said->words, "message %.*s complaint and unsubscription", STR(said->id));
    check_fact(d->check, delivery->failure, said->severity, "message %.*s severity of its failure", STR(said->id));
    check_claim(d->check, (delivery->failed_at_us != 0) == (said->severity == FAILURE_PERMANENT),
                "message %.*s failed_at: does not go with its failure row", STR(said->id));
    check_touches(d, i, chain);
}

static enum err compare_part(struct op *op, struct tx *tx, struct details *d, size_t from, size_t count)
{
    struct check_chain *chains;
    for (size_t i = from; i < from + count; i++)
        d->last[i] = d->fixed[i].cohort_no ? d->engagement[i].touch_last : 0;
    TRY(check_chains(op, tx, d->last + from, count, &chains));
    for (size_t i = 0; i < count; i++)
        check_message(d, from + i, &chains[i]);
    return OK;
}

static enum err compare_all(struct op *op, struct tx *tx, struct details *d)
{
    size_t count = (size_t)(d->to - d->from), part;
    enum err err = OK;
    op->arena = d->chains;
    for (size_t i = 0; i < count && err == OK; i += part) {
        part = check_chain_part(d->engagement, i, count);
        arena_reset(d->chains);
        err = compare_part(op, tx, d, i, part);
    }
    return err;
}

static enum err details_part(struct op *op, struct tx *tx, struct details *d)
{
    arena_reset(d->memory);
    op->arena = d->memory;
    TRY(read_rows(op, tx, d));
    return compare_all(op, tx, d);
}

static enum err details_read(struct op *op, struct tx *tx, void *arg)
{
    struct details *d = arg;
    struct arena *outer = op->arena;
    int64_t began_us = check_clock(d->check);
    uint64_t first = d->from;
    enum err err;
    do {
        d->to = d->from + d->part_rows <= d->newest ? d->from + d->part_rows : d->newest + 1;
        err = details_part(op, tx, d);
        d->from = d->to;
    } while (err == OK && d->from <= d->newest &&
             check_reads_on(d->check, began_us, d->from - first, d->snapshot_rows));
    op->arena = outer;
    return err;
}

static enum err newest_read(struct op *op, struct tx *tx, void *arg)
{
    return store_message_newest(op, tx, arg);
}

static enum err all_details(struct op *op, struct details *d)
{
    struct check *check = d->check;
    d->part_rows = check->by_slices ? MESSAGES_A_PART : CHECK_CHUNK_MESSAGES;
    d->snapshot_rows = check->by_slices ? CHECK_FEW_MESSAGES : CHECK_CHUNK_MESSAGES;
    TRY(store_read(op, check->store, newest_read, &d->newest));
    for (d->from = 1; d->from <= d->newest;) {
        TRY(store_read(op, check->store, details_read, d));
        if (check->progress)
            check->progress(check->data, d->from - 1, d->newest);
        if (!check_goes_on(check))
            break;
    }
    return OK;
}

enum err check_details(struct op *op, struct check *check)
{
    struct details *d = calloc(1, sizeof *d);
    if (!d)
        abort();
    d->check = check;
    d->memory = arena_new(16u << 20);
    d->chains = arena_new(64u << 20);
    enum err err = all_details(op, d);
    arena_free(d->memory);
    arena_free(d->chains);
    free(d);
    return err;
}
