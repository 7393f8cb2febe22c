/*
 * postgres_bulk.c - whole tables of PostgreSQL by COPY; see bulk.h.
 *
 * On a connection of its own, since COPY and time limits do not go together
 * with what the engine does on its connections.
 */
#include <arpa/inet.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/bulk.h"

#define SEND_BYTES (256 * 1024) /* of rows, collected before they are handed to libpq */

/* "PGCOPY\n\377\r\n\0", no flags, no extension. */
static const char copy_head[19] = "PGCOPY\n\377\r\n";

struct bulk_postgres {
    struct bulk base;
    PGconn *link;
    bool begun;
    bool copying_out;
    const struct bulk_table *reading, *putting; /* putting: a COPY in is open */
    char *line;                                 /* the row given last */
    PGresult *newest;                           /* the row bulk_newest gave */
    bool headless;                              /* the head of the COPY under way was read */
    struct buf out;
};

static struct bulk_postgres *postgres_of(struct bulk *bulk)
{
    return (struct bulk_postgres *)(void *)bulk;
}

/* --- statements of the moment --- */

static enum err link_fail(struct op *op, struct bulk_postgres *bulk, const char *what)
{
    struct str said = str_trim(str_of(PQerrorMessage(bulk->link)));
    bool lost = PQstatus(bulk->link) != CONNECTION_OK;
    return fail(op, lost ? ERR_UNAVAILABLE : ERR_IO, "%.60s: %.*s", what, STR(str_clip(said, 400)));
}

static enum err run(struct op *op, struct bulk_postgres *bulk, const char *text, ExecStatusType wanted,
                    PGresult **ret_result)
{
    PGresult *result = PQexec(bulk->link, text);
    ExecStatusType status = PQresultStatus(result);
    bool good = status == wanted || (wanted == PGRES_COMMAND_OK && status == PGRES_TUPLES_OK);
    if (good && ret_result) {
        *ret_result = result;
        return OK;
    }
    PQclear(result);
    return good ? OK : link_fail(op, bulk, text);
}

static enum err postgres_exec(struct op *op, struct bulk *base, const char *text)
{
    return run(op, postgres_of(base), text, PGRES_COMMAND_OK, NULL);
}

static enum err postgres_text(struct op *op, struct bulk *base, const char *text, struct str *ret_text)
{
    PGresult *result;
    TRY(run(op, postgres_of(base), text, PGRES_TUPLES_OK, &result));
    bool given = PQntuples(result) > 0 && !PQgetisnull(result, 0, 0);
    *ret_text = given ? arena_str(op->arena, str_of(PQgetvalue(result, 0, 0))) : (struct str){ NULL, 0 };
    PQclear(result);
    return OK;
}

/* --- what tables there are --- */

/* One row per column, tables together: its place in the primary key or 0, and whether it sorts by bytes (950 is "C").
 */
static const char catalog[] =
    "SELECT c.relname, a.attname, format_type(a.atttypid, NULL),"
    " coalesce(array_position(i.indkey::int2[], a.attnum) + 1, 0), a.attcollation IN (0, 950)"
    " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " LEFT JOIN pg_index i ON i.indrelid = c.oid AND i.indisprimary"
    " WHERE c.relnamespace = 'posthouse'::regnamespace AND c.relkind = 'r' ORDER BY c.relname, a.attnum";

static bool type_of(const char *word, enum bulk_type *ret_type)
{
    static const struct {
        const char *word;
        enum bulk_type type;
    } types[] = {
        { "bigint", BULK_INT }, { "text", BULK_TEXT }, { "bytea", BULK_BLOB }, { "double precision", BULK_REAL }
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(word, types[i].word) == 0) {
            *ret_type = types[i].type;
            return true;
        }
    return false;
}

/* A table with a column of another type, or a key in another order, has no key here: it is told if it should travel. */
static enum err column_add(struct op *op, struct bulk_postgres *bulk, const PGresult *result, int row,
                           struct bulk_table *table)
{
    int at = table->columns, place = (int)strtol(PQgetvalue(result, row, 3), NULL, 10);
    if (at == BULK_COLUMNS_MAX || place > BULK_KEYS_MAX)
        return fail(op, ERR_BUG, "table %s is too wide", table->name);
    table->column[at].name = arena_str(bulk->base.arena, str_of(PQgetvalue(result, row, 1))).p;
    if (!type_of(PQgetvalue(result, row, 2), &table->column[at].type))
        table->keys = -1;
    if (place > 0 && PQgetvalue(result, row, 4)[0] != 't')
        table->keys = -1;
    if (place > 0 && table->keys >= 0) {
        table->key[place - 1] = at;
        table->keys = place > table->keys ? place : table->keys;
    }
    table->columns++;
    return OK;
}

