#include "store/store_link.h"

#include "store/block.h"
#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/seq.h"

const struct schema_step link_step = {
    .name = "tracked links",
    .sqlite = "CREATE TABLE link(no INTEGER PRIMARY KEY, code TEXT NOT NULL, tenant_no INTEGER NOT NULL,"
              " mailing_no INTEGER NOT NULL, url TEXT NOT NULL, version INTEGER NOT NULL, honeypot INTEGER NOT NULL,"
              " changed_at_ms INTEGER NOT NULL, created_at_ms INTEGER NOT NULL);"
              "CREATE UNIQUE INDEX link_code ON link(code);"
              "CREATE INDEX link_mailing ON link(mailing_no, no) WHERE mailing_no > 0;"
              "CREATE TABLE block_link(no INTEGER PRIMARY KEY, data BLOB NOT NULL);",
    .postgres = "CREATE TABLE link(no bigint PRIMARY KEY, code text COLLATE \"C\" NOT NULL, tenant_no bigint NOT NULL,"
                " mailing_no bigint NOT NULL, url text COLLATE \"C\" NOT NULL, version bigint NOT NULL,"
                " honeypot bigint NOT NULL, changed_at_ms bigint NOT NULL, created_at_ms bigint NOT NULL);"
                "CREATE UNIQUE INDEX link_code ON link(code);"
                "CREATE INDEX link_mailing ON link(mailing_no, no) WHERE mailing_no > 0;"
                "CREATE TABLE block_link(no bigint PRIMARY KEY, data bytea NOT NULL)" PG_CHANGES
                ";" PG_PLAIN("block_link", "data"),
};

const struct schema_step link_change_step = {
    .name = "changes of links",
    .sqlite = "CREATE TABLE link_change(no INTEGER PRIMARY KEY, link_no INTEGER NOT NULL);",
    .postgres = "CREATE TABLE link_change(no bigint PRIMARY KEY, link_no bigint NOT NULL);",
    .alone = "they tell nobody that a link has changed",
};

#define LINK_COLUMNS "no, tenant_no, mailing_no, version, code, url, honeypot, changed_at_ms, created_at_ms"
SQL(link_by_code, "SELECT " LINK_COLUMNS " FROM link WHERE code = ?1", NULL);
SQL(link_add, "INSERT INTO link(" LINK_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9) ON CONFLICT (code) DO NOTHING",
    NULL);
SQL(link_change, "UPDATE link SET url = ?2, version = ?3, changed_at_ms = ?4 WHERE no = ?1", NULL);
SQL(link_each, "SELECT " LINK_COLUMNS " FROM link WHERE no > ?1 ORDER BY no LIMIT ?2", NULL);
SQL(link_each_of,
    "SELECT " LINK_COLUMNS " FROM link WHERE mailing_no = ?3 AND mailing_no > 0 AND no > ?1 ORDER BY no LIMIT ?2",
    NULL);

SQL(change_add, "INSERT INTO link_change(no, link_no) VALUES(?1, ?2)", NULL);
SQL(change_forget, "DELETE FROM link_change WHERE no <= ?1", NULL);
SQL(change_newest, "SELECT max(no) FROM link_change", NULL);
SQL(changes_after, "SELECT no, link_no FROM link_change WHERE no > ?1 ORDER BY no LIMIT ?2", NULL);
SQL_ONLY_POSTGRES(links_by_no, "SELECT " LINK_COLUMNS " FROM link WHERE no = ANY (?1)");

static struct link link_columns(struct op *op, struct stmt *stmt)
{
    return (struct link){ .no = (uint32_t)col_int(stmt, 0),
                          .tenant_no = (uint32_t)col_int(stmt, 1),
                          .mailing_no = (uint32_t)col_int(stmt, 2),
                          .version = (uint32_t)col_int(stmt, 3),
                          .code = col_str(op, stmt, 4),
                          .url = col_str(op, stmt, 5),
                          .honeypot = col_int(stmt, 6) != 0,
                          .changed_at_ms = col_int(stmt, 7),
                          .created_at_ms = col_int(stmt, 8) };
}

enum err store_link_by_code(struct op *op, struct tx *tx, struct str code, struct link *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &link_by_code, &stmt));
    bind_str(stmt, 1, code);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "there is no link '%.*s'", STR(code));
    *ret = link_columns(op, stmt);
    stmt_reset(stmt);
    return OK;
}

