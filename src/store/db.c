/*
 * db.c - statements of a connection: prepared once, found by their text's
 * place, reset when who stands on their rows is done; parameters and columns.
 */
#include <assert.h>

#include "store/core.h"

static size_t slot_of(const struct conn *conn, const struct sql *sql)
{
    size_t i = ((uintptr_t)sql >> 4) * 0x9E3779B97F4A7C15u >> 32;
    for (i &= STMT_SLOTS - 1; conn->slots[i] && conn->slots[i]->sql != sql; i = (i + 1) & (STMT_SLOTS - 1))
        continue;
    return i;
}

static enum err stmt_new(struct op *op, struct conn *conn, const struct sql *sql, struct stmt **slot)
{
    struct stmt *stmt;
    assert(conn->used < STMT_SLOTS * 3 / 4);
    TRY(conn->engine->stmt_new(op, conn, sql, &stmt));
    stmt->conn = conn;
    stmt->sql = sql;
    *slot = stmt;
    conn->used++;
    return OK;
}

enum err tx_stmt(struct op *op, struct tx *tx, const struct sql *sql, struct stmt **ret_stmt)
{
    struct conn *conn = tx->conn;
    assert(conn->tx == tx);
    struct stmt **slot = &conn->slots[slot_of(conn, sql)];
    if (!*slot)
        TRY(stmt_new(op, conn, sql, slot));
    stmt_reset(*slot);
    conn->engine->clear(*slot);
    *ret_stmt = *slot;
    return OK;
}

static void stmt_activate(struct stmt *stmt)
{
    if (stmt->active)
        return;
    stmt->active = true;
    stmt->next_active = stmt->conn->active;
    stmt->conn->active = stmt;
}

void stmt_reset(struct stmt *stmt)
{
    if (stmt->active) {
        struct stmt **link = &stmt->conn->active;
        while (*link != stmt)
            link = &(*link)->next_active;
        *link = stmt->next_active;
        stmt->active = false;
    }
    if (stmt->stepped)
        stmt->conn->engine->reset(stmt);
    stmt->stepped = stmt->asked = false;
}

/* The simulation's say before a statement of the writer begins, or gives another row. */
static enum err stmt_begin(struct op *op, struct stmt *stmt)
{
    bool then_die;
    const struct tx *tx = stmt->conn->tx;
    if (stmt->reads && tx && tx->writing)
        TRY(conn_fault(op, stmt->conn, STORE_AT_READ, stmt->sql->name, &then_die));
    else if (!stmt->reads && !stmt->stepped)
        TRY(conn_fault(op, stmt->conn, STORE_AT_STATEMENT, stmt->sql->name, &then_die));
    stmt->stepped = true;
    return OK;
}

enum err stmt_row(struct op *op, struct stmt *stmt, bool *ret_has_row)
{
    bool found = false;
    enum err err = stmt_begin(op, stmt);
    if (err == OK)
        err = stmt->conn->engine->step_row(op, stmt, &found);
    if (found)
        stmt_activate(stmt);
    else
        stmt_reset(stmt);
    if (err == OK)
        *ret_has_row = found;
    return err;
}

enum err stmt_each(struct op *op, struct stmt *stmt, enum err (*fn)(struct op *op, struct stmt *stmt, void *arg),
                   void *arg)
{
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        enum err err = fn(op, stmt, arg);
        if (err != OK) {
            stmt_reset(stmt);
            return err;
        }
    }
}

enum err stmt_each_of(struct op *op, struct tx *tx, const struct sql *alone, const struct sql *together,
                      const uint64_t *numbers, size_t count,
                      enum err (*fn)(struct op *op, struct stmt *stmt, void *arg), void *arg)
{
    struct stmt *stmt;
    if (tx_is_shared(tx)) {
        TRY(tx_stmt(op, tx, together, &stmt));
        bind_numbers(stmt, 1, numbers, count);
        return stmt_each(op, stmt, fn, arg);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(tx_stmt(op, tx, alone, &stmt));
        bind_int(stmt, 1, (int64_t)numbers[i]);
        TRY(stmt_each(op, stmt, fn, arg));
    }
    return OK;
}

enum err stmt_done(struct op *op, struct stmt *stmt)
{
    enum err err = stmt_begin(op, stmt);
    if (err == OK)
        err = stmt->conn->engine->done(op, stmt);
    stmt_reset(stmt);
    return err;
}

enum err stmt_later(struct op *op, struct stmt *stmt)
{
    enum err err = stmt_begin(op, stmt);
    if (err == OK)
        err = stmt->conn->engine->later(op, stmt);
    stmt_reset(stmt);
    return err;
}

enum err stmt_by_no(struct op *op, struct tx *tx, const struct sql *sql, uint64_t no)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, sql, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    return stmt_later(op, stmt);
}

