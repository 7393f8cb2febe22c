/*
 * api_links_bulk.c - POST /v1/links: codes for one link or for a hundred thousand (intake.h).
 *
 * With an Idempotency-Key the code of a line follows from the key, the line's
 * number and what it holds: a request that was cut off half-way and is sent
 * again finds the links it made and gives them the same codes, whatever its size.
 */
#include <stdio.h>
#include <string.h>

#include "engine/links.h"
#include "serve/api.h"
#include "serve/api_links.h"
#include "serve/intake.h"
#include "serve/idempotency.h"
#include "serve/redirect.h"

#define LINES_MAX    120000 /* of one request: their codes are one answer */
#define DETAIL_BYTES 160

struct link_line {
    int64_t number;
    struct link_put put;
    bool rejected, made;
    char detail[DETAIL_BYTES];
    struct link link;
};

struct links_call {
    struct intake intake;
    struct link_line *chunk;
    uint64_t seed; /* of codes; 0 = random ones */
};

/* --- reading lines ------------------------------------------------------------------ */

static void links_begin(struct intake *intake)
{
    struct links_call *c = (struct links_call *)intake;
    c->chunk = arena_alloc_raw(intake->memory, INTAKE_CHUNK_LINES * sizeof *c->chunk);
}

static enum err link_read(struct op *op, struct str text, struct link_line *line, struct json_problems *problems)
{
    struct str url;
    TRY(json_read_body(op, text, link_fields, LINK_FIELDS, &line->put, NULL, problems));
    TRY(link_check(op, &line->put, &url));
    line->put.url = url;
    return OK;
}

static enum err links_line(struct intake *intake, const struct json_line *text)
{
    struct links_call *c = (struct links_call *)intake;
    struct link_line *line = &c->chunk[intake->count];
    struct op op;
    if (text->number > LINES_MAX)
        return fail(&intake->call.post.op, ERR_TOO_LARGE, "at most %d links in one request", LINES_MAX);
    op_init(&op, intake->memory, 0);
    *line = (struct link_line){ .number = text->number };
    enum err err = text->too_long ? fail(&op, ERR_TOO_LARGE, "the line is longer than 64 KiB")
                                  : link_read(&op, text->text, line, NULL);
    if (err == OK)
        return OK;
    line->put.url = (struct str){ 0 };
    line->rejected = true;
    snprintf(line->detail, sizeof line->detail, "%.*s", DETAIL_BYTES - 1, op.error);
    return OK;
}

static enum err links_object(struct intake *intake, struct str text)
{
    struct links_call *c = (struct links_call *)intake;
    intake->call.status = 201;
    c->chunk[0] = (struct link_line){ .number = 1 };
    return link_read(&intake->call.post.op, text, &c->chunk[0], &intake->call.problems);
}

/* --- a chunk in the writer -------------------------------------------------------- */

static enum err line_store(struct op *op, struct tx *tx, struct links_call *c, struct link_line *line)
{
    uint64_t seed = c->seed ? c->seed + (uint64_t)line->number : 0;
    enum err err = link_make(op, tx, &line->put, call_tenant(&c->intake.call), seed, &line->link, &line->made);
    if (c->intake.is_object || (err != ERR_INVALID && err != ERR_FORBIDDEN))
        return err;
    line->rejected = true;
    snprintf(line->detail, sizeof line->detail, "%.*s", DETAIL_BYTES - 1, op->error);
    op->error[0] = op->pointer[0] = '\0';
    return OK;
}

static enum err links_store(struct op *op, struct tx *tx, struct intake *intake)
{
    struct links_call *c = (struct links_call *)intake;
    for (size_t i = 0; i < intake->count; i++) {
        struct link_line *line = &c->chunk[i];
        if (!str_given(line->put.url))
            continue; /* it did not parse */
        line->rejected = false;
        TRY(line_store(op, tx, c, line));
    }
    return OK;
}

/* --- the answer --------------------------------------------------------------------- */

static void line_answer(struct links_call *c, const struct link_line *line)
{
    struct intake *intake = &c->intake;
    struct json_writer *w = &intake->call.json;
    const struct api *api = intake->call.api;
    if (line->rejected) {
        intake_reject(intake, line->number, line->detail);
        return;
    }
    if (api->redirect)
        redirect_learn(api->redirect, &line->link);
    intake->accepted += line->made;
    intake->duplicates += !line->made;
    json_object_begin(w);
    if (intake->is_object) {
        link_render(w, intake->call.post.op.arena, api, &line->link, line->put.tenant, line->put.mailing);
    } else {
        json_member_int(w, "line", line->number);
        json_member_str(w, "code", line->link.code);
        json_member_str(w, "short_url", link_short_url(intake->memory, api, line->link.code));
    }
    json_object_end(w);
}

static enum err links_stored(struct intake *intake)
{
    struct links_call *c = (struct links_call *)intake;
    for (size_t i = 0; i < intake->count; i++)
        line_answer(c, &c->chunk[i]);
    if (intake->call.answer.full)
        return fail(&intake->call.post.op, ERR_TOO_LARGE, "the answer would be too large: send fewer links at once");
    return OK;
}

void link_post_request(struct http_request *request)
{
    static const struct intake_kind kind = {
        .chunk_bytes_max = 128u * 1024 * 1024,
        .items = "items",
        .must_be = "an object, an array, or NDJSON (application/x-ndjson)",
        .begin = links_begin,
        .line = links_line,
        .object = links_object,
        .store = links_store,
        .stored = links_stored,
    };
    struct links_call *c = intake_new(request, &kind, sizeof *c);
    if (!c)
        return;
    if (c->intake.call.idempotency) {
        memcpy(&c->seed, c->intake.call.idempotency->key, sizeof c->seed);
        c->seed |= 1;
    }
    intake_start(&c->intake);
}
