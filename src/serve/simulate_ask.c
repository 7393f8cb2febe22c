/*
 * simulate_ask.c - /sim/: the recipients to import, the truth to compare with, the clock, and what was asked of the
 * stand-in.
 */
#include "serve/simulate_door.h"

#include "base/duration.h"
#include "base/instant.h"
#include "base/json_fields.h"

#include <string.h>

/*
 * What no provider offers: /sim/messages, /sim/truth, /sim/requests, /sim/events, /sim/clock.
 */
#define BLOCK_BYTES 65536

/* ------------------------------------------------------------------------------------------ /sim/messages */

struct stream {
    struct stand_in *stand_in;
    uint32_t next, end;
    struct buf block;
};

/* Writes lines until the client has enough for now. */
static void stream_go_on(struct http_request *request)
{
    struct stream *stream = request->data;
    bool wants_more = true;
    while (wants_more && stream->next < stream->end) {
        buf_reset(&stream->block);
        while (stream->next < stream->end && stream->block.n < BLOCK_BYTES - 2048)
            sim_render_message(stream->stand_in->sim, stream->next++, &stream->block);
        wants_more = http_stream_write(request, buf_str(&stream->block));
    }
    if (stream->next == stream->end)
        http_stream_end(request);
}

static void stream_gone(struct http_request *request)
{
    struct stream *stream = request->data;
    stream->next = stream->end;
    http_stream_end(request);
}

void ask_messages(struct stand_in *stand_in, struct http_request *request)
{
    uint32_t recipients = sim_recipients(stand_in->sim);
    int64_t from = 0, limit = recipients;
    struct str from_text = http_query(request, S("from")), limit_text = http_query(request, S("limit"));
    if ((str_given(from_text) && !str_to_int(from_text, 0, recipients, &from)) ||
        (str_given(limit_text) && !str_to_int(limit_text, 0, SIM_RECIPIENTS_MAX, &limit))) {
        door_message(request, 400, "from and limit are numbers of recipients");
        return;
    }
    struct stream *stream = arena_alloc(request->op.arena, sizeof *stream);
    if (!stream) {
        door_message(request, 500, "out of memory");
        return;
    }
    stream->stand_in = stand_in;
    stream->next = (uint32_t)from;
    stream->end = from + limit < recipients ? (uint32_t)(from + limit) : recipients;
    buf_init_arena(&stream->block, request->op.arena, 4 * BLOCK_BYTES);
    request->data = stream;
    http_stream_begin(request, 200, S("application/x-ndjson"), stream_go_on, stream_gone);
    stream_go_on(request);
}

/* -------------------------------------------------------------------------------- /sim/truth, /sim/clock */

void ask_truth(struct stand_in *stand_in, struct http_request *request)
{
    struct sim_truth truth;
    struct buf buf = door_buf(request, 16384);
    sim_truth(stand_in->sim, &truth);
    sim_truth_json(stand_in->sim, &truth, &buf);
    door_reply(request, 200, &buf);
}

struct wanted {
    struct str advance;
};

static const struct json_field fields[] = {
    { "advance", JSON_FIELD_STR, offsetof(struct wanted, advance), 32, JSON_REQUIRED, 1 },
};

void ask_clock(struct stand_in *stand_in, struct http_request *request)
{
    struct wanted wanted = { 0 };
    int64_t ms = 0;
    enum err err = json_read_body(&request->op, request->body, fields, 1, &wanted, NULL, NULL);
    if (err == OK && !duration_parse(wanted.advance, &ms))
        err = fail_at(&request->op, ERR_INVALID, "/advance", "a duration like \"90s\" or \"1h\"");
    if (err != OK) {
        http_fail(request, err);
        return;
    }
    char text[INSTANT_TEXT_BYTES];
    stand_in->ahead_us += ms * 1000;
    struct buf buf = door_buf(request, 256);
    buf_add_fmt(&buf, "{\"now\":\"%.*s\"}", STR(instant_text(stand_in_now_us(stand_in), 6, text)));
    door_reply(request, 200, &buf);
}

/* -------------------------------------------------------------------------------------------- /sim/events */

struct issue {
    struct str event, at, visible_in, severity;
    int64_t recipient;
};

