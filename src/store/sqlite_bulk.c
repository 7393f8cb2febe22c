/* sqlite_bulk.c - whole tables of SQLite; see bulk.h. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/bulk.h"

#define CHECKPOINT_ROWS_PAGES 8000 /* of WAL, then they are moved into the file between two commits */

struct bulk_sqlite {
    struct bulk base;
    struct conn *conn;
    struct conn *own; /* opened here: the reader's */
    struct tx tx;
    bool begun;
    const struct bulk_table *reading, *putting; /* of the statements */
    struct stmt *rows, *put;
    uint64_t number[BULK_COLUMNS_MAX]; /* integers of the row given last, big-endian */
};

static struct bulk_sqlite *sqlite_of(struct bulk *bulk)
{
    return (struct bulk_sqlite *)(void *)bulk;
}

/* --- statements of the moment --- */

static enum err prepare(struct op *op, struct bulk_sqlite *bulk, const char *text, struct stmt **ret_stmt)
{
    struct sql *sql = arena_alloc(bulk->base.arena, sizeof *sql);
    if (!sql)
        return fail(op, ERR_TOO_LARGE, "no room for a statement");
    *sql = (struct sql){ .name = "bulk", .sqlite = text };
    TRY(bulk->conn->engine->stmt_new(op, bulk->conn, sql, ret_stmt));
    (*ret_stmt)->conn = bulk->conn;
    (*ret_stmt)->sql = sql;
    return OK;
}

static void discard(struct stmt **stmt)
{
    if (!*stmt)
        return;
    stmt_reset(*stmt);
    (*stmt)->conn->engine->stmt_free(*stmt);
    *stmt = NULL;
}

static enum err sqlite_text(struct op *op, struct bulk *base, const char *text, struct str *ret_text)
{
    struct stmt *stmt = NULL;
    bool found;
    TRY(prepare(op, sqlite_of(base), text, &stmt));
    enum err err = stmt_row(op, stmt, &found);
    if (err == OK)
        *ret_text = found ? arena_str(op->arena, col_str_borrowed(stmt, 0)) : (struct str){ NULL, 0 };
    discard(&stmt);
    return err;
}

static enum err sqlite_exec(struct op *op, struct bulk *base, const char *text)
{
    return conn_exec(op, sqlite_of(base)->conn, text);
}

/* --- what tables there are --- */

static enum err type_of(struct op *op, struct str declared, enum bulk_type *ret_type)
{
    static const struct {
        const char *word;
        enum bulk_type type;
    } types[] = { { "INTEGER", BULK_INT }, { "TEXT", BULK_TEXT }, { "BLOB", BULK_BLOB }, { "REAL", BULK_REAL } };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (str_eq(declared, str_of(types[i].word))) {
            *ret_type = types[i].type;
            return OK;
        }
    return fail(op, ERR_BUG, "a column of type '%.*s'", STR(declared));
}

static enum err column_add(struct op *op, struct bulk_sqlite *bulk, struct stmt *stmt, struct bulk_table *table)
{
    int at = table->columns, place = (int)col_int(stmt, 2);
    if (at == BULK_COLUMNS_MAX || place > BULK_KEYS_MAX)
        return fail(op, ERR_BUG, "table %s is too wide", table->name);
    table->column[at].name = arena_str(bulk->base.arena, col_str_borrowed(stmt, 0)).p;
    TRY(type_of(op, col_str_borrowed(stmt, 1), &table->column[at].type));
    if (place > 0) {
        table->key[place - 1] = at;
        table->keys = place > table->keys ? place : table->keys;
    }
    table->columns++;
    return OK;
}

/* A value of meta is a number or bytes here, where PostgreSQL has a column for each. */
static void describe_meta(struct bulk_table *table)
{
    *table = (struct bulk_table){ .name = "meta",
                                  .columns = 3,
                                  .column = { { "name", BULK_TEXT }, { "number", BULK_INT }, { "value", BULK_BLOB } },
                                  .keys = 1 };
}

#define META_COLUMNS                                                                                                   \
    "name, CASE typeof(value) WHEN 'integer' THEN value END, CASE typeof(value) WHEN 'blob' THEN value END"

static bool is_meta(const struct bulk_table *table)
{
    return strcmp(table->name, "meta") == 0;
}

static enum err describe(struct op *op, struct bulk_sqlite *bulk, struct bulk_table *table)
{
    struct stmt *stmt = NULL;
    bool found = true;
    if (is_meta(table)) {
        describe_meta(table);
        return OK;
    }
    struct str text = arena_fmt(op->arena, "SELECT name, type, pk FROM pragma_table_info('%s')", table->name);
    TRY(prepare(op, bulk, text.p, &stmt));
    enum err err = OK;
    while (err == OK && found) {
        err = stmt_row(op, stmt, &found);
        if (err == OK && found)
            err = column_add(op, bulk, stmt, table);
    }
    discard(&stmt);
    return err;
}

