/*
 * intake.h - POSTs of many lines, from a body of any size.
 *
 *     pieces of the body -> lines -> a chunk of 1,000 -> writer -> next chunk ... -> one answer
 *
 * While a chunk is with the writer the body is held back, so a request costs
 * the memory of one chunk whatever its size. NDJSON is cut as it arrives; any
 * other body is one JSON text, read whole up to INTAKE_TEXT_BYTES_MAX, whose
 * items are the lines. The answer counts the lines and names the rejected ones:
 *
 *     {"accepted":2,"duplicates":0,"rejected":[{"line":3,"detail":"..."}],"rejected_count":1}
 *
 * An Idempotency-Key is asked for before the first chunk, the answer stored
 * after the last one. What lines are and where they go is a struct intake_kind;
 * a request is a struct of the handler's that begins with a struct intake:
 *
 *     struct import_call *c = intake_new(request, &import_intake, sizeof *c);
 *     if (c)
 *         intake_start(&c->intake);
 */
#pragma once

#include "base/json_lines.h"
#include "serve/call.h"
#include "serve/rejected.h"

#define INTAKE_CHUNK_LINES    1000
#define INTAKE_TEXT_BYTES_MAX (16u * 1024 * 1024)

struct intake {
    struct call call; /* first; its post goes out once a chunk */
    const struct intake_kind *kind;
    struct arena *memory; /* of the chunk under way */
    size_t count;         /* its lines */
    int64_t accepted, duplicates;
    bool is_object; /* the body is one object and answered by itself, without counts */

    /* --- intake.c's --- */
    bool is_text;      /* one JSON text, not NDJSON */
    struct buf unread; /* bytes not yet cut into lines */
    struct json_lines lines;
    struct json items; /* of a text, where the last chunk ended */
    bool entered, used_up;
    bool under_way, complete, paused, begun;
    enum err broken; /* the body cannot be read on */
    struct rejected rejected;
};

struct intake_kind {
    size_t chunk_bytes_max; /* a chunk's lines and what they become */
    const char *items;      /* array in the answer that `stored` writes into; NULL: none */
    const char *must_be;    /* what a text that is something else is answered */

    /* A chunk begins in empty memory: makes room for INTAKE_CHUNK_LINES. */
    void (*begin)(struct intake *intake);

    /* Line number intake->count; its text stays as long as the chunk. A bad line is remembered, an error ends it all.
     */
    enum err (*line)(struct intake *intake, const struct json_line *line);

    /* A body that is one object: a chunk of one line, the last one. NULL: refused. */
    enum err (*object)(struct intake *intake, struct str text);

    /* In the writer, repeatable: stores the chunk. The op works in the chunk's memory. */
    enum err (*store)(struct op *op, struct tx *tx, struct intake *intake);

    /* The chunk is on disk: counts its lines, intake_reject for the bad ones, and writes their items or the object. */
    enum err (*stored)(struct intake *intake);
};

/* A zeroed struct of `bytes` that begins with a struct intake; NULL: the request is answered. */
void *intake_new(struct http_request *request, const struct intake_kind *kind, size_t bytes);

/* Takes the body from here on. */
void intake_start(struct intake *intake);

/* Counts a line that was refused. */
void intake_reject(struct intake *intake, int64_t number, const char *detail);
