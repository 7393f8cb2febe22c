/*
 * fuzz_page.c - a page of Mailgun is read or refused whole, and what is read can be stored.
 *
 * The first byte chooses the API and the window; the rest is the page. Reading
 * it again gives the same events and keys.
 */
#include <string.h>

#include "engine/provider.h"
#include "fuzz.h"
#include "fuzz_events.h"

#define ARENA_BYTES_MAX (16 << 20)

static const uint8_t hash_key[16] = "fifteen letters";
static struct agent_list *agents;

static enum err read_page(struct op *op, struct str bytes, uint8_t choices, struct provider_page *page)
{
    struct provider_source source = { .id = S("fuzz"), .hash_key = hash_key, .agents = agents };
    int64_t begin_us = choices & 2 ? INT64_C(1700000000000000) : 0;
    int64_t end_us = choices & 4 ? INT64_C(1750000000000000) : NOW_US;
    enum provider_api api = choices & 1 ? PROVIDER_API_LOGS : PROVIDER_API_EVENTS;
    enum err err = provider_page_parse(op, &source, api, bytes, begin_us, end_us, page);
    for (size_t i = 0; err == OK && i < page->n; i++) {
        const struct provider_event *event = &page->events[i];
        event_holds(event);
        HOLDS(!event->is_reported || event->is_future || (event->at_us >= begin_us && event->at_us < end_us));
    }
    return err;
}

static void page_holds(const struct provider_page *page)
{
    HOLDS(page->n + page->dropped_n == page->item_n);
    HOLDS(page->next.n <= PROVIDER_TOKEN_BYTES_MAX && str_given(page->next) == (page->next.n > 0));
    for (size_t i = 0; i < page->next.n; i++)
        HOLDS(page->next.p[i] > ' ' && page->next.p[i] <= '~');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct arena *arena;
    struct op op;
    struct provider_page page, again;
    if (bytes == 0)
        return 0;
    arena = arena_new(ARENA_BYTES_MAX);
    op_init(&op, arena, NOW_US);
    if (!agents)
        HOLDS(agent_list_new(&op, str_of(NULL), &agents) == OK);

    struct str text = { (const char *)data + 1, bytes - 1 };
    enum err err = read_page(&op, text, data[0], &page);
    HOLDS(err == OK || err == ERR_MALFORMED || err == ERR_TOO_LARGE);
    if (err == OK) {
        page_holds(&page);
        HOLDS(read_page(&op, text, data[0], &again) == OK || arena_used(arena) > ARENA_BYTES_MAX / 4);
    }
    arena_free(arena);
    return 0;
}
