/*
 * api_import.c - recipients by the thousand, from a body of any size.
 *
 *     pieces of the body -> lines -> a chunk of 1,000 -> writer -> next chunk ... -> one answer
 *
 * While a chunk is with the writer the body is held back, so an import costs
 * the memory of one chunk whatever its size. NDJSON is cut as it arrives; a
 * JSON array is read whole, up to IMPORT_ARRAY_BYTES_MAX.
 */
#include <stdlib.h>
#include <string.h>

#include "engine/import.h"
#include "serve/api_ledger.h"
#include "serve/idempotency.h"

#define IMPORT_ARRAY_BYTES_MAX  (16u * 1024 * 1024)
#define IMPORT_REJECTED_MAX     1000                /* named in the answer; all are counted */
#define IMPORT_PIECE_BYTES_MAX  (256u * 1024)       /* unread body kept before it is held back */
#define IMPORT_UNREAD_BYTES_MAX (8u * 1024 * 1024)  /* never reached: pieces are small and held back before */
#define IMPORT_ARENA_BYTES      (96u * 1024 * 1024) /* 1,000 lines of 64 KiB and what they become */

struct rejected_line {
    int64_t number;
    char detail[IMPORT_DETAIL_BYTES];
};

struct import_call {
    struct call call; /* the post goes out once a chunk */
    enum import_kind kind;
    bool is_array;
    struct buf unread; /* bytes not yet cut into lines */
    struct json_lines lines;
    struct arena *memory; /* of the chunk under way */
    struct import_chunk chunk;
    bool under_way, complete, paused, tried;
    enum err broken;   /* the body cannot be read on */
    struct json items; /* of an array, where the last chunk ended */
    bool entered, used_up;
    int64_t accepted, duplicates, rejected;
    struct rejected_line *named;
    size_t named_count, named_room;
};

static enum err import_commit(struct post *post)
{
    struct import_call *c = (struct import_call *)post;
    return import_apply(&post->op, post->tx, &c->chunk);
}

static void import_continue(struct import_call *c);
static enum err import_back(struct post *post);

static const struct hop import_route[] = { { import_commit, THREAD_WRITER }, { import_back, THREAD_CALLER }, { 0 } };

static void import_free(struct import_call *c)
{
    buf_done(&c->unread);
    arena_free(c->memory);
    free(c->named);
}

static void name_rejected(struct import_call *c, const struct import_line *line)
{
    if (c->named_count == IMPORT_REJECTED_MAX)
        return;
    if (c->named_count == c->named_room) {
        size_t room = c->named_room ? 2 * c->named_room : 16;
        struct rejected_line *wider = realloc(c->named, room * sizeof *wider);
        if (!wider)
            return;
        c->named = wider;
        c->named_room = room;
    }
    struct rejected_line *named = &c->named[c->named_count++];
    named->number = line->number;
    memcpy(named->detail, line->detail, sizeof named->detail);
}

