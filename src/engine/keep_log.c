#include "engine/keep_log.h"

#include "engine/events.h"
#include "store/store_audit.h"
#include "store/store_inbox.h"

#define DAY_US INT64_C(86400000000)

/* In order of their names. */
static const struct {
    const char *name;
    int days;
    enum err (*has_older)(struct op *op, struct tx *tx, int64_t before_us, bool *ret);
    enum err (*expire)(struct op *op, struct tx *tx, int64_t before_us, int max_rows, int *ret_gone);
} logs[] = {
    { "audit", KEEP_AUDIT_DAYS, store_audit_has_older, store_audit_expire },
    { "events", EVENTS_KEEP_DAYS, store_event_has_older, store_event_expire },
    { "inbox", KEEP_INBOX_DAYS, store_inbox_has_older, store_inbox_expire },
};
#define LOGS (sizeof logs / sizeof *logs)

enum err keep_log_find(struct op *op, struct tx *tx, struct keep_page *page)
{
    for (size_t i = 0; i < LOGS; i++) {
        struct str name = str_of(logs[i].name);
        int64_t before_us = page->nominal_us - logs[i].days * DAY_US;
        bool has_older;
        if (str_cmp(name, page->after) <= 0)
            continue;
        TRY(logs[i].has_older(op, tx, before_us, &has_older));
        if (has_older && !keep_page_add(page, name, before_us))
            return OK;
    }
    return OK;
}

enum err keep_log_chunk(struct op *op, struct tx *tx, struct keep_chunk *chunk)
{
    for (size_t i = 0; i < LOGS; i++)
        if (str_eq(chunk->part.name, str_of(logs[i].name))) {
            TRY(logs[i].expire(op, tx, chunk->part.cutoff_us, chunk->rows, &chunk->gone));
            chunk->more = chunk->gone == chunk->rows;
            return OK;
        }
    return fail(op, ERR_BUG, "keep.log has no part %.*s", STR(chunk->part.name));
}
