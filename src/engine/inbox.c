#include "engine/inbox.h"

#include <assert.h>

#include "engine/events.h"
#include "engine/import.h"
#include "engine/job_push.h"
#include "engine/job_read.h"
#include "engine/tenants.h"
#include "store/store_inbox.h"

/* What the row itself is to blame for; everything else is the store's. */
static bool is_refusal(enum err err)
{
    return err == ERR_MALFORMED || err == ERR_INVALID || err == ERR_NOT_FOUND || err == ERR_CONFLICT;
}

static enum err refuse(struct op *op, struct tx *tx, const struct inbox_row *row, struct str reason,
                       struct inbox_result *result)
{
    result->refused++;
    return store_inbox_refuse(op, tx, row, reason);
}

static enum err refuse_all(struct op *op, struct tx *tx, const struct inbox_row *rows, size_t count,
                           struct inbox_result *result)
{
    for (size_t i = 0; i < count; i++)
        TRY(refuse(op, tx, &rows[i], S("this posthouse does not know what it is"), result));
    return OK;
}

static enum err apply_mailing(struct op *op, struct tx *tx, const struct inbox_row *row, struct inbox_result *result)
{
    struct mailing_put put = { .track_opens = true, .track_clicks = true };
    struct mailing mailing;
    enum err err = json_read_body(op, row->body, mailing_put_fields, MAILING_PUT_FIELDS, &put, NULL, NULL);
    if (err == OK)
        err = mailing_store(op, tx, row->subject, &put, &mailing);
    if (is_refusal(err))
        return refuse(op, tx, row, arena_str(op->arena, str_of(op->error)), result);
    TRY(err);
    result->applied++;
    result->mailings++;
    return OK;
}

static void read_line(struct op *op, const struct inbox_row *row, struct import_line *line)
{
    struct json_line text = { .number = row->no, .text = row->body, .too_long = row->body.n > JSON_LINE_BYTES_MAX };
    import_line_parse(op, IMPORT_MAILING, &text, line);
    if (line->created_at_us == INT64_MIN)
        line->created_at_us = row->at_us; /* it came into being when it was said, not when it was taken */
}

/* Rows of one mailing, as one chunk of an import. */
static enum err apply_messages(struct op *op, struct tx *tx, const struct inbox_row *rows, size_t count,
                               struct inbox_result *result)
{
    struct import_chunk chunk = { .kind = IMPORT_MAILING, .mailing = rows[0].subject, .count = count };
    TRY(op_alloc(op, count * sizeof *chunk.lines, &chunk.lines));
    for (size_t i = 0; i < count; i++)
        read_line(op, &rows[i], &chunk.lines[i]);
    enum err err = import_apply(op, tx, &chunk);
    if (err != OK && err != ERR_NOT_FOUND)
        return err;
    struct str no_mailing = { 0 };
    if (err != OK)
        no_mailing = arena_str(op->arena, str_of(op->error));
    for (size_t i = 0; i < count; i++) {
        const struct import_line *line = &chunk.lines[i];
        if (err != OK || line->rejected || line->refused)
            TRY(refuse(op, tx, &rows[i], err != OK ? no_mailing : str_of(line->detail), result));
    }
    if (err == OK) {
        result->applied += chunk.accepted;
        result->duplicates += chunk.duplicates;
    }
    return OK;
}

static enum err read_jobs(struct op *op, struct tx *tx, const struct inbox_row *rows, size_t count,
                          const struct inbox_row **of, struct job_spec *specs, size_t *ret_specs,
                          struct inbox_result *result)
{
    struct job_reader reader = { .door = JOB_HTTP,
                                 .key = siphash_key_from(tx_hash_key(tx)),
                                 .bytes_max = JOB_BYTES_DEFAULT };
    *ret_specs = 0;
    for (size_t i = 0; i < count; i++) {
        enum err err = job_read(op, &reader, rows[i].body, &specs[*ret_specs]);
        if (err == OK)
            of[(*ret_specs)++] = &rows[i];
        else
            TRY(refuse(op, tx, &rows[i], arena_str(op->arena, str_of(op->error)), result));
    }
    return OK;
}

