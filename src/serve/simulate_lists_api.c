/*
 * simulate_lists_api.c - suppression lists of the stand-in over HTTP: looked at, added to, taken from.
 */
#include "serve/simulate_door.h"

#include "base/form.h"
#include "base/instant.h"

#include <stdio.h>
#include <string.h>

#define LIST_LIMIT     100
#define LIST_LIMIT_MAX 1000

/* Index of the address of the path; false after a 404. */
static bool find_one(struct http_request *request, const struct list *list, size_t *ret_at)
{
    char address[LIST_ADDRESS_MAX + 1];
    struct str wanted = request->params[2];
    size_t n = wanted.n <= LIST_ADDRESS_MAX ? wanted.n : 0;
    for (size_t i = 0; i < n; i++)
        address[i] = wanted.p[i] >= 'A' && wanted.p[i] <= 'Z' ? (char)(wanted.p[i] - 'A' + 'a') : wanted.p[i];
    address[n] = '\0';
    *ret_at = listed_find(list, address);
    if (*ret_at < list->count && strcmp(list->items[*ret_at].address, address) == 0)
        return true;
    door_message(request, 404, "Address not found in %.*s table", STR(request->params[1]));
    return false;
}

/* ------------------------------------------------------------------------------------------- the doors */

static void put_listed(struct json_writer *w, const struct listed *listed, struct str kind)
{
    char text[INSTANT_TEXT_BYTES], created[INSTANT_TEXT_BYTES];
    struct str mail = instant_text_http(listed->created_us, text); /* ends in GMT; the provider writes UTC */
    int n = snprintf(created, sizeof created, "%.*sUTC", (int)mail.n - 3, mail.p);
    json_object_begin(w);
    json_member_str(w, "address", str_of(listed->address));
    if (str_eq(kind, S("bounces"))) {
        json_member_str(w, "code", str_of(listed->code));
        json_member_str(w, "error", str_of(listed->error));
    }
    if (str_eq(kind, S("unsubscribes"))) {
        json_put_name(w, "tags");
        json_array_begin(w);
        json_put_str(w, str_of(listed->tag));
        json_array_end(w);
    }
    json_member_str(w, "created_at", (struct str){ created, (size_t)n });
    json_object_end(w);
}

static void put_link(struct http_request *request, struct json_writer *w, const char *name, const char *pivot,
                     int64_t limit)
{
    struct str base = door_base(request);
    struct str address = pivot ? form_encode(request->op.arena, str_of(pivot)) : S("");
    struct str url = arena_fmt(request->op.arena, "%.*s/v3/%.*s/%.*s?page=%s&address=%.*s&limit=%d", STR(base),
                               STR(request->params[0]), STR(request->params[1]), name, STR(address), (int)limit);
    json_member_str(w, name, url);
}

void lists_get(struct stand_in *stand_in, struct http_request *request)
{
    struct list *list = listed_of(stand_in, request);
    if (!list)
        return;
    struct str page = http_query(request, S("page")), pivot = http_query(request, S("address"));
    struct str asked = http_query(request, S("limit"));
    int64_t limit = LIST_LIMIT;
    if (str_given(asked) && !str_to_int(asked, 1, LIST_LIMIT_MAX, &limit)) {
        door_message(request, 400, "limit is a number between 1 and 1000");
        return;
    }
    char *address = arena_alloc(request->op.arena, pivot.n + 1);
    if (pivot.n)
        memcpy(address, pivot.p, pivot.n);
    size_t from = listed_find(list, address), to;
    if (str_eq(page, S("next")) && from < list->count && strcmp(list->items[from].address, address) == 0)
        from++;
    if (str_eq(page, S("last")))
        from = list->count;
    if (str_eq(page, S("previous")) || str_eq(page, S("last"))) {
        to = from;
        from = to > (size_t)limit ? to - (size_t)limit : 0;
    } else {
        to = from + (size_t)limit < list->count ? from + (size_t)limit : list->count;
    }

    struct buf buf = door_buf(request, 256 * (to - from) + 4096);
    struct json_writer w;
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_put_name(&w, "items");
    json_array_begin(&w);
    for (size_t i = from; i < to; i++)
        put_listed(&w, &list->items[i], request->params[1]);
    json_array_end(&w);
    json_put_name(&w, "paging");
    json_object_begin(&w);
    put_link(request, &w, "first", NULL, limit);
    put_link(request, &w, "last", NULL, limit);
    put_link(request, &w, "next", to > from ? list->items[to - 1].address : address, limit);
    put_link(request, &w, "previous", to > from ? list->items[from].address : address, limit);
    json_object_end(&w);
    json_object_end(&w);
    door_reply(request, 200, &buf);
}

