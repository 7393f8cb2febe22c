#include "engine/keep_parked.h"

#include "base/log.h"
#include "engine/park.h"
#include "store/dedupe.h"
#include "store/store_parked.h"

#define DAY_US     INT64_C(86400000000)
#define SOURCE     "source-"
#define KEYS_SLICE 10 /* rows of chunks that count as one: each holds some hundred keys */

/* --- reports: a part is "source-0000000007" --- */

static int64_t source_of(struct str name)
{
    int64_t no;
    struct str digits = { name.p + sizeof SOURCE - 1, name.n - (sizeof SOURCE - 1) };
    return str_starts(name, S(SOURCE)) && str_to_int(digits, 0, UINT32_MAX, &no) ? no : -1;
}

enum err keep_parked_find(struct op *op, struct tx *tx, struct keep_page *page)
{
    int64_t no = page->after.n ? source_of(page->after) : -1;
    int64_t before_us = page->nominal_us - PARKED_KEEP_DAYS * DAY_US;
    for (;;) {
        struct parked *oldest;
        size_t n;
        TRY(store_parked_next_source(op, tx, no, &no));
        if (no < 0)
            return OK;
        TRY(store_parked_of_source(op, tx, (uint32_t)no, before_us / 1000, 1, &oldest, &n));
        if (n && !keep_page_add(page, arena_fmt(op->arena, SOURCE "%010lld", (long long)no), before_us))
            return OK;
    }
}

enum err keep_parked_chunk(struct op *op, struct tx *tx, struct keep_chunk *chunk)
{
    int64_t no = source_of(chunk->part.name);
    if (no < 0)
        return fail(op, ERR_BUG, "keep.parked has no part %.*s", STR(chunk->part.name));
    TRY(park_expire(op, tx, (uint32_t)no, chunk->part.cutoff_us, chunk->rows, &chunk->gone));
    chunk->more = chunk->gone == chunk->rows;
    if (!chunk->more)
        log_warn("reports were thrown away that waited too long for their message", LOG_INT("source", no));
    return OK;
}

/* --- keys: all days that are old are one part --- */

enum err keep_keys_find(struct op *op, struct tx *tx, struct keep_page *page)
{
    int64_t before_us = page->nominal_us - KEEP_KEYS_DAYS * DAY_US;
    bool has_older;
    if (page->after.n)
        return OK;
    TRY(store_dedupe_has_older(op, tx, (int32_t)(before_us / DAY_US), &has_older));
    if (has_older)
        (void)keep_page_add(page, S("keys"), before_us);
    return OK;
}

enum err keep_keys_chunk(struct op *op, struct tx *tx, struct keep_chunk *chunk)
{
    int64_t gone, rows = chunk->rows / KEYS_SLICE > 1 ? chunk->rows / KEYS_SLICE : 1;
    TRY(store_dedupe_expire(op, tx, (int32_t)(chunk->part.cutoff_us / DAY_US), rows, &gone, &chunk->more));
    chunk->gone = (int)gone;
    return OK;
}
