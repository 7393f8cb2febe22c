/*
 * api_links_bulk.c - POST /v1/links: codes for one link or for a hundred thousand.
 *
 *     pieces of the body -> lines -> a chunk of 1,000 -> writer -> next chunk ... -> one answer
 *
 * While a chunk is with the writer the body is held back. With an
 * Idempotency-Key the code of a line follows from the key, the line's number
 * and what it holds: a request that was cut off half-way and is sent again
 * finds the links it made and gives them the same codes, whatever its size.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/json_lines.h"
#include "engine/links.h"
#include "serve/api.h"
#include "serve/api_links.h"
#include "serve/idempotency.h"
#include "serve/redirect.h"

#define CHUNK_LINES      1000
#define LINES_MAX        120000 /* of one request: their codes are one answer */
#define WHOLE_BYTES_MAX  (16u << 20)
#define PIECE_BYTES_MAX  (256u << 10) /* unread body kept before it is held back */
#define UNREAD_BYTES_MAX (8u << 20)   /* never reached: pieces are small */
#define CHUNK_BYTES_MAX  (128u << 20)
#define REJECTED_MAX     1000
#define DETAIL_BYTES     160

struct bulk_line {
    int64_t number;
    struct link_put put;
    bool rejected, made;
    char detail[DETAIL_BYTES];
    struct link link;
};

struct rejected {
    int64_t number;
    char detail[DETAIL_BYTES];
};

struct bulk_call {
    struct call call; /* the post goes out once a chunk */
    bool is_whole;    /* one JSON text, not NDJSON */
    bool is_single;   /* and that is one object */
    struct buf unread;
    struct json_lines lines;
    struct json items;
    bool entered, used_up, begun;
    struct arena *memory; /* of the chunk under way */
    struct bulk_line *chunk;
    size_t count;
    bool under_way, complete, paused;
    enum err broken;
    uint64_t seed; /* of codes; 0 = random ones */
    int64_t accepted, duplicates, rejected;
    struct rejected *named;
    size_t named_count;
};

static void bulk_continue(struct bulk_call *c);

/* --- a chunk in the writer -------------------------------------------------------- */

static enum err store_line(struct op *op, struct bulk_call *c, struct bulk_line *line)
{
    uint64_t seed = c->seed ? c->seed + (uint64_t)line->number : 0;
    enum err err = link_make(op, c->call.post.tx, &line->put, call_tenant(&c->call), seed, &line->link, &line->made);
    if (c->is_single || (err != ERR_INVALID && err != ERR_FORBIDDEN))
        return err;
    line->rejected = true;
    snprintf(line->detail, sizeof line->detail, "%.*s", DETAIL_BYTES - 1, op->error);
    op->error[0] = op->pointer[0] = '\0';
    return OK;
}

static enum err bulk_commit(struct post *post)
{
    struct bulk_call *c = (struct bulk_call *)post;
    for (size_t i = 0; i < c->count; i++) {
        struct bulk_line *line = &c->chunk[i];
        if (!str_given(line->put.url))
            continue; /* it did not parse */
        line->rejected = false;
        TRY(store_line(&post->op, c, line));
    }
    return OK;
}

/* --- the answer --------------------------------------------------------------------- */

static void bulk_free(struct bulk_call *c)
{
    buf_done(&c->unread);
    arena_free(c->memory);
    free(c->named);
}

static void answer_end(struct bulk_call *c)
{
    struct json_writer *w = &c->call.json;
    json_array_end(w);
    json_member_int(w, "accepted", c->accepted);
    json_member_int(w, "duplicates", c->duplicates);
    json_put_name(w, "rejected");
    json_array_begin(w);
    for (size_t i = 0; i < c->named_count; i++) {
        json_object_begin(w);
        json_member_int(w, "line", c->named[i].number);
        json_member_str(w, "detail", str_of(c->named[i].detail));
        json_object_end(w);
    }
    json_array_end(w);
    json_member_int(w, "rejected_count", c->rejected);
    json_object_end(w);
}

static enum err remember(struct post *post)
{
    return idempotency_store(&post->op, post->tx, call_of(post));
}