static enum err sqlite_tables(struct op *op, struct bulk *base, struct bulk_table *tables, size_t *count)
{
    struct bulk_sqlite *bulk = sqlite_of(base);
    struct stmt *stmt = NULL;
    bool found = true;
    TRY(prepare(op, bulk, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'", &stmt));
    enum err err = OK;
    size_t n = 0;
    while (err == OK && found) {
        err = stmt_row(op, stmt, &found);
        if (err == OK && found && n == BULK_TABLES_MAX)
            err = fail(op, ERR_BUG, "more tables than this program can move");
        else if (err == OK && found)
            tables[n++].name = arena_str(base->arena, col_str_borrowed(stmt, 0)).p;
    }
    discard(&stmt);
    for (size_t i = 0; err == OK && i < n; i++)
        err = describe(op, bulk, &tables[i]);
    *count = n;
    return err;
}

/* --- reading --- */

static const char *select_list(struct bulk *bulk, const struct bulk_table *table)
{
    return is_meta(table) ? META_COLUMNS : bulk_columns(bulk, table);
}

static void value_give(struct bulk_sqlite *bulk, struct stmt *stmt, int i, enum bulk_type type, struct bulk_value *ret)
{
    struct str text = { NULL, 0 };
    double real;
    if (col_is_null(stmt, i)) {
        *ret = (struct bulk_value){ NULL, -1 };
        return;
    }
    switch (type) {
    case BULK_TEXT:
        text = col_str_borrowed(stmt, i);
        break;
    case BULK_BLOB:
        text = col_blob_borrowed(stmt, i);
        break;
    case BULK_INT:
        bulk->number[i] = __builtin_bswap64((uint64_t)col_int(stmt, i));
        text = (struct str){ (const char *)&bulk->number[i], sizeof bulk->number[i] };
        break;
    case BULK_REAL:
        real = col_real(stmt, i);
        memcpy(&bulk->number[i], &real, sizeof real);
        bulk->number[i] = __builtin_bswap64(bulk->number[i]);
        text = (struct str){ (const char *)&bulk->number[i], sizeof bulk->number[i] };
        break;
    }
    *ret = (struct bulk_value){ text.p ? text.p : "", (int32_t)text.n };
}

static enum err row_give(struct op *op, struct bulk_sqlite *bulk, struct bulk_row *ret_row, bool *ret_found)
{
    TRY(stmt_row(op, bulk->rows, ret_found));
    for (int i = 0; *ret_found && i < bulk->reading->columns; i++)
        value_give(bulk, bulk->rows, i, bulk->reading->column[i].type, &ret_row->value[i]);
    return OK;
}

static void value_bind(struct stmt *stmt, int i, enum bulk_type type, struct bulk_value value)
{
    double real;
    uint64_t bits;
    if (value.n < 0) {
        bind_null(stmt, i);
        return;
    }
    switch (type) {
    case BULK_TEXT:
        bind_str(stmt, i, (struct str){ value.p, (size_t)value.n });
        break;
    case BULK_BLOB:
        bind_blob(stmt, i, value.p, (size_t)value.n);
        break;
    case BULK_INT:
        bind_int(stmt, i, bulk_int_of(value));
        break;
    case BULK_REAL:
        bits = (uint64_t)bulk_int_of(value);
        memcpy(&real, &bits, sizeof real);
        bind_real(stmt, i, real);
        break;
    }
}

static enum err sqlite_read(struct op *op, struct bulk *base, const struct bulk_table *table,
                            const struct bulk_row *after)
{
    struct bulk_sqlite *bulk = sqlite_of(base);
    const char *keys = bulk_key_columns(base, table, "");
    struct str where = S(""), marks = S("");
    for (int i = 0; after && i < table->keys; i++)
        marks = arena_fmt(op->arena, "%.*s%s?%d", STR(marks), i ? ", " : "", i + 1);
    if (after)
        where = arena_fmt(op->arena, " WHERE (%s) > (%.*s)", keys, STR(marks));
    struct str text = arena_fmt(op->arena, "SELECT %s FROM \"%s\"%.*s ORDER BY %s", select_list(base, table),
                                table->name, STR(where), keys);
    discard(&bulk->rows);
    TRY(prepare(op, bulk, text.p, &bulk->rows));
    bulk->reading = table;
    for (int i = 0; after && i < table->keys; i++) {
        struct bulk_value value = after->value[table->key[i]];
        value.p = arena_str(base->arena, (struct str){ value.p, (size_t)value.n }).p; /* it is borrowed, and bound */
        value_bind(bulk->rows, i + 1, table->column[table->key[i]].type, value);
    }
    return OK;
}

static enum err sqlite_next(struct op *op, struct bulk *base, struct bulk_row *ret_row, bool *ret_found)
{
    return row_give(op, sqlite_of(base), ret_row, ret_found);
}

static enum err sqlite_newest(struct op *op, struct bulk *base, const struct bulk_table *table,
                              struct bulk_row *ret_row, bool *ret_found)
{
    struct bulk_sqlite *bulk = sqlite_of(base);
    struct str text = arena_fmt(op->arena, "SELECT %s FROM \"%s\" ORDER BY %s LIMIT 1", select_list(base, table),
                                table->name, bulk_key_columns(base, table, " DESC"));
    discard(&bulk->rows);
    TRY(prepare(op, bulk, text.p, &bulk->rows));
    bulk->reading = table;
    return row_give(op, bulk, ret_row, ret_found);
}

/* --- writing --- */

static enum err put_prepare(struct op *op, struct bulk_sqlite *bulk, const struct bulk_table *table)
{
    struct str marks = S("");
    for (int i = 0; i < table->columns; i++)
        marks = arena_fmt(op->arena, "%.*s%s?%d", STR(marks), i ? ", " : "", i + 1);
    struct str text = is_meta(table) ? S("INSERT INTO meta (name, value) VALUES (?1, coalesce(?2, ?3))")
                                     : arena_fmt(op->arena, "INSERT INTO \"%s\" (%s) VALUES (%.*s)", table->name,
                                                 bulk_columns(&bulk->base, table), STR(marks));
    discard(&bulk->put);
    TRY(prepare(op, bulk, text.p, &bulk->put));
    bulk->putting = table;
    return OK;
}

static enum err sqlite_put(struct op *op, struct bulk *base, const struct bulk_table *table, const struct bulk_row *row)
{
    struct bulk_sqlite *bulk = sqlite_of(base);
    if (!bulk->put || bulk->putting != table)
        TRY(put_prepare(op, bulk, table));
    for (int i = 0; i < table->columns; i++)
        value_bind(bulk->put, i + 1, table->column[i].type, row->value[i]);
    return stmt_done(op, bulk->put);
}

static enum err sqlite_empty(struct op *op, struct bulk *base, const struct bulk_table *table)
{
    return sqlite_exec(op, base, arena_fmt(op->arena, "DELETE FROM \"%s\"", table->name).p);
}

static enum err sqlite_begin(struct op *op, struct bulk *base, bool durable)
{
    struct bulk_sqlite *bulk = sqlite_of(base);
    (void)durable; /* it always is */
    bulk->tx = (struct tx){ .store = base->store, .conn = bulk->conn, .writing = base->writing };
    TRY(conn_begin(op, &bulk->tx));
    bulk->begun = true;
    return OK;
}

static enum err sqlite_commit(struct op *op, struct bulk *base)
{
    struct bulk_sqlite *bulk = sqlite_of(base);
    bulk->begun = false;
    TRY(conn_commit(op, &bulk->tx)); /* rolls back what it could not keep */
    return conn_wal_pages(bulk->conn) > CHECKPOINT_ROWS_PAGES ? conn_checkpoint(op, bulk->conn, false) : OK;
}

/* --- open and close --- */

static void sqlite_close(struct bulk *base)
{
    struct bulk_sqlite *bulk = sqlite_of(base);
    discard(&bulk->rows);
    discard(&bulk->put);
    if (bulk->begun)
        conn_rollback(&bulk->tx);
    conn_close(bulk->own);
    free(bulk);
}

static const struct bulk_engine engine = {
    .close = sqlite_close,
    .tables = sqlite_tables,
    .newest = sqlite_newest,
    .read = sqlite_read,
    .next = sqlite_next,
    .put = sqlite_put,
    .empty = sqlite_empty,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .exec = sqlite_exec,
    .text = sqlite_text,
};

enum err bulk_sqlite_open(struct op *op, struct store *store, bool writing, struct bulk **ret_bulk)
{
    struct bulk_sqlite *bulk = calloc(1, sizeof *bulk);
    if (!bulk)
        abort();
    bulk->base =
        (struct bulk){ .engine = &engine, .store = store, .arena = arena_new(BULK_ARENA_BYTES), .writing = writing };
    enum err err = OK;
    bulk->conn = store->conn;
    if (!writing && store->path) { /* in memory there is only the writer's */
        err = conn_open(op, store, store->path, CONN_READER, &bulk->own);
        bulk->conn = bulk->own;
    }
    if (err == OK && !writing)
        err = sqlite_begin(op, &bulk->base, true);
    if (err != OK) {
        bulk_close(&bulk->base);
        return err;
    }
    *ret_bulk = &bulk->base;
    return OK;
}
