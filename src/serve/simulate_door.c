#include "serve/simulate_door.h"

#include "base/form.h"
#include "net/http_auth.h"
#include "net/multipart.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_BYTES_MAX (25 << 20)
#define LIST_BYTES_MAX    (4 << 20)
#define LOGS_BYTES_MAX    65536
#define SIM_BYTES_MAX     65536
#define ANSWER_BYTES_MAX  ((size_t)32 << 20)

/* ------------------------------------------------------------------------------------- help for handlers */

int64_t stand_in_now_us(const struct stand_in *stand_in)
{
    return loop_wall_us(stand_in->loop) + stand_in->ahead_us;
}

struct buf door_buf(struct http_request *request, size_t bytes)
{
    struct buf buf;
    buf_init_arena(&buf, request->op.arena, ANSWER_BYTES_MAX);
    buf_reserve(&buf, bytes);
    return buf;
}

void door_reply(struct http_request *request, int status, const struct buf *json)
{
    if (json->full)
        http_reply(request, 500, S("text/plain"), S("the answer does not fit\n"));
    else
        http_reply(request, status, S("application/json"), buf_str(json));
}

void door_message(struct http_request *request, int status, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct buf buf = door_buf(request, 1024);
    struct json_writer w;
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "message", str_of(text));
    json_object_end(&w);
    door_reply(request, status, &buf);
}

struct str door_base(struct http_request *request)
{
    struct str host = http_header(request, S("Host"));
    struct str base = arena_fmt(request->op.arena, "http://%.*s", STR(host));
    return str_given(base) ? base : S("http://localhost");
}

bool door_is_ours(struct stand_in *stand_in, struct http_request *request, struct str domain)
{
    if (str_eq_nocase(domain, sim_config(stand_in->sim)->domain))
        return true;
    door_message(request, 404, "Domain not found: %.*s", STR(domain));
    return false;
}

uint32_t door_types(struct str word)
{
    uint32_t types = 0;
    for (int type = 0; type < SIM_TYPES; type++)
        if (str_eq_nocase(word, sim_type_word((enum sim_type)type)))
            types |= 1u << type;
    return types;
}

enum err door_form(struct http_request *request, void (*take)(void *arg, struct str name, struct str value), void *arg)
{
    struct str type = http_header(request, S("Content-Type")), rest = request->body;
    struct form_field field;
    if (!str_starts(type, S("multipart/"))) {
        while (form_next(request->op.arena, &rest, &field))
            if (str_given(field.name))
                take(arg, field.name, field.value);
        return OK;
    }
    struct multipart multipart;
    struct multipart_part part;
    TRY(multipart_init(&request->op, &multipart, type, request->body));
    for (;;) {
        TRY(multipart_next(&request->op, &multipart, &part));
        if (!str_given(part.name))
            return OK;
        if (!str_given(part.filename))
            take(arg, part.name, part.value);
    }
}

size_t door_texts(struct json *j, struct str *ret, size_t max)
{
    size_t count = 0;
    if (!json_enter_array(j))
        return 0;
    while (json_next_item(j)) {
        struct str text;
        if (json_string(j, &text) && count < max)
            ret[count++] = text;
    }
    return count;
}

/* -------------------------------------------------------------------------------------- what was asked */

void door_copy(char *to, size_t size, struct str text)
{
    struct str cut = str_clip(text, size - 1);
    if (cut.n)
        memcpy(to, cut.p, cut.n);
    to[cut.n] = '\0';
}

/* Notes the request; request->data becomes its number. */
static void record(struct stand_in *stand_in, struct http_request *request)
{
    struct asked *asked = &stand_in->asked[stand_in->asked_count++ % ASKED_MAX];
    *asked = (struct asked){ .at_us = loop_wall_us(stand_in->loop), .items = -1 };
    door_copy(asked->method, sizeof asked->method, request->method);
    door_copy(asked->text, sizeof asked->text, request->target);
    size_t n = strlen(asked->text);
    if (str_starts(request->path, S("/v1/")) && n + 2 < sizeof asked->text) {
        asked->text[n] = ' ';
        door_copy(asked->text + n + 1, sizeof asked->text - n - 1, request->body);
    }
    request->data = (void *)(uintptr_t)stand_in->asked_count;
}

