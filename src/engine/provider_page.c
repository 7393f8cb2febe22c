/*
 * provider_page.c - a page of Mailgun's Events API or Logs API, item by item (SRC-16, SRC-17).
 */
#include "engine/provider_mailgun.h"

#include "base/siphash.h"

/* What is known while a page is being read. */
struct reading {
    struct op *op;
    const struct provider_source *source;
    int64_t begin_us, end_us;
    struct item_list list;
    struct provider_page *page;
    bool has_items;
    size_t guess; /* how many items the page may hold, so that their array need not move */
};

/*
 * Pages of the same items in the same order give the same sum, whatever their tokens say (SRC-19). Items without
 * a key go in by their id or their bytes.
 */
static void ids_add(struct reading *r, const struct provider_event *event, struct str raw)
{
    struct str named = event->event_id.n ? event->event_id : raw;
    uint64_t id = event->key[0];
    if (id == 0)
        id = siphash64(siphash_key_from(r->source->hash_key), named.p, named.n);
    r->page->ids = (r->page->ids << 7 | r->page->ids >> 57) * UINT64_C(0x9E3779B97F4A7C15) + id;
}

static bool is_outside(const struct reading *r, const struct provider_event *event)
{
    return event->is_reported && !event->is_future && (event->at_us < r->begin_us || event->at_us >= r->end_us);
}

static enum err read_item(struct reading *r, struct json *j)
{
    struct provider_event *event;
    struct mailgun_item item;
    const char *begin = json_at(j);
    TRY(item_add(r->op, &r->list, &event));

    if (!mailgun_item_read(r->op, j, &item, event))
        item_spoil(event, "no_object");
    if (!json_ok(j))
        return OK; /* cut off in the middle: json_finish will say where */
    struct str raw = { begin, (size_t)(json_at(j) - begin) };
    TRY(mailgun_item_make(r->op, r->source, &item, raw, event));

    r->page->item_n++;
    ids_add(r, event, raw);
    if (is_outside(r, event)) {
        r->page->dropped_n++;
        r->list.n--;
    } else if (event->is_reported && !event->is_future && event->at_us > r->page->last_us) {
        r->page->last_us = event->at_us;
    }
    return OK;
}

static enum err read_items(struct reading *r, struct json *j)
{
    if (!json_enter_array(j))
        return OK;
    r->has_items = true;
    TRY(item_reserve(r->op, &r->list, r->guess));
    while (json_next_item(j))
        TRY(read_item(r, j));
    return OK;
}

/* A token goes into the path of our next request, so nothing may stand in it that ends a path or a line. */
static bool is_token(struct str token)
{
    if (token.n == 0 || token.n > PROVIDER_TOKEN_BYTES_MAX)
        return false;
    for (size_t i = 0; i < token.n; i++)
        if (token.p[i] <= ' ' || token.p[i] > '~')
            return false;
    return true;
}

/* The last segment of the path in `next` (SRC-24): the host before it is not to be trusted with the key. */
static struct str token_of_url(struct str url)
{
    url.n = str_find(url, '#');
    url.n = str_find(url, '?');
    for (size_t at = url.n; at > 0; at--)
        if (url.p[at - 1] == '/')
            return (struct str){ url.p + at, url.n - at };
    return url;
}

static void read_paging(struct reading *r, struct json *j, bool is_url)
{
    struct str name;
    if (!json_enter_object(j))
        return;
    while (json_next_member(j, &name)) {
        if (!str_eq(name, S("next")))
            continue;
        struct str next = item_string(j);
        struct str token = is_url ? token_of_url(next) : next;
        r->page->next = is_token(token) ? token : (struct str){ NULL, 0 };
    }
}

static enum err read_page(struct reading *r, struct json *j, enum provider_api api)
{
    struct str name;
    if (!json_enter_object(j))
        return OK;
    while (json_next_member(j, &name)) {
        if (str_eq(name, S("items")))
            TRY(read_items(r, j));
        else if (api == PROVIDER_API_EVENTS && str_eq(name, S("paging")))
            read_paging(r, j, true);
        else if (api == PROVIDER_API_LOGS && str_eq(name, S("pagination")))
            read_paging(r, j, false);
    }
    return OK;
}

/* Items take 500 to 2,000 bytes; a page holds 300 at most. A wrong guess costs a copy. */
static size_t items_guess(size_t bytes)
{
    size_t n = bytes / 500 + 1;
    return n < 300 ? n : 300;
}

enum err provider_page_parse(struct op *op, const struct provider_source *source, enum provider_api api,
                             struct str bytes, int64_t begin_us, int64_t end_us, struct provider_page *ret_page)
{
    struct provider_page page = { .last_us = INT64_MIN };
    struct reading reading = {
        .op = op,
        .source = source,
        .begin_us = begin_us,
        .end_us = end_us,
        .page = &page,
        .guess = items_guess(bytes.n),
    };
    struct json j;
    if (bytes.n > PROVIDER_PAGE_BYTES_MAX)
        return fail(op, ERR_TOO_LARGE, "page of %zu bytes, at most %d are read", bytes.n, PROVIDER_PAGE_BYTES_MAX);

    json_init(&j, op->arena, bytes, JSON_TOLERANT);
    TRY(read_page(&reading, &j, api));
    TRY(json_finish(&j, op));
    if (!reading.has_items)
        return fail(op, ERR_MALFORMED, "the page has no list of items");
    page.events = reading.list.events;
    page.n = reading.list.n;
    *ret_page = page;
    return OK;
}