/* As pushes of Posthouse itself: the application has committed, so a full or draining queue comes too late. */
static enum err apply_jobs(struct op *op, struct tx *tx, const struct inbox_row *rows, size_t count,
                           struct inbox_result *result)
{
    struct job_spec *specs;
    struct job_pushed *pushed;
    const struct inbox_row **of;
    size_t n;
    TRY(op_alloc(op, count * sizeof *specs, &specs));
    TRY(op_alloc(op, count * sizeof *pushed, &pushed));
    TRY(op_alloc(op, count * sizeof *of, &of));
    TRY(read_jobs(op, tx, rows, count, of, specs, &n, result));
    TRY(job_push(op, tx, specs, n, true, pushed));
    for (size_t i = 0; i < n; i++) {
        if (pushed[i].result == JOB_REFUSED)
            TRY(refuse(op, tx, of[i], pushed[i].detail, result));
        else if (pushed[i].result == JOB_PUSHED)
            result->applied++;
        else
            result->duplicates++; /* its jid is live, or its lock is taken */
    }
    return OK;
}

static enum err read_events(struct op *op, struct tx *tx, const struct inbox_row *rows, size_t count,
                            struct event_row *events, size_t *ret_events, struct inbox_result *result)
{
    *ret_events = 0;
    for (size_t i = 0; i < count; i++) {
        struct event_row *event = &events[*ret_events];
        if (event_read(op, rows[i].body, event) != OK) {
            TRY(refuse(op, tx, &rows[i], arena_str(op->arena, str_of(op->error)), result));
            continue;
        }
        if (!event->time_given)
            event->time_us = rows[i].at_us; /* it happened when it was said, not when it was taken */
        event->time_given = true;
        ++*ret_events;
    }
    return OK;
}

static enum err apply_events(struct op *op, struct tx *tx, const struct inbox_row *rows, size_t count,
                             struct inbox_result *result)
{
    struct event_row *events;
    size_t n;
    TRY(op_alloc(op, count * sizeof *events, &events));
    TRY(read_events(op, tx, rows, count, events, &n, result));
    TRY(events_record(op, tx, events, n));
    for (size_t i = 0; i < n; i++) {
        result->applied += events[i].added;
        result->duplicates += !events[i].added;
    }
    return OK;
}

/* How many of the rows belong together: lines of one mailing, jobs or events that follow each other. */
static size_t run_of(const struct inbox_row *rows, size_t count)
{
    size_t n = 1;
    bool runs = rows[0].kind != INBOX_MAILING;
    while (n < count && runs && rows[n].kind == rows[0].kind &&
           (rows[0].kind != INBOX_MESSAGE || str_eq(rows[n].subject, rows[0].subject)))
        n++;
    return n;
}

static void note_oldest(const struct inbox_row *rows, size_t count, struct inbox_result *result)
{
    for (size_t i = 0; i < count; i++)
        if (rows[i].at_us < result->oldest_us)
            result->oldest_us = rows[i].at_us;
}

static size_t bytes_of(const struct inbox_row *rows, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += rows[i].body.n;
    return bytes;
}

enum err inbox_apply(struct op *op, struct tx *tx, int64_t behind, size_t max_rows, struct inbox_result *ret)
{
    assert(max_rows > 0 && max_rows <= INBOX_CHUNK_ROWS);
    struct inbox_result result = { .oldest_us = INT64_MAX };
    struct inbox_row *rows;
    size_t count;
    TRY(store_inbox_take(op, tx, behind, max_rows, &rows, &count));
    note_oldest(rows, count, &result);
    for (size_t i = 0, n; i < count; i += n) {
        n = run_of(rows + i, count - i);
        if (rows[i].kind == INBOX_MAILING)
            TRY(apply_mailing(op, tx, &rows[i], &result));
        else if (rows[i].kind == INBOX_MESSAGE)
            TRY(apply_messages(op, tx, rows + i, n, &result));
        else if (rows[i].kind == INBOX_JOB)
            TRY(apply_jobs(op, tx, rows + i, n, &result));
        else if (rows[i].kind == INBOX_EVENT)
            TRY(apply_events(op, tx, rows + i, n, &result));
        else
            TRY(refuse_all(op, tx, rows + i, n, &result));
    }
    result.last = count ? rows[count - 1].no : behind;
    result.more = count == max_rows || bytes_of(rows, count) >= INBOX_TAKE_BYTES;
    *ret = result;
    return OK;
}

enum err inbox_skip(struct op *op, struct tx *tx, int64_t behind, struct str reason, struct inbox_result *ret)
{
    struct inbox_row *rows;
    size_t count;
    *ret = (struct inbox_result){ .oldest_us = INT64_MAX, .last = behind };
    TRY(store_inbox_take(op, tx, behind, 1, &rows, &count));
    if (count == 0)
        return OK;
    note_oldest(rows, count, ret);
    ret->last = rows[0].no;
    ret->more = true;
    return refuse(op, tx, &rows[0], reason, ret);
}
