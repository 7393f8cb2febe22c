/*
 * check_totals.c - figures of mailings, daily facts and members against the state records.
 *
 * All records are walked in windows of WINDOW messages inside one snapshot.
 * Members are counted in passes of MEMBERS_PER_PASS, so memory has a maximum
 * whatever the size of the store; mailings and cohorts are few.
 */
#include <stdlib.h>
#include <string.h>

#include "base/day.h"
#include "engine/check_part.h"
#include "engine/subject.h"
#include "store/block.h"
#include "store/store_message.h"
#include "store/tally.h"

#define WINDOW           16384
#define MEMBERS_PER_PASS 4000000
#define MAILINGS_A_READ  1000
#define PAGE_BYTES       (64u << 20)

struct mailing_count {
    bool known, track_opens;
    int64_t figure[MAILING_FIGURES];
    int64_t first_us, last_us; /* of the instants that rows hold; 0 = none */
};

struct cohort_count {
    bool known;
    struct cohort cohort;
    int64_t status[STATUS_COUNT];
};

struct totals {
    struct check *check;
    struct op *op;
    struct tx *tx;
    struct mailing_count *mailings; /* by number */
    size_t mailing_room;
    struct cohort_count *cohorts; /* by number */
    size_t cohort_room;
    struct member_state *members; /* of this pass */
    uint64_t member_from;
    bool counts_all; /* the first pass also counts mailings and cohorts */
    uint64_t newest, member_max;
    struct message_fixed fixed[WINDOW];
    struct message_delivery delivery[WINDOW];
    struct message_engagement engagement[WINDOW];
    uint64_t window_from, seen_to;
};

static void *grown(void *array, size_t *room, size_t need, size_t item_bytes)
{
    if (need < *room)
        return array;
    size_t wider = *room ? *room : 1024;
    while (wider <= need)
        wider *= 2;
    char *moved = realloc(array, wider * item_bytes);
    if (!moved)
        abort();
    memset(moved + *room * item_bytes, 0, (wider - *room) * item_bytes);
    *room = wider;
    return moved;
}

static struct mailing_count *mailing_at(struct totals *t, uint32_t no)
{
    t->mailings = grown(t->mailings, &t->mailing_room, no, sizeof *t->mailings);
    return &t->mailings[no];
}

static enum err cohort_at(struct totals *t, uint32_t no, struct cohort_count **ret)
{
    t->cohorts = grown(t->cohorts, &t->cohort_room, no, sizeof *t->cohorts);
    *ret = &t->cohorts[no];
    if (!(*ret)->known)
        TRY(store_cohort_brief(t->op, t->tx, no, &(*ret)->cohort));
    (*ret)->known = true;
    return OK;
}

static enum err note_mailing(struct op *op, struct tx *tx, const struct mailing *mailing, void *arg)
{
    (void)op;
    (void)tx;
    struct mailing_count *count = mailing_at(arg, mailing->no);
    count->known = true;
    count->track_opens = mailing->track_opens;
    return OK;
}

static enum err note_mailings(struct op *op, struct totals *t)
{
    size_t before;
    uint32_t last = 0;
    do {
        before = last;
        TRY(store_mailing_each(op, t->tx, last, MAILINGS_A_READ, note_mailing, t));
        for (size_t no = last + 1; no < t->mailing_room; no++)
            last = t->mailings[no].known ? (uint32_t)no : last;
    } while (last != before);
    return OK;
}

#define TAKE(field, type)                                                                                              \
    static enum err take_##field(struct op *op, uint64_t no, const void *record, void *arg)                            \
    {                                                                                                                  \
        (void)op;                                                                                                      \
        struct totals *t = arg;                                                                                        \
        memcpy(&t->field[no - t->window_from], record, sizeof(type));                                                  \
        t->seen_to = no >= t->seen_to ? no + 1 : t->seen_to;                                                           \
        return OK;                                                                                                     \
    }
TAKE(fixed, struct message_fixed)
TAKE(delivery, struct message_delivery)
TAKE(engagement, struct message_engagement)

static enum err window_read(struct totals *t, uint64_t from)
{
    t->window_from = t->seen_to = from;
    memset(t->fixed, 0, sizeof t->fixed);
    memset(t->delivery, 0, sizeof t->delivery);
    memset(t->engagement, 0, sizeof t->engagement);
    uint64_t to = from + WINDOW;
    TRY(store_block_each(t->op, t->tx, BLOCK_MESSAGE_FIXED, from, to, take_fixed, t));
    TRY(store_block_each(t->op, t->tx, BLOCK_MESSAGE_DELIVERY, from, to, take_delivery, t));
    return store_block_each(t->op, t->tx, BLOCK_MESSAGE_ENGAGEMENT, from, to, take_engagement, t);
}

