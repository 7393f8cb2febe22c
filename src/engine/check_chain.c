#include "engine/check_chain.h"

#include <stdlib.h>
#include <string.h>

#include "base/sort.h"
#include "engine/status.h"
#include "store/store_history.h"
#include "store/store_touch.h"

/* The next row of a chain that is to be read. */
struct step {
    uint64_t seq;
    size_t of;
};

/* One round: the rows of `now`, sorted, are read; those before them become `next`. */
struct round {
    struct step *now, *next;
    uint64_t *seqs;
    size_t count, next_count, at;
};

static int by_seq(const void *a, const void *b)
{
    const struct step *x = a, *y = b;
    return sort_cmp_u64(x->seq, y->seq);
}

static enum err round_begin(struct op *op, const uint64_t *last, size_t count, struct round *ret)
{
    *ret = (struct round){ 0 };
    TRY(op_alloc(op, (count + 1) * sizeof *ret->now, &ret->now));
    TRY(op_alloc(op, (count + 1) * sizeof *ret->next, &ret->next));
    TRY(op_alloc(op, (count + 1) * sizeof *ret->seqs, &ret->seqs));
    for (size_t i = 0; i < count; i++)
        if (last[i])
            ret->next[ret->next_count++] = (struct step){ last[i], i };
    return OK;
}

/* False when no chain has a row left. */
static bool round_next(struct round *round)
{
    struct step *spare = round->now;
    round->now = round->next;
    round->next = spare;
    round->count = round->next_count;
    round->next_count = round->at = 0;
    if (round->count > 0)
        qsort(round->now, round->count, sizeof *round->now, by_seq);
    for (size_t i = 0; i < round->count; i++)
        round->seqs[i] = round->now[i].seq;
    return round->count > 0;
}

/* The step that asked for the row; those before it were answered by none. */
static const struct step *round_meet(struct round *round, uint64_t seq)
{
    while (round->at < round->count && round->now[round->at].seq < seq)
        round->at++;
    return round->at < round->count && round->now[round->at].seq == seq ? &round->now[round->at++] : NULL;
}

/* The row leads to prev: false when it does not lead back, so that a walk always ends. */
static bool round_lead(struct round *round, const struct step *step, uint64_t prev)
{
    if (prev >= step->seq)
        return false;
    if (prev)
        round->next[round->next_count++] = (struct step){ prev, step->of };
    return true;
}

/* --- touches --- */

struct chains {
    struct round round;
    struct check_chain *chains;
    size_t *room; /* of each chain's touches */
};

static enum err chain_add(struct op *op, struct check_chain *chain, size_t *room, const struct touch_row *row)
{
    if (chain->count == *room) {
        struct touch *wider;
        *room = *room ? 2 * *room : 4;
        TRY(op_alloc(op, *room * sizeof *wider, &wider));
        if (chain->count > 0)
            memcpy(wider, chain->touches, chain->count * sizeof *wider);
        chain->touches = wider;
    }
    chain->touches[chain->count++] = (struct touch){ .seq = row->seq,
                                                     .kind = (enum touch_kind)row->kind,
                                                     .at_us = row->at_us,
                                                     .link_no = row->link_no,
                                                     .version = row->version,
                                                     .repeats = row->repeats,
                                                     .bits = row->bits,
                                                     .client = row->client };
    return OK;
}

static enum err take_touch(struct op *op, const struct touch_row *row, void *arg)
{
    struct chains *c = arg;
    const struct step *step = round_meet(&c->round, row->seq);
    if (!step)
        return OK;
    struct check_chain *chain = &c->chains[step->of];
    chain->broken = !round_lead(&c->round, step, row->prev);
    return chain_add(op, chain, &c->room[step->of], row);
}

enum err check_chains(struct op *op, struct tx *tx, const uint64_t *last, size_t count, struct check_chain **ret)
{
    struct chains c;
    TRY(round_begin(op, last, count, &c.round));
    TRY(op_alloc(op, (count + 1) * sizeof *c.chains, &c.chains));
    TRY(op_alloc(op, (count + 1) * sizeof *c.room, &c.room));
    memset(c.chains, 0, count * sizeof *c.chains);
    memset(c.room, 0, count * sizeof *c.room);
    while (round_next(&c.round)) {
        for (size_t i = 0; i < c.round.count; i++)
            c.chains[c.round.now[i].of].broken = true; /* until its row is met */
        TRY(store_touch_each(op, tx, c.round.seqs, c.round.count, take_touch, &c));
    }
    *ret = c.chains;
    return OK;
}

size_t check_chain_part(const struct message_engagement *engagement, size_t from, size_t count)
{
    size_t part = 0, rows = 0;
    while (from + part < count && (part == 0 || rows < CHECK_CHAIN_ROWS)) {
        const struct message_engagement *e = &engagement[from + part++];
        rows += (size_t)e->open_human + e->open_machine + e->click_human + e->click_machine;
    }
    return part;
}

/* --- histories --- */

struct histories {
    struct round round;
    uint8_t *status;
    bool newest; /* the first round: its rows hold the status of today */
};

static enum err take_move(struct op *op, uint64_t seq, uint64_t prev, const struct history_entry *entry, void *arg)
{
    (void)op;
    struct histories *h = arg;
    const struct step *step = round_meet(&h->round, seq);
    if (!step)
        return OK;
    if (h->newest)
        h->status[step->of] = entry->to;
    if (!round_lead(&h->round, step, prev))
        h->status[step->of] = STATUS_NONE;
    h->round.now[step - h->round.now].seq = 0; /* met */
    return OK;
}

enum err check_histories(struct op *op, struct tx *tx, const uint64_t *last, size_t count, uint8_t *status)
{
    struct histories h = { .status = status, .newest = true };
    TRY(round_begin(op, last, count, &h.round));
    while (round_next(&h.round)) {
        TRY(store_history_each(op, tx, h.round.seqs, h.round.count, take_move, &h));
        for (size_t i = 0; i < h.round.count; i++)
            if (h.round.now[i].seq)
                status[h.round.now[i].of] = STATUS_NONE;
        h.newest = false;
    }
    return OK;
}
