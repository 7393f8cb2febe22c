#include "serve/simulate_door.h"

#include "base/instant.h"
#include "base/json_fields.h"
#include "engine/simulate_fact.h"
#include "base/form.h"
#include "net/multipart.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The provider's own suppression lists. They fill by themselves: whoever
 * bounces, complains or unsubscribes is entered when the event becomes
 * visible, looked up only when somebody asks. An application may add and
 * delete; what it deleted comes back only with a new event.
 */
#define LIST_LIMIT     100
#define LIST_LIMIT_MAX 1000
#define ADDRESS_MAX    320

static const char *const list_names[LIST_KINDS] = { "bounces", "complaints", "unsubscribes" };

/* -------------------------------------------------------------------------------------------- the table */

static int listed_cmp(const void *a, const void *b)
{
    const struct listed *left = a, *right = b;
    return strcmp(left->address, right->address);
}

/* By address, each once: the newest entry of an address stays. */
static void list_settle(struct list *list)
{
    if (list->sorted || list->count == 0)
        return;
    qsort(list->items, list->count, sizeof *list->items, listed_cmp);
    size_t kept = 0;
    for (size_t i = 1; i < list->count; i++) {
        if (listed_cmp(&list->items[kept], &list->items[i]) != 0) {
            list->items[++kept] = list->items[i];
            continue;
        }
        struct listed *older = &list->items[kept], *newer = &list->items[i];
        if (newer->created_us < older->created_us) {
            struct listed swap = *older;
            *older = *newer;
            *newer = swap;
        }
        free(older->address);
        *older = *newer;
    }
    list->count = kept + 1;
    list->sorted = true;
}

/* First entry at or behind the address. */
static size_t list_find(const struct list *list, const char *address)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(list->items[middle].address, address) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void list_add(struct list *list, struct str address, struct str code, struct str error, struct str tag,
                     int64_t created_us)
{
    if (address.n > ADDRESS_MAX || memchr(address.p, '\0', address.n))
        return;
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 64;
        list->items = realloc(list->items, list->room * sizeof *list->items);
    }
    char *block = malloc(address.n + code.n + error.n + tag.n + 4);
    if (!block || !list->items)
        abort();
    int n = snprintf(block, address.n + 1, "%.*s", STR(address));
    for (char *c = block; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    struct listed listed = { .address = block, .created_us = created_us };
    char *p = block + n + 1;
    listed.code = p;
    p += sprintf(p, "%.*s", STR(code)) + 1;
    listed.error = p;
    p += sprintf(p, "%.*s", STR(error)) + 1;
    listed.tag = p;
    sprintf(p, "%.*s", STR(tag));
    list->items[list->count++] = listed;
    list->sorted = false;
}

static void list_remove(struct list *list, size_t at)
{
    free(list->items[at].address);
    list->count--;
    memmove(&list->items[at], &list->items[at + 1], (list->count - at) * sizeof list->items[0]);
}

static void list_clear(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].address);
    free(list->items);
    *list = (struct list){ 0 };
}

void lists_done(struct stand_in *stand_in)
{
    for (int kind = 0; kind < LIST_KINDS; kind++)
        list_clear(&stand_in->lists[kind]);
}

/* ----------------------------------------------------------------------------------- what fills them */

static void take_failure(struct stand_in *stand_in, struct str address, const struct sim_event *event)
{
    static const enum list_kind kinds[] = { [SUPPRESS_BOUNCE] = LIST_BOUNCES,
                                            [SUPPRESS_COMPLAINT] = LIST_COMPLAINTS,
                                            [SUPPRESS_UNSUBSCRIBE] = LIST_UNSUBSCRIBES };
    const struct sim_failure *failure = sim_failure_of(event->detail);
    if (failure->suppress == SUPPRESS_NOT)
        return;
    struct str code = str_of(failure->code);
    if (code.n && code.p[0] == '"')
        code = (struct str){ code.p + 1, code.n - 2 };
    list_add(&stand_in->lists[kinds[failure->suppress]], address, code,
             str_of(failure->message && *failure->message ? failure->message : failure->description), S("*"),
             event->at_us);
}

