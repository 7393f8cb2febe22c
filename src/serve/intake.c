#include "serve/intake.h"

#include "serve/idempotency.h"

#define PIECE_BYTES_MAX    (256u * 1024) /* unread body kept before it is held back */
#define REJECTED_BYTES_MAX (REJECTED_MAX * (sizeof(struct rejected_line) + OP_ERROR_BYTES_MAX))
#define UNREAD_BYTES_MAX   (8u * 1024 * 1024) /* never reached: pieces are small and held back before */

static void intake_continue(struct intake *intake);

/* --- the answer --- */

void intake_reject(struct intake *intake, int64_t number, const char *detail)
{
    rejected_add(&intake->rejected, number, str_of(detail));
}

static void answer_begin(struct intake *intake)
{
    struct json_writer *w = &intake->call.json;
    json_object_begin(w);
    if (!intake->kind->items)
        return;
    json_put_name(w, intake->kind->items);
    json_array_begin(w);
}

static void answer_end(struct intake *intake)
{
    struct json_writer *w = &intake->call.json;
    if (intake->kind->items)
        json_array_end(w);
    json_member_int(w, "accepted", intake->accepted);
    json_member_int(w, "duplicates", intake->duplicates);
    rejected_write(w, &intake->rejected);
    json_object_end(w);
}

static enum err intake_remember(struct post *post)
{
    return idempotency_store(&post->op, post->tx, call_of(post));
}

