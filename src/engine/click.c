#include "engine/click.h"

#include <stdlib.h>
#include <string.h>

#include "base/sort.h"
#include "engine/link_figures.h"
#include "engine/seen.h"
#include "engine/subject.h"
#include "engine/touches.h"
#include "store/block.h"
#include "store/store_click.h"
#include "store/store_touch.h"
#include "store/store_visitor.h"
#include "store/tally.h"

#define RELEASED_AFTER  512         /* clicks */
#define CLICK_BYTES_MAX (64u << 20) /* while one of them is applied: the touches of whoever clicked */

/* One click being applied to whoever clicked: a message, or a visitor for links without mailing. */
struct applying {
    struct tx *tx;
    const struct click *click;
    enum block_kind kind;
    uint64_t no;
    struct message_engagement *engagement;
    int64_t base_us; /* what "soon" counts from; INT64_MIN: it is not soon */
    struct touch touch;
};

/* --- who clicked -------------------------------------------------------------- */

static bool any_soon(const struct touch *touches, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (touches[i].bits & BIT_SOON)
            return true;
    return false;
}

/* Delivered or sent. Not looked up where no message of the mailing can be that young and no earlier touch was soon:
 * then none would be with it either. */
static enum err find_base(struct op *op, struct applying *a, const struct touch *touches, size_t count)
{
    bool young;
    a->base_us = INT64_MIN;
    if (!a->click->message_no)
        return OK;
    TRY(store_mailing_is_young(op, a->tx, a->click->mailing_no, a->click->at_us - SOON_US, &young));
    if (!young && !any_soon(touches, count))
        return OK;
    struct subject subject = { 0 };
    TRY(store_block_look(op, a->tx, BLOCK_MESSAGE_FIXED, a->no, &subject.fixed));
    TRY(store_block_look(op, a->tx, BLOCK_MESSAGE_DELIVERY, a->no, &subject.delivery));
    a->base_us = subject_soon_base(&subject);
    return OK;
}

static struct visitor visitor_of(const struct click *click)
{
    return (struct visitor){ click->tenant_no, click->visitor_hash };
}

static enum err open_clicker(struct op *op, struct applying *a)
{
    a->kind = a->click->message_no ? BLOCK_MESSAGE_ENGAGEMENT : BLOCK_VISITOR;
    a->no = a->click->message_no;
    if (!a->no)
        TRY(store_visitor_meet(op, a->tx, visitor_of(a->click), &a->no));
    return store_block_edit_alone(op, a->tx, a->kind, a->no, &a->engagement);
}

/* --- the touch ---------------------------------------------------------------- */

static void count_class(struct message_engagement *engagement, enum touch_kind kind, uint32_t bits, int by)
{
    uint16_t *counter = touches_class_counter(engagement, kind, bits);
    if (counter)
        *counter = (uint16_t)(*counter + by);
}

static enum err add_touch(struct op *op, struct applying *a)
{
    const struct touch *touch = &a->touch;
    struct touch_row row = { .message_no = a->no,
                             .prev = a->engagement->touch_last,
                             .at_us = touch->at_us,
                             .kind = touch->kind,
                             .link_no = touch->link_no,
                             .version = touch->version,
                             .bits = touch->bits,
                             .client = touch->client };
    TRY(store_touch_add(op, a->tx, &row));
    a->engagement->touch_last = row.seq;
    if (touch->kind != TOUCH_CLICK)
        return OK;
    count_class(a->engagement, TOUCH_CLICK, touch->bits, 1);
    if (!a->engagement->clicked_at_us || a->engagement->clicked_at_us > touch->at_us)
        a->engagement->clicked_at_us = touch->at_us;
    return OK;
}

/* A touch that stands and is the same for every figure; NULL without one. */
static const struct touch *find_alike(const struct touch *touches, size_t count, const struct touch *touch)
{
    for (size_t i = 0; count >= CLICK_ROWS_KEPT && i < count; i++)
        if (touches[i].kind == touch->kind && touches[i].link_no == touch->link_no &&
            touches[i].version == touch->version && (touches[i].client == touch->client || count >= CLICK_ROWS_MAX) &&
            classify_is_machine(touches[i].bits) == classify_is_machine(touch->bits))
            return &touches[i];
    return NULL;
}

static enum err write_changed(struct op *op, struct applying *a, const struct touch *touches, size_t count,
                              const uint32_t *bits_before)
{
    for (size_t i = 0; i < count; i++) {
        if (touches[i].bits == bits_before[i])
            continue;
        TRY(store_touch_set_bits(op, a->tx, touches[i].seq, touches[i].bits));
        count_class(a->engagement, touches[i].kind, bits_before[i], -1);
        count_class(a->engagement, touches[i].kind, touches[i].bits, 1);
    }
    return OK;
}

