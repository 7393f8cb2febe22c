/*
 * simulate_faults.c - faults on demand: answers held back, refused, cut off or filled with garbage.
 */
#include "serve/simulate_door.h"

#include "base/instant.h"
#include "base/json_fields.h"

#include <stdlib.h>
#include <string.h>

#define HOLD_MS_MAX     600000 /* a request that is never answered is, after ten minutes */
#define TOO_LARGE_BYTES ((size_t)9 << 20)

static const char *const names[FAULT_KINDS] = {
    [FAULT_NONE] = "none",
    [FAULT_STATUS] = "status",
    [FAULT_TIMEOUT] = "timeout",
    [FAULT_DELAY] = "delay",
    [FAULT_GARBAGE] = "garbage",
    [FAULT_CUT] = "cut",
    [FAULT_BROKEN] = "broken",
    [FAULT_NO_ITEMS] = "no_items",
    [FAULT_TOO_LARGE] = "too_large",
    [FAULT_OTHER_HOST] = "other_host",
    [FAULT_REPEAT_TOKEN] = "repeat_token",
    [FAULT_MALFORMED_PAGE] = "malformed_page",
    [FAULT_NULL_HEADERS] = "null_headers",
    [FAULT_EXPIRED_TOKEN] = "expired_token",
    [FAULT_POISON] = "poison",
};

/* ------------------------------------------------------------------------------------------ which one hits */

static bool fault_fits(const struct fault *fault, const struct http_request *request, bool is_page)
{
    struct str match = str_of(fault->match);
    if (fault->count == 0 || fault->kind == FAULT_POISON)
        return false; /* poison waits for its item */
    if (!is_page && fault->kind >= FAULT_CUT)
        return false;
    if (fault->kind == FAULT_EXPIRED_TOKEN && !str_given(request->params[1]))
        return false;
    return match.n == 0 || str_search(request->target, match) < request->target.n ||
           str_search(request->body, match) < request->body.n;
}

static void use_up(struct faults *faults, size_t at)
{
    if (faults->list[at].count > 0 && --faults->list[at].count == 0) {
        faults->count--;
        memmove(&faults->list[at], &faults->list[at + 1], (faults->count - at) * sizeof faults->list[0]);
    }
}

struct fault fault_take(struct stand_in *stand_in, const struct http_request *request, bool is_page)
{
    struct faults *faults = &stand_in->faults;
    for (size_t i = 0; i < faults->count; i++) {
        struct fault fault = faults->list[i];
        if (!fault_fits(&fault, request, is_page))
            continue;
        use_up(faults, i);
        return fault;
    }
    return (struct fault){ .kind = FAULT_NONE };
}

/* True when the page holds the item that poisons it. */
static bool is_poisoned(struct stand_in *stand_in, size_t events)
{
    struct faults *faults = &stand_in->faults;
    for (size_t f = 0; f < faults->count; f++) {
        if (faults->list[f].kind != FAULT_POISON)
            continue;
        for (size_t i = 0; i < events; i++)
            if (stand_in->page[i].at_us / 1000 == faults->list[f].at_us / 1000) {
                use_up(faults, f);
                return true;
            }
    }
    return false;
}

/* -------------------------------------------------------------------------------------------- what it does */

static void held_unlink(struct held *held)
{
    if (held->next)
        held->next->before = held->before;
    *(held->before ? &held->before->next : &held->stand_in->held) = held->next;
}

static void held_end(struct held *held)
{
    struct stand_in *stand_in = held->stand_in;
    struct http_request *request = held->request;
    void (*then)(struct stand_in *, struct http_request *) = held->then;
    held_unlink(held);
    free(held);
    if (then)
        then(stand_in, request);
    else
        door_message(request, 504, "held back for as long as it goes");
}

static void held_run(struct timer *timer)
{
    held_end((struct held *)(void *)timer); /* the timer is its first member */
}

void fault_hold(struct stand_in *stand_in, struct http_request *request, int64_t delay_ms,
                void (*then)(struct stand_in *stand_in, struct http_request *request))
{
    struct held *held = calloc(1, sizeof *held);
    if (!held) {
        door_message(request, 503, "out of memory");
        return;
    }
    held->stand_in = stand_in;
    held->request = request;
    held->then = then;
    held->timer.run = held_run;
    held->next = stand_in->held;
    if (held->next)
        held->next->before = held;
    stand_in->held = held;
    loop_timer_set(stand_in->loop, &held->timer, then ? delay_ms : HOLD_MS_MAX);
}

