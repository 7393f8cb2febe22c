/*
 * postgres_stmt.c - one statement of PostgreSQL: its parameters and arrays, its rows, walks by a cursor.
 */
#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/postgres.h"

/* --- making --- */

/* ?1 becomes $1, outside of quotes. Returns the highest number. */
static int text_convert(const char *from, struct buf *to)
{
    int highest = 0;
    char quote = '\0';
    for (; *from; from++) {
        if (quote) {
            quote = *from == quote ? '\0' : quote;
        } else if (*from == '\'' || *from == '"') {
            quote = *from;
        } else if (*from == '?') {
            int number = (int)strtol(from + 1, NULL, 10);
            highest = number > highest ? number : highest;
            buf_add_char(to, '$');
            continue;
        }
        buf_add_char(to, *from);
    }
    buf_add_char(to, '\0');
    return highest;
}

/* By its first word (db.h): a WITH in front would leave open which it is. */
static bool text_reads(const char *text)
{
    assert(strncmp(text, "WITH", 4) != 0);
    return strncmp(text, "SELECT", 6) == 0;
}

static char *text_declare(const struct pg_stmt *stmt, unsigned no)
{
    char *declare = NULL;
    if (asprintf(&declare, "DECLARE w%u NO SCROLL CURSOR FOR %s", no, stmt->text) < 0)
        abort();
    return declare;
}

enum err pg_stmt_new(struct op *op, struct conn *conn, const struct sql *sql, struct stmt **ret_stmt)
{
    (void)op;
    struct pg_stmt *stmt = calloc(1, sizeof *stmt);
    struct buf text;
    if (!stmt)
        abort();
    buf_init(&text, SIZE_MAX / 2);
    stmt->params = text_convert(sql->postgres ? sql->postgres : sql->sqlite, &text);
    assert(stmt->params <= PG_PARAMS_MAX);
    stmt->text = text.p;
    stmt->base.reads = text_reads(stmt->text);
    stmt->param = calloc((size_t)stmt->params + 1, sizeof *stmt->param);
    if (!stmt->param)
        abort();
    for (int i = 0; i < stmt->params; i++)
        buf_init(&stmt->param[i].array, SIZE_MAX / 2);
    if (sql->marks & SQL_WALKS) {
        snprintf(stmt->name, sizeof stmt->name, "w%u", ++pg_of(conn)->names);
        stmt->declare = text_declare(stmt, pg_of(conn)->names);
    }
    *ret_stmt = &stmt->base;
    return OK;
}

void pg_stmt_free(struct stmt *base)
{
    struct pg_stmt *stmt = pg_stmt_of(base);
    PQclear(stmt->result);
    for (int i = 0; i < stmt->params; i++)
        buf_done(&stmt->param[i].array);
    free(stmt->param);
    free(stmt->text);
    free(stmt->declare);
    free(stmt);
}

/* --- parameters --- */

void pg_clear(struct stmt *stmt)
{
    (void)stmt; /* what was bound before stays, as with SQLite */
}

static struct pg_param *param(struct stmt *stmt, int i, enum pg_type type)
{
    assert(i >= 1 && i <= pg_stmt_of(stmt)->params);
    struct pg_param *param = &pg_stmt_of(stmt)->param[i - 1];
    param->type = type;
    param->bad = false;
    return param;
}

static void param_number(struct pg_param *param, uint64_t number)
{
    param->number = htobe64(number);
    param->p = (const char *)&param->number;
    param->bytes = sizeof param->number;
}

static uint64_t real_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* What the server refuses would spoil the whole group: found here, it fails one command. */
static bool is_bad_text(struct str text)
{
    return text.p && (memchr(text.p, '\0', text.n) || !str_is_utf8(text));
}

void pg_bind_int(struct stmt *stmt, int i, int64_t value)
{
    param_number(param(stmt, i, PG_INT8), (uint64_t)value);
}

