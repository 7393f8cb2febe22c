#include "store/store_member.h"

#include <stdlib.h>

#include "store/ahead.h"
#include "store/block.h"
#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/rows.h"
#include "store/seq.h"

const struct schema_step member_step = {
    .name = "members",
    .sqlite = "CREATE TABLE member(no INTEGER PRIMARY KEY, tenant_no INTEGER NOT NULL, id TEXT NOT NULL,"
              " address_hash INTEGER NOT NULL);"
              "CREATE UNIQUE INDEX member_id ON member(id, tenant_no);"
              "CREATE TABLE member_address(member_no INTEGER NOT NULL, address_hash INTEGER NOT NULL,"
              " PRIMARY KEY(member_no, address_hash)) WITHOUT ROWID;",
    .postgres = "CREATE TABLE member(no bigint PRIMARY KEY, tenant_no bigint NOT NULL, id " PG_TEXT " NOT NULL,"
                " address_hash bigint NOT NULL)" PG_GROWS ";"
                "CREATE UNIQUE INDEX member_id ON member(id, tenant_no);"
                "CREATE TABLE member_address(member_no bigint NOT NULL, address_hash bigint NOT NULL,"
                " PRIMARY KEY(member_no, address_hash))" PG_GROWS ";",
};

SQL(member_by_id, "SELECT no, address_hash FROM member WHERE id = ?1 AND tenant_no = ?2", NULL);
SQL_ONLY_POSTGRES(member_wanted, "SELECT id, no, address_hash FROM member WHERE id = ANY (?1) AND tenant_no = ?2");
SQL_ONLY_SQLITE(member_insert, "INSERT INTO member(no, tenant_no, id, address_hash) VALUES(?1,?2,?3,?4)");
SQL_ONLY_POSTGRES(member_rows, "INSERT INTO member(no, tenant_no, id, address_hash)"
                               " SELECT * FROM unnest(?1" PG_INTS ",?2" PG_INTS ",?3" PG_TEXTS ",?4" PG_INTS ")");
SQL_ONLY_SQLITE(member_address_add,
                "INSERT INTO member_address(member_no, address_hash) VALUES(?1,?2) ON CONFLICT DO NOTHING");
SQL_ONLY_POSTGRES(member_address_rows, "INSERT INTO member_address(member_no, address_hash)"
                                       " SELECT * FROM unnest(?1" PG_INTS ",?2" PG_INTS ") ON CONFLICT DO NOTHING");
SQL(member_address_list, "SELECT address_hash FROM member_address WHERE member_no = ?1 LIMIT ?2", NULL);
SQL(member_tenants, "SELECT tenant_no FROM member WHERE id = ?1 LIMIT 2", NULL);

/* PostgreSQL: rows of the command under way, inserted together behind it. */
struct waiting {
    struct rows members, addresses;
};

static enum err waiting_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)op;
    (void)tx;
    struct waiting *waiting = calloc(1, sizeof *waiting);
    if (!waiting)
        abort();
    rows_init(&waiting->members, "iiti");
    rows_init(&waiting->addresses, "ii");
    *ret_state = waiting;
    return OK;
}

static void waiting_close(void *state)
{
    struct waiting *waiting = state;
    rows_done(&waiting->members);
    rows_done(&waiting->addresses);
    free(waiting);
}

static enum err waiting_write(struct op *op, struct tx *tx, void *state)
{
    struct waiting *waiting = state;
    TRY(rows_write(op, tx, &waiting->members, &member_rows));
    return rows_write(op, tx, &waiting->addresses, &member_address_rows);
}

static void waiting_drop(void *state)
{
    struct waiting *waiting = state;
    rows_clear(&waiting->members);
    rows_clear(&waiting->addresses);
}

const struct family member_family = { .name = "members",
                                      .open = waiting_open,
                                      .close = waiting_close,
                                      .flush = waiting_write,
                                      .trim = waiting_write,
                                      .drop = waiting_drop };

/* A statement that reads the tables. */
static enum err member_stmt(struct op *op, struct tx *tx, const struct sql *sql, struct stmt **ret_stmt)
{
    if (tx_may_write(tx) && tx_is_shared(tx))
        TRY(waiting_write(op, tx, tx_state(tx, &member_family)));
    return tx_stmt(op, tx, sql, ret_stmt);
}

enum err store_member_get(struct op *op, struct tx *tx, uint32_t tenant_no, struct str id, struct member *ret)
{
    struct stmt *stmt;
    bool found;
    struct ahead_answer answer;
    if (ahead_find(tx, ahead_text(tx, AHEAD_MEMBER, tenant_no, id), &answer)) {
        if (answer.count == 0)
            return fail(op, ERR_NOT_FOUND, "there is no member '%.*s'", STR(id));
        *ret = (struct member){
            .no = (uint32_t)answer.value[0], .tenant_no = tenant_no, .id = id, .address_hash = answer.value[1]
        };
        return OK;
    }
    TRY(member_stmt(op, tx, &member_by_id, &stmt));
    bind_str(stmt, 1, id);
    bind_int(stmt, 2, tenant_no);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "there is no member '%.*s'", STR(id));
    *ret = (struct member){
        .no = (uint32_t)col_int(stmt, 0), .tenant_no = tenant_no, .id = id, .address_hash = col_int(stmt, 1)
    };
    stmt_reset(stmt);
    return OK;
}