void fault_release_all(struct stand_in *stand_in)
{
    struct held *held = stand_in->held;
    stand_in->held = NULL;
    while (held) {
        struct held *next = held->next;
        loop_timer_clear(stand_in->loop, &held->timer);
        door_message(held->request, 503, "shutting down");
        free(held);
        held = next;
    }
}

bool fault_write_items(struct stand_in *stand_in, uint32_t types, int64_t at_us, struct buf *buf, size_t *ret_items)
{
    static const char *const malformed[] = { "{}", "null", "{\"event\":\"opened\"}",
                                             "17", "[]",   "{\"event\":\"clicked\",\"timestamp\":\"abc\"}" };
    const struct fault *fault = &stand_in->fault;
    if (fault->kind != FAULT_MALFORMED_PAGE && fault->kind != FAULT_NULL_HEADERS)
        return false;
    char time[INSTANT_TEXT_BYTES], stamp[INSTANT_TEXT_BYTES];
    enum sim_type type = types ? (enum sim_type)__builtin_ctz(types) : SIM_OPENED;
    struct str seconds = instant_text_seconds(at_us, 6, time), rfc3339 = instant_text(at_us, 3, stamp);
    for (int64_t i = 0; i < fault->items; i++) {
        if (i)
            buf_add_char(buf, ',');
        if (fault->kind == FAULT_MALFORMED_PAGE)
            buf_add_str(buf, str_of(malformed[i % 6]));
        else
            buf_add_fmt(buf,
                        "{\"event\":\"%.*s\",\"id\":\"null-headers-%d\",\"timestamp\":%.*s,\"@timestamp\":\"%.*s\","
                        "\"message\":{\"headers\":null}}",
                        STR(sim_type_word(type)), (int)i, STR(seconds), STR(rfc3339));
    }
    *ret_items = (size_t)fault->items;
    return true;
}

/* The connection ends in the middle of the body. */
static void send_broken(struct http_request *request, struct str json)
{
    http_stream_begin(request, 200, S("application/json"), NULL, NULL);
    http_stream_write(request, (struct str){ json.p, json.n / 2 });
    http_stream_abort(request);
}

static void send_padded(struct http_request *request, struct str json)
{
    struct buf padded = door_buf(request, TOO_LARGE_BYTES);
    buf_add_str(&padded, json);
    while (padded.n < TOO_LARGE_BYTES && !padded.full)
        buf_add_str(&padded, S("                                                                "));
    door_reply(request, 200, &padded);
}

void fault_send_page(struct stand_in *stand_in, struct http_request *request, const struct buf *json, size_t events)
{
    enum fault_kind kind = is_poisoned(stand_in, events) ? FAULT_CUT : stand_in->fault.kind;
    struct buf half = *json;
    if (json->full)
        kind = FAULT_NONE; /* door_reply says so */
    if (kind == FAULT_BROKEN) {
        send_broken(request, buf_str(json));
    } else if (kind == FAULT_TOO_LARGE) {
        send_padded(request, buf_str(json));
    } else if (kind == FAULT_NO_ITEMS) {
        http_reply(request, 200, S("application/json"), S("{\"paging\":{}}"));
    } else {
        if (kind == FAULT_CUT)
            half.n /= 2;
        door_reply(request, 200, &half);
    }
}

/* -------------------------------------------------------------------------------------------- /sim/faults */

