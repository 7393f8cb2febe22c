#include "store/store_suppression.h"

#include <stdlib.h>

#include "store/ahead.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/rows.h"
#include "store/seq.h"

const struct schema_step suppression_step = {
    .name = "suppressions",
    .sqlite = "CREATE TABLE suppression(no INTEGER PRIMARY KEY, tenant_no INTEGER NOT NULL,"
              " address_hash INTEGER NOT NULL, address TEXT NOT NULL, reason INTEGER NOT NULL, scope TEXT NOT NULL,"
              " since_us INTEGER NOT NULL, last_at_us INTEGER NOT NULL, message_no INTEGER, source TEXT);"
              "CREATE UNIQUE INDEX suppression_one ON suppression(address_hash, tenant_no, reason, scope);"
              "CREATE INDEX suppression_tenant ON suppression(tenant_no, no);",
    .postgres = "CREATE TABLE suppression(no bigint PRIMARY KEY, tenant_no bigint NOT NULL,"
                " address_hash bigint NOT NULL, address " PG_TEXT " NOT NULL, reason bigint NOT NULL,"
                " scope " PG_TEXT " NOT NULL, since_us bigint NOT NULL, last_at_us bigint NOT NULL, message_no bigint,"
                " source " PG_TEXT ")" PG_GROWS ";"
                "CREATE UNIQUE INDEX suppression_one ON suppression(address_hash, tenant_no, reason, scope);"
                "CREATE INDEX suppression_tenant ON suppression(tenant_no, no);",
};

#define SUPPRESSION_COLUMNS                                                                                            \
    "no, tenant_no, address_hash, address, reason, scope, since_us, last_at_us, message_no, source"
SQL(suppression_one_get,
    "SELECT " SUPPRESSION_COLUMNS
    " FROM suppression WHERE address_hash = ?1 AND tenant_no = ?2 AND reason = ?3 AND scope = ?4",
    NULL);
SQL(suppression_insert, "INSERT INTO suppression(" SUPPRESSION_COLUMNS ") VALUES(?1,?4,?5,?6,?7,?8,?2,?3,?9,?10)",
    NULL);
SQL(suppression_update, "UPDATE suppression SET since_us = ?2, last_at_us = ?3 WHERE no = ?1", NULL);
SQL(suppression_delete, "DELETE FROM suppression WHERE no = ?1", NULL);
SQL(suppression_list, "SELECT " SUPPRESSION_COLUMNS " FROM suppression WHERE no > ?1 ORDER BY no LIMIT ?2", NULL);
SQL(suppression_list_tenant,
    "SELECT " SUPPRESSION_COLUMNS " FROM suppression WHERE tenant_no = ?3 AND no > ?1 ORDER BY no LIMIT ?2", NULL);
/* "no + 0" is sorted: else the planner may walk all numbers in the hope to meet the address soon. */
SQL(suppression_list_address,
    "SELECT " SUPPRESSION_COLUMNS " FROM suppression WHERE address_hash = ?3 AND no > ?1 ORDER BY no LIMIT ?2",
    "SELECT " SUPPRESSION_COLUMNS " FROM suppression WHERE address_hash = ?3 AND no > ?1 ORDER BY no + 0 LIMIT ?2");
SQL(suppression_list_both,
    "SELECT " SUPPRESSION_COLUMNS
    " FROM suppression WHERE address_hash = ?3 AND tenant_no = ?4 AND no > ?1 ORDER BY no LIMIT ?2",
    "SELECT " SUPPRESSION_COLUMNS
    " FROM suppression WHERE address_hash = ?3 AND tenant_no = ?4 AND no > ?1 ORDER BY no + 0 LIMIT ?2");

SQL_ONLY_POSTGRES(suppression_wanted, "SELECT " SUPPRESSION_COLUMNS " FROM suppression WHERE address_hash = ANY (?1)"
                                      " ORDER BY address_hash, no");

/* PostgreSQL: suppressions read ahead, those of an address behind each other. The answer of an address is which: the
 * first, and the one behind the last. */
enum {
    ROW_NO,
    ROW_TENANT,
    ROW_ADDRESS_HASH,
    ROW_ADDRESS,
    ROW_REASON,
    ROW_SCOPE,
    ROW_SINCE,
    ROW_LAST,
    ROW_MESSAGE,
    ROW_SOURCE
};

static enum err read_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)op;
    (void)tx;
    struct rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        abort();
    rows_init(rows, "iiititiiit");
    *ret_state = rows;
    return OK;
}

static void read_close(void *state)
{
    rows_done(state);
    free(state);
}

static void read_forget(void *state)
{
    rows_clear(state);
}

const struct family suppression_family = {
    .name = "suppressions", .open = read_open, .close = read_close, .kept = read_forget, .drop = read_forget
};

static struct ahead_key address_key(int64_t address_hash)
{
    return (struct ahead_key){ AHEAD_SUPPRESSION, address_hash, 0 };
}

