#include "engine/keep_log.h"

#include "engine/events.h"
#include "store/store_audit.h"

#define DAY_US INT64_C(86400000000)

enum err keep_log(struct op *op, struct tx *tx, int64_t now_us, int rows, int *ret_gone, bool *ret_more)
{
    int events, entries;
    TRY(store_event_expire(op, tx, now_us - EVENTS_KEEP_DAYS * DAY_US, rows, &events));
    TRY(store_audit_expire(op, tx, (now_us - KEEP_AUDIT_DAYS * DAY_US) / 1000, rows, &entries));
    *ret_gone = events + entries;
    *ret_more = events == rows || entries == rows;
    return OK;
}

enum err keep_log_step(struct op *op, struct tx *tx, struct own_work *work)
{
    int gone;
    bool more;
    TRY(keep_log(op, tx, work->nominal_us, work->rows, &gone, &more));
    work->at.done += gone;
    work->at.bookmark = S(""); /* what is left says where to go on */
    work->is_over = !more;
    if (work->is_over)
        work->result = arena_fmt(op->arena, "{\"rows\":%lld}", (long long)work->at.done);
    return OK;
}