/* The message has touches already: what they and the new one say together (LED-23). */
static enum err join_chain(struct op *op, struct applying *a)
{
    struct touch *stands, *touches;
    uint32_t *bits_before;
    size_t count;
    TRY(touches_read(op, a->tx, a->engagement->touch_last, &stands, &count));
    const struct touch *alike = find_alike(stands, count, &a->touch);
    if (alike) {
        TRY(store_touch_repeat(op, a->tx, alike->seq));
        return a->touch.kind == TOUCH_CLICK ? link_figures_repeat(op, a->tx, a->touch.link_no, a->touch.version) : OK;
    }
    TRY(find_base(op, a, stands, count));
    TRY(op_alloc(op, (count + 1) * sizeof *touches, &touches));
    TRY(op_alloc(op, (count + 1) * sizeof *bits_before, &bits_before));
    memcpy(touches, stands, count * sizeof *touches);
    touches[count] = a->touch;
    for (size_t i = 0; i < count; i++)
        bits_before[i] = touches[i].bits;
    bits_before[count] = BITS_NEW;
    classify_touches(touches, count + 1, a->base_us);
    a->touch.bits = touches[count].bits;
    TRY(write_changed(op, a, touches, count, bits_before));
    TRY(add_touch(op, a));
    return link_figures_move(op, a->tx, touches, count + 1, bits_before);
}

static enum err first_touch(struct op *op, struct applying *a)
{
    static const uint32_t before = BITS_NEW;
    TRY(find_base(op, a, NULL, 0));
    classify_touches(&a->touch, 1, a->base_us);
    TRY(add_touch(op, a));
    return link_figures_move(op, a->tx, &a->touch, 1, &before);
}

/* --- figures of the mailing ------------------------------------------------------ */

static void count_mailing(struct applying *a, figures before)
{
    static const struct message_delivery nothing = { 0 };
    figures moved = before ^ subject_figures(&nothing, a->engagement);
    if (!a->click->mailing_no || a->click->flags & CLICK_TEST)
        return;
    for (enum mailing_figure figure = 0; figure < MAILING_FIGURES && moved >> figure; figure++)
        if (moved & 1u << figure)
            store_mailing_count(a->tx, a->click->mailing_no, figure, before & 1u << figure ? -1 : 1);
    if (a->touch.kind == TOUCH_CLICK)
        store_mailing_seen(a->tx, a->click->mailing_no, a->click->at_us);
}

enum err click_apply(struct op *op, struct tx *tx, const struct click *click)
{
    static const struct message_delivery nothing = { 0 };
    struct applying a = { .tx = tx,
                          .click = click,
                          .touch = { .kind = click->flags & CLICK_HONEYPOT ? TOUCH_HONEYPOT : TOUCH_CLICK,
                                     .at_us = click->at_us,
                                     .link_no = click->link_no,
                                     .version = click->version,
                                     .bits = click->bits,
                                     .client = click->client } };
    TRY(open_clicker(op, &a));
    figures before = subject_figures(&nothing, a.engagement);
    TRY(a.engagement->touch_last ? join_chain(op, &a) : first_touch(op, &a));
    count_mailing(&a, before);
    if (click->member_no && a.touch.kind == TOUCH_CLICK && !classify_is_machine(a.touch.bits))
        TRY(member_seen(op, tx, click->tenant_no, click->member_no, click->at_us, NULL));
    return OK;
}

static int by_message(const void *a, const void *b)
{
    const struct click *x = *(const struct click *const *)a, *y = *(const struct click *const *)b;
    if (x->message_no != y->message_no)
        return x->message_no < y->message_no ? -1 : 1;
    return sort_cmp_u64(x->number, y->number);
}

/* --- asked together ---------------------------------------------------------------- */

enum { ASK_MESSAGES, ASK_BASES, ASK_MEMBERS, ASK_LINKS, ASK_VISITORS, ASK_CHAINS, ASKS };

/* Whoever clicks links without a mailing, and his records. */
static enum err ask_visitors(struct op *op, struct tx *tx, const struct click *clicks, size_t count, uint64_t *ret_nos)
{
    struct visitor *visitors;
    uint64_t *found;
    size_t n = 0;
    TRY(op_alloc(op, count * sizeof *visitors, &visitors));
    TRY(op_alloc(op, count * sizeof *found, &found));
    for (size_t i = 0; i < count; i++)
        if (!clicks[i].message_no)
            visitors[n++] = visitor_of(&clicks[i]);
    TRY(store_visitor_prefetch(op, tx, visitors, n, found));
    n = 0;
    for (size_t i = 0; i < count; i++)
        ret_nos[i] = clicks[i].message_no ? 0 : found[n++];
    return OK;
}

