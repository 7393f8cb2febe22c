/*
 * check_slices.c - figures, facts and members counted a little at a time, beside a daemon that writes (LED-35).
 *
 *     walk      5,000 messages or 20 ms a snapshot; a counter is noted when its first message is met ...
 *     compare   ... and read again at the end: one that moved meanwhile is left for another time,
 *               one that stood still must be what was counted
 *
 * Counts of several snapshots can only raise a doubt, never prove a
 * difference: that takes both numbers in one snapshot (check_totals.c).
 */
#include <stdlib.h>
#include <string.h>

#include "engine/check_part.h"
#include "engine/subject.h"
#include "store/block.h"
#include "store/store_fact.h"
#include "store/store_message.h"
#include "store/store_tenant.h"
#include "store/tally.h"

#define MESSAGES_A_PART  500 /* of a snapshot, or members; the clock is asked in between */
#define COUNTERS_A_PART  50  /* mailings or cohorts */
#define COUNTERS_A_READ  500
#define MEMBERS_PER_PASS 2000000 /* so memory has a maximum whatever the size of the store */

struct mailing_slice {
    bool is_met, track_opens;
    struct mailing_stats before;
    int64_t figure[MAILING_FIGURES];
};

struct cohort_slice {
    bool is_met, is_test;
    int64_t before[STATUS_COUNT], status[STATUS_COUNT];
};

struct slices {
    struct check *check;
    struct op *op;
    struct tx *tx;
    struct mailing_slice *mailings; /* by number, as the others */
    size_t mailing_room;
    struct cohort_slice *cohorts;
    size_t cohort_room;
    struct member_state *before, *members; /* of this pass */
    uint64_t member_from, member_max;
    bool counts_all; /* the first pass also counts mailings and cohorts */
    uint64_t newest;
    uint64_t from, to; /* of the part under way */
    struct message_fixed fixed[MESSAGES_A_PART];
    struct message_delivery delivery[MESSAGES_A_PART];
    struct message_engagement engagement[MESSAGES_A_PART];
    bool doubt;
};

static void *wider(void *array, size_t *room, size_t need, size_t item_bytes)
{
    if (need < *room)
        return array;
    size_t more = *room ? *room : 256;
    while (more <= need)
        more *= 2;
    char *moved = realloc(array, more * item_bytes);
    if (!moved)
        abort();
    memset(moved + *room * item_bytes, 0, (more - *room) * item_bytes);
    *room = more;
    return moved;
}

/* ------------------------------------------------------------------------------------------------------------ walk */

static enum err meet_mailing(struct slices *s, uint32_t no, struct mailing_slice **ret)
{
    struct mailing mailing;
    s->mailings = wider(s->mailings, &s->mailing_room, no, sizeof *s->mailings);
    *ret = &s->mailings[no];
    if ((*ret)->is_met)
        return OK;
    TRY(store_mailing_get_no(s->op, s->tx, no, &mailing));
    TRY(store_mailing_stats_get(s->op, s->tx, no, &(*ret)->before));
    (*ret)->track_opens = mailing.track_opens;
    (*ret)->is_met = true;
    return OK;
}

static enum err meet_cohort(struct slices *s, uint32_t no, struct cohort_slice **ret)
{
    struct cohort cohort;
    s->cohorts = wider(s->cohorts, &s->cohort_room, no, sizeof *s->cohorts);
    *ret = &s->cohorts[no];
    if ((*ret)->is_met)
        return OK;
    TRY(store_cohort_brief(s->op, s->tx, no, &cohort));
    TRY(store_facts_get(s->op, s->tx, no, (*ret)->before, STATUS_COUNT));
    (*ret)->is_test = cohort.key == KEY_TEST;
    (*ret)->is_met = true;
    return OK;
}

static enum err count_member(struct slices *s, size_t i, bool tracked)
{
    uint64_t no = s->fixed[i].member_no;
    const struct member_state *stands;
    s->member_max = no > s->member_max ? no : s->member_max;
    if (no < s->member_from || no >= s->member_from + MEMBERS_PER_PASS)
        return OK;
    struct member_state *member = &s->members[no - s->member_from];
    if (member->messages == 0) {
        TRY(store_block_get(s->op, s->tx, BLOCK_MEMBER, no, &stands));
        s->before[no - s->member_from] = *stands;
    }
    bool opened = s->engagement[i].opened_at_us != 0;
    member->messages++;
    member->opened += opened;
    member->tracked += tracked;
    member->tracked_opened += tracked && opened;
    return OK;
}