void pg_bind_real(struct stmt *stmt, int i, double value)
{
    param_number(param(stmt, i, PG_FLOAT8), real_bits(value));
}

void pg_bind_str(struct stmt *stmt, int i, struct str value)
{
    struct pg_param *p = param(stmt, i, PG_TEXT);
    p->p = value.p;
    p->bytes = value.n;
    p->bad = is_bad_text(value);
}

void pg_bind_blob(struct stmt *stmt, int i, struct str value)
{
    struct pg_param *p = param(stmt, i, PG_BYTEA);
    p->p = value.p;
    p->bytes = value.n;
}

void pg_bind_null(struct stmt *stmt, int i)
{
    struct pg_param *p = param(stmt, i, 0);
    p->p = NULL;
    p->bytes = 0;
}

/* --- arrays: dimensions, whether NULLs are in it, type; length and first index; then each with its length --- */

static void add_u32(struct buf *buf, uint32_t value)
{
    uint32_t wire = htobe32(value);
    buf_add(buf, &wire, sizeof wire);
}

static struct pg_param *array_begin(struct stmt *stmt, int i, enum pg_type type, enum pg_type of, size_t n)
{
    struct pg_param *p = param(stmt, i, type);
    assert(n <= INT32_MAX);
    buf_reset(&p->array);
    add_u32(&p->array, n > 0);
    add_u32(&p->array, 1);
    add_u32(&p->array, of);
    if (n > 0) {
        add_u32(&p->array, (uint32_t)n);
        add_u32(&p->array, 1);
    }
    return p;
}

static void array_end(struct pg_param *p)
{
    p->p = p->array.p;
    p->bytes = p->array.n;
}

static void add_number(struct buf *buf, uint64_t number)
{
    uint64_t wire = htobe64(number);
    add_u32(buf, sizeof wire);
    buf_add(buf, &wire, sizeof wire);
}

static void add_bytes(struct buf *buf, struct str bytes)
{
    add_u32(buf, bytes.p ? (uint32_t)bytes.n : UINT32_MAX);
    buf_add_str(buf, bytes.p ? bytes : S(""));
}

void pg_bind_ints(struct stmt *stmt, int i, const int64_t *values, size_t n)
{
    struct pg_param *p = array_begin(stmt, i, PG_INT8_ARRAY, PG_INT8, n);
    for (size_t at = 0; at < n; at++)
        add_number(&p->array, (uint64_t)values[at]);
    array_end(p);
}

void pg_bind_reals(struct stmt *stmt, int i, const double *values, size_t n)
{
    struct pg_param *p = array_begin(stmt, i, PG_FLOAT8_ARRAY, PG_FLOAT8, n);
    for (size_t at = 0; at < n; at++)
        add_number(&p->array, real_bits(values[at]));
    array_end(p);
}

void pg_bind_strs(struct stmt *stmt, int i, const struct str *values, size_t n)
{
    struct pg_param *p = array_begin(stmt, i, PG_TEXT_ARRAY, PG_TEXT, n);
    for (size_t at = 0; at < n; at++) {
        p->bad |= is_bad_text(values[at]);
        add_bytes(&p->array, values[at]);
    }
    array_end(p);
}

void pg_bind_blobs(struct stmt *stmt, int i, const struct str *values, size_t n)
{
    struct pg_param *p = array_begin(stmt, i, PG_BYTEA_ARRAY, PG_BYTEA, n);
    for (size_t at = 0; at < n; at++)
        add_bytes(&p->array, values[at]);
    array_end(p);
}

/* --- running --- */

static const struct sql guard = { "guard", "SAVEPOINT guard", NULL, 0 };
static const struct sql guard_back = { "guard_back", "ROLLBACK TO SAVEPOINT guard", NULL, 0 };
static const struct sql guard_end = { "guard_end", "RELEASE SAVEPOINT guard", NULL, 0 };