static void count_instant(struct mailing_count *count, int64_t at_us)
{
    if (at_us == 0)
        return;
    count->first_us = count->first_us == 0 || at_us < count->first_us ? at_us : count->first_us;
    count->last_us = at_us > count->last_us ? at_us : count->last_us;
}

static void count_mailing(struct totals *t, size_t i)
{
    struct mailing_count *count = mailing_at(t, t->fixed[i].mailing_no);
    figures mask = subject_figures(&t->delivery[i], &t->engagement[i]);
    for (enum mailing_figure f = 0; f < MAILING_FIGURES; f++)
        count->figure[f] += mask >> f & 1;
    count_instant(count, t->delivery[i].delivered_at_us);
    count_instant(count, t->delivery[i].failed_at_us);
    count_instant(count, t->engagement[i].opened_at_us);
    count_instant(count, t->engagement[i].clicked_at_us);
}

static void count_member(struct totals *t, size_t i)
{
    uint64_t no = t->fixed[i].member_no;
    t->member_max = no > t->member_max ? no : t->member_max;
    if (no < t->member_from || no >= t->member_from + MEMBERS_PER_PASS)
        return;
    struct member_state *member = &t->members[no - t->member_from];
    bool opened = t->engagement[i].opened_at_us != 0;
    bool tracked = t->fixed[i].mailing_no && mailing_at(t, t->fixed[i].mailing_no)->track_opens;
    member->messages++;
    member->opened += opened;
    member->tracked += tracked;
    member->tracked_opened += tracked && opened;
}

static enum err window_count(struct totals *t)
{
    for (size_t i = 0; i < t->seen_to - t->window_from; i++) {
        if (t->fixed[i].cohort_no == 0)
            continue;
        if (t->fixed[i].member_no)
            count_member(t, i);
        if (!t->counts_all)
            continue;
        struct cohort_count *cohort;
        TRY(cohort_at(t, t->fixed[i].cohort_no, &cohort));
        if (cohort->cohort.key == KEY_TEST)
            continue;
        cohort->status[t->delivery[i].status]++;
        if (t->fixed[i].mailing_no)
            count_mailing(t, i);
    }
    return OK;
}

static enum err compare_mailing(struct op *op, struct totals *t, uint32_t no, struct mailing_stats *ret_fix)
{
    struct mailing mailing;
    struct mailing_stats stats;
    const struct mailing_count *count = &t->mailings[no];
    TRY(store_mailing_get_no(op, t->tx, no, &mailing));
    TRY(store_mailing_stats_get(op, t->tx, no, &stats));
    for (enum mailing_figure f = 0; f < MAILING_FIGURES; f++)
        if (!check_fact(t->check, stats.figure[f], count->figure[f], "mailing %.*s %s", STR(mailing.id),
                        mailing_figure_name(f)))
            ret_fix->figure[f] = count->figure[f] - stats.figure[f];
    /* Events that changed no field move these two as well, so rows give bounds. */
    check_claim(t->check,
                count->first_us == 0 || (stats.first_event_at_us && stats.first_event_at_us <= count->first_us),
                "mailing %.*s first_event_at: later than its rows", STR(mailing.id));
    check_claim(t->check, stats.last_event_at_us >= count->last_us, "mailing %.*s last_event_at: earlier than its rows",
                STR(mailing.id));
    return OK;
}

struct fix {
    enum { FIX_MAILING, FIX_FACT, FIX_MEMBER } kind;
    uint64_t no;
    unsigned place; /* figure or status */
    int64_t delta;
    struct member_state member;
};

struct fixes {
    struct fix *items;
    size_t count, room;
};

static void fix_add(struct fixes *fixes, struct fix fix)
{
    fixes->items = grown(fixes->items, &fixes->room, fixes->count, sizeof fix);
    fixes->items[fixes->count++] = fix;
}

static enum err compare_mailings(struct op *op, struct totals *t, struct fixes *fixes)
{
    for (uint32_t no = 1; no < t->mailing_room; no++) {
        struct mailing_stats fix = { 0 };
        if (!t->mailings[no].known)
            continue;
        TRY(compare_mailing(op, t, no, &fix));
        for (enum mailing_figure f = 0; f < MAILING_FIGURES; f++)
            if (fix.figure[f])
                fix_add(fixes, (struct fix){ .kind = FIX_MAILING, .no = no, .place = f, .delta = fix.figure[f] });
    }
    return OK;
}

