#include "store/store_event.h"

#include <string.h>

#include "store/families.h"
#include "store/postgres_table.h"
#include "store/rows.h"

const struct schema_step event_step = {
    .name = "events",
    .sqlite =
        "CREATE TABLE event(seq INTEGER PRIMARY KEY, id TEXT NOT NULL, source TEXT NOT NULL, tenant TEXT NOT NULL,"
        " type TEXT NOT NULL, time_us INTEGER NOT NULL, received_us INTEGER NOT NULL, subject TEXT,"
        " originator TEXT, private INTEGER NOT NULL, receivers TEXT, data TEXT);"
        "CREATE UNIQUE INDEX event_identity ON event(id, source, tenant);"
        "CREATE INDEX event_type ON event(type, seq);"
        "CREATE INDEX event_tenant ON event(tenant, seq);",
    .postgres = "CREATE TABLE event(seq bigint PRIMARY KEY, id " PG_TEXT " NOT NULL, source " PG_TEXT " NOT NULL,"
                " tenant " PG_TEXT " NOT NULL, type " PG_TEXT " NOT NULL, time_us bigint NOT NULL,"
                " received_us bigint NOT NULL, subject " PG_TEXT ", originator " PG_TEXT ", private bigint NOT NULL,"
                " receivers " PG_TEXT ", data " PG_TEXT ")" PG_GROWS ";"
                "CREATE UNIQUE INDEX event_identity ON event(id, source, tenant);"
                "CREATE INDEX event_type ON event(type, seq);"
                "CREATE INDEX event_tenant ON event(tenant, seq);",
};

#define EVENT_COLUMNS                                                                                                  \
    "seq, id, source, tenant, type, time_us, received_us, subject, originator, private, receivers, data"
SQL_ONLY_SQLITE(event_insert, "INSERT INTO event(" EVENT_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12)"
                              " ON CONFLICT DO NOTHING");
SQL_ONLY_POSTGRES(event_rows, "INSERT INTO event(" EVENT_COLUMNS ") SELECT * FROM unnest(?1" PG_INTS ",?2" PG_TEXTS
                              ",?3" PG_TEXTS ",?4" PG_TEXTS ",?5" PG_TEXTS ",?6" PG_INTS ",?7" PG_INTS ",?8" PG_TEXTS
                              ",?9" PG_TEXTS ",?10" PG_INTS ",?11" PG_TEXTS ",?12" PG_TEXTS ")"
                              " ON CONFLICT DO NOTHING RETURNING seq");
SQL_WALK(event_list, "SELECT " EVENT_COLUMNS " FROM event WHERE seq < ?1 ORDER BY seq DESC LIMIT ?2", NULL);
SQL_WALK(event_list_type, "SELECT " EVENT_COLUMNS " FROM event WHERE type = ?3 AND seq < ?1 ORDER BY seq DESC LIMIT ?2",
         NULL);
SQL_WALK(event_list_tenant,
         "SELECT " EVENT_COLUMNS " FROM event WHERE tenant = ?3 AND seq < ?1 ORDER BY seq DESC LIMIT ?2", NULL);
SQL_WALK(event_by_id, "SELECT " EVENT_COLUMNS " FROM event WHERE id = ?1 ORDER BY source, tenant", NULL);
/* Numbers grow with time, so the oldest are the first. */
SQL_SCAN(event_oldest, "SELECT seq, received_us FROM event ORDER BY seq LIMIT ?1", NULL);
SQL(event_delete, "DELETE FROM event WHERE seq <= ?1", NULL);

/* --- adding --- */

static enum err add_one(struct op *op, struct tx *tx, struct event_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &event_insert, &stmt));
    bind_int(stmt, 1, (int64_t)row->seq);
    bind_str(stmt, 2, row->id);
    bind_str(stmt, 3, row->source);
    bind_str(stmt, 4, row->tenant);
    bind_str(stmt, 5, row->type);
    bind_int(stmt, 6, row->time_us);
    bind_int(stmt, 7, row->received_us);
    bind_str(stmt, 8, row->subject);
    bind_str(stmt, 9, row->originator);
    bind_int(stmt, 10, row->is_private);
    bind_str(stmt, 11, row->receivers);
    bind_str(stmt, 12, row->data);
    TRY(stmt_done(op, stmt));
    row->added = stmt_changes(stmt) == 1;
    return OK;
}