void lists_get_one(struct stand_in *stand_in, struct http_request *request)
{
    struct list *list = listed_of(stand_in, request);
    size_t at;
    if (!list || !find_one(request, list, &at))
        return;
    struct buf buf = door_buf(request, 1024);
    struct json_writer w;
    json_write_init(&w, &buf);
    put_listed(&w, &list->items[at], request->params[1]);
    door_reply(request, 200, &buf);
}

/* One entry as a client writes it: form fields or a JSON object. */
struct entry {
    struct str address, code, error, tag;
};

static void take_field(void *arg, struct str name, struct str value)
{
    struct entry *entry = arg;
    if (str_eq(name, S("address")))
        entry->address = value;
    else if (str_eq(name, S("code")))
        entry->code = value;
    else if (str_eq(name, S("error")))
        entry->error = value;
    else if (str_eq(name, S("tag")))
        entry->tag = value;
}

static void add_entry(struct stand_in *stand_in, struct list *list, const struct entry *entry)
{
    if (entry->address.n)
        listed_add(list, entry->address, str_given(entry->code) ? entry->code : S("550"),
                   str_given(entry->error) ? entry->error : S(""), str_given(entry->tag) ? entry->tag : S("*"),
                   stand_in_now_us(stand_in));
}

static void read_json_entry(struct json *j, struct entry *entry)
{
    struct str name, value;
    while (json_next_member(j, &name)) {
        if (str_eq(name, S("tags")))
            door_texts(j, &entry->tag, 1);
        else if (json_type(j) == JSON_NUMBER ? json_raw(j, &value) : json_string(j, &value))
            take_field(entry, name, value);
    }
}

/* Returns how many entries the body held. */
static size_t read_json(struct stand_in *stand_in, struct http_request *request, struct list *list)
{
    struct json j;
    size_t count = 0;
    json_init(&j, request->op.arena, request->body, JSON_STRICT);
    bool many = json_enter_array(&j);
    while (many && json_next_item(&j)) {
        struct entry entry = { 0 };
        if (!json_enter_object(&j))
            continue;
        read_json_entry(&j, &entry);
        add_entry(stand_in, list, &entry);
        count += entry.address.n > 0;
    }
    return count;
}

void lists_post(struct stand_in *stand_in, struct http_request *request)
{
    struct list *list = listed_of(stand_in, request);
    struct str type = http_header(request, S("Content-Type"));
    struct entry entry = { 0 };
    if (!list)
        return;
    if (str_starts(type, S("application/json"))) {
        size_t count = read_json(stand_in, request, list);
        if (count)
            door_message(request, 200, "%zu addresses have been added to the %.*s table", count,
                         STR(request->params[1]));
        else
            door_message(request, 400, "no addresses");
        return;
    }
    if (door_form(request, take_field, &entry) != OK || entry.address.n == 0) {
        door_message(request, 400, "address parameter is missing");
        return;
    }
    add_entry(stand_in, list, &entry);
    struct buf buf = door_buf(request, 1024);
    struct json_writer w;
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "address", entry.address);
    json_member_str(&w, "message",
                    arena_fmt(request->op.arena, "Address has been added to the %.*s table", STR(request->params[1])));
    json_object_end(&w);
    door_reply(request, 200, &buf);
}

void lists_delete_one(struct stand_in *stand_in, struct http_request *request)
{
    struct list *list = listed_of(stand_in, request);
    size_t at;
    if (!list || !find_one(request, list, &at))
        return;
    listed_remove(list, at);
    struct buf buf = door_buf(request, 1024);
    struct json_writer w;
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "address", request->params[2]);
    json_member_str(&w, "message",
                    str_eq(request->params[1], S("bounces")) ? S("Bounced address has been removed")
                                                             : S("Address has been removed"));
    json_object_end(&w);
    door_reply(request, 200, &buf);
}

void lists_delete(struct stand_in *stand_in, struct http_request *request)
{
    struct list *list = listed_of(stand_in, request);
    if (!list)
        return;
    listed_clear(list);
    door_message(request, 200, "Addresses of the %.*s table have been removed", STR(request->params[1]));
}
