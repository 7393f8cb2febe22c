/*
 * check_links.c - links of mailings: distinct members and clicks, against the touch log.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/check_part.h"
#include "engine/touches.h"
#include "store/block.h"
#include "store/store_message.h"
#include "store/store_outcome.h"

#define LINKS_A_READ    1000
#define MAILINGS_A_READ 100

struct link_count {
    uint32_t no;
    int64_t members, clicks;
};

struct links {
    struct check *check;
    uint32_t mailing_no, last;
    struct link_count *counts; /* sorted by number, as links are made */
    size_t count, room;
    struct arena *memory;
};

static struct link_count *count_of(struct links *links, uint32_t link_no)
{
    for (size_t i = 0; i < links->count; i++)
        if (links->counts[i].no == link_no)
            return &links->counts[i];
    if (links->count == links->room) {
        links->room = links->room ? 2 * links->room : 64;
        links->counts = realloc(links->counts, links->room * sizeof *links->counts);
        if (!links->counts)
            abort();
    }
    links->counts[links->count] = (struct link_count){ .no = link_no };
    return &links->counts[links->count++];
}

static bool clicked_earlier(const struct touch *touches, size_t at, uint32_t link_no)
{
    for (size_t i = 0; i < at; i++)
        if (touches[i].kind == TOUCH_CLICK && touches[i].link_no == link_no)
            return true;
    return false;
}

static enum err count_message(struct op *op, struct tx *tx, uint64_t no, void *arg)
{
    struct links *links = arg;
    struct arena *outer = op->arena;
    const struct message_engagement *engagement;
    struct touch *touches;
    size_t count;
    arena_reset(links->memory);
    op->arena = links->memory;
    enum err err = store_block_get(op, tx, BLOCK_MESSAGE_ENGAGEMENT, no, &engagement);
    if (err == OK && engagement->clicked_at_us) {
        err = touches_read(op, tx, engagement->touch_last, &touches, &count);
        for (size_t i = 0; err == OK && i < count; i++) {
            if (touches[i].kind != TOUCH_CLICK || touches[i].link_no == 0)
                continue;
            struct link_count *link = count_of(links, touches[i].link_no);
            link->clicks++;
            link->members += !clicked_earlier(touches, i, touches[i].link_no);
        }
    }
    op->arena = outer;
    return err;
}

static enum err compare_link(struct op *op, struct tx *tx, const struct link_row *row, void *arg)
{
    (void)op;
    (void)tx;
    struct links *links = arg;
    struct link_count *rows = count_of(links, row->no);
    check_fact(links->check, row->members, rows->members, "link %u members", row->no);
    check_fact(links->check, row->clicks, rows->clicks, "link %u clicks", row->no);
    links->last = row->no;
    return OK;
}

static enum err mailing_links(struct op *op, struct tx *tx, struct links *links)
{
    bool more = true;
    links->count = 0;
    links->last = 0;
    TRY(store_message_each_of_mailing(op, tx, links->mailing_no, count_message, links));
    while (more)
        TRY(store_link_list(op, tx, links->mailing_no, links->last, LINKS_A_READ, compare_link, links, &more));
    return OK;
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

enum err check_links(struct op *op, struct check *check)
{
    struct links links = { .check = check, .memory = arena_new(16u << 20) };
    uint32_t before;
    enum err err;
    do {
        before = links.mailing_no;
        err = store_read(op, check->store, links_read, &links);
    } while (err == OK && links.mailing_no != before && check_goes_on(check));
    arena_free(links.memory);
    free(links.counts);
    return err;
}