/* One column of all rows as a parameter. */
static void bind_texts_at(struct stmt *stmt, int i, const struct event_row *rows, size_t count, size_t offset,
                          struct str *texts)
{
    for (size_t at = 0; at < count; at++)
        memcpy(&texts[at], (const char *)&rows[at] + offset, sizeof texts[at]);
    bind_strs(stmt, i, texts, count);
}

static void bind_ints_at(struct stmt *stmt, int i, const struct event_row *rows, size_t count, size_t offset,
                         int64_t *numbers)
{
    for (size_t at = 0; at < count; at++)
        memcpy(&numbers[at], (const char *)&rows[at] + offset, sizeof numbers[at]);
    bind_ints(stmt, i, numbers, count);
}

static enum err bind_rows(struct op *op, struct stmt *stmt, const struct event_row *rows, size_t count)
{
    struct str *texts;
    int64_t *numbers;
    TRY(op_alloc(op, count * sizeof *texts, &texts));
    TRY(op_alloc(op, count * sizeof *numbers, &numbers));
    bind_ints_at(stmt, 1, rows, count, offsetof(struct event_row, seq), numbers);
    bind_texts_at(stmt, 2, rows, count, offsetof(struct event_row, id), texts);
    bind_texts_at(stmt, 3, rows, count, offsetof(struct event_row, source), texts);
    bind_texts_at(stmt, 4, rows, count, offsetof(struct event_row, tenant), texts);
    bind_texts_at(stmt, 5, rows, count, offsetof(struct event_row, type), texts);
    bind_ints_at(stmt, 6, rows, count, offsetof(struct event_row, time_us), numbers);
    bind_ints_at(stmt, 7, rows, count, offsetof(struct event_row, received_us), numbers);
    bind_texts_at(stmt, 8, rows, count, offsetof(struct event_row, subject), texts);
    bind_texts_at(stmt, 9, rows, count, offsetof(struct event_row, originator), texts);
    for (size_t i = 0; i < count; i++)
        numbers[i] = rows[i].is_private;
    bind_ints(stmt, 10, numbers, count);
    bind_texts_at(stmt, 11, rows, count, offsetof(struct event_row, receivers), texts);
    bind_texts_at(stmt, 12, rows, count, offsetof(struct event_row, data), texts);
    return OK;
}

static enum err add_together(struct op *op, struct tx *tx, struct event_row *rows, size_t count)
{
    struct stmt *stmt;
    size_t at = 0;
    TRY(tx_stmt(op, tx, &event_rows, &stmt));
    TRY(bind_rows(op, stmt, rows, count));
    for (size_t i = 0; i < count; i++)
        rows[i].added = false;
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        while (at < count && rows[at].seq < (uint64_t)col_int(stmt, 0))
            at++;
        if (at < count)
            rows[at++].added = true;
    }
    tx_wrote(tx); /* a query to all appearances: without this the group would not be kept */
    return OK;
}

enum err store_event_add(struct op *op, struct tx *tx, struct event_row *rows, size_t count)
{
    if (count == 0)
        return OK;
    if (tx_is_shared(tx))
        return add_together(op, tx, rows, count);
    for (size_t i = 0; i < count; i++)
        TRY(add_one(op, tx, &rows[i]));
    return OK;
}

/* --- reading --- */

static struct event_row event_columns(struct op *op, struct stmt *stmt)
{
    return (struct event_row){ .seq = (uint64_t)col_int(stmt, 0),
                               .id = col_str(op, stmt, 1),
                               .source = col_str(op, stmt, 2),
                               .tenant = col_str(op, stmt, 3),
                               .type = col_str(op, stmt, 4),
                               .time_us = col_int(stmt, 5),
                               .received_us = col_int(stmt, 6),
                               .subject = col_str(op, stmt, 7),
                               .originator = col_str(op, stmt, 8),
                               .is_private = col_int(stmt, 9) != 0,
                               .receivers = col_str(op, stmt, 10),
                               .data = col_str(op, stmt, 11) };
}