static enum err member_add(struct op *op, struct tx *tx, const struct member *member)
{
    struct stmt *stmt;
    if (tx_is_shared(tx)) {
        struct waiting *waiting = tx_state(tx, &member_family);
        tx_wrote(tx);
        rows_begin(&waiting->members);
        rows_int(&waiting->members, member->no);
        rows_int(&waiting->members, member->tenant_no);
        rows_str(&waiting->members, member->id);
        rows_int(&waiting->members, member->address_hash);
        return OK;
    }
    TRY(tx_stmt(op, tx, &member_insert, &stmt));
    bind_int(stmt, 1, member->no);
    bind_int(stmt, 2, member->tenant_no);
    bind_str(stmt, 3, member->id);
    bind_int(stmt, 4, member->address_hash);
    return stmt_done(op, stmt);
}

static enum err address_add(struct op *op, struct tx *tx, uint32_t member_no, int64_t address_hash)
{
    struct stmt *stmt;
    if (tx_is_shared(tx)) {
        struct waiting *waiting = tx_state(tx, &member_family);
        tx_wrote(tx);
        rows_begin(&waiting->addresses);
        rows_int(&waiting->addresses, member_no);
        rows_int(&waiting->addresses, address_hash);
        return OK;
    }
    TRY(tx_stmt(op, tx, &member_address_add, &stmt));
    bind_int(stmt, 1, member_no);
    bind_int(stmt, 2, address_hash);
    return stmt_done(op, stmt);
}

static enum err member_make(struct op *op, struct tx *tx, uint32_t tenant_no, struct str id, int64_t address_hash,
                            uint32_t *ret_no)
{
    uint32_t no = (uint32_t)store_seq_next(tx, SEQ_MEMBER);
    TRY(member_add(op, tx,
                   &(struct member){ .no = no, .tenant_no = tenant_no, .id = id, .address_hash = address_hash }));
    ahead_put(tx, ahead_text(tx, AHEAD_MEMBER, tenant_no, id),
              (struct ahead_answer){ .count = 2, .value = { no, address_hash } });
    *ret_no = no;
    return OK;
}

enum err store_member_meet(struct op *op, struct tx *tx, uint32_t tenant_no, struct str id, int64_t address_hash,
                           uint32_t *ret_no)
{
    struct member member;
    enum err err = store_member_get(op, tx, tenant_no, id, &member);
    if (err == ERR_NOT_FOUND)
        return member_make(op, tx, tenant_no, id, address_hash, ret_no);
    TRY(err);
    if (member.address_hash != address_hash)
        TRY(address_add(op, tx, member.no, address_hash));
    *ret_no = member.no;
    return OK;
}

enum err store_member_addresses(struct op *op, struct tx *tx, const struct member *member, const int64_t **ret_hashes,
                                size_t *ret_count)
{
    int64_t *hashes;
    TRY(op_alloc(op, MEMBER_ADDRESSES_MAX * sizeof *hashes, &hashes));
    size_t count = 0;
    hashes[count++] = member->address_hash;
    struct stmt *stmt;
    TRY(member_stmt(op, tx, &member_address_list, &stmt));
    bind_int(stmt, 1, member->no);
    bind_int(stmt, 2, MEMBER_ADDRESSES_MAX - 1);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        hashes[count++] = col_int(stmt, 0);
    }
    *ret_hashes = hashes;
    *ret_count = count;
    return OK;
}

enum err store_member_tenants(struct op *op, struct tx *tx, struct str id, uint32_t ret_tenant_no[2], int *ret_count)
{
    struct stmt *stmt;
    TRY(member_stmt(op, tx, &member_tenants, &stmt));
    bind_str(stmt, 1, id);
    int count = 0;
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        ret_tenant_no[count++] = (uint32_t)col_int(stmt, 0);
    }
    *ret_count = count;
    return OK;
}

/* The blocks of those found, and of those that will be made. */
static enum err blocks_ahead(struct op *op, struct tx *tx, uint64_t *numbers, size_t found, size_t count)
{
    uint64_t newest = store_seq_newest(tx, SEQ_MEMBER);
    for (size_t i = found; i < count; i++)
        numbers[i] = newest + 1 + (i - found);
    return store_block_prefetch(op, tx, 1u << BLOCK_MEMBER, numbers, count);
}

enum err store_member_prefetch(struct op *op, struct tx *tx, uint32_t tenant_no, const struct str *ids, size_t count)
{
    struct stmt *stmt;
    uint64_t *numbers;
    size_t found_count = 0;
    if (!tx_is_shared(tx) || !tx_may_write(tx) || count == 0)
        return OK;
    TRY(op_alloc(op, count * sizeof *numbers, &numbers));
    TRY(member_stmt(op, tx, &member_wanted, &stmt));
    bind_strs(stmt, 1, ids, count);
    bind_int(stmt, 2, tenant_no);
    for (size_t i = 0; i < count; i++)
        ahead_put(tx, ahead_text(tx, AHEAD_MEMBER, tenant_no, ids[i]), (struct ahead_answer){ 0 });
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        ahead_put(tx, ahead_text(tx, AHEAD_MEMBER, tenant_no, col_str_borrowed(stmt, 0)),
                  (struct ahead_answer){ .count = 2, .value = { col_int(stmt, 1), col_int(stmt, 2) } });
        if (found_count < count)
            numbers[found_count++] = (uint64_t)col_int(stmt, 1);
    }
    return blocks_ahead(op, tx, numbers, found_count, count);
}
