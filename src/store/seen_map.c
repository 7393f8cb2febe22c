#include "store/seen_map.h"

#include <stdlib.h>

#include "store/db.h"

extern const struct family seen_family;

#define PAGE_MEMBERS 8192
#define PAGES        1024 /* of 1 KiB: eight million members of one mailing */

struct page {
    uint32_t number; /* members number * PAGE_MEMBERS and following */
    uint32_t tenant_no;
    int64_t from_us;
    uint64_t bits[PAGE_MEMBERS / 64];
};

struct seen_map {
    struct page *pages[PAGES]; /* NULL: nobody of it was seen */
    bool noted;                /* somebody, in this transaction */
};

static enum err seen_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)op, (void)tx;
    *ret_state = calloc(1, sizeof(struct seen_map));
    if (!*ret_state)
        abort();
    return OK;
}

static void forget_all(struct seen_map *map)
{
    for (size_t i = 0; i < PAGES; i++) {
        free(map->pages[i]);
        map->pages[i] = NULL;
    }
    map->noted = false;
}

static void seen_kept(void *state)
{
    struct seen_map *map = state;
    map->noted = false;
}

/* Also called for a group that changed nothing: what was known before it still is. */
static void seen_drop(void *state)
{
    struct seen_map *map = state;
    if (map->noted)
        forget_all(map);
}

static void seen_close(void *state)
{
    forget_all(state);
    free(state);
}

const struct family seen_family = {
    .name = "members seen", .open = seen_open, .close = seen_close, .kept = seen_kept, .drop = seen_drop
};

static bool speaks_of(const struct page *page, uint32_t tenant_no, uint32_t member_no)
{
    return page && page->tenant_no == tenant_no && page->number == member_no / PAGE_MEMBERS;
}

bool store_seen_known(struct tx *tx, uint32_t tenant_no, uint32_t member_no, int64_t from_us)
{
    const struct seen_map *map = tx_state(tx, &seen_family);
    const struct page *page = map->pages[member_no / PAGE_MEMBERS % PAGES];
    uint32_t at = member_no % PAGE_MEMBERS;
    return speaks_of(page, tenant_no, member_no) && page->from_us >= from_us && page->bits[at / 64] >> at % 64 & 1;
}

/* The member's page, empty when it spoke of others or of an earlier instant. */
static struct page *page_for(struct seen_map *map, uint32_t tenant_no, uint32_t member_no, int64_t from_us)
{
    struct page **place = &map->pages[member_no / PAGE_MEMBERS % PAGES];
    if (speaks_of(*place, tenant_no, member_no) && (*place)->from_us >= from_us)
        return *place;
    free(*place);
    *place = calloc(1, sizeof **place);
    if (!*place)
        abort();
    (*place)->number = member_no / PAGE_MEMBERS;
    (*place)->tenant_no = tenant_no;
    (*place)->from_us = from_us;
    return *place;
}

void store_seen_note(struct tx *tx, uint32_t tenant_no, uint32_t member_no, int64_t from_us)
{
    struct seen_map *map = tx_state(tx, &seen_family);
    struct page *page = page_for(map, tenant_no, member_no, from_us);
    uint32_t at = member_no % PAGE_MEMBERS;
    if (page->from_us > from_us)
        return; /* of a day that is over: today's answers are worth more */
    map->noted = true;
    page->bits[at / 64] |= UINT64_C(1) << at % 64;
}