/* Where the chain of touches of each clicker begins. */
static enum err find_chains(struct op *op, struct tx *tx, uint64_t *const asked[ASKS], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct message_engagement *engagement;
        enum block_kind kind = asked[ASK_MESSAGES][i] ? BLOCK_MESSAGE_ENGAGEMENT : BLOCK_VISITOR;
        uint64_t no = asked[ASK_MESSAGES][i] ? asked[ASK_MESSAGES][i] : asked[ASK_VISITORS][i];
        asked[ASK_CHAINS][i] = 0;
        if (!no)
            continue;
        TRY(store_block_get(op, tx, kind, no, &engagement));
        asked[ASK_CHAINS][i] = engagement->touch_last;
    }
    return OK;
}

/* The message when find_base will look at it, else 0. That an earlier touch was soon shows later, and is rare. */
static enum err base_wanted(struct op *op, struct tx *tx, const struct click *click, uint64_t *ret_no)
{
    bool young = false;
    if (click->message_no)
        TRY(store_mailing_is_young(op, tx, click->mailing_no, click->at_us - SOON_US, &young));
    *ret_no = young ? click->message_no : 0;
    return OK;
}

/* What clicks ask of the store is asked at once where asking costs a trip; what is missing here is asked for later. */
static enum err ask_ahead(struct op *op, struct tx *tx, const struct click *clicks, size_t count)
{
    const unsigned touched = 1u << BLOCK_MESSAGE_ENGAGEMENT;
    const unsigned all_of_it = touched | 1u << BLOCK_MESSAGE_FIXED | 1u << BLOCK_MESSAGE_DELIVERY;
    uint64_t *asked[ASKS];
    if (!tx_asks_ahead(tx))
        return OK;
    for (int i = 0; i < ASKS; i++)
        TRY(op_alloc(op, count * sizeof(uint64_t), &asked[i]));
    for (size_t i = 0; i < count; i++) {
        TRY(base_wanted(op, tx, &clicks[i], &asked[ASK_BASES][i]));
        asked[ASK_MESSAGES][i] = clicks[i].message_no;
        asked[ASK_MEMBERS][i] = clicks[i].member_no;
        asked[ASK_LINKS][i] = clicks[i].link_no;
    }
    TRY(store_block_prefetch(op, tx, all_of_it, asked[ASK_BASES], count));
    TRY(store_block_prefetch(op, tx, touched, asked[ASK_MESSAGES], count)); /* those not there by now */
    TRY(store_block_prefetch(op, tx, 1u << BLOCK_MEMBER, asked[ASK_MEMBERS], count));
    TRY(store_block_prefetch(op, tx, 1u << BLOCK_LINK, asked[ASK_LINKS], count));
    TRY(ask_visitors(op, tx, clicks, count, asked[ASK_VISITORS]));
    TRY(find_chains(op, tx, asked, count));
    return store_touch_prefetch(op, tx, asked[ASK_CHAINS], count);
}

/* Clicks of neighbouring messages touch the same blocks; those of one message stay in order. What each needs is
 * forgotten behind it, so `one` has memory of its own: some clickers have a thousand touches. */
static enum err apply_sorted(struct op *one, struct tx *tx, const struct click *const *sorted, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        arena_reset(one->arena);
        TRY(click_apply(one, tx, sorted[i]));
        if (i % RELEASED_AFTER == RELEASED_AFTER - 1)
            store_block_release(tx);
    }
    return OK;
}

/* Clicks come in the order of their messages, so their links lie anywhere: those of one block are read together. */
static enum err take_links(struct op *op, struct tx *tx, const struct click *clicks, size_t count)
{
    uint64_t *numbers;
    if (tx_asks_ahead(tx))
        return OK; /* they were asked for */
    TRY(op_alloc(op, count * sizeof *numbers, &numbers));
    for (size_t i = 0; i < count; i++)
        numbers[i] = clicks[i].link_no;
    sort_u64(numbers, count);
    return store_block_take_alone(op, tx, BLOCK_LINK, numbers, count);
}

static enum err apply_each(struct op *op, struct tx *tx, const struct click *clicks, size_t count)
{
    const struct click **sorted;
    struct op one;
    TRY(op_alloc(op, count * sizeof *sorted, &sorted));
    for (size_t i = 0; i < count; i++)
        sorted[i] = &clicks[i];
    qsort(sorted, count, sizeof *sorted, by_message);
    op_init(&one, arena_new(CLICK_BYTES_MAX), op->now_us);
    enum err err = apply_sorted(&one, tx, sorted, count);
    op_inherit(op, err, &one);
    arena_free(one.arena);
    return err;
}

enum err click_apply_all(struct op *op, struct tx *tx, struct str node, uint64_t after, const struct click *clicks,
                         size_t count)
{
    uint64_t newest;
    TRY(store_click_mark(op, tx, node, &newest));
    if (newest != after)
        return fail(op, ERR_UNAVAILABLE, "clicks before these were not stored");
    if (count == 0)
        return OK;
    TRY(ask_ahead(op, tx, clicks, count));
    TRY(take_links(op, tx, clicks, count));
    TRY(apply_each(op, tx, clicks, count));
    return store_click_set_mark(op, tx, node, clicks[count - 1].number);
}
