#include "store/store_click.h"

#include <stdlib.h>

#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/store_tenant.h"
#include "store/tally.h"

const struct schema_step click_step = {
    .name = "clicks",
    .sqlite = "CREATE TABLE click_mark(node TEXT PRIMARY KEY, newest INTEGER NOT NULL) WITHOUT ROWID;"
              "CREATE TABLE visitor(no INTEGER PRIMARY KEY, tenant_no INTEGER NOT NULL, hash INTEGER NOT NULL);"
              "CREATE UNIQUE INDEX visitor_hash ON visitor(hash, tenant_no);"
              "CREATE TABLE mailing_young(mailing_no INTEGER PRIMARY KEY, latest_us INTEGER NOT NULL);"
              "CREATE TABLE block_visitor(no INTEGER PRIMARY KEY, data BLOB NOT NULL);",
    .postgres = "CREATE TABLE click_mark(node text COLLATE \"C\" PRIMARY KEY, newest bigint NOT NULL);"
                "CREATE TABLE visitor(no bigint PRIMARY KEY, tenant_no bigint NOT NULL, hash bigint NOT NULL);"
                "CREATE UNIQUE INDEX visitor_hash ON visitor(hash, tenant_no);"
                "CREATE TABLE mailing_young(mailing_no bigint PRIMARY KEY, latest_us bigint NOT NULL);"
                "CREATE TABLE block_visitor(no bigint PRIMARY KEY, data bytea NOT NULL)" PG_CHANGES
                ";" PG_PLAIN("block_visitor", "data"),
};

SQL(mark_get, "SELECT newest FROM click_mark WHERE node = ?1", NULL);
SQL(mark_put,
    "INSERT INTO click_mark(node, newest) VALUES(?1, ?2) ON CONFLICT (node) DO UPDATE SET newest = excluded.newest",
    NULL);
SQL(young_get, "SELECT latest_us FROM mailing_young WHERE mailing_no = ?1", NULL);
SQL(young_put,
    "INSERT INTO mailing_young(mailing_no, latest_us) VALUES(?1, ?2)"
    " ON CONFLICT (mailing_no) DO UPDATE SET latest_us = excluded.latest_us",
    NULL);
/* The latest instant at which a message of a mailing was sent or delivered, or may have been: what was stored before
 * the mailing got its place here is no later than that moment, the mailing's newest event, its own sent_at, or what the
 * table says of instants that lay in the future when they were stored. */
#define YOUNG_SLOTS 1024

struct young {
    struct young_slot {
        uint32_t mailing_no;
        int64_t latest_us;
    } slots[YOUNG_SLOTS];
};

static enum err young_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)tx;
    *ret_state = calloc(1, sizeof(struct young));
    return *ret_state ? OK : fail(op, ERR_UNAVAILABLE, "no memory for young mailings");
}

/* Nothing to do when a group is rolled back: an instant too late only costs a look. */
const struct family click_family = { .name = "young mailings", .open = young_open, .close = free };

static void raise_to(int64_t *latest_us, int64_t at_us)
{
    if (at_us > *latest_us)
        *latest_us = at_us;
}

static enum err young_slot(struct op *op, struct tx *tx, uint32_t mailing_no, struct young_slot **ret_slot)
{
    struct young *young = tx_state(tx, &click_family);
    struct young_slot *slot = &young->slots[mailing_no % YOUNG_SLOTS];
    *ret_slot = slot;
    if (slot->mailing_no == mailing_no)
        return OK;
    struct mailing_stats stats;
    struct mailing mailing;
    struct stmt *stmt;
    bool found;
    int64_t latest_us = op->now_us;
    TRY(store_mailing_stats_get(op, tx, mailing_no, &stats));
    TRY(store_mailing_get_no(op, tx, mailing_no, &mailing));
    TRY(tx_stmt(op, tx, &young_get, &stmt));
    bind_int(stmt, 1, mailing_no);
    TRY(stmt_row(op, stmt, &found));
    raise_to(&latest_us, found ? col_int(stmt, 0) : 0);
    stmt_reset(stmt);
    raise_to(&latest_us, stats.last_event_at_us);
    raise_to(&latest_us, mailing.sent_at_us);
    *slot = (struct young_slot){ mailing_no, latest_us };
    return OK;
}

enum err store_mailing_is_young(struct op *op, struct tx *tx, uint32_t mailing_no, int64_t since_us, bool *ret_young)
{
    struct young_slot *slot;
    TRY(young_slot(op, tx, mailing_no, &slot));
    *ret_young = slot->latest_us > since_us;
    return OK;
}

enum err store_mailing_young(struct op *op, struct tx *tx, uint32_t mailing_no, int64_t at_us)
{
    struct young_slot *slot;
    if (mailing_no == 0)
        return OK;
    TRY(young_slot(op, tx, mailing_no, &slot));
    if (at_us <= slot->latest_us)
        return OK;
    slot->latest_us = at_us;
    if (at_us <= op->now_us)
        return OK;
    struct stmt *stmt; /* a process that starts later must know it, too */
    TRY(tx_stmt(op, tx, &young_put, &stmt));
    bind_int(stmt, 1, mailing_no);
    bind_int(stmt, 2, at_us);
    return stmt_done(op, stmt);
}

enum err store_click_mark(struct op *op, struct tx *tx, struct str node, uint64_t *ret_newest)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &mark_get, &stmt));
    bind_str(stmt, 1, node);
    TRY(stmt_row(op, stmt, &found));
    *ret_newest = found ? (uint64_t)col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    return OK;
}

enum err store_click_set_mark(struct op *op, struct tx *tx, struct str node, uint64_t newest)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &mark_put, &stmt));
    bind_str(stmt, 1, node);
    bind_int(stmt, 2, (int64_t)newest);
    return stmt_done(op, stmt);
}
