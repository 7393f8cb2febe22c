/*
 * import.h - recipients of a mailing, taken in by the thousand.
 *
 *     a body of any size -> lines -> import_line_parse (any thread)
 *     -> chunks of at most 1,000 lines -> import_apply in the writer (one transaction each)
 *
 * A chunk is whole or not there: rows, state records, counters of mailing,
 * member and day, parked receipts and follow-up jobs move together (LED-3). A
 * bad line is rejected with its number and costs only itself (LED-4); sending
 * everything again makes duplicates, never second rows (LED-2).
 */
#pragma once

#include "base/json_fields.h"
#include "base/json_lines.h"
#include "engine/status.h"
#include "store/tx.h"

#define IMPORT_CHUNK_LINES  1000
#define IMPORT_DETAIL_BYTES 160

enum import_kind {
    IMPORT_MAILING, /* POST /v1/mailings/{id}/messages: tenant and mailing come from the path */
    IMPORT_MESSAGES /* POST /v1/messages: each line names its tenant */
};

struct import_line {
    int64_t number; /* physical line, or place in the array, from 1 */
    bool rejected;  /* does not parse: detail says why */
    bool refused;   /* parses, but the ledger says no: written by import_apply */
    char detail[IMPORT_DETAIL_BYTES];
    struct str id, recipient, member, provider_message_id, tenant, mailing, provider, template_name, reference;
    struct str deliver_queue, deliver_jobtype;
    enum channel channel;
    enum message_key key;
    enum status status;    /* STATUS_NONE: chosen by LED-6 */
    int64_t created_at_us; /* INT64_MIN: now */
    int64_t sent_at_us;    /* 0: not known */
};

struct import_chunk {
    enum import_kind kind;
    struct str mailing;   /* IMPORT_MAILING: its id */
    uint32_t tenant_only; /* a token bound to a tenant may write only there; 0 = any */
    struct import_line *lines;
    size_t count;
    int64_t accepted, duplicates, rejected; /* written by import_apply */
};

/* Reads one line; what is wrong with it is in line->detail. Never fails for what the line holds. */
void import_line_parse(struct op *op, enum import_kind kind, const struct json_line *text, struct import_line *ret);

/* Stores the chunk. ERR_NOT_FOUND when the mailing of the path does not exist; errors of the store. Repeatable. */
enum err import_apply(struct op *op, struct tx *tx, struct import_chunk *chunk);