static struct asked *asked_of(struct stand_in *stand_in, const struct http_request *request)
{
    uint64_t n = (uintptr_t)request->data;
    bool recorded = request->route && ((const struct sim_door *)request->route->data)->is_provider && n;
    return recorded && n + ASKED_MAX > stand_in->asked_count ? &stand_in->asked[(n - 1) % ASKED_MAX] : NULL;
}

void door_note_items(struct stand_in *stand_in, const struct http_request *request, size_t items)
{
    struct asked *asked = asked_of(stand_in, request);
    if (asked)
        asked->items = (int32_t)items;
}

void door_note_status(const struct http_request *request, int status)
{
    struct asked *asked = asked_of(request->server_data, request);
    if (asked)
        asked->status = status;
}

/* --------------------------------------------------------------------------------------- through the door */

static bool has_key(const struct stand_in *stand_in, struct http_request *request)
{
    struct str user, password;
    return http_auth_basic(request->op.arena, http_header(request, S("Authorization")), &user, &password) &&
           str_eq(user, S("api")) && str_eq_secret(password, str_of(stand_in->key));
}

static void reply_status(struct http_request *request, const struct fault *fault)
{
    char number[24];
    if (fault->retry_after_s) {
        snprintf(number, sizeof number, "%lld", (long long)fault->retry_after_s);
        http_reply_header(request, S("Retry-After"), str_of(number));
    }
    if (fault->reset_ms) {
        snprintf(number, sizeof number, "%lld", (long long)fault->reset_ms);
        http_reply_header(request, S("X-RateLimit-Reset"), str_of(number));
    }
    if (fault->status / 100 == 3)
        http_reply_header(request, S("Location"), str_of(fault->host));
    door_message(request, fault->status, "simulated %d", fault->status);
}

static void handle(struct stand_in *stand_in, struct http_request *request)
{
    const struct sim_door *door = request->route->data;
    door->handle(stand_in, request);
}

/* A fault of the whole request; false when the handler goes on. */
static bool is_hit(struct stand_in *stand_in, struct http_request *request, const struct fault *fault)
{
    switch (fault->kind) {
    case FAULT_STATUS:
        reply_status(request, fault);
        return true;
    case FAULT_TIMEOUT:
        fault_hold(stand_in, request, 0, NULL);
        return true;
    case FAULT_DELAY:
        fault_hold(stand_in, request, fault->delay_ms, handle);
        return true;
    case FAULT_GARBAGE:
        http_reply(request, 200, S("text/html"), S("<html><body><h1>We'll be right back</h1></body></html>\n"));
        return true;
    case FAULT_NONE:
    case FAULT_CUT:
    case FAULT_BROKEN:
    case FAULT_NO_ITEMS:
    case FAULT_TOO_LARGE:
    case FAULT_OTHER_HOST:
    case FAULT_REPEAT_TOKEN:
    case FAULT_MALFORMED_PAGE:
    case FAULT_NULL_HEADERS:
    case FAULT_EXPIRED_TOKEN:
    case FAULT_POISON:
    case FAULT_KINDS:
        break;
    }
    return false;
}

static void enter(struct http_request *request)
{
    struct stand_in *stand_in = request->server_data;
    const struct sim_door *door = request->route->data;
    if (!door->is_provider) {
        handle(stand_in, request);
        return;
    }
    record(stand_in, request);
    if (!has_key(stand_in, request)) {
        http_reply_header(request, S("WWW-Authenticate"), S("Basic realm=\"MG API\""));
        http_reply(request, 401, S("text/plain"), S("Forbidden"));
        return;
    }
    struct fault fault = fault_take(stand_in, request, door->is_page);
    if (is_hit(stand_in, request, &fault))
        return;
    stand_in->fault = fault;
    handle(stand_in, request);
    stand_in->fault.kind = FAULT_NONE;
}

/* ------------------------------------------------------------------------------------------------ domains */

static void put_domain(struct stand_in *stand_in, struct json_writer *w)
{
    struct str name = sim_config(stand_in->sim)->domain;
    json_object_begin(w);
    json_member_str(w, "id", S("simulated"));
    json_member_str(w, "name", name);
    json_member_str(w, "state", S("active"));
    json_member_str(w, "type", S("custom"));
    json_member_str(w, "smtp_login", S("postmaster"));
    json_member_str(w, "spam_action", S("disabled"));
    json_member_str(w, "web_scheme", S("https"));
    json_member_str(w, "web_prefix", S("email"));
    json_member_bool(w, "wildcard", false);
    json_member_bool(w, "is_disabled", false);
    json_member_str(w, "created_at", S("Sat, 21 Nov 2026 19:00:00 GMT"));
    json_object_end(w);
}