/* Known, without asking, to have none. */
static bool has_none(struct tx *tx, int64_t address_hash)
{
    struct ahead_answer answer;
    return ahead_find(tx, address_key(address_hash), &answer) && answer.count == 0;
}

static struct suppression suppression_columns(struct op *op, struct stmt *stmt)
{
    return (struct suppression){ .no = (uint64_t)col_int(stmt, 0),
                                 .tenant_no = (uint32_t)col_int(stmt, 1),
                                 .address_hash = col_int(stmt, 2),
                                 .address = col_str(op, stmt, 3),
                                 .reason = (uint8_t)col_int(stmt, 4),
                                 .scope = col_str(op, stmt, 5),
                                 .since_us = col_int(stmt, 6),
                                 .last_at_us = col_int(stmt, 7),
                                 .message_no = (uint64_t)col_int(stmt, 8),
                                 .source = col_str(op, stmt, 9) };
}

static void read_add(struct rows *rows, const struct suppression *row)
{
    rows_begin(rows);
    rows_int(rows, (int64_t)row->no);
    rows_int(rows, row->tenant_no);
    rows_int(rows, row->address_hash);
    rows_str(rows, row->address);
    rows_int(rows, row->reason);
    rows_str(rows, row->scope);
    rows_int(rows, row->since_us);
    rows_int(rows, row->last_at_us);
    rows_int(rows, (int64_t)row->message_no);
    rows_str(rows, row->source);
}

static struct suppression read_at(struct op *op, const struct rows *rows, size_t at)
{
    return (struct suppression){ .no = (uint64_t)rows_int_at(rows, at, ROW_NO),
                                 .tenant_no = (uint32_t)rows_int_at(rows, at, ROW_TENANT),
                                 .address_hash = rows_int_at(rows, at, ROW_ADDRESS_HASH),
                                 .address = arena_str(op->arena, rows_str_at(rows, at, ROW_ADDRESS)),
                                 .reason = (uint8_t)rows_int_at(rows, at, ROW_REASON),
                                 .scope = arena_str(op->arena, rows_str_at(rows, at, ROW_SCOPE)),
                                 .since_us = rows_int_at(rows, at, ROW_SINCE),
                                 .last_at_us = rows_int_at(rows, at, ROW_LAST),
                                 .message_no = (uint64_t)rows_int_at(rows, at, ROW_MESSAGE),
                                 .source = arena_str(op->arena, rows_str_at(rows, at, ROW_SOURCE)) };
}

/* The addresses nothing is known of, each noted as one that has none. */
static enum err addresses_unknown(struct op *op, struct tx *tx, const int64_t *address_hashes, size_t count,
                                  int64_t **ret, size_t *ret_count)
{
    struct ahead_answer answer;
    *ret_count = 0;
    TRY(op_alloc(op, count * sizeof **ret, ret));
    for (size_t i = 0; i < count; i++) {
        if (ahead_find(tx, address_key(address_hashes[i]), &answer))
            continue;
        ahead_put(tx, address_key(address_hashes[i]), (struct ahead_answer){ 0 });
        (*ret)[(*ret_count)++] = address_hashes[i];
    }
    return OK;
}

enum err store_suppression_prefetch(struct op *op, struct tx *tx, const int64_t *address_hashes, size_t count)
{
    struct stmt *stmt;
    int64_t *wanted;
    size_t n;
    if (!tx_is_shared(tx) || !tx_may_write(tx) || count == 0)
        return OK;
    TRY(addresses_unknown(op, tx, address_hashes, count, &wanted, &n));
    if (n == 0)
        return OK;
    struct rows *rows = tx_state(tx, &suppression_family);
    TRY(tx_stmt(op, tx, &suppression_wanted, &stmt));
    bind_ints(stmt, 1, wanted, n);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct suppression row = suppression_columns(op, stmt);
        struct ahead_key key = address_key(row.address_hash);
        struct ahead_answer answer = { 0 };
        read_add(rows, &row);
        if (ahead_find(tx, key, &answer) && answer.count == 0)
            answer = (struct ahead_answer){ .count = 2, .value = { (int64_t)rows->count - 1 } };
        answer.value[1] = (int64_t)rows->count;
        if (answer.count == 2)
            ahead_put(tx, key, answer);
    }
}

/* Looks among those read ahead. False: the table must be asked. */
static bool read_find(struct op *op, struct tx *tx, const struct suppression *want, struct suppression *ret,
                      bool *ret_found)
{
    struct ahead_answer answer;
    if (!ahead_find(tx, address_key(want->address_hash), &answer))
        return false;
    const struct rows *rows = tx_state(tx, &suppression_family);
    *ret_found = false;
    for (int64_t at = answer.value[0]; answer.count && at < answer.value[1]; at++) {
        struct suppression row = read_at(op, rows, (size_t)at);
        if (row.tenant_no != want->tenant_no || row.reason != want->reason || !str_eq(row.scope, want->scope))
            continue;
        *ret = row;
        *ret_found = true;
        break;
    }
    return true;
}