static enum err count_message(struct slices *s, size_t i)
{
    struct mailing_slice *mailing = NULL;
    struct cohort_slice *cohort;
    if (s->fixed[i].cohort_no == 0)
        return OK;
    if (s->fixed[i].mailing_no)
        TRY(meet_mailing(s, s->fixed[i].mailing_no, &mailing));
    if (s->fixed[i].member_no)
        TRY(count_member(s, i, mailing && mailing->track_opens));
    if (!s->counts_all)
        return OK;
    TRY(meet_cohort(s, s->fixed[i].cohort_no, &cohort));
    if (cohort->is_test)
        return OK;
    cohort->status[s->delivery[i].status]++;
    figures mask = subject_figures(&s->delivery[i], &s->engagement[i]);
    for (enum mailing_figure f = 0; mailing && f < MAILING_FIGURES; f++)
        mailing->figure[f] += mask >> f & 1;
    return OK;
}

#define TAKE(field, type)                                                                                              \
    static enum err take_##field(struct op *op, uint64_t no, const void *record, void *arg)                            \
    {                                                                                                                  \
        (void)op;                                                                                                      \
        struct slices *s = arg;                                                                                        \
        memcpy(&s->field[no - s->from], record, sizeof(type));                                                         \
        return OK;                                                                                                     \
    }
TAKE(fixed, struct message_fixed)
TAKE(delivery, struct message_delivery)
TAKE(engagement, struct message_engagement)

static enum err messages_part(struct op *op, struct tx *tx, struct slices *s)
{
    memset(s->fixed, 0, sizeof s->fixed);
    memset(s->delivery, 0, sizeof s->delivery);
    memset(s->engagement, 0, sizeof s->engagement);
    TRY(store_block_each(op, tx, BLOCK_MESSAGE_FIXED, s->from, s->to, take_fixed, s));
    TRY(store_block_each(op, tx, BLOCK_MESSAGE_DELIVERY, s->from, s->to, take_delivery, s));
    TRY(store_block_each(op, tx, BLOCK_MESSAGE_ENGAGEMENT, s->from, s->to, take_engagement, s));
    for (size_t i = 0; i < s->to - s->from; i++)
        TRY(count_message(s, i));
    return OK;
}

/* ---------------------------------------------------------------------------------------------------------- compare */

static enum err compare_mailing(struct slices *s, uint32_t no)
{
    const struct mailing_slice *mailing = &s->mailings[no];
    struct mailing_stats now;
    TRY(store_mailing_stats_get(s->op, s->tx, no, &now));
    if (memcmp(now.figure, mailing->before.figure, sizeof now.figure) != 0)
        return OK; /* it moves: another time */
    s->check->compared += MAILING_FIGURES;
    s->doubt |= memcmp(now.figure, mailing->figure, sizeof now.figure) != 0;
    return OK;
}

static enum err compare_cohort(struct slices *s, uint32_t no)
{
    const struct cohort_slice *cohort = &s->cohorts[no];
    int64_t now[STATUS_COUNT];
    TRY(store_facts_get(s->op, s->tx, no, now, STATUS_COUNT));
    if (memcmp(now, cohort->before, sizeof now) != 0)
        return OK;
    s->check->compared += STATUS_COUNT - STATUS_CREATED;
    s->doubt |= memcmp(&now[STATUS_CREATED], &cohort->status[STATUS_CREATED],
                       (STATUS_COUNT - STATUS_CREATED) * sizeof now[0]) != 0;
    return OK;
}

static bool is_same(const struct member_state *a, const struct member_state *b)
{
    return a->messages == b->messages && a->opened == b->opened && a->tracked == b->tracked &&
           a->tracked_opened == b->tracked_opened;
}

static enum err compare_member(struct op *op, uint64_t no, const void *record, void *arg)
{
    (void)op;
    struct slices *s = arg;
    uint64_t at = no - s->member_from;
    if (at >= MEMBERS_PER_PASS)
        return OK;
    if (s->members[at].messages == 0 || !is_same(record, &s->before[at]))
        return OK;
    s->check->compared += 4;
    s->doubt |= !is_same(record, &s->members[at]);
    return OK;
}

static enum err mailings_part(struct op *op, struct tx *tx, struct slices *s)
{
    (void)op;
    (void)tx;
    for (uint64_t no = s->from; no < s->to; no++)
        if (s->mailings[no].is_met)
            TRY(compare_mailing(s, (uint32_t)no));
    return OK;
}

static enum err cohorts_part(struct op *op, struct tx *tx, struct slices *s)
{
    (void)op;
    (void)tx;
    for (uint64_t no = s->from; no < s->to; no++)
        if (s->cohorts[no].is_met && !s->cohorts[no].is_test)
            TRY(compare_cohort(s, (uint32_t)no));
    return OK;
}