static enum err postgres_tables(struct op *op, struct bulk *base, struct bulk_table *tables, size_t *count)
{
    struct bulk_postgres *bulk = postgres_of(base);
    PGresult *result;
    size_t n = 0;
    TRY(run(op, bulk, catalog, PGRES_TUPLES_OK, &result));
    enum err err = OK;
    for (int row = 0; err == OK && row < PQntuples(result); row++) {
        const char *name = PQgetvalue(result, row, 0);
        if (n == 0 || strcmp(tables[n - 1].name, name) != 0) {
            if (n == BULK_TABLES_MAX)
                err = fail(op, ERR_BUG, "more tables than this program can move");
            else
                tables[n++].name = arena_str(base->arena, str_of(name)).p;
        }
        if (err == OK)
            err = column_add(op, bulk, result, row, &tables[n - 1]);
    }
    PQclear(result);
    for (size_t i = 0; i < n; i++)
        tables[i].keys = tables[i].keys < 0 ? 0 : tables[i].keys;
    *count = n;
    return err;
}

/* --- reading --- */

/* The value as a literal of SQL. */
static struct str literal(struct op *op, enum bulk_type type, struct bulk_value value)
{
    struct buf buf;
    if (type == BULK_INT)
        return arena_fmt(op->arena, "%" PRId64, bulk_int_of(value));
    buf_init_arena(&buf, op->arena, SIZE_MAX / 2);
    buf_add_str(&buf, type == BULK_TEXT ? S("'") : S("'\\x"));
    for (int32_t i = 0; i < value.n; i++) {
        if (type == BULK_BLOB)
            buf_add_fmt(&buf, "%02x", (unsigned char)value.p[i]);
        else if (value.p[i] == '\'')
            buf_add_str(&buf, S("''"));
        else
            buf_add_char(&buf, value.p[i]);
    }
    buf_add_str(&buf, type == BULK_TEXT ? S("'") : S("'::bytea"));
    return buf_str(&buf);
}

static void copy_out_end(struct bulk_postgres *bulk)
{
    if (bulk->line)
        PQfreemem(bulk->line);
    bulk->line = NULL;
    if (!bulk->copying_out)
        return;
    char *rest;
    while (PQgetCopyData(bulk->link, &rest, 0) > 0)
        PQfreemem(rest);
    for (PGresult *result; (result = PQgetResult(bulk->link));)
        PQclear(result);
    bulk->copying_out = false;
}

static enum err postgres_read(struct op *op, struct bulk *base, const struct bulk_table *table,
                              const struct bulk_row *after)
{
    struct bulk_postgres *bulk = postgres_of(base);
    const char *keys = bulk_key_columns(base, table, "");
    struct str where = S("");
    for (int i = 0; after && i < table->keys; i++)
        where = arena_fmt(op->arena, "%.*s%s%.*s", STR(where), i ? ", " : "",
                          STR(literal(op, table->column[table->key[i]].type, after->value[table->key[i]])));
    if (after)
        where = arena_fmt(op->arena, " WHERE (%s) > (%.*s)", keys, STR(where));
    copy_out_end(bulk);
    TRY(run(op, bulk,
            arena_fmt(op->arena, "COPY (SELECT %s FROM \"%s\"%.*s ORDER BY %s) TO STDOUT (FORMAT binary)",
                      bulk_columns(base, table), table->name, STR(where), keys)
                .p,
            PGRES_COPY_OUT, NULL));
    bulk->copying_out = true;
    bulk->headless = false;
    bulk->reading = table;
    return OK;
}

static uint32_t big32(const char *p)
{
    uint32_t big;
    memcpy(&big, p, sizeof big);
    return ntohl(big);
}