static void import_answer(struct import_call *c)
{
    struct json_writer *w = &c->call.json;
    json_object_begin(w);
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

static enum err import_remember(struct post *post)
{
    return idempotency_store(&post->op, post->tx, call_of(post));
}

static const struct hop remember_route[] = { { import_remember, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };

static void import_end(struct import_call *c, enum err err)
{
    bool replayed = c->call.idempotency && c->call.idempotency->replayed;
    if (err == OK && !replayed)
        import_answer(c);
    import_free(c);
    if (err == OK && c->call.idempotency && !replayed)
        call_send(&c->call, remember_route);
    else
        call_end(&c->call, err);
}

static enum err import_back(struct post *post)
{
    struct import_call *c = (struct import_call *)post;
    c->under_way = false;
    post->op.arena = c->call.request->op.arena;
    if (post->err == OK && c->broken != OK)
        post->op = c->call.request->op; /* which says why */
    if (post->err != OK || c->broken != OK) {
        import_end(c, post->err != OK ? post->err : c->broken);
        return OK;
    }
    c->accepted += c->chunk.accepted;
    c->duplicates += c->chunk.duplicates;
    c->rejected += c->chunk.rejected;
    for (size_t i = 0; i < c->chunk.count; i++)
        if (c->chunk.lines[i].rejected || c->chunk.lines[i].refused)
            name_rejected(c, &c->chunk.lines[i]);
    import_continue(c);
    return OK;
}

/* The op of a chunk works in the chunk's own memory; the clock is asked anew, since an import may take minutes. */
static void chunk_send(struct import_call *c)
{
    c->under_way = true;
    c->call.post.op.arena = c->memory;
    c->call.post.op.now_us = loop_wall_us(c->call.request->loop);
    call_send(&c->call, import_route);
}

static void chunk_begin(struct import_call *c)
{
    arena_reset(c->memory);
    c->chunk =
        (struct import_chunk){ .kind = c->kind,
                               .mailing = c->kind == IMPORT_MAILING ? call_param(&c->call, 0) : (struct str){ 0 },
                               .tenant_only = call_tenant(&c->call),
                               .lines = arena_alloc_raw(c->memory, IMPORT_CHUNK_LINES * sizeof(struct import_line)) };
}

/* The line's text is copied: the buffer of the body moves on while the chunk is with the writer. */
static bool chunk_add(struct import_call *c, struct json_line line)
{
    struct op op = c->call.post.op;
    op.arena = c->memory;
    line.text = arena_str(c->memory, line.text);
    import_line_parse(&op, c->kind, &line, &c->chunk.lines[c->chunk.count++]);
    return c->chunk.count == IMPORT_CHUNK_LINES;
}

/* Cuts what has come into lines until a chunk is full. */
static void chunk_fill_lines(struct import_call *c)
{
    struct json_line line;
    json_lines_feed(&c->lines, buf_str(&c->unread), c->complete);
    while (json_line_next(&c->lines, &line))
        if (chunk_add(c, line))
            break;
    buf_drop(&c->unread, c->unread.n - c->lines.rest.n);
}

/* An array is there as a whole: its items are lines numbered by place. */
static void chunk_fill_array(struct import_call *c)
{
    bool full = false;
    while (!full && !c->used_up) {
        c->used_up = !json_next_item(&c->items);
        if (c->used_up)
            return;
        struct json_line line = { .number = ++c->lines.number };
        if (!json_raw(&c->items, &line.text))
            return;
        line.too_long = line.text.n > JSON_LINE_BYTES_MAX;
        full = chunk_add(c, line);
    }
}

static void import_pause(struct import_call *c, bool pause)
{
    if (pause == c->paused || c->complete)
        return;
    c->paused = pause;
    if (pause)
        http_body_pause(c->call.request);
    else
        http_body_resume(c->call.request);
}

/* The whole array is checked before its first line counts: a body that is no JSON changes nothing. */
static enum err array_begin(struct import_call *c)
{
    struct op *op = &c->call.post.op;
    struct json check;
    json_init(&check, op->arena, buf_str(&c->unread), JSON_STRICT);
    json_skip(&check);
    TRY(json_finish(&check, op));
    json_init(&c->items, op->arena, buf_str(&c->unread), JSON_STRICT);
    if (!json_enter_array(&c->items))
        return fail(op, ERR_INVALID, "the body must be NDJSON (application/x-ndjson) or a JSON array");
    c->entered = true;
    return OK;
}

static enum err chunk_fill(struct import_call *c)
{
    chunk_begin(c);
    if (!c->is_array) {
        chunk_fill_lines(c);
        return OK;
    }
    if (!c->entered)
        TRY(array_begin(c));
    chunk_fill_array(c);
    return OK;
}

/* There is an answer already: the body is only read to see that it is the same. */
static void import_replay(struct import_call *c)
{
    buf_reset(&c->unread);
    import_pause(c, false);
    if (c->complete)
        import_end(c, idempotency_compare(&c->call.post.op, &c->call));
}

/* The next chunk, as soon as one is full or nothing more will come. The first one goes out even when it is empty, so
 * that an unknown mailing is 404 whatever the body holds. */
static void import_continue(struct import_call *c)
{
    if (c->under_way || (c->is_array && !c->complete))
        return;
    if (c->call.idempotency && c->call.idempotency->replayed) {
        import_replay(c);
        return;
    }
    enum err err = chunk_fill(c);
    bool last = c->complete && c->chunk.count < IMPORT_CHUNK_LINES;
    if (err != OK || (last && c->chunk.count == 0 && c->tried)) {
        import_end(c, err);
    } else if (c->chunk.count > 0 || last) {
        c->tried = true;
        chunk_send(c);
        import_pause(c, c->unread.n > IMPORT_PIECE_BYTES_MAX);
    } else {
        import_pause(c, false);
    }
}

/* The body cannot be read on; a chunk that is with the writer is waited for. */
static void import_broken(struct import_call *c, enum err err)
{
    c->broken = err;
    if (c->under_way)
        return;
    c->call.post.op = c->call.request->op;
    import_end(c, err);
}

static void import_take(struct http_request *request, struct str piece, enum http_body state)
{
    struct import_call *c = request->data;
    if (state == HTTP_BODY_BROKEN) {
        import_broken(c, request->body_err);
        return;
    }
    c->complete = state == HTTP_BODY_END;
    buf_add_str(&c->unread, piece);
    if (c->call.idempotency)
        idempotency_body(c->call.idempotency, piece);
    if (c->unread.full) {
        import_broken(c, fail(&request->op, ERR_TOO_LARGE, "a JSON array may have %u bytes; send NDJSON for more",
                              IMPORT_ARRAY_BYTES_MAX));
        return;
    }
    if (c->under_way)
        import_pause(c, c->unread.n > IMPORT_PIECE_BYTES_MAX);
    else
        import_continue(c);
}

static enum err import_ask(struct post *post)
{
    bool found;
    return idempotency_ask(&post->op, post->tx, call_of(post), &found);
}

static enum err import_asked(struct post *post)
{
    struct import_call *c = (struct import_call *)post;
    c->under_way = false;
    if (post->err != OK)
        import_end(c, post->err);
    else if (c->broken != OK)
        import_broken(c, c->broken);
    else
        import_continue(c);
    return OK;
}

static const struct hop ask_route[] = { { import_ask, THREAD_READER }, { import_asked, THREAD_CALLER }, { 0 } };

static void import_start(struct http_request *request, enum import_kind kind)
{
    struct import_call *c = call_new(request, sizeof *c);
    if (!c || !idempotency_begin(&c->call))
        return;
    struct str type = http_header(request, S("Content-Type"));
    c->kind = kind;
    c->is_array = !str_starts(type, S("application/x-ndjson"));
    c->memory = arena_new(IMPORT_ARENA_BYTES);
    buf_init(&c->unread, c->is_array ? IMPORT_ARRAY_BYTES_MAX : IMPORT_UNREAD_BYTES_MAX);
    json_lines_init(&c->lines);
    request->data = c;
    http_body_take(request, import_take);
    if (c->call.idempotency) {
        c->under_way = true;
        call_send(&c->call, ask_route);
    }
}

void mailing_import(struct http_request *request)
{
    import_start(request, IMPORT_MAILING);
}

void message_import(struct http_request *request)
{
    import_start(request, IMPORT_MESSAGES);
}