static enum err compare_cohorts(struct op *op, struct totals *t, struct fixes *fixes)
{
    for (uint32_t no = 1; no < t->cohort_room; no++) {
        const struct cohort_count *count = &t->cohorts[no];
        if (!count->known || count->cohort.key == KEY_TEST)
            continue;
        int64_t counters[STATUS_COUNT];
        TRY(store_facts_get(op, t->tx, no, counters, STATUS_COUNT));
        for (enum status s = STATUS_CREATED; s < STATUS_COUNT; s++) {
            int64_t counter = counters[s];
            char day[DAY_TEXT_BYTES];
            if (!check_fact(t->check, counter, count->status[s], "facts of tenant %u day %s %s %s",
                            count->cohort.tenant_no, day_text(count->cohort.local_day, day).p,
                            channel_name((enum channel)count->cohort.channel), status_name(s)))
                fix_add(fixes,
                        (struct fix){ .kind = FIX_FACT, .no = no, .place = s, .delta = count->status[s] - counter });
        }
    }
    return OK;
}

struct member_compare {
    struct totals *t;
    struct fixes *fixes;
};

static enum err compare_member(struct op *op, uint64_t no, const void *record, void *arg)
{
    (void)op;
    struct member_compare *compare = arg;
    struct totals *t = compare->t;
    struct check *check = t->check;
    const struct member_state *stands = record;
    const struct member_state *rows = &t->members[no - t->member_from];
    if (stands->messages == 0 && rows->messages == 0)
        return OK;
    unsigned long long name = no;
    bool same = check_fact(check, stands->messages, rows->messages, "member %llu messages", name);
    same &= check_fact(check, stands->opened, rows->opened, "member %llu opened", name);
    same &= check_fact(check, stands->tracked, rows->tracked, "member %llu tracked", name);
    same &= check_fact(check, stands->tracked_opened, rows->tracked_opened, "member %llu tracked_opened", name);
    if (!same)
        fix_add(compare->fixes, (struct fix){ .kind = FIX_MEMBER, .no = no, .member = *rows });
    return OK;
}

static enum err totals_pass(struct op *op, struct totals *t, uint64_t from_member, struct fixes *fixes)
{
    struct member_compare compare = { t, fixes };
    t->member_from = from_member;
    t->counts_all = from_member == 0;
    if (from_member > 0) /* fresh memory is zero already, and takes none until it is used */
        memset(t->members, 0, MEMBERS_PER_PASS * sizeof *t->members);
    for (uint64_t from = 0; from <= t->newest; from += WINDOW) {
        TRY(window_read(t, from));
        TRY(window_count(t));
    }
    if (t->counts_all) {
        TRY(compare_mailings(op, t, fixes));
        TRY(compare_cohorts(op, t, fixes));
    }
    return store_block_each(op, t->tx, BLOCK_MEMBER, from_member, from_member + MEMBERS_PER_PASS, compare_member,
                            &compare);
}

struct totals_run {
    struct totals *totals;
    struct fixes fixes;
};

static enum err totals_read(struct op *op, struct tx *tx, void *arg)
{
    struct totals_run *run = arg;
    struct totals *t = run->totals;
    t->tx = tx;
    t->op = op;
    TRY(note_mailings(op, t));
    TRY(store_message_newest(op, tx, &t->newest));
    for (uint64_t from = 0; from <= t->member_max; from += MEMBERS_PER_PASS)
        TRY(totals_pass(op, t, from, &run->fixes));
    return OK;
}

/* Counters move by the difference, so that what was counted meanwhile stays counted. */
static enum err fixes_write(struct op *op, struct tx *tx, void *arg)
{
    const struct fixes *fixes = arg;
    for (size_t i = 0; i < fixes->count; i++) {
        const struct fix *fix = &fixes->items[i];
        if (fix->kind == FIX_MAILING)
            store_mailing_count(tx, (uint32_t)fix->no, (enum mailing_figure)fix->place, fix->delta);
        if (fix->kind == FIX_FACT)
            store_fact_count(tx, (uint32_t)fix->no, fix->place, fix->delta);
        if (fix->kind != FIX_MEMBER)
            continue;
        struct member_state *member;
        TRY(store_block_edit(op, tx, BLOCK_MEMBER, fix->no, &member));
        int64_t last_seen_us = member->last_seen_us;
        *member = fix->member;
        member->last_seen_us = last_seen_us;
    }
    return OK;
}

enum err check_totals(struct op *op, struct check *check)
{
    struct totals *t = calloc(1, sizeof *t);
    struct member_state *members = calloc(MEMBERS_PER_PASS, sizeof *members);
    if (!t || !members)
        abort();
    t->check = check;
    t->members = members;
    struct totals_run run = { .totals = t };
    enum err err = store_read(op, check->store, totals_read, &run);
    if (err == OK && check->repair && run.fixes.count > 0)
        err = store_write(op, check->store, fixes_write, &run.fixes);
    free(run.fixes.items);
    free(t->mailings);
    free(t->cohorts);
    free(members);
    free(t);
    return err;
}