enum err store_link_add(struct op *op, struct tx *tx, struct link *link)
{
    struct stmt *stmt;
    uint32_t no = (uint32_t)store_seq_next(tx, SEQ_LINK);
    TRY(tx_stmt(op, tx, &link_add, &stmt));
    bind_int(stmt, 1, no);
    bind_int(stmt, 2, link->tenant_no);
    bind_int(stmt, 3, link->mailing_no);
    bind_int(stmt, 4, link->version);
    bind_str(stmt, 5, link->code);
    bind_str(stmt, 6, link->url);
    bind_int(stmt, 7, link->honeypot);
    bind_int(stmt, 8, link->changed_at_ms);
    bind_int(stmt, 9, link->created_at_ms);
    TRY(stmt_done(op, stmt));
    if (stmt_changes(stmt) == 0)
        return fail(op, ERR_CONFLICT, "the code '%.*s' is taken", STR(link->code));
    struct link_state *state;
    TRY(store_block_edit(op, tx, BLOCK_LINK, no, &state));
    *state = (struct link_state){ .version = link->version };
    link->no = no;
    return OK;
}

/* Nobody else knows of links where nobody shares the store. */
static enum err tell_others(struct op *op, struct tx *tx, const struct link *link)
{
    struct stmt *stmt;
    if (!tx_is_shared(tx))
        return OK;
    int64_t no = (int64_t)store_seq_next(tx, SEQ_LINK_CHANGE);
    TRY(tx_stmt(op, tx, &change_add, &stmt));
    bind_int(stmt, 1, no);
    bind_int(stmt, 2, link->no);
    TRY(stmt_later(op, stmt));
    TRY(tx_stmt(op, tx, &change_forget, &stmt));
    bind_int(stmt, 1, no - LINK_CHANGES_KEPT);
    return stmt_later(op, stmt);
}

enum err store_link_change(struct op *op, struct tx *tx, const struct link *link)
{
    struct stmt *stmt;
    TRY(tell_others(op, tx, link));
    TRY(tx_stmt(op, tx, &link_change, &stmt));
    bind_int(stmt, 1, link->no);
    bind_str(stmt, 2, link->url);
    bind_int(stmt, 3, link->version);
    bind_int(stmt, 4, link->changed_at_ms);
    TRY(stmt_done(op, stmt));
    struct link_state *state;
    TRY(store_block_edit(op, tx, BLOCK_LINK, link->no, &state));
    state->clicks = state->members = state->human = state->machine = 0;
    state->version = link->version;
    return OK;
}

static enum err links_visit(struct op *op, struct tx *tx, struct stmt *stmt,
                            enum err (*fn)(struct op *op, struct tx *tx, const struct link *link, void *arg), void *arg)
{
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct link link = link_columns(op, stmt);
        enum err err = fn(op, tx, &link, arg);
        if (err != OK) {
            stmt_reset(stmt);
            return err;
        }
    }
}

enum err store_link_each(struct op *op, struct tx *tx, uint32_t mailing_no, uint32_t after_no, int limit,
                         enum err (*fn)(struct op *op, struct tx *tx, const struct link *link, void *arg), void *arg)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, mailing_no ? &link_each_of : &link_each, &stmt));
    bind_int(stmt, 1, after_no);
    bind_int(stmt, 2, limit);
    if (mailing_no)
        bind_int(stmt, 3, mailing_no);
    return links_visit(op, tx, stmt, fn, arg);
}

enum err store_link_change_newest(struct op *op, struct tx *tx, int64_t *ret_no)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &change_newest, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *ret_no = found ? col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    return OK;
}

/* Numbers of the links changed behind *after, which becomes the newest. */
static enum err changes_read(struct op *op, struct tx *tx, int64_t *after, int64_t *numbers, size_t *ret_count,
                             bool *ret_forgotten)
{
    struct stmt *stmt;
    int64_t before = *after;
    size_t count = 0;
    TRY(tx_stmt(op, tx, &changes_after, &stmt));
    bind_int(stmt, 1, before);
    bind_int(stmt, 2, LINK_CHANGES_MAX);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        *after = col_int(stmt, 0);
        numbers[count++] = col_int(stmt, 1);
    }
    *ret_count = count;
    *ret_forgotten = *after > before + (int64_t)count; /* they are numbered without gaps */
    return OK;
}

enum err store_link_changes(struct op *op, struct tx *tx, int64_t *after, bool *ret_forgotten,
                            enum err (*fn)(struct op *op, struct tx *tx, const struct link *link, void *arg), void *arg)
{
    struct stmt *stmt;
    int64_t *numbers;
    size_t count;
    TRY(op_alloc(op, LINK_CHANGES_MAX * sizeof *numbers, &numbers));
    TRY(changes_read(op, tx, after, numbers, &count, ret_forgotten));
    if (count == 0)
        return OK;
    TRY(tx_stmt(op, tx, &links_by_no, &stmt));
    bind_ints(stmt, 1, numbers, count);
    return links_visit(op, tx, stmt, fn, arg);
}

enum err store_link_state(struct op *op, struct tx *tx, uint32_t no, const struct link_state **ret)
{
    const struct link_state *state;
    TRY(store_block_get(op, tx, BLOCK_LINK, no, &state));
    if (state->version == 0)
        return fail(op, ERR_NOT_FOUND, "there is no link %u", no);
    *ret = state;
    return OK;
}
