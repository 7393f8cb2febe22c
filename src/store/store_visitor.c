#include "store/store_visitor.h"

#include <stdlib.h>

#include "store/ahead.h"
#include "store/block.h"
#include "store/db.h"
#include "store/families.h"
#include "store/rows.h"
#include "store/seq.h"

SQL(visitor_get, "SELECT no FROM visitor WHERE hash = ?1 AND tenant_no = ?2", NULL);
SQL(visitor_newest, "SELECT max(no) FROM visitor", NULL);
SQL_ONLY_SQLITE(visitor_add_one, "INSERT INTO visitor(no, tenant_no, hash) VALUES(?1, ?2, ?3)");
SQL_ONLY_POSTGRES(visitor_rows, "INSERT INTO visitor(no, tenant_no, hash)"
                                " SELECT * FROM unnest(?1" PG_INTS ", ?2" PG_INTS ", ?3" PG_INTS ")");
/* OFFSET keeps each look-up one by itself. */
SQL_ONLY_POSTGRES(visitor_wanted, "SELECT k.at, v.no FROM unnest(?1" PG_INTS ", ?2" PG_INTS
                                  ") WITH ORDINALITY AS k(hash, tenant_no, at)"
                                  " CROSS JOIN LATERAL (SELECT no FROM visitor WHERE hash = k.hash"
                                  "  AND tenant_no = k.tenant_no OFFSET 0) AS v");

/* PostgreSQL: rows of the command under way, inserted together behind it. */
static enum err waiting_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)op;
    (void)tx;
    struct rows *waiting = calloc(1, sizeof *waiting);
    if (!waiting)
        abort();
    rows_init(waiting, "iii");
    *ret_state = waiting;
    return OK;
}

static void waiting_close(void *state)
{
    rows_done(state);
    free(state);
}

static enum err waiting_write(struct op *op, struct tx *tx, void *state)
{
    return rows_write(op, tx, state, &visitor_rows);
}

static void waiting_drop(void *state)
{
    rows_clear(state);
}

const struct family visitor_family = { .name = "visitors",
                                       .open = waiting_open,
                                       .close = waiting_close,
                                       .flush = waiting_write,
                                       .trim = waiting_write,
                                       .drop = waiting_drop };

/* A statement that reads the table. */
static enum err visitor_stmt(struct op *op, struct tx *tx, const struct sql *sql, struct stmt **ret_stmt)
{
    if (tx_may_write(tx) && tx_is_shared(tx))
        TRY(waiting_write(op, tx, tx_state(tx, &visitor_family)));
    return tx_stmt(op, tx, sql, ret_stmt);
}

static struct ahead_key key_of(struct visitor visitor)
{
    return (struct ahead_key){ AHEAD_VISITOR, visitor.hash, visitor.tenant_no };
}

/* 0: he is new. */
static enum err visitor_find(struct op *op, struct tx *tx, struct visitor visitor, uint64_t *ret_no)
{
    struct stmt *stmt;
    bool found;
    struct ahead_answer answer;
    if (ahead_find(tx, key_of(visitor), &answer)) {
        *ret_no = answer.count ? (uint64_t)answer.value[0] : 0;
        return OK;
    }
    TRY(visitor_stmt(op, tx, &visitor_get, &stmt));
    bind_int(stmt, 1, visitor.hash);
    bind_int(stmt, 2, visitor.tenant_no);
    TRY(stmt_row(op, stmt, &found));
    *ret_no = found ? (uint64_t)col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    return OK;
}

static enum err visitor_add(struct op *op, struct tx *tx, struct visitor visitor, uint64_t no)
{
    struct stmt *stmt;
    if (tx_is_shared(tx)) {
        struct rows *waiting = tx_state(tx, &visitor_family);
        tx_wrote(tx);
        rows_begin(waiting);
        rows_int(waiting, (int64_t)no);
        rows_int(waiting, visitor.tenant_no);
        rows_int(waiting, visitor.hash);
        return OK;
    }
    TRY(tx_stmt(op, tx, &visitor_add_one, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    bind_int(stmt, 2, visitor.tenant_no);
    bind_int(stmt, 3, visitor.hash);
    return stmt_done(op, stmt);
}

enum err store_visitor_meet(struct op *op, struct tx *tx, struct visitor visitor, uint64_t *ret_no)
{
    TRY(visitor_find(op, tx, visitor, ret_no));
    if (*ret_no)
        return OK;
    *ret_no = store_seq_next(tx, SEQ_VISITOR);
    ahead_put(tx, key_of(visitor), (struct ahead_answer){ .count = 1, .value = { (int64_t)*ret_no } });
    return visitor_add(op, tx, visitor, *ret_no);
}

/* Those nobody has asked for yet, and where they stand among all. */
struct asking {
    int64_t *hashes, *tenants;
    size_t *places;
    size_t count;
};

static enum err asking_make(struct op *op, struct tx *tx, const struct visitor *visitors, size_t count,
                            struct asking *ret)
{
    struct ahead_answer answer;
    ret->count = 0;
    TRY(op_alloc(op, count * sizeof *ret->hashes, &ret->hashes));
    TRY(op_alloc(op, count * sizeof *ret->tenants, &ret->tenants));
    TRY(op_alloc(op, count * sizeof *ret->places, &ret->places));
    for (size_t i = 0; i < count; i++) {
        if (ahead_find(tx, key_of(visitors[i]), &answer))
            continue;
        ahead_put(tx, key_of(visitors[i]), (struct ahead_answer){ 0 });
        ret->hashes[ret->count] = visitors[i].hash;
        ret->tenants[ret->count] = visitors[i].tenant_no;
        ret->places[ret->count++] = i;
    }
    return OK;
}

/* The records of those found, and of those that will be made. */
static enum err records_ahead(struct op *op, struct tx *tx, const uint64_t *found, size_t count)
{
    uint64_t *numbers, newest = store_seq_newest(tx, SEQ_VISITOR);
    TRY(op_alloc(op, count * sizeof *numbers, &numbers));
    for (size_t i = 0; i < count; i++)
        numbers[i] = found[i] ? found[i] : ++newest;
    return store_block_prefetch(op, tx, 1u << BLOCK_VISITOR, numbers, count);
}

enum err store_visitor_prefetch(struct op *op, struct tx *tx, const struct visitor *visitors, size_t count,
                                uint64_t *ret_nos)
{
    struct asking asking;
    struct stmt *stmt;
    memset(ret_nos, 0, count * sizeof *ret_nos);
    if (!tx_is_shared(tx) || !tx_may_write(tx) || count == 0)
        return OK;
    TRY(asking_make(op, tx, visitors, count, &asking));
    if (asking.count == 0)
        return OK;
    TRY(visitor_stmt(op, tx, &visitor_wanted, &stmt));
    bind_ints(stmt, 1, asking.hashes, asking.count);
    bind_ints(stmt, 2, asking.tenants, asking.count);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        size_t at = asking.places[col_int(stmt, 0) - 1];
        ret_nos[at] = (uint64_t)col_int(stmt, 1);
        ahead_put(tx, key_of(visitors[at]), (struct ahead_answer){ .count = 1, .value = { col_int(stmt, 1) } });
    }
    return records_ahead(op, tx, ret_nos, count);
}

enum err store_visitor_newest(struct op *op, struct tx *tx, uint64_t *ret_no)
{
    struct stmt *stmt;
    bool found;
    TRY(visitor_stmt(op, tx, &visitor_newest, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *ret_no = found ? (uint64_t)col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    return OK;
}