/* Runs it and waits; inside a savepoint when the caller lives on with a conflict. */
static enum err run_now(struct op *op, struct pg_stmt *stmt)
{
    struct pg_conn *conn = pg_of(stmt->base.conn);
    bool guarded = stmt->base.sql->marks & SQL_CONFLICTS;
    if (guarded)
        TRY(pg_send_text(op, conn, &guard));
    TRY(pg_send(op, conn, stmt));
    enum err err = pg_drain(op, conn, stmt);
    if (!guarded || !conn->link || (conn->base.tx && conn->base.tx->broken))
        return err;
    struct op aside = { .arena = op->arena };
    if (err != OK)
        TRY(pg_send_text(&aside, conn, &guard_back));
    TRY(pg_send_text(&aside, conn, &guard_end));
    return err;
}

/* --- walks: a cursor, read in slices --- */

static enum err walk_fetch(struct op *op, struct pg_stmt *stmt)
{
    struct pg_conn *conn = pg_of(stmt->base.conn);
    char text[64];
    stmt->slice = stmt->result ? PG_SLICE_ROWS : PG_FIRST_ROWS;
    snprintf(text, sizeof text, "FETCH %d FROM %s", stmt->slice, stmt->name);
    TRY(pg_send_raw(op, conn, stmt, text));
    return pg_drain(op, conn, stmt);
}

static enum err walk_open(struct op *op, struct pg_stmt *stmt)
{
    TRY(pg_send(op, pg_of(stmt->base.conn), stmt));
    stmt->open = true;
    return walk_fetch(op, stmt);
}

static void walk_close(struct pg_stmt *stmt)
{
    struct pg_conn *conn = pg_of(stmt->base.conn);
    const struct tx *tx = conn->base.tx;
    struct op aside = { .arena = NULL };
    char text[64];
    snprintf(text, sizeof text, "CLOSE %s", stmt->name);
    stmt->open = false;
    if (conn->link && tx && !tx->broken)
        pg_send_raw(&aside, conn, stmt, text); /* an error is the link's end, and the next to use it says so */
}

/* --- the calls --- */

enum err pg_step_row(struct op *op, struct stmt *base, bool *ret_has_row)
{
    struct pg_stmt *stmt = pg_stmt_of(base);
    if (!stmt->result && base->asked)
        TRY(pg_drain(op, pg_of(base->conn), stmt)); /* sent with a begin that nobody waited for */
    else if (!stmt->result)
        TRY(stmt->declare ? walk_open(op, stmt) : run_now(op, stmt));
    else if (stmt->open && stmt->row + 1 == stmt->slice)
        TRY(walk_fetch(op, stmt));
    if (stmt->row + 1 >= stmt->rows)
        return OK;
    stmt->row++;
    *ret_has_row = true;
    return OK;
}

enum err pg_done(struct op *op, struct stmt *stmt)
{
    return run_now(op, pg_stmt_of(stmt));
}

enum err pg_later(struct op *op, struct stmt *base)
{
    struct pg_stmt *stmt = pg_stmt_of(base);
    struct pg_conn *conn = pg_of(base->conn);
    assert(!(base->sql->marks & (SQL_CONFLICTS | SQL_WALKS)));
    base->changes = 0;
    conn->changes++; /* it may have changed something: that decides whether the group is committed */
    return pg_send(op, conn, stmt);
}

enum err pg_ask(struct op *op, struct stmt *base)
{
    assert(!(base->sql->marks & (SQL_CONFLICTS | SQL_WALKS)));
    return pg_send(op, pg_of(base->conn), pg_stmt_of(base));
}

void pg_reset(struct stmt *base)
{
    struct pg_stmt *stmt = pg_stmt_of(base);
    PQclear(stmt->result);
    stmt->result = NULL;
    stmt->row = -1;
    stmt->rows = 0;
    if (stmt->open)
        walk_close(stmt);
}