static void take_event(void *data, const struct sim_event *event)
{
    struct stand_in *stand_in = data;
    struct sim_recipient who;
    if (event->flags & (SIM_GARBAGE | SIM_AGAIN))
        return;
    sim_recipient(stand_in->sim, event->no, &who);
    if (event->type == SIM_FAILED)
        take_failure(stand_in, who.address, event);
    else
        list_add(&stand_in->lists[event->type == SIM_COMPLAINED ? LIST_COMPLAINTS : LIST_UNSUBSCRIBES], who.address,
                 S(""), S(""), S("*"), event->at_us);
}

static struct list *list_of(struct stand_in *stand_in, struct http_request *request)
{
    int64_t now_us = stand_in_now_us(stand_in);
    sim_became_visible(stand_in->sim, 1u << SIM_FAILED | 1u << SIM_COMPLAINED | 1u << SIM_UNSUBSCRIBED,
                       stand_in->listed_until_us, now_us, take_event, stand_in);
    stand_in->listed_until_us = now_us;
    if (!door_is_ours(stand_in, request, request->params[0]))
        return NULL;
    for (int kind = 0; kind < LIST_KINDS; kind++)
        if (str_eq(request->params[1], str_of(list_names[kind]))) {
            list_settle(&stand_in->lists[kind]);
            return &stand_in->lists[kind];
        }
    door_message(request, 404, "not found");
    return NULL;
}

/* Index of the address of the path; false after a 404. */
static bool find_one(struct http_request *request, const struct list *list, size_t *ret_at)
{
    char address[ADDRESS_MAX + 1];
    struct str wanted = request->params[2];
    size_t n = wanted.n <= ADDRESS_MAX ? wanted.n : 0;
    for (size_t i = 0; i < n; i++)
        address[i] = wanted.p[i] >= 'A' && wanted.p[i] <= 'Z' ? (char)(wanted.p[i] - 'A' + 'a') : wanted.p[i];
    address[n] = '\0';
    *ret_at = list_find(list, address);
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
    struct list *list = list_of(stand_in, request);
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
    size_t from = list_find(list, address), to;
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
    struct list *list = list_of(stand_in, request);
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

static void take_field(struct entry *entry, struct str name, struct str value)
{
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
        list_add(list, entry->address, str_given(entry->code) ? entry->code : S("550"),
                 str_given(entry->error) ? entry->error : S(""), str_given(entry->tag) ? entry->tag : S("*"),
                 stand_in_now_us(stand_in));
}

static void read_json_entry(struct json *j, struct entry *entry)
{
    struct str name, value;
    while (json_next_member(j, &name)) {
        if (str_eq(name, S("tags"))) {
            door_texts(j, &entry->tag, 1);
        } else if (json_type(j) == JSON_NUMBER && json_raw(j, &value)) {
            take_field(entry, name, value);
        } else if (json_string(j, &value)) {
            take_field(entry, name, value);
        }
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

static enum err read_form(struct http_request *request, struct str type, struct entry *entry)
{
    struct str rest = request->body;
    struct form_field field;
    if (!str_starts(type, S("multipart/"))) {
        while (form_next(request->op.arena, &rest, &field))
            take_field(entry, field.name, field.value);
        return OK;
    }
    struct multipart multipart;
    struct multipart_part part;
    TRY(multipart_init(&request->op, &multipart, type, request->body));
    for (;;) {
        TRY(multipart_next(&request->op, &multipart, &part));
        if (!str_given(part.name))
            return OK;
        take_field(entry, part.name, part.value);
    }
}

void lists_post(struct stand_in *stand_in, struct http_request *request)
{
    struct list *list = list_of(stand_in, request);
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
    if (read_form(request, type, &entry) != OK || entry.address.n == 0) {
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
    struct list *list = list_of(stand_in, request);
    size_t at;
    if (!list || !find_one(request, list, &at))
        return;
    list_remove(list, at);
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
    struct list *list = list_of(stand_in, request);
    if (!list)
        return;
    list_clear(list);
    door_message(request, 200, "Addresses of the %.*s table have been removed", STR(request->params[1]));
}