static void domains_get(struct stand_in *stand_in, struct http_request *request)
{
    struct buf buf = door_buf(request, 1024);
    struct json_writer w;
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_int(&w, "total_count", 1);
    json_put_name(&w, "items");
    json_array_begin(&w);
    put_domain(stand_in, &w);
    json_array_end(&w);
    json_object_end(&w);
    door_reply(request, 200, &buf);
}

static void domains_get_one(struct stand_in *stand_in, struct http_request *request)
{
    if (!door_is_ours(stand_in, request, request->params[0]))
        return;
    struct buf buf = door_buf(request, 1024);
    struct json_writer w;
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_put_name(&w, "domain");
    put_domain(stand_in, &w);
    json_member_raw(&w, "receiving_dns_records", S("[]"));
    json_member_raw(&w, "sending_dns_records", S("[]"));
    json_object_end(&w);
    door_reply(request, 200, &buf);
}

/* ------------------------------------------------------------------------------------------------- routes */

#define PAGE(fn)                                                                                                       \
    .handle = enter, .data = &(const struct sim_door)                                                                  \
    {                                                                                                                  \
        fn, true, true                                                                                                 \
    }
#define PROVIDER(fn)                                                                                                   \
    .handle = enter, .data = &(const struct sim_door)                                                                  \
    {                                                                                                                  \
        fn, true, false                                                                                                \
    }
#define ASIDE(fn)                                                                                                      \
    .handle = enter, .data = &(const struct sim_door)                                                                  \
    {                                                                                                                  \
        fn, false, false                                                                                               \
    }

const struct http_route door_routes[] = {
    { "GET", "/v3/{domain}/events", PAGE(events_first) },
    { "GET", "/v3/{domain}/events/{token}", PAGE(events_token) },
    { "POST", "/v1/analytics/logs", PAGE(logs_query), .body_bytes_max = LOGS_BYTES_MAX },
    { "POST", "/v3/{domain}/messages", PROVIDER(messages_post), .body_bytes_max = MESSAGE_BYTES_MAX },
    { "GET", "/v3/domains", PROVIDER(domains_get) },
    { "GET", "/v4/domains", PROVIDER(domains_get) },
    { "GET", "/v3/domains/{domain}", PROVIDER(domains_get_one) },
    { "GET", "/v4/domains/{domain}", PROVIDER(domains_get_one) },
    { "GET", "/v3/{domain}/{list}", PROVIDER(lists_get) },
    { "POST", "/v3/{domain}/{list}", PROVIDER(lists_post), .body_bytes_max = LIST_BYTES_MAX },
    { "DELETE", "/v3/{domain}/{list}", PROVIDER(lists_delete) },
    { "GET", "/v3/{domain}/{list}/{address}", PROVIDER(lists_get_one) },
    { "DELETE", "/v3/{domain}/{list}/{address}", PROVIDER(lists_delete_one) },
    { "GET", "/sim/messages", ASIDE(ask_messages) },
    { "GET", "/sim/truth", ASIDE(ask_truth) },
    { "GET", "/sim/requests", ASIDE(ask_requests) },
    { "POST", "/sim/events", ASIDE(ask_event), .body_bytes_max = SIM_BYTES_MAX },
    { "POST", "/sim/clock", ASIDE(ask_clock), .body_bytes_max = SIM_BYTES_MAX },
    { "GET", "/sim/faults", ASIDE(faults_get) },
    { "POST", "/sim/faults", ASIDE(faults_post), .body_bytes_max = SIM_BYTES_MAX },
    { "DELETE", "/sim/faults", ASIDE(faults_delete) },
    { "GET", "/sim/webhooks", ASIDE(hooks_get) },
    { "POST", "/sim/webhooks", ASIDE(hooks_post), .body_bytes_max = SIM_BYTES_MAX },
    { "DELETE", "/sim/webhooks", ASIDE(hooks_delete) },
};
const size_t door_route_count = sizeof door_routes / sizeof *door_routes;