/* Cuts a row of COPY's binary format into values. */
static enum err row_cut(struct op *op, const struct bulk_table *table, const char *p, size_t n,
                        struct bulk_row *ret_row)
{
    size_t at = 2;
    for (int i = 0; i < table->columns; i++) {
        if (at + 4 > n)
            return fail(op, ERR_IO, "table %s: a row of the database ends too early", table->name);
        int32_t bytes = (int32_t)big32(p + at);
        at += 4;
        ret_row->value[i] = (struct bulk_value){ p + at, bytes };
        at += bytes > 0 ? (size_t)bytes : 0;
        if (at > n)
            return fail(op, ERR_IO, "table %s: a value of the database ends too early", table->name);
    }
    return OK;
}

/* The next piece of the COPY: a row, or (negative) its end. */
static int piece_next(struct bulk_postgres *bulk, const char **ret_p)
{
    if (bulk->line)
        PQfreemem(bulk->line);
    bulk->line = NULL;
    int n = PQgetCopyData(bulk->link, &bulk->line, 0);
    *ret_p = bulk->line;
    if (n > 0 && !bulk->headless) { /* the head comes before the first row, in the same piece or alone */
        bulk->headless = true;
        if (n == (int)sizeof copy_head)
            return piece_next(bulk, ret_p);
        *ret_p += sizeof copy_head;
        n -= (int)sizeof copy_head;
    }
    return n;
}

static enum err postgres_next(struct op *op, struct bulk *base, struct bulk_row *ret_row, bool *ret_found)
{
    struct bulk_postgres *bulk = postgres_of(base);
    const char *p;
    *ret_found = false;
    if (!bulk->copying_out)
        return OK;
    int n = piece_next(bulk, &p);
    if (n > 2) {
        *ret_found = true;
        return row_cut(op, bulk->reading, p, (size_t)n, ret_row);
    }
    if (n > 0) /* the trailer, -1 in two bytes */
        n = piece_next(bulk, &p);
    bulk->copying_out = false;
    enum err err = n == -1 ? OK : link_fail(op, bulk, "reading");
    for (PGresult *result; (result = PQgetResult(bulk->link)); PQclear(result))
        if (err == OK && PQresultStatus(result) != PGRES_COMMAND_OK)
            err = link_fail(op, bulk, "reading");
    return err;
}

static enum err postgres_newest(struct op *op, struct bulk *base, const struct bulk_table *table,
                                struct bulk_row *ret_row, bool *ret_found)
{
    struct bulk_postgres *bulk = postgres_of(base);
    struct str text = arena_fmt(op->arena, "SELECT %s FROM \"%s\" ORDER BY %s LIMIT 1", bulk_columns(base, table),
                                table->name, bulk_key_columns(base, table, " DESC"));
    PQclear(bulk->newest);
    bulk->newest = PQexecParams(bulk->link, text.p, 0, NULL, NULL, NULL, NULL, 1);
    if (PQresultStatus(bulk->newest) != PGRES_TUPLES_OK)
        return link_fail(op, bulk, text.p);
    *ret_found = PQntuples(bulk->newest) > 0;
    for (int i = 0; *ret_found && i < table->columns; i++) {
        bool null = PQgetisnull(bulk->newest, 0, i);
        ret_row->value[i] = (struct bulk_value){ null ? NULL : PQgetvalue(bulk->newest, 0, i),
                                                 null ? -1 : PQgetlength(bulk->newest, 0, i) };
    }
    return OK;
}

/* --- writing --- */

static enum err out_send(struct op *op, struct bulk_postgres *bulk)
{
    if (bulk->out.n > 0 && PQputCopyData(bulk->link, bulk->out.p, (int)bulk->out.n) != 1)
        return link_fail(op, bulk, "writing");
    buf_reset(&bulk->out);
    return OK;
}

/* Ends the COPY of the table under way; only now the server says whether it took the rows. */
static enum err put_end(struct op *op, struct bulk_postgres *bulk)
{
    static const char trailer[2] = { '\377', '\377' };
    if (!bulk->putting)
        return OK;
    bulk->putting = NULL;
    buf_add(&bulk->out, trailer, sizeof trailer);
    TRY(out_send(op, bulk));
    if (PQputCopyEnd(bulk->link, NULL) != 1)
        return link_fail(op, bulk, "writing");
    enum err err = OK;
    for (PGresult *result; (result = PQgetResult(bulk->link)); PQclear(result))
        if (err == OK && PQresultStatus(result) != PGRES_COMMAND_OK)
            err = link_fail(op, bulk, "writing");
    return err;
}

