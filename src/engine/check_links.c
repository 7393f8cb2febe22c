/*
 * check_links.c - links: distinct members and clicks, people and machines, against the touch log.
 *
 * Mailing by mailing, each in one snapshot; links without mailing together, by
 * the visitors that clicked them.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/check_part.h"
#include "engine/touches.h"
#include "store/block.h"
#include "store/store_click.h"
#include "store/store_link.h"
#include "store/store_message.h"
#include "store/store_outcome.h"

#define LINKS_A_READ    1000
#define MAILINGS_A_READ 100

/* What the rows say of a link: over all its time, and of its present destination. */
struct link_count {
    uint32_t no;
    uint32_t version; /* of the present destination; 0 = reported by a provider */
    struct said {
        int64_t clicks, members, human, machine;
    } all, now;
};

struct links {
    struct check *check;
    uint32_t mailing_no, last;
    struct link_count *counts; /* a hash table by number; no 0 is free */
    size_t room, used;         /* room is a power of two */
    size_t listed;
    struct arena *memory;
};

/* --- counting ------------------------------------------------------------------- */

static struct link_count *slot_of(const struct links *links, uint32_t no)
{
    size_t at = no * UINT64_C(0x9E3779B97F4A7C15) >> 32 & (links->room - 1);
    while (links->counts[at].no != 0 && links->counts[at].no != no)
        at = (at + 1) & (links->room - 1);
    return &links->counts[at];
}

static void widen(struct links *links)
{
    struct links wider = *links;
    wider.room = links->room ? 2 * links->room : 256;
    wider.counts = calloc(wider.room, sizeof *wider.counts);
    if (!wider.counts)
        abort();
    for (size_t i = 0; i < links->room; i++)
        if (links->counts[i].no)
            *slot_of(&wider, links->counts[i].no) = links->counts[i];
    free(links->counts);
    *links = wider;
}

static enum err count_of(struct op *op, struct tx *tx, struct links *links, uint32_t no, bool tracked,
                         struct link_count **ret)
{
    if (2 * (links->used + 1) > links->room)
        widen(links);
    struct link_count *count = slot_of(links, no);
    *ret = count;
    if (count->no)
        return OK;
    *count = (struct link_count){ .no = no };
    links->used++;
    if (!tracked)
        return OK;
    const struct link_state *state;
    TRY(store_link_state(op, tx, no, &state));
    count->version = state->version;
    return OK;
}

/* What one clicker's touches say of the link of touch `at`, if it is the first of that link (and version). */
static void say(struct said *said, const struct touch *touches, size_t count, size_t at, bool any_version)
{
    bool human = false, machine = false;
    for (size_t i = 0; i < count; i++) {
        const struct touch *touch = &touches[i];
        if (touch->kind != TOUCH_CLICK || touch->link_no != touches[at].link_no ||
            (!any_version && touch->version != touches[at].version))
            continue;
        if (i < at)
            return;
        bool is_machine = classify_is_machine(touch->bits);
        human |= !is_machine;
        machine |= is_machine;
    }
    said->members++;
    said->human += human;
    said->machine += machine;
}

static enum err count_chain(struct op *op, struct tx *tx, struct links *links, enum block_kind kind, uint64_t no)
{
    const struct message_engagement *engagement;
    struct touch *touches;
    size_t count;
    TRY(store_block_get(op, tx, kind, no, &engagement));
    if (!engagement->clicked_at_us)
        return OK;
    TRY(touches_read(op, tx, engagement->touch_last, &touches, &count));
    for (size_t i = 0; i < count; i++) {
        struct link_count *link;
        if (touches[i].kind != TOUCH_CLICK || touches[i].link_no == 0)
            continue;
        TRY(count_of(op, tx, links, touches[i].link_no, touches[i].version > 0, &link));
        link->all.clicks += 1 + (int64_t)touches[i].repeats;
        say(&link->all, touches, count, i, true);
        if (link->version == 0 || touches[i].version != link->version)
            continue;
        link->now.clicks += 1 + (int64_t)touches[i].repeats;
        say(&link->now, touches, count, i, false);
    }
    return OK;
}

/* In memory that is forgotten behind each message. */
static enum err count_one(struct op *op, struct tx *tx, struct links *links, enum block_kind kind, uint64_t no)
{
    struct arena *outer = op->arena;
    arena_reset(links->memory);
    op->arena = links->memory;
    enum err err = count_chain(op, tx, links, kind, no);
    op->arena = outer;
    return err;
}