static bool passes(const struct event_filter *filter, struct stmt *stmt)
{
    return (!str_given(filter->tenant) || str_eq(col_str_borrowed(stmt, 3), filter->tenant)) &&
           (!str_given(filter->type) || str_eq(col_str_borrowed(stmt, 4), filter->type));
}

static enum err list_begin(struct op *op, struct tx *tx, const struct event_filter *filter, struct stmt **ret_stmt)
{
    bool by_type = str_given(filter->type), by_tenant = !by_type && str_given(filter->tenant);
    TRY(tx_stmt(op, tx, by_type ? &event_list_type : by_tenant ? &event_list_tenant : &event_list, ret_stmt));
    bind_int(*ret_stmt, 1, filter->before ? (int64_t)filter->before : INT64_MAX);
    bind_int(*ret_stmt, 2, EVENT_SCAN_MAX);
    if (by_type || by_tenant)
        bind_str(*ret_stmt, 3, by_type ? filter->type : filter->tenant);
    return OK;
}

enum err store_event_list(struct op *op, struct tx *tx, const struct event_filter *filter, int limit,
                          enum err (*fn)(struct op *op, const struct event_row *row, void *arg), void *arg,
                          bool *ret_more, uint64_t *ret_last)
{
    struct stmt *stmt;
    TRY(list_begin(op, tx, filter, &stmt));
    int taken = 0, looked = 0;
    *ret_more = false;
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        bool fits = passes(filter, stmt);
        if (fits && taken == limit) {
            *ret_more = true;
            break;
        }
        *ret_last = (uint64_t)col_int(stmt, 0);
        if (fits) {
            struct event_row row = event_columns(op, stmt);
            enum err err = fn(op, &row, arg);
            if (err != OK) {
                stmt_reset(stmt);
                return err;
            }
            taken++;
        }
        if (++looked == EVENT_SCAN_MAX) {
            *ret_more = true;
            break;
        }
    }
    stmt_reset(stmt);
    return OK;
}

enum err store_event_find(struct op *op, struct tx *tx, struct str id, struct str source, struct str tenant, int max,
                          struct event_row *ret_rows, int *ret_count)
{
    struct stmt *stmt;
    int count = 0;
    TRY(tx_stmt(op, tx, &event_by_id, &stmt));
    bind_str(stmt, 1, id);
    for (bool found = true; found && count < max;) {
        TRY(stmt_row(op, stmt, &found));
        if (found && (!str_given(source) || str_eq(col_str_borrowed(stmt, 2), source)) &&
            (!str_given(tenant) || str_eq(col_str_borrowed(stmt, 3), tenant)))
            ret_rows[count++] = event_columns(op, stmt);
    }
    stmt_reset(stmt);
    *ret_count = count;
    return OK;
}

enum err store_event_has_older(struct op *op, struct tx *tx, int64_t before_us, bool *ret)
{
    return stmt_has_older(op, tx, &event_oldest, before_us, ret);
}

enum err store_event_expire(struct op *op, struct tx *tx, int64_t before_us, int max_rows, int *ret_gone)
{
    struct stmt *stmt;
    int64_t last = 0;
    bool more = true, young = false;
    TRY(tx_stmt(op, tx, &event_oldest, &stmt));
    bind_int(stmt, 1, max_rows);
    while (more && !young) {
        TRY(stmt_row(op, stmt, &more));
        young = more && col_int(stmt, 1) >= before_us;
        if (more && !young)
            last = col_int(stmt, 0);
    }
    stmt_reset(stmt);
    *ret_gone = 0;
    if (last == 0)
        return OK;
    TRY(tx_stmt(op, tx, &event_delete, &stmt));
    bind_int(stmt, 1, last);
    TRY(stmt_done(op, stmt));
    *ret_gone = (int)stmt_changes(stmt);
    return OK;
}