/* What is read of an address stands behind each other: with one that is new or changed, all of it once more. */
static void read_put(struct op *op, struct tx *tx, const struct suppression *row)
{
    struct ahead_answer before, after = { .count = 2 };
    if (!ahead_find(tx, address_key(row->address_hash), &before))
        return;
    struct rows *rows = tx_state(tx, &suppression_family);
    after.value[0] = (int64_t)rows->count;
    for (int64_t at = before.value[0]; before.count && at < before.value[1]; at++) {
        struct suppression other = read_at(op, rows, (size_t)at);
        if (other.no != row->no)
            read_add(rows, &other);
    }
    read_add(rows, row);
    after.value[1] = (int64_t)rows->count;
    ahead_put(tx, address_key(row->address_hash), after);
}

static void read_remove(struct tx *tx, uint64_t no)
{
    if (!tx_is_shared(tx))
        return;
    const struct rows *rows = tx_state(tx, &suppression_family);
    for (size_t i = 0; i < rows->count; i++)
        if (rows_int_at(rows, i, ROW_NO) == (int64_t)no)
            ahead_forget(tx, address_key(rows_int_at(rows, i, ROW_ADDRESS_HASH)));
}

static enum err not_suppressed(struct op *op)
{
    return fail(op, ERR_NOT_FOUND, "this address is not suppressed");
}

enum err store_suppression_get(struct op *op, struct tx *tx, uint32_t tenant_no, int64_t address_hash, uint8_t reason,
                               struct str scope, struct suppression *ret)
{
    struct suppression want = {
        .tenant_no = tenant_no, .address_hash = address_hash, .reason = reason, .scope = scope
    };
    struct stmt *stmt;
    bool found;
    if (read_find(op, tx, &want, ret, &found))
        return found ? OK : not_suppressed(op);
    TRY(tx_stmt(op, tx, &suppression_one_get, &stmt));
    bind_int(stmt, 1, address_hash);
    bind_int(stmt, 2, tenant_no);
    bind_int(stmt, 3, reason);
    bind_str(stmt, 4, scope);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return not_suppressed(op);
    *ret = suppression_columns(op, stmt);
    stmt_reset(stmt);
    return OK;
}

enum err store_suppression_put(struct op *op, struct tx *tx, struct suppression *row)
{
    bool is_new = row->no == 0;
    if (is_new)
        row->no = store_seq_next(tx, SEQ_SUPPRESSION);
    read_put(op, tx, row);
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, is_new ? &suppression_insert : &suppression_update, &stmt));
    bind_int(stmt, 1, (int64_t)row->no);
    bind_int(stmt, 2, row->since_us);
    bind_int(stmt, 3, row->last_at_us);
    if (is_new) {
        bind_int(stmt, 4, row->tenant_no);
        bind_int(stmt, 5, row->address_hash);
        bind_str(stmt, 6, row->address);
        bind_int(stmt, 7, row->reason);
        bind_str(stmt, 8, row->scope);
        bind_int_null(stmt, 9, (int64_t)row->message_no, 0);
        bind_str(stmt, 10, row->source);
    }
    return stmt_later(op, stmt);
}

enum err store_suppression_delete(struct op *op, struct tx *tx, uint64_t no)
{
    read_remove(tx, no);
    return stmt_by_no(op, tx, &suppression_delete, no);
}

static const struct sql *list_sql(uint32_t tenant_no, bool by_address)
{
    if (by_address)
        return tenant_no ? &suppression_list_both : &suppression_list_address;
    return tenant_no ? &suppression_list_tenant : &suppression_list;
}

enum err store_suppression_list(struct op *op, struct tx *tx, uint32_t tenant_no, bool by_address, int64_t address_hash,
                                uint64_t after_no, int limit,
                                enum err (*fn)(struct op *op, struct tx *tx, const struct suppression *row, void *arg),
                                void *arg, bool *ret_more)
{
    struct stmt *stmt;
    *ret_more = false;
    if (by_address && has_none(tx, address_hash))
        return OK;
    TRY(tx_stmt(op, tx, list_sql(tenant_no, by_address), &stmt));
    bind_int(stmt, 1, (int64_t)after_no);
    bind_int(stmt, 2, limit + 1);
    int at = 3;
    if (by_address)
        bind_int(stmt, at++, address_hash);
    if (tenant_no)
        bind_int(stmt, at, tenant_no);
    for (int taken = 0;; taken++) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        if (taken == limit)
            break;
        struct suppression row = suppression_columns(op, stmt);
        TRY(fn(op, tx, &row, arg));
    }
    *ret_more = true;
    stmt_reset(stmt);
    return OK;
}