static enum err put_begin(struct op *op, struct bulk_postgres *bulk, const struct bulk_table *table)
{
    TRY(put_end(op, bulk));
    TRY(run(op, bulk,
            arena_fmt(op->arena, "COPY \"%s\" (%s) FROM STDIN (FORMAT binary)", table->name,
                      bulk_columns(&bulk->base, table))
                .p,
            PGRES_COPY_IN, NULL));
    bulk->putting = table;
    buf_add(&bulk->out, copy_head, sizeof copy_head);
    return OK;
}

static enum err postgres_put(struct op *op, struct bulk *base, const struct bulk_table *table,
                             const struct bulk_row *row)
{
    struct bulk_postgres *bulk = postgres_of(base);
    if (bulk->putting != table)
        TRY(put_begin(op, bulk, table));
    uint16_t columns = htons((uint16_t)table->columns);
    buf_add(&bulk->out, &columns, sizeof columns);
    for (int i = 0; i < table->columns; i++) {
        uint32_t bytes = htonl((uint32_t)row->value[i].n);
        buf_add(&bulk->out, &bytes, sizeof bytes);
        if (row->value[i].n > 0)
            buf_add(&bulk->out, row->value[i].p, (size_t)row->value[i].n);
    }
    return bulk->out.n < SEND_BYTES ? OK : out_send(op, bulk);
}

static enum err postgres_empty(struct op *op, struct bulk *base, const struct bulk_table *table)
{
    return postgres_exec(op, base, arena_fmt(op->arena, "TRUNCATE \"%s\"", table->name).p);
}

/* --- transactions --- */

static enum err postgres_begin(struct op *op, struct bulk *base, bool durable)
{
    struct bulk_postgres *bulk = postgres_of(base);
    TRY(postgres_exec(op, base, base->writing ? "BEGIN" : "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"));
    bulk->begun = true;
    TRY(postgres_exec(op, base,
                      "SET LOCAL search_path = posthouse; SET LOCAL statement_timeout = 0;"
                      "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL lock_timeout = '30s'"));
    return durable ? OK : postgres_exec(op, base, "SET LOCAL synchronous_commit = off");
}

static enum err postgres_commit(struct op *op, struct bulk *base)
{
    struct bulk_postgres *bulk = postgres_of(base);
    TRY(put_end(op, bulk));
    bulk->begun = false;
    return postgres_exec(op, base, "COMMIT");
}

/* --- open and close --- */

static void postgres_close(struct bulk *base)
{
    struct bulk_postgres *bulk = postgres_of(base);
    if (bulk->line)
        PQfreemem(bulk->line);
    PQclear(bulk->newest);
    PQfinish(bulk->link); /* rolls back */
    buf_done(&bulk->out);
    free(bulk);
}

static const struct bulk_engine engine = {
    .close = postgres_close,
    .tables = postgres_tables,
    .newest = postgres_newest,
    .read = postgres_read,
    .next = postgres_next,
    .put = postgres_put,
    .empty = postgres_empty,
    .begin = postgres_begin,
    .commit = postgres_commit,
    .exec = postgres_exec,
    .text = postgres_text,
};

static enum err link_open(struct op *op, struct bulk_postgres *bulk)
{
    const char *const names[] = { "dbname", "target_session_attrs", "client_encoding", "application_name", NULL };
    const char *const values[] = { bulk->base.store->config.url, "read-write", "UTF8", "posthouse", NULL };
    bulk->link = PQconnectdbParams(names, values, 1);
    if (PQstatus(bulk->link) != CONNECTION_OK)
        return link_fail(op, bulk, "connecting");
    if (!bulk->base.writing)
        return postgres_begin(op, &bulk->base, true);
    return postgres_exec(op, &bulk->base, "SET search_path = posthouse");
}

enum err bulk_postgres_open(struct op *op, struct store *store, bool writing, struct bulk **ret_bulk)
{
    struct bulk_postgres *bulk = calloc(1, sizeof *bulk);
    if (!bulk)
        abort();
    bulk->base =
        (struct bulk){ .engine = &engine, .store = store, .arena = arena_new(BULK_ARENA_BYTES), .writing = writing };
    buf_init(&bulk->out, SIZE_MAX / 2);
    enum err err = link_open(op, bulk);
    if (err != OK) {
        bulk_close(&bulk->base);
        return err;
    }
    *ret_bulk = &bulk->base;
    return OK;
}
