/*
 * check_links.c - links: distinct members and clicks, people and machines, against the touch log.
 *
 * Mailing by mailing, each in one snapshot; links without mailing together, by
 * the visitors that clicked them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/sort.h"
#include "engine/check_chain.h"
#include "engine/check_part.h"
#include "store/block.h"
#include "store/store_visitor.h"
#include "store/store_link.h"
#include "store/store_message.h"
#include "store/store_outcome.h"
#include "store/store_tenant.h"

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

/* Those of a chunk who clicked at all. */
struct clickers {
    struct message_engagement engagement[CHECK_CHUNK_MESSAGES];
    uint64_t last[CHECK_CHUNK_MESSAGES];
    size_t count;
};

struct links {
    struct check *check;
    uint32_t mailing_no, last;
    struct link_count *counts; /* a hash table by number; no 0 is free */
    size_t room, used;         /* room is a power of two */
    size_t listed;
    struct arena *memory;
    uint64_t noted[CHECK_CHUNK_MESSAGES]; /* numbers of messages */
    size_t noted_count;
    struct clickers clickers;
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
    struct link_count *before = links->counts;
    size_t room = links->room;
    links->room = room ? 2 * room : 256;
    links->counts = calloc(links->room, sizeof *links->counts);
    if (!links->counts)
        abort();
    for (size_t i = 0; i < room; i++)
        if (before[i].no)
            *slot_of(links, before[i].no) = before[i];
    free(before);
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

/* What one clicker's touches say of all links they name. */
static enum err count_chain(struct op *op, struct tx *tx, struct links *links, const struct check_chain *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        const struct touch *touch = &chain->touches[i];
        struct link_count *link;
        if (touch->kind != TOUCH_CLICK || touch->link_no == 0)
            continue;
        TRY(count_of(op, tx, links, touch->link_no, touch->version > 0, &link));
        link->all.clicks += 1 + (int64_t)touch->repeats;
        say(&link->all, chain->touches, chain->count, i, true);
        if (link->version == 0 || touch->version != link->version)
            continue;
        link->now.clicks += 1 + (int64_t)touch->repeats;
        say(&link->now, chain->touches, chain->count, i, false);
    }
    return OK;
}

static enum err count_clickers(struct op *op, struct tx *tx, struct links *links)
{
    struct clickers *clickers = &links->clickers;
    enum err err = OK;
    for (size_t from = 0, part; from < clickers->count && err == OK; from += part) {
        struct check_chain *chains;
        part = check_chain_part(clickers->engagement, from, clickers->count);
        arena_reset(op->arena);
        err = check_chains(op, tx, clickers->last + from, part, &chains);
        for (size_t i = 0; i < part && err == OK; i++)
            err = count_chain(op, tx, links, &chains[i]);
    }
    clickers->count = 0;
    return err;
}

/* In memory that is forgotten behind it. */
static enum err in_own_memory(struct op *op, struct tx *tx, struct links *links,
                              enum err (*fn)(struct op *op, struct tx *tx, struct links *links))
{
    struct arena *outer = op->arena;
    arena_reset(links->memory);
    op->arena = links->memory;
    enum err err = fn(op, tx, links);
    op->arena = outer;
    return err;
}

static enum err note_clicker(struct op *op, uint64_t no, const void *record, void *arg)
{
    (void)op;
    (void)no;
    struct clickers *clickers = arg;
    const struct message_engagement *engagement = record;
    if (!engagement->clicked_at_us)
        return OK;
    clickers->engagement[clickers->count] = *engagement;
    clickers->last[clickers->count++] = engagement->touch_last;
    return OK;
}

/* The messages that were noted. */
static enum err count_noted(struct op *op, struct tx *tx, struct links *links)
{
    if (links->noted_count == 0)
        return OK;
    sort_u64(links->noted, links->noted_count);
    TRY(store_block_pick(op, tx, BLOCK_MESSAGE_ENGAGEMENT, links->noted, links->noted_count, note_clicker,
                         &links->clickers));
    links->noted_count = 0;
    return count_clickers(op, tx, links);
}

static enum err note_message(struct op *op, struct tx *tx, uint64_t no, void *arg)
{
    struct links *links = arg;
    links->noted[links->noted_count++] = no;
    return links->noted_count == CHECK_CHUNK_MESSAGES ? in_own_memory(op, tx, links, count_noted) : OK;
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
    TRY(store_message_each_of_mailing(op, tx, links->mailing_no, note_message, links));
    TRY(in_own_memory(op, tx, links, count_noted));
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
    for (uint64_t no = 1; no <= newest; no += CHECK_CHUNK_MESSAGES) {
        TRY(store_block_each(op, tx, BLOCK_VISITOR, no, no + CHECK_CHUNK_MESSAGES, note_clicker, &links->clickers));
        TRY(in_own_memory(op, tx, links, count_clickers));
    }
    return compare_all_tracked(op, tx, links);
}

static enum err all_links(struct op *op, struct links *links)
{
    struct check *check = links->check;
    uint32_t before;
    do {
        before = links->mailing_no;
        TRY(store_read(op, check->store, links_read, links));
    } while (links->mailing_no != before && check_goes_on(check));
    return check_goes_on(check) ? store_read(op, check->store, links_of_no_mailing, links) : OK;
}

enum err check_links(struct op *op, struct check *check)
{
    struct links *links = calloc(1, sizeof *links);
    if (!links)
        abort();
    links->check = check;
    links->memory = arena_new(64u << 20);
    enum err err = all_links(op, links);
    arena_free(links->memory);
    free(links->counts);
    free(links);
    return err;
}