static void put_faults(const struct faults *faults, struct buf *buf)
{
    struct json_writer w;
    char text[INSTANT_TEXT_BYTES];
    json_write_init(&w, buf);
    json_object_begin(&w);
    json_put_name(&w, "faults");
    json_array_begin(&w);
    for (size_t i = 0; i < faults->count; i++) {
        const struct fault *fault = &faults->list[i];
        json_object_begin(&w);
        json_put_name(&w, "status");
        if (fault->kind == FAULT_STATUS)
            json_put_int(&w, fault->status);
        else
            json_put_str(&w, str_of(names[fault->kind]));
        json_put_name(&w, "count");
        if (fault->count < 0)
            json_put_null(&w);
        else
            json_put_int(&w, fault->count);
        if (fault->match[0])
            json_member_str(&w, "match", str_of(fault->match));
        if (fault->kind == FAULT_POISON)
            json_member_str(&w, "at", instant_text(fault->at_us, 6, text));
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
}

void faults_get(struct stand_in *stand_in, struct http_request *request)
{
    struct buf buf = door_buf(request, 4096);
    put_faults(&stand_in->faults, &buf);
    door_reply(request, 200, &buf);
}

void faults_delete(struct stand_in *stand_in, struct http_request *request)
{
    stand_in->faults.count = 0;
    http_reply(request, 204, S(""), S(""));
}

/* What a client writes; the same words come back from GET. */
struct wanted {
    struct str status; /* raw: a number or a name */
    struct str match, host, at;
    int64_t count, retry_after, reset_ms, delay_ms, items;
};

enum { F_STATUS, F_COUNT, F_RETRY_AFTER, F_RESET_MS, F_DELAY_MS, F_ITEMS, F_MATCH, F_HOST, F_AT, F_FIELDS };
static const struct json_field fields[F_FIELDS] = {
    [F_STATUS] = { "status", JSON_FIELD_RAW, offsetof(struct wanted, status), 32, JSON_REQUIRED },
    [F_COUNT] = { "count", JSON_FIELD_INT, offsetof(struct wanted, count), 1000000000, JSON_NULLABLE, 1 },
    [F_RETRY_AFTER] = { "retry_after", JSON_FIELD_INT, offsetof(struct wanted, retry_after), 86400 },
    [F_RESET_MS] = { "reset_ms", JSON_FIELD_INT, offsetof(struct wanted, reset_ms), INT64_MAX },
    [F_DELAY_MS] = { "delay_ms", JSON_FIELD_INT, offsetof(struct wanted, delay_ms), HOLD_MS_MAX },
    [F_ITEMS] = { "items", JSON_FIELD_INT, offsetof(struct wanted, items), STAND_IN_PAGE_MAX, 0, 1 },
    [F_MATCH] = { "match", JSON_FIELD_STR, offsetof(struct wanted, match), 63 },
    [F_HOST] = { "host", JSON_FIELD_STR, offsetof(struct wanted, host), 127 },
    [F_AT] = { "at", JSON_FIELD_STR, offsetof(struct wanted, at), 40 },
};

static enum fault_kind kind_of(struct str raw, int *ret_status)
{
    int64_t status = 0;
    if (str_to_int(raw, 200, 599, &status)) {
        *ret_status = (int)status;
        return FAULT_STATUS;
    }
    for (int kind = FAULT_TIMEOUT; kind < FAULT_KINDS && raw.n > 2; kind++)
        if (str_eq((struct str){ raw.p + 1, raw.n - 2 }, str_of(names[kind])))
            return (enum fault_kind)kind;
    return FAULT_NONE;
}

static enum err read_fault(struct op *op, struct json *j, struct fault *ret)
{
    struct wanted wanted = { .count = -1, .items = STAND_IN_PAGE_MAX, .host = S("http://other-host.sim.example") };
    struct json_problems problems = { 0 };
    TRY(json_fields(op, j, "", fields, F_FIELDS, &wanted, NULL, &problems));
    *ret = (struct fault){ .count = wanted.count,
                           .retry_after_s = wanted.retry_after,
                           .reset_ms = wanted.reset_ms,
                           .delay_ms = wanted.delay_ms,
                           .items = wanted.items };
    ret->kind = kind_of(wanted.status, &ret->status);
    if (ret->kind == FAULT_NONE)
        return fail_at(op, ERR_INVALID, "/status", "a status is 200..599 or one of the names of docs/simulator.md");
    if (ret->kind == FAULT_POISON && !instant_parse(wanted.at, &ret->at_us))
        return fail_at(op, ERR_INVALID, "/at", "poison needs the instant of its item");
    if (wanted.match.n)
        memcpy(ret->match, wanted.match.p, wanted.match.n);
    memcpy(ret->host, wanted.host.p, wanted.host.n);
    return OK;
}

static enum err add_fault(struct op *op, struct stand_in *stand_in, struct json *j)
{
    struct fault fault;
    TRY(read_fault(op, j, &fault));
    if (stand_in->faults.count == FAULTS_MAX)
        return fail(op, ERR_INVALID, "at most %d faults at once", FAULTS_MAX);
    stand_in->faults.list[stand_in->faults.count++] = fault;
    return OK;
}

void faults_post(struct stand_in *stand_in, struct http_request *request)
{
    struct json j;
    enum err err = OK;
    json_init(&j, request->op.arena, request->body, JSON_STRICT);
    if (json_type(&j) == JSON_ARRAY && json_enter_array(&j)) {
        while (err == OK && json_next_item(&j))
            err = add_fault(&request->op, stand_in, &j);
    } else {
        err = add_fault(&request->op, stand_in, &j);
    }
    if (err == OK)
        err = json_finish(&j, &request->op);
    if (err == OK)
        faults_get(stand_in, request);
    else
        http_fail(request, err);
}