static enum err count_message(struct op *op, struct tx *tx, uint64_t no, void *arg)
{
    return count_one(op, tx, arg, BLOCK_MESSAGE_ENGAGEMENT, no);
}

/* --- comparing ------------------------------------------------------------------ */

static enum err compare_reported(struct op *op, struct tx *tx, const struct link_row *row, void *arg)
{
    struct links *links = arg;
    struct link_count *rows;
    TRY(count_of(op, tx, links, row->no, false, &rows));
    check_fact(links->check, row->members, rows->all.members, "link %u members", row->no);
    check_fact(links->check, row->clicks, rows->all.clicks, "link %u clicks", row->no);
    links->last = row->no;
    return OK;
}

static void compare_said(struct check *check, const uint32_t counters[4], const struct said *rows,
                         const struct link *link, const char *when)
{
    check_fact(check, counters[0], rows->clicks, "link %.*s%s clicks", STR(link->code), when);
    check_fact(check, counters[1], rows->members, "link %.*s%s members", STR(link->code), when);
    check_fact(check, counters[2], rows->human, "link %.*s%s human", STR(link->code), when);
    check_fact(check, counters[3], rows->machine, "link %.*s%s machine", STR(link->code), when);
}

static enum err compare_tracked(struct op *op, struct tx *tx, const struct link *link, void *arg)
{
    struct links *links = arg;
    struct link_count *rows;
    const struct link_state *state;
    links->last = link->no;
    links->listed++;
    if (links->mailing_no != link->mailing_no)
        return OK;
    TRY(store_link_state(op, tx, link->no, &state));
    TRY(count_of(op, tx, links, link->no, true, &rows));
    const uint32_t now[] = { state->clicks, state->members, state->human, state->machine };
    const uint32_t all[] = { state->all_clicks, state->all_members, state->all_human, state->all_machine };
    compare_said(links->check, now, &rows->now, link, "");
    compare_said(links->check, all, &rows->all, link, " of all time");
    return OK;
}

static enum err compare_all_tracked(struct op *op, struct tx *tx, struct links *links)
{
    links->last = 0;
    do {
        links->listed = 0;
        TRY(store_link_each(op, tx, links->mailing_no, links->last, LINKS_A_READ, compare_tracked, links));
    } while (links->listed == LINKS_A_READ);
    return OK;
}

/* --- mailing by mailing ----------------------------------------------------------- */

static void begin(struct links *links)
{
    if (links->room)
        memset(links->counts, 0, links->room * sizeof *links->counts);
    links->used = 0;
    links->last = 0;
}

static enum err mailing_links(struct op *op, struct tx *tx, struct links *links)
{
    bool more = true;
    begin(links);
    TRY(store_message_each_of_mailing(op, tx, links->mailing_no, count_message, links));
    while (more)
        TRY(store_link_list(op, tx, links->mailing_no, links->last, LINKS_A_READ, compare_reported, links, &more));
    return compare_all_tracked(op, tx, links);
}

static enum err next_mailing(struct op *op, struct tx *tx, const struct mailing *mailing, void *arg)
{
    (void)op;
    (void)tx;
    ((struct links *)arg)->mailing_no = mailing->no;
    return OK;
}

static enum err links_read(struct op *op, struct tx *tx, void *arg)
{
    struct links *links = arg;
    uint32_t before = links->mailing_no;
    TRY(store_mailing_each(op, tx, before, 1, next_mailing, links));
    return links->mailing_no == before ? OK : mailing_links(op, tx, links);
}

static enum err links_of_no_mailing(struct op *op, struct tx *tx, void *arg)
{
    struct links *links = arg;
    uint64_t newest;
    begin(links);
    links->mailing_no = 0;
    TRY(store_visitor_newest(op, tx, &newest));
    for (uint64_t no = 1; no <= newest; no++)
        TRY(count_one(op, tx, links, BLOCK_VISITOR, no));
    return compare_all_tracked(op, tx, links);
}

enum err check_links(struct op *op, struct check *check)
{
    struct links links = { .check = check, .memory = arena_new(16u << 20) };
    uint32_t before;
    enum err err;
    do {
        before = links.mailing_no;
        err = store_read(op, check->store, links_read, &links);
    } while (err == OK && links.mailing_no != before && check_goes_on(check));
    if (err == OK && check_goes_on(check))
        err = store_read(op, check->store, links_of_no_mailing, &links);
    arena_free(links.memory);
    free(links.counts);
    return err;
}
