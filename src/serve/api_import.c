/*
 * api_import.c - recipients by the thousand: POST /v1/mailings/{id}/messages and /v1/messages (intake.h).
 */
#include "engine/import.h"
#include "serve/api_ledger.h"
#include "serve/intake.h"

_Static_assert(IMPORT_CHUNK_LINES == INTAKE_CHUNK_LINES, "a chunk of the body is one of the engine");

struct import_call {
    struct intake intake;
    enum import_kind kind;
    struct import_chunk chunk;
};

static void import_begin(struct intake *intake)
{
    struct import_call *c = (struct import_call *)intake;
    c->chunk = (struct import_chunk){
        .kind = c->kind,
        .mailing = c->kind == IMPORT_MAILING ? call_param(&intake->call, 0) : (struct str){ 0 },
        .tenant_only = call_tenant(&intake->call),
        .lines = arena_alloc_raw(intake->memory, IMPORT_CHUNK_LINES * sizeof(struct import_line)),
    };
}

static enum err import_line(struct intake *intake, const struct json_line *line)
{
    struct import_call *c = (struct import_call *)intake;
    struct op op = intake->call.post.op;
    op.arena = intake->memory;
    import_line_parse(&op, c->kind, line, &c->chunk.lines[c->chunk.count++]);
    return OK;
}

static enum err import_store(struct op *op, struct tx *tx, struct intake *intake)
{
    return import_apply(op, tx, &((struct import_call *)intake)->chunk);
}

static enum err import_stored(struct intake *intake)
{
    const struct import_chunk *chunk = &((struct import_call *)intake)->chunk;
    intake->accepted += chunk->accepted;
    intake->duplicates += chunk->duplicates;
    for (size_t i = 0; i < chunk->count; i++)
        if (chunk->lines[i].rejected || chunk->lines[i].refused)
            intake_reject(intake, chunk->lines[i].number, chunk->lines[i].detail);
    return OK;
}

static const struct intake_kind import_intake = {
    .chunk_bytes_max = 96u * 1024 * 1024, /* 1,000 lines of 64 KiB and what they become */
    .must_be = "NDJSON (application/x-ndjson) or a JSON array",
    .begin = import_begin,
    .line = import_line,
    .store = import_store,
    .stored = import_stored,
};

static void import_start(struct http_request *request, enum import_kind kind)
{
    struct import_call *c = intake_new(request, &import_intake, sizeof *c);
    if (!c)
        return;
    c->kind = kind;
    intake_start(&c->intake);
}

void mailing_import(struct http_request *request)
{
    import_start(request, IMPORT_MAILING);
}

void message_import(struct http_request *request)
{
    import_start(request, IMPORT_MESSAGES);
}