static enum err members_part(struct op *op, struct tx *tx, struct slices *s)
{
    return store_block_each(op, tx, BLOCK_MEMBER, s->from, s->to, compare_member, s);
}

/* -------------------------------------------------------------------------------------------------------- all of it */

/* What is walked: parts of so many numbers, and so many at most in one snapshot. */
struct walk {
    enum err (*part)(struct op *op, struct tx *tx, struct slices *s);
    uint64_t part_rows, snapshot_rows;
};

static const struct walk messages_walk = { messages_part, MESSAGES_A_PART, CHECK_CHUNK_MESSAGES };
static const struct walk members_walk = { members_part, MESSAGES_A_PART, CHECK_CHUNK_MESSAGES };
static const struct walk mailings_walk = { mailings_part, COUNTERS_A_PART, COUNTERS_A_READ };
static const struct walk cohorts_walk = { cohorts_part, COUNTERS_A_PART, COUNTERS_A_READ };

struct stretch {
    struct slices *s;
    const struct walk *walk;
    uint64_t end;
};

static enum err snapshot_walk(struct op *op, struct tx *tx, void *arg)
{
    const struct stretch *stretch = arg;
    const struct walk *walk = stretch->walk;
    struct slices *s = stretch->s;
    int64_t began_us = check_clock(s->check);
    uint64_t rows = 0;
    s->op = op;
    s->tx = tx;
    do {
        s->to = stretch->end - s->from < walk->part_rows ? stretch->end : s->from + walk->part_rows;
        TRY(walk->part(op, tx, s));
        rows += s->to - s->from;
        s->from = s->to;
    } while (s->from < stretch->end && check_reads_on(s->check, began_us, rows, walk->snapshot_rows));
    s->check->most_rows = rows > s->check->most_rows ? rows : s->check->most_rows;
    return OK;
}

/* Walks over [from, end), with a rest between two snapshots; false in *ret_goes_on when told to end. */
static enum err walk_all(struct op *op, struct slices *s, uint64_t from, uint64_t end, const struct walk *walk,
                         bool *ret_goes_on)
{
    struct stretch stretch = { s, walk, end };
    struct arena *outer = op->arena, *memory = arena_new(16u << 20);
    enum err err = OK;
    op->arena = memory;
    s->from = from;
    while (s->from < end && err == OK && *ret_goes_on) {
        arena_reset(memory);
        err = store_read(op, s->check->store, snapshot_walk, &stretch);
        *ret_goes_on = check_goes_on(s->check);
    }
    op->arena = outer;
    arena_free(memory);
    return err;
}

static enum err run_pass(struct op *op, struct slices *s, bool *ret_goes_on)
{
    s->counts_all = s->member_from == 0;
    if (s->member_from > 0) /* fresh memory is zero already, and takes none until it is used */
        memset(s->members, 0, MEMBERS_PER_PASS * sizeof *s->members);
    TRY(walk_all(op, s, 0, s->newest + 1, &messages_walk, ret_goes_on));
    if (s->counts_all) {
        TRY(walk_all(op, s, 0, s->mailing_room, &mailings_walk, ret_goes_on));
        TRY(walk_all(op, s, 0, s->cohort_room, &cohorts_walk, ret_goes_on));
    }
    uint64_t end = s->member_from + MEMBERS_PER_PASS;
    return walk_all(op, s, s->member_from, s->member_max < end ? s->member_max + 1 : end, &members_walk, ret_goes_on);
}

static enum err newest_read(struct op *op, struct tx *tx, void *arg)
{
    return store_message_newest(op, tx, arg);
}

enum err check_slices(struct op *op, struct check *check, bool *ret_doubt)
{
    struct slices *s = calloc(1, sizeof *s);
    if (!s)
        abort();
    s->check = check;
    s->before = calloc(MEMBERS_PER_PASS, sizeof *s->before);
    s->members = calloc(MEMBERS_PER_PASS, sizeof *s->members);
    if (!s->before || !s->members)
        abort();
    bool goes_on = true;
    enum err err = store_read(op, check->store, newest_read, &s->newest);
    for (; err == OK && goes_on && s->member_from <= s->member_max; s->member_from += MEMBERS_PER_PASS)
        err = run_pass(op, s, &goes_on);
    *ret_doubt = s->doubt && goes_on;
    free(s->mailings);
    free(s->cohorts);
    free(s->before);
    free(s->members);
    free(s);
    return err;
}