static const struct hop remember_route[] = { { remember, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };

static void bulk_end(struct bulk_call *c, enum err err)
{
    bool replayed = c->call.idempotency && c->call.idempotency->replayed;
    if (err == OK && !replayed && !c->is_single)
        answer_end(c);
    bulk_free(c);
    if (err == OK && c->call.idempotency && !replayed)
        call_send(&c->call, remember_route);
    else
        call_end(&c->call, err);
}

static void name_rejected(struct bulk_call *c, const struct bulk_line *line)
{
    c->rejected++;
    if (c->named_count == REJECTED_MAX)
        return;
    if (!c->named)
        c->named = calloc(REJECTED_MAX, sizeof *c->named);
    if (!c->named)
        abort();
    struct rejected *named = &c->named[c->named_count++];
    named->number = line->number;
    memcpy(named->detail, line->detail, sizeof named->detail);
}

static void answer_line(struct bulk_call *c, const struct bulk_line *line)
{
    struct json_writer *w = &c->call.json;
    struct op *op = &c->call.post.op;
    if (line->rejected) {
        name_rejected(c, line);
        return;
    }
    if (c->call.api->redirect)
        redirect_learn(c->call.api->redirect, &line->link);
    c->accepted += line->made;
    c->duplicates += !line->made;
    json_object_begin(w);
    if (c->is_single) {
        link_render(w, op->arena, c->call.api, &line->link, line->put.tenant, line->put.mailing);
    } else {
        json_member_int(w, "line", line->number);
        json_member_str(w, "code", line->link.code);
        json_member_str(w, "short_url", link_short_url(c->memory, c->call.api, line->link.code));
    }
    json_object_end(w);
}

static enum err bulk_back(struct post *post)
{
    struct bulk_call *c = (struct bulk_call *)post;
    c->under_way = false;
    post->op.arena = c->call.request->op.arena;
    if (post->err == OK && c->broken != OK)
        post->op = c->call.request->op;
    if (post->err != OK || c->broken != OK) {
        bulk_end(c, post->err != OK ? post->err : c->broken);
        return OK;
    }
    for (size_t i = 0; i < c->count; i++)
        answer_line(c, &c->chunk[i]);
    if (c->call.answer.full)
        bulk_end(c, fail(&post->op, ERR_TOO_LARGE, "the answer would be too large: send fewer links at once"));
    else
        bulk_continue(c);
    return OK;
}

static const struct hop bulk_route[] = { { bulk_commit, THREAD_WRITER }, { bulk_back, THREAD_CALLER }, { 0 } };

/* --- reading lines ------------------------------------------------------------------ */

static void chunk_begin(struct bulk_call *c)
{
    arena_reset(c->memory);
    c->count = 0;
    c->chunk = arena_alloc_raw(c->memory, CHUNK_LINES * sizeof *c->chunk);
}

/* False when the chunk is full. The text is copied: the body moves on while the chunk is with the writer. */
static bool chunk_add(struct bulk_call *c, struct json_line text)
{
    struct op op;
    struct bulk_line *line = &c->chunk[c->count++];
    op_init(&op, c->memory, 0);
    *line = (struct bulk_line){ .number = text.number };
    enum err err = text.too_long ? fail(&op, ERR_TOO_LARGE, "the line is longer than 64 KiB") : OK;
    struct str url = { 0 };
    if (err == OK)
        err = json_read_body(&op, arena_str(c->memory, text.text), link_fields, LINK_FIELDS, &line->put, NULL, NULL);
    if (err == OK)
        err = link_check(&op, &line->put, &url);
    line->put.url = url;
    line->rejected = err != OK;
    if (err != OK)
        snprintf(line->detail, sizeof line->detail, "%.*s", DETAIL_BYTES - 1, op.error);
    return c->count < CHUNK_LINES;
}

static void fill_lines(struct bulk_call *c)
{
    struct json_line line;
    json_lines_feed(&c->lines, buf_str(&c->unread), c->complete);
    while (json_line_next(&c->lines, &line) && chunk_add(c, line))
        continue;
    buf_drop(&c->unread, c->unread.n - c->lines.rest.n);
}

static void fill_array(struct bulk_call *c)
{
    while (!c->used_up) {
        struct json_line line = { .number = ++c->lines.number };
        c->used_up = !json_next_item(&c->items);
        if (c->used_up || !json_raw(&c->items, &line.text))
            return;
        line.too_long = line.text.n > JSON_LINE_BYTES_MAX;
        if (!chunk_add(c, line))
            return;
    }
}

static enum err fill_single(struct bulk_call *c)
{
    struct op *op = &c->call.post.op;
    struct bulk_line *line = &c->chunk[0];
    *line = (struct bulk_line){ .number = 1 };
    TRY(json_read_body(op, buf_str(&c->unread), link_fields, LINK_FIELDS, &line->put, NULL, &c->call.problems));
    struct str url = { 0 };
    TRY(link_check(op, &line->put, &url));
    line->put.url = url;
    c->count = 1;
    c->used_up = true;
    return OK;
}

/* The whole text is checked before its first line counts: a body that is no JSON changes nothing. */
static enum err whole_begin(struct bulk_call *c)
{
    struct op *op = &c->call.post.op;
    struct json check;
    struct str text = str_trim(buf_str(&c->unread));
    c->entered = true;
    if (text.n && text.p[0] == '{') {
        c->is_single = true;
        c->call.status = 201;
        return OK;
    }
    json_init(&check, op->arena, text, JSON_STRICT);
    json_skip(&check);
    TRY(json_finish(&check, op));
    json_init(&c->items, op->arena, text, JSON_STRICT);
    if (!json_enter_array(&c->items))
        return fail(op, ERR_INVALID, "the body must be an object, an array, or NDJSON (application/x-ndjson)");
    return OK;
}

static enum err chunk_fill(struct bulk_call *c)
{
    chunk_begin(c);
    if (!c->is_whole) {
        fill_lines(c);
        return OK;
    }
    if (!c->entered)
        TRY(whole_begin(c));
    if (c->is_single && !c->used_up)
        return fill_single(c);
    if (!c->is_single)
        fill_array(c);
    return OK;
}

/* --- the way of the body --------------------------------------------------------------- */

static void bulk_pause(struct bulk_call *c, bool pause)
{
    if (pause == c->paused || c->complete)
        return;
    c->paused = pause;
    if (pause)
        http_body_pause(c->call.request);
    else
        http_body_resume(c->call.request);
}

static void chunk_send(struct bulk_call *c)
{
    if (!c->begun && !c->is_single) {
        json_object_begin(&c->call.json);
        json_put_name(&c->call.json, "items");
        json_array_begin(&c->call.json);
    }
    c->begun = true;
    c->under_way = true;
    c->call.post.op.arena = c->memory;
    c->call.post.op.now_us = loop_wall_us(c->call.request->loop);
    call_send(&c->call, bulk_route);
}

static void bulk_replay(struct bulk_call *c)
{
    buf_reset(&c->unread);
    bulk_pause(c, false);
    if (c->complete)
        bulk_end(c, idempotency_compare(&c->call.post.op, &c->call));
}

static void bulk_continue(struct bulk_call *c)
{
    if (c->under_way || (c->is_whole && !c->complete))
        return;
    if (c->call.idempotency && c->call.idempotency->replayed) {
        bulk_replay(c);
        return;
    }
    enum err err = chunk_fill(c);
    bool last = c->complete && c->count < CHUNK_LINES;
    if (err == OK && c->lines.number > LINES_MAX)
        err = fail(&c->call.post.op, ERR_TOO_LARGE, "at most %d links in one request", LINES_MAX);
    if (err != OK || (last && c->count == 0 && c->begun)) {
        bulk_end(c, err);
    } else if (c->count > 0 || last) {
        chunk_send(c);
        bulk_pause(c, c->unread.n > PIECE_BYTES_MAX);
    } else {
        bulk_pause(c, false);
    }
}

static void bulk_broken(struct bulk_call *c, enum err err)
{
    c->broken = err;
    if (c->under_way)
        return;
    c->call.post.op = c->call.request->op;
    bulk_end(c, err);
}

static void bulk_take(struct http_request *request, struct str piece, enum http_body state)
{
    struct bulk_call *c = request->data;
    if (state == HTTP_BODY_BROKEN) {
        bulk_broken(c, request->body_err);
        return;
    }
    c->complete = state == HTTP_BODY_END;
    buf_add_str(&c->unread, piece);
    if (c->call.idempotency)
        idempotency_body(c->call.idempotency, piece);
    if (c->unread.full) {
        bulk_broken(c, fail(&request->op, ERR_TOO_LARGE, "a JSON text may have %u bytes; send NDJSON for more",
                            WHOLE_BYTES_MAX));
        return;
    }
    if (c->under_way)
        bulk_pause(c, c->unread.n > PIECE_BYTES_MAX);
    else
        bulk_continue(c);
}

static enum err bulk_ask(struct post *post)
{
    bool found;
    return idempotency_ask(&post->op, post->tx, call_of(post), &found);
}

static enum err bulk_asked(struct post *post)
{
    struct bulk_call *c = (struct bulk_call *)post;
    c->under_way = false;
    if (post->err != OK)
        bulk_end(c, post->err);
    else if (c->broken != OK)
        bulk_broken(c, c->broken);
    else
        bulk_continue(c);
    return OK;
}

static const struct hop ask_route[] = { { bulk_ask, THREAD_READER }, { bulk_asked, THREAD_CALLER }, { 0 } };

void link_post_request(struct http_request *request)
{
    struct bulk_call *c = call_new(request, sizeof *c);
    if (!c || !idempotency_begin(&c->call))
        return;
    c->is_whole = !str_starts(http_header(request, S("Content-Type")), S("application/x-ndjson"));
    c->memory = arena_new(CHUNK_BYTES_MAX);
    buf_init(&c->unread, c->is_whole ? WHOLE_BYTES_MAX : UNREAD_BYTES_MAX);
    json_lines_init(&c->lines);
    request->data = c;
    http_body_take(request, bulk_take);
    if (c->call.idempotency) {
        memcpy(&c->seed, c->call.idempotency->key, sizeof c->seed);
        c->seed |= 1;
        c->under_way = true;
        call_send(&c->call, ask_route);
    }
}