enum err stmt_has_older(struct op *op, struct tx *tx, const struct sql *sql, int64_t before, bool *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, sql, &stmt));
    bind_int(stmt, 1, 1);
    TRY(stmt_row(op, stmt, &found));
    *ret = found && col_int(stmt, 1) < before;
    stmt_reset(stmt);
    return OK;
}

/* One more than max is read, for the instant of the first that is left. */
enum err stmt_due(struct op *op, struct tx *tx, const struct sql *sql, const struct due_range *range, int max,
                  uint64_t *ret, int *ret_count, int64_t *ret_next_us)
{
    struct stmt *stmt;
    *ret_count = 0;
    *ret_next_us = range->until_us;
    TRY(tx_stmt(op, tx, sql, &stmt));
    bind_int(stmt, 1, range->from_us);
    bind_int(stmt, 2, range->until_us);
    bind_int(stmt, 3, max + 1);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        if (*ret_count == max || col_int(stmt, 1) > range->by_us) {
            *ret_next_us = col_int(stmt, 1);
            stmt_reset(stmt);
            break;
        }
        ret[(*ret_count)++] = (uint64_t)col_int(stmt, 0);
    }
    return OK;
}

enum err stmt_ask(struct op *op, struct stmt *stmt)
{
    assert(stmt->reads);
    TRY(stmt_begin(op, stmt));
    stmt_activate(stmt); /* so that nothing of it outlives the transaction */
    stmt->asked = true;
    return stmt->conn->engine->ask(op, stmt);
}

bool tx_answer(struct tx *tx, const struct sql *sql, struct stmt **ret_stmt)
{
    struct stmt *stmt = tx->conn->slots[slot_of(tx->conn, sql)];
    if (!stmt || !stmt->asked)
        return false;
    *ret_stmt = stmt;
    return true;
}

void conn_forget_answers(struct conn *conn)
{
    for (struct stmt *stmt = conn->active, *next; stmt; stmt = next) {
        next = stmt->next_active;
        if (stmt->asked)
            stmt_reset(stmt);
    }
}

int64_t stmt_changes(const struct stmt *stmt)
{
    return stmt->changes;
}

/* --- parameters --- */

void bind_int(struct stmt *stmt, int i, int64_t value)
{
    stmt->conn->engine->bind_int(stmt, i, value);
}

void bind_int_null(struct stmt *stmt, int i, int64_t value, int64_t null)
{
    if (value == null)
        bind_null(stmt, i);
    else
        bind_int(stmt, i, value);
}

void bind_real(struct stmt *stmt, int i, double value)
{
    stmt->conn->engine->bind_real(stmt, i, value);
}

void bind_str(struct stmt *stmt, int i, struct str value)
{
    stmt->conn->engine->bind_str(stmt, i, value);
}

void bind_blob(struct stmt *stmt, int i, const void *bytes, size_t n)
{
    stmt->conn->engine->bind_blob(stmt, i, (struct str){ bytes ? bytes : "", n });
}

void bind_null(struct stmt *stmt, int i)
{
    stmt->conn->engine->bind_null(stmt, i);
}

void bind_ints(struct stmt *stmt, int i, const int64_t *values, size_t n)
{
    stmt->conn->engine->bind_ints(stmt, i, values, n);
}

void bind_reals(struct stmt *stmt, int i, const double *values, size_t n)
{
    stmt->conn->engine->bind_reals(stmt, i, values, n);
}

void bind_strs(struct stmt *stmt, int i, const struct str *values, size_t n)
{
    stmt->conn->engine->bind_strs(stmt, i, values, n);
}

void bind_blobs(struct stmt *stmt, int i, const struct str *values, size_t n)
{
    stmt->conn->engine->bind_blobs(stmt, i, values, n);
}

/* --- columns --- */

int64_t col_int(struct stmt *stmt, int i)
{
    return stmt->conn->engine->col_int(stmt, i);
}

double col_real(struct stmt *stmt, int i)
{
    return stmt->conn->engine->col_real(stmt, i);
}

bool col_is_null(struct stmt *stmt, int i)
{
    return stmt->conn->engine->col_is_null(stmt, i);
}

int64_t col_int_null(struct stmt *stmt, int i, int64_t null)
{
    return col_is_null(stmt, i) ? null : col_int(stmt, i);
}

struct str col_str_borrowed(struct stmt *stmt, int i)
{
    return stmt->conn->engine->col_str(stmt, i);
}

struct str col_blob_borrowed(struct stmt *stmt, int i)
{
    return stmt->conn->engine->col_blob(stmt, i);
}

struct str col_str(struct op *op, struct stmt *stmt, int i)
{
    struct str text = col_str_borrowed(stmt, i);
    struct str copy = arena_str(op->arena, text);
    if (text.p && !copy.p)
        stmt->conn->tx->arena_full = true;
    return copy;
}