enum { I_EVENT, I_RECIPIENT, I_AT, I_VISIBLE_IN, I_SEVERITY, I_FIELDS };
static const struct json_field issue_fields[I_FIELDS] = {
    [I_EVENT] = { "event", JSON_FIELD_STR, offsetof(struct issue, event), 32, JSON_REQUIRED, 1 },
    [I_RECIPIENT] = { "recipient", JSON_FIELD_INT, offsetof(struct issue, recipient), SIM_RECIPIENTS_MAX,
                      JSON_REQUIRED },
    [I_AT] = { "at", JSON_FIELD_STR, offsetof(struct issue, at), INSTANT_TEXT_BYTES },
    [I_VISIBLE_IN] = { "visible_in", JSON_FIELD_STR, offsetof(struct issue, visible_in), 32 },
    [I_SEVERITY] = { "severity", JSON_FIELD_STR, offsetof(struct issue, severity), 16 },
};

static enum err read_issue(struct op *op, struct stand_in *stand_in, struct str body)
{
    struct issue issue = { .visible_in = S("0s"), .severity = S("permanent") };
    int64_t now_us = stand_in_now_us(stand_in), at_us = now_us, wait_ms = 0;
    TRY(json_read_body(op, body, issue_fields, I_FIELDS, &issue, NULL, NULL));
    uint32_t types = door_types(issue.event);
    if (types == 0)
        return fail_at(op, ERR_INVALID, "/event", "an event of the provider, like \"complained\"");
    if (str_given(issue.at) && !instant_parse(issue.at, &at_us))
        return fail_at(op, ERR_INVALID, "/at", "an instant like \"2026-11-21T19:00:00Z\"");
    if (!duration_parse(issue.visible_in, &wait_ms))
        return fail_at(op, ERR_INVALID, "/visible_in", "a duration like \"5s\"");
    enum sim_type type = (enum sim_type)__builtin_ctz(types);
    if (type == SIM_DELAYED && str_eq(issue.severity, S("permanent")))
        type = SIM_FAILED; /* two types behind one word */
    return sim_issue(op, stand_in->sim, (uint32_t)issue.recipient, type, at_us, now_us + wait_ms * 1000);
}

void ask_event(struct stand_in *stand_in, struct http_request *request)
{
    enum err err = read_issue(&request->op, stand_in, request->body);
    if (err == OK)
        http_reply(request, 204, S(""), S(""));
    else
        http_fail(request, err);
}

/* ------------------------------------------------------------------------------------------ /sim/requests */

static void put_asked(struct json_writer *w, uint64_t n, const struct asked *asked)
{
    char text[INSTANT_TEXT_BYTES];
    json_object_begin(w);
    json_member_int(w, "n", (int64_t)n);
    json_member_str(w, "at", instant_text(asked->at_us, 6, text));
    json_member_str(w, "method", str_of(asked->method));
    json_member_str(w, "target", str_of(asked->text));
    json_put_name(w, "status");
    if (asked->status)
        json_put_int(w, asked->status);
    else
        json_put_null(w);
    json_put_name(w, "items");
    if (asked->items >= 0)
        json_put_int(w, asked->items);
    else
        json_put_null(w);
    json_object_end(w);
}

void ask_requests(struct stand_in *stand_in, struct http_request *request)
{
    struct str after_text = http_query(request, S("after"));
    int64_t after = 0;
    if (str_given(after_text) && !str_to_int(after_text, 0, INT64_MAX, &after)) {
        door_message(request, 400, "after is the number of a request");
        return;
    }
    uint64_t oldest = stand_in->asked_count > ASKED_MAX ? stand_in->asked_count - ASKED_MAX + 1 : 1;
    uint64_t n = (uint64_t)after + 1 > oldest ? (uint64_t)after + 1 : oldest;
    struct buf buf = door_buf(request, 65536);
    struct json_writer w;
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_int(&w, "count", (int64_t)stand_in->asked_count);
    json_put_name(&w, "items");
    json_array_begin(&w);
    for (; n <= stand_in->asked_count; n++)
        put_asked(&w, n, &stand_in->asked[(n - 1) % ASKED_MAX]);
    json_array_end(&w);
    json_object_end(&w);
    door_reply(request, 200, &buf);
}