static void intake_end(struct intake *intake, enum err err)
{
    static const struct hop remember[] = { { intake_remember, THREAD_WRITER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct call *call = &intake->call;
    bool replayed = call->idempotency && call->idempotency->replayed;
    if (err == OK && !replayed && !intake->is_object)
        answer_end(intake);
    buf_done(&intake->unread);
    arena_free(intake->memory);
    arena_free(intake->rejected.arena);
    if (err == OK && call->idempotency && !replayed)
        call_send(call, remember);
    else
        call_end(call, err);
}

/* --- a chunk and the writer --- */

static enum err chunk_store(struct post *post)
{
    struct intake *intake = (struct intake *)post;
    return intake->kind->store(&post->op, post->tx, intake);
}

static enum err chunk_back(struct post *post)
{
    struct intake *intake = (struct intake *)post;
    intake->under_way = false;
    post->op.arena = intake->call.request->op.arena;
    enum err err = post->err;
    if (err == OK && intake->broken != OK) {
        post->op = intake->call.request->op; /* which says why */
        err = intake->broken;
    }
    if (err == OK)
        err = intake->kind->stored(intake);
    if (err == OK)
        intake_continue(intake);
    else
        intake_end(intake, err);
    return OK;
}

/* The op of a chunk works in the chunk's own memory; the clock is asked anew, since a request may take minutes. */
static void chunk_send(struct intake *intake)
{
    static const struct hop route[] = { { .run = chunk_store, .thread = THREAD_WRITER, .bulk = true },
                                        { chunk_back, THREAD_CALLER },
                                        { 0 } };
    if (!intake->begun && !intake->is_object)
        answer_begin(intake);
    intake->begun = intake->under_way = true;
    intake->call.post.op.arena = intake->memory;
    intake->call.post.op.now_us = loop_wall_us(intake->call.request->loop);
    call_send(&intake->call, route);
}

/* --- filling a chunk --- */

/* The line's text is copied: the body moves on while the chunk is with the writer. */
static enum err chunk_add(struct intake *intake, struct json_line line)
{
    line.text = arena_str(intake->memory, line.text);
    TRY(intake->kind->line(intake, &line));
    intake->count++;
    return OK;
}

/* Cuts what has come into lines. */
static enum err fill_lines(struct intake *intake)
{
    struct json_line line;
    enum err err = OK;
    json_lines_feed(&intake->lines, buf_str(&intake->unread), intake->complete);
    while (err == OK && intake->count < INTAKE_CHUNK_LINES && json_line_next(&intake->lines, &line))
        err = chunk_add(intake, line);
    buf_drop(&intake->unread, intake->unread.n - intake->lines.rest.n);
    return err;
}

/* A text is there as a whole: its items are lines numbered by place. */
static enum err fill_items(struct intake *intake)
{
    while (intake->count < INTAKE_CHUNK_LINES && !intake->used_up) {
        struct json_line line = { .number = intake->lines.number + 1 };
        intake->used_up = !json_next_item(&intake->items) || !json_raw(&intake->items, &line.text);
        if (intake->used_up)
            return OK;
        intake->lines.number++;
        line.too_long = line.text.n > JSON_LINE_BYTES_MAX;
        TRY(chunk_add(intake, line));
    }
    return OK;
}

/* The whole text is checked before its first line counts: a body that is no JSON changes nothing. */
static enum err text_begin(struct intake *intake)
{
    struct op *op = &intake->call.post.op;
    struct json check;
    struct str text = str_trim(buf_str(&intake->unread));
    intake->entered = true;
    if (intake->kind->object && text.n && text.p[0] == '{') {
        intake->is_object = intake->used_up = true;
        TRY(intake->kind->object(intake, text));
        intake->count = 1;
        return OK;
    }
    json_init(&check, op->arena, text, JSON_STRICT);
    json_skip(&check);
    TRY(json_finish(&check, op));
    json_init(&intake->items, op->arena, text, JSON_STRICT);
    if (!json_enter_array(&intake->items))
        return fail(op, ERR_INVALID, "the body must be %s", intake->kind->must_be);
    return OK;
}

static enum err chunk_fill(struct intake *intake)
{
    arena_reset(intake->memory);
    intake->count = 0;
    intake->kind->begin(intake);
    if (!intake->is_text)
        return fill_lines(intake);
    if (!intake->entered)
        TRY(text_begin(intake));
    return fill_items(intake);
}

/* --- the way of the body --- */

static void intake_pause(struct intake *intake, bool pause)
{
    if (pause == intake->paused || intake->complete)
        return;
    intake->paused = pause;
    if (pause)
        http_body_pause(intake->call.request);
    else
        http_body_resume(intake->call.request);
}

/* There is an answer already: the body is only read to see that it is the same. */
static void intake_replay(struct intake *intake)
{
    buf_reset(&intake->unread);
    intake_pause(intake, false);
    if (intake->complete)
        intake_end(intake, idempotency_compare(&intake->call.post.op, &intake->call));
}

/* The next chunk, as soon as one is full or nothing more will come. The first one goes out even when it is empty, so
 * that an unknown mailing is 404 whatever the body holds. */
static void intake_continue(struct intake *intake)
{
    if (intake->under_way || (intake->is_text && !intake->complete))
        return;
    if (intake->call.idempotency && intake->call.idempotency->replayed) {
        intake_replay(intake);
        return;
    }
    enum err err = chunk_fill(intake);
    bool last = intake->complete && intake->count < INTAKE_CHUNK_LINES;
    if (err != OK || (last && intake->count == 0 && intake->begun)) {
        intake_end(intake, err);
    } else if (intake->count > 0 || last) {
        chunk_send(intake);
        intake_pause(intake, intake->unread.n > PIECE_BYTES_MAX);
    } else {
        intake_pause(intake, false);
    }
}

/* The body cannot be read on; a chunk that is with the writer is waited for. */
static void intake_broken(struct intake *intake, enum err err)
{
    intake->broken = err;
    if (intake->under_way)
        return;
    intake->call.post.op = intake->call.request->op;
    intake_end(intake, err);
}

static void intake_take(struct http_request *request, struct str piece, enum http_body state)
{
    struct intake *intake = request->data;
    if (state == HTTP_BODY_BROKEN) {
        intake_broken(intake, request->body_err);
        return;
    }
    intake->complete = state == HTTP_BODY_END;
    buf_add_str(&intake->unread, piece);
    if (intake->call.idempotency)
        idempotency_body(intake->call.idempotency, piece);
    if (intake->unread.full)
        intake_broken(intake, fail(&request->op, ERR_TOO_LARGE, "a JSON text may have %u bytes; send NDJSON for more",
                                   INTAKE_TEXT_BYTES_MAX));
    else if (intake->under_way)
        intake_pause(intake, intake->unread.n > PIECE_BYTES_MAX);
    else
        intake_continue(intake);
}

/* --- the start --- */

static enum err intake_ask(struct post *post)
{
    bool found;
    return idempotency_ask(&post->op, post->tx, call_of(post), &found);
}

static enum err intake_asked(struct post *post)
{
    struct intake *intake = (struct intake *)post;
    intake->under_way = false;
    if (post->err != OK)
        intake_end(intake, post->err);
    else if (intake->broken != OK)
        intake_broken(intake, intake->broken);
    else
        intake_continue(intake);
    return OK;
}

void *intake_new(struct http_request *request, const struct intake_kind *kind, size_t bytes)
{
    struct intake *intake = call_new(request, bytes);
    if (!intake || !idempotency_begin(&intake->call))
        return NULL;
    intake->kind = kind;
    intake->is_text = !str_starts(http_header(request, S("Content-Type")), S("application/x-ndjson"));
    intake->memory = arena_new(kind->chunk_bytes_max);
    intake->rejected.arena = arena_new(REJECTED_BYTES_MAX);
    buf_init(&intake->unread, intake->is_text ? INTAKE_TEXT_BYTES_MAX : UNREAD_BYTES_MAX);
    json_lines_init(&intake->lines);
    return intake;
}

void intake_start(struct intake *intake)
{
    static const struct hop ask[] = { { intake_ask, THREAD_READER }, { intake_asked, THREAD_CALLER }, { 0 } };
    intake->call.request->data = intake;
    http_body_take(intake->call.request, intake_take);
    if (!intake->call.idempotency)
        return;
    intake->under_way = true;
    call_send(&intake->call, ask);
}
