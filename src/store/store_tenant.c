#include "store/store_tenant.h"

#include <stdlib.h>
#include <string.h>

#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/seq.h"

const struct schema_step tenant_step = {
    .name = "tenants and mailings",
    .sqlite = "CREATE TABLE tenant(no INTEGER PRIMARY KEY, id TEXT NOT NULL, timezone TEXT NOT NULL,"
              " retention TEXT, contacts TEXT, link_hosts TEXT, created_at_ms INTEGER NOT NULL,"
              " zone_since_ms INTEGER NOT NULL);"
              "CREATE UNIQUE INDEX tenant_id ON tenant(id);"
              "CREATE TABLE tenant_zone(tenant_no INTEGER NOT NULL, at_ms INTEGER NOT NULL, timezone TEXT NOT NULL,"
              " PRIMARY KEY(tenant_no, at_ms)) WITHOUT ROWID;"
              "CREATE TABLE mailing(no INTEGER PRIMARY KEY, tenant_no INTEGER NOT NULL, id TEXT NOT NULL, subject TEXT,"
              " sent_at_us INTEGER, track_opens INTEGER NOT NULL, track_clicks INTEGER NOT NULL,"
              " created_at_ms INTEGER NOT NULL);"
              "CREATE UNIQUE INDEX mailing_id ON mailing(id);"
              "CREATE INDEX mailing_sent ON mailing(tenant_no, sent_at_us);"
              "CREATE INDEX mailing_sent_any ON mailing(sent_at_us);",
    .postgres = "CREATE TABLE tenant(no bigint PRIMARY KEY, id " PG_TEXT " NOT NULL, timezone " PG_TEXT " NOT NULL,"
                " retention " PG_TEXT ", contacts " PG_TEXT ", link_hosts " PG_TEXT ", created_at_ms bigint NOT NULL,"
                " zone_since_ms bigint NOT NULL);"
                "CREATE UNIQUE INDEX tenant_id ON tenant(id);"
                "CREATE TABLE tenant_zone(tenant_no bigint NOT NULL, at_ms bigint NOT NULL,"
                " timezone " PG_TEXT " NOT NULL, PRIMARY KEY(tenant_no, at_ms));"
                "CREATE TABLE mailing(no bigint PRIMARY KEY, tenant_no bigint NOT NULL, id " PG_TEXT " NOT NULL,"
                " subject " PG_TEXT ", sent_at_us bigint, track_opens bigint NOT NULL, track_clicks bigint NOT NULL,"
                " created_at_ms bigint NOT NULL)" PG_CHANGES ";"
                "CREATE UNIQUE INDEX mailing_id ON mailing(id);"
                "CREATE INDEX mailing_sent ON mailing(tenant_no, sent_at_us);"
                "CREATE INDEX mailing_sent_any ON mailing(sent_at_us);",
};

#define TENANT_COLUMNS "no, id, timezone, retention, contacts, link_hosts, created_at_ms, zone_since_ms"
SQL(tenant_by_id, "SELECT " TENANT_COLUMNS " FROM tenant WHERE id = ?1", NULL);
SQL(tenant_by_no, "SELECT " TENANT_COLUMNS " FROM tenant WHERE no = ?1", NULL);
SQL(tenant_insert, "INSERT INTO tenant(" TENANT_COLUMNS ") VALUES(?1,?7,?2,?3,?4,?5,?8,?6)", NULL);
SQL(tenant_update,
    "UPDATE tenant SET timezone = ?2, retention = ?3, contacts = ?4, link_hosts = ?5, zone_since_ms = ?6 WHERE no = ?1",
    NULL);
SQL(tenant_zone_note,
    "INSERT INTO tenant_zone(tenant_no, at_ms, timezone) VALUES(?1,?2,?3)"
    " ON CONFLICT(tenant_no, at_ms) DO UPDATE SET timezone = excluded.timezone",
    NULL);

#define MAILING_COLUMNS "no, tenant_no, id, subject, sent_at_us, track_opens, track_clicks, created_at_ms"
SQL(mailing_by_id, "SELECT " MAILING_COLUMNS " FROM mailing WHERE id = ?1", NULL);
SQL(mailing_by_no, "SELECT " MAILING_COLUMNS " FROM mailing WHERE no = ?1", NULL);
SQL(mailing_insert, "INSERT INTO mailing(" MAILING_COLUMNS ") VALUES(?1,?6,?7,?2,?3,?4,?5,?8)", NULL);
SQL(mailing_update,
    "UPDATE mailing SET subject = ?2, sent_at_us = ?3, track_opens = ?4, track_clicks = ?5 WHERE no = ?1", NULL);
SQL(mailing_used, "SELECT 1 FROM message WHERE mailing_no = ?1 AND mailing_no > 0 LIMIT 1", NULL);
SQL(mailing_oldest, "SELECT min(sent_at_us) FROM mailing WHERE tenant_no = ?1 AND sent_at_us >= ?2", NULL);
SQL(mailing_oldest_any, "SELECT min(sent_at_us) FROM mailing WHERE sent_at_us >= ?1", NULL);
SQL(mailing_newest, "SELECT max(sent_at_us) FROM mailing WHERE tenant_no = ?1", NULL);
SQL(mailing_newest_any, "SELECT max(sent_at_us) FROM mailing WHERE sent_at_us > 0", NULL);
SQL(mailing_last, "SELECT " MAILING_COLUMNS " FROM mailing WHERE no > 0 ORDER BY no DESC LIMIT ?1", NULL);
SQL(mailing_after, "SELECT " MAILING_COLUMNS " FROM mailing WHERE no > ?1 ORDER BY no LIMIT ?2", NULL);

/* What events ask over and over, by number and by id; forgotten whole when a group is rolled back, or when another node
 * changed what was there before. */
#define CACHE_SLOTS  1024
#define CACHE_ID_MAX 128

struct mailing_name {
    uint32_t no; /* 0 = empty */
    uint8_t id_bytes;
    char id[CACHE_ID_MAX];
};

struct tenant_cache {
    struct mailing_brief briefs[CACHE_SLOTS];
    struct mailing_name names[CACHE_SLOTS];
    struct {
        uint32_t no;
        const struct zone *zone;
    } zones[CACHE_SLOTS];
};

static enum err cache_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)tx;
    *ret_state = calloc(1, sizeof(struct tenant_cache));
    return *ret_state ? OK : fail(op, ERR_UNAVAILABLE, "no memory for the cache of mailings");
}

static void cache_drop(void *state)
{
    memset(state, 0, sizeof(struct tenant_cache));
}

static enum err cache_foreign(struct op *op, struct tx *tx, void *state)
{
    (void)op;
    if (store_seq_moved(tx, SEQ_CATALOG))
        cache_drop(state);
    return OK;
}

const struct family tenant_family = {
    .name = "tenants", .open = cache_open, .close = free, .drop = cache_drop, .foreign = cache_foreign
};

/* NULL in a snapshot: readers have no part in the writer's memory. */
static struct tenant_cache *cache_of(struct tx *tx)
{
    return tx_may_write(tx) ? tx_state(tx, &tenant_family) : NULL;
}

static size_t name_slot(struct str id)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < id.n; i++)
        hash = (hash ^ (uint8_t)id.p[i]) * 16777619u;
    return hash % CACHE_SLOTS;
}

static enum err tenant_row(struct op *op, struct stmt *stmt, struct str what, struct tenant *ret)
{
    bool found;
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "there is no tenant '%.*s'", STR(what));
    *ret = (struct tenant){ .no = (uint32_t)col_int(stmt, 0),
                            .id = col_str(op, stmt, 1),
                            .timezone = col_str(op, stmt, 2),
                            .retention = col_str(op, stmt, 3),
                            .contacts = col_str(op, stmt, 4),
                            .link_hosts = col_str(op, stmt, 5),
                            .created_at_ms = col_int(stmt, 6),
                            .zone_since_ms = col_int(stmt, 7) };
    stmt_reset(stmt);
    return OK;
}

enum err store_tenant_get(struct op *op, struct tx *tx, struct str id, struct tenant *ret)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &tenant_by_id, &stmt));
    bind_str(stmt, 1, id);
    return tenant_row(op, stmt, id, ret);
}

enum err store_tenant_get_no(struct op *op, struct tx *tx, uint32_t no, struct tenant *ret)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &tenant_by_no, &stmt));
    bind_int(stmt, 1, no);
    return tenant_row(op, stmt, S("(by number)"), ret);
}

enum err store_tenant_put(struct op *op, struct tx *tx, struct tenant *tenant)
{
    bool is_new = tenant->no == 0;
    if (is_new)
        tenant->no = (uint32_t)store_seq_next(tx, SEQ_TENANT);
    else
        store_seq_next(tx, SEQ_CATALOG);
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, is_new ? &tenant_insert : &tenant_update, &stmt));
    bind_int(stmt, 1, tenant->no);
    if (is_new) {
        bind_str(stmt, 7, tenant->id);
        bind_int(stmt, 8, tenant->created_at_ms);
    }
    bind_str(stmt, 2, tenant->timezone);
    bind_str(stmt, 3, tenant->retention);
    bind_str(stmt, 4, tenant->contacts);
    bind_str(stmt, 5, tenant->link_hosts);
    bind_int(stmt, 6, tenant->zone_since_ms);
    cache_of(tx)->zones[tenant->no % CACHE_SLOTS].no = 0;
    return stmt_later(op, stmt);
}

enum err store_tenant_zone(struct op *op, struct tx *tx, uint32_t no, const struct zone **ret_zone)
{
    if (no == 0) {
        *ret_zone = zone_utc();
        return OK;
    }
    struct tenant_cache *cache = cache_of(tx);
    if (cache && cache->zones[no % CACHE_SLOTS].no == no) {
        *ret_zone = cache->zones[no % CACHE_SLOTS].zone;
        return OK;
    }
    struct tenant tenant;
    TRY(store_tenant_get_no(op, tx, no, &tenant));
    TRY(zone_get(op, tenant.timezone, ret_zone));
    if (cache) {
        cache->zones[no % CACHE_SLOTS].no = no;
        cache->zones[no % CACHE_SLOTS].zone = *ret_zone;
    }
    return OK;
}

enum err store_tenant_zone_note(struct op *op, struct tx *tx, uint32_t tenant_no, struct str timezone, int64_t at_ms)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &tenant_zone_note, &stmt));
    bind_int(stmt, 1, tenant_no);
    bind_int(stmt, 2, at_ms);
    bind_str(stmt, 3, timezone);
    return stmt_later(op, stmt);
}

static struct mailing mailing_columns(struct op *op, struct stmt *stmt)
{
    return (struct mailing){ .no = (uint32_t)col_int(stmt, 0),
                             .tenant_no = (uint32_t)col_int(stmt, 1),
                             .id = col_str(op, stmt, 2),
                             .subject = col_str(op, stmt, 3),
                             .sent_at_us = col_int_null(stmt, 4, INT64_MIN),
                             .track_opens = col_int(stmt, 5) != 0,
                             .track_clicks = col_int(stmt, 6) != 0,
                             .created_at_ms = col_int(stmt, 7) };
}

static enum err mailing_row(struct op *op, struct stmt *stmt, struct str what, struct mailing *ret)
{
    bool found;
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "there is no mailing '%.*s'", STR(what));
    *ret = mailing_columns(op, stmt);
    stmt_reset(stmt);
    return OK;
}

enum err store_mailing_get(struct op *op, struct tx *tx, struct str id, struct mailing *ret)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &mailing_by_id, &stmt));
    bind_str(stmt, 1, id);
    return mailing_row(op, stmt, id, ret);
}

enum err store_mailing_get_no(struct op *op, struct tx *tx, uint32_t no, struct mailing *ret)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &mailing_by_no, &stmt));
    bind_int(stmt, 1, no);
    return mailing_row(op, stmt, S("(by number)"), ret);
}

enum err store_mailing_put(struct op *op, struct tx *tx, struct mailing *mailing)
{
    bool is_new = mailing->no == 0;
    if (is_new)
        mailing->no = (uint32_t)store_seq_next(tx, SEQ_MAILING);
    else
        store_seq_next(tx, SEQ_CATALOG);
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, is_new ? &mailing_insert : &mailing_update, &stmt));
    bind_int(stmt, 1, mailing->no);
    if (is_new) {
        bind_int(stmt, 6, mailing->tenant_no);
        bind_str(stmt, 7, mailing->id);
        bind_int(stmt, 8, mailing->created_at_ms);
    }
    bind_str(stmt, 2, mailing->subject);
    bind_int_null(stmt, 3, mailing->sent_at_us, INT64_MIN);
    bind_int(stmt, 4, mailing->track_opens);
    bind_int(stmt, 5, mailing->track_clicks);
    cache_of(tx)->briefs[mailing->no % CACHE_SLOTS].no = 0;
    return stmt_later(op, stmt);
}

enum err store_mailing_brief(struct op *op, struct tx *tx, uint32_t no, struct mailing_brief *ret)
{
    struct tenant_cache *cache = cache_of(tx);
    if (cache && cache->briefs[no % CACHE_SLOTS].no == no) {
        *ret = cache->briefs[no % CACHE_SLOTS];
        return OK;
    }
    struct mailing mailing;
    TRY(store_mailing_get_no(op, tx, no, &mailing));
    *ret = (struct mailing_brief){ .no = no, .tenant_no = mailing.tenant_no, .track_opens = mailing.track_opens };
    if (cache)
        cache->briefs[no % CACHE_SLOTS] = *ret;
    return OK;
}

enum err store_mailing_no(struct op *op, struct tx *tx, struct str id, uint32_t *ret_no)
{
    struct tenant_cache *cache = cache_of(tx);
    struct mailing_name *name = cache ? &cache->names[name_slot(id)] : NULL;
    if (name && name->no && str_eq(id, (struct str){ name->id, name->id_bytes })) {
        *ret_no = name->no;
        return OK;
    }
    struct mailing mailing;
    enum err err = store_mailing_get(op, tx, id, &mailing);
    if (err == ERR_NOT_FOUND) {
        *ret_no = 0;
        return OK;
    }
    TRY(err);
    if (name && id.n <= CACHE_ID_MAX) {
        name->no = mailing.no;
        name->id_bytes = (uint8_t)id.n;
        memcpy(name->id, id.p, id.n);
    }
    *ret_no = mailing.no;
    return OK;
}

enum err store_mailing_has_messages(struct op *op, struct tx *tx, uint32_t no, bool *ret_has)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &mailing_used, &stmt));
    bind_int(stmt, 1, no);
    TRY(stmt_row(op, stmt, ret_has));
    stmt_reset(stmt);
    return OK;
}

static enum err mailing_bound(struct op *op, struct stmt *stmt, int64_t *ret)
{
    bool found;
    TRY(stmt_row(op, stmt, &found));
    *ret = found ? col_int_null(stmt, 0, INT64_MIN) : INT64_MIN;
    stmt_reset(stmt);
    return OK;
}

enum err store_mailing_oldest_sent(struct op *op, struct tx *tx, uint32_t tenant_no, int64_t since_us,
                                   int64_t *ret_sent_at_us)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, tenant_no ? &mailing_oldest : &mailing_oldest_any, &stmt));
    if (tenant_no)
        bind_int(stmt, 1, tenant_no);
    bind_int(stmt, tenant_no ? 2 : 1, since_us);
    return mailing_bound(op, stmt, ret_sent_at_us);
}

enum err store_mailing_newest_sent(struct op *op, struct tx *tx, uint32_t tenant_no, int64_t *ret_sent_at_us)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, tenant_no ? &mailing_newest : &mailing_newest_any, &stmt));
    if (tenant_no)
        bind_int(stmt, 1, tenant_no);
    return mailing_bound(op, stmt, ret_sent_at_us);
}

/* The rest of a query's rows, then fn for each; fn may use the same statement again. */
static enum err mailing_rows(struct op *op, struct tx *tx, struct stmt *stmt, size_t max,
                             enum err (*fn)(struct op *op, struct tx *tx, const struct mailing *mailing, void *arg),
                             void *arg)
{
    struct mailing *page;
    TRY(op_alloc(op, max * sizeof *page, &page));
    size_t count = 0;
    bool found;
    for (;;) {
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        page[count++] = mailing_columns(op, stmt);
    }
    for (size_t i = 0; i < count; i++)
        TRY(fn(op, tx, &page[i], arg));
    return OK;
}

enum err store_mailing_each(struct op *op, struct tx *tx, uint32_t after_no, size_t max,
                            enum err (*fn)(struct op *op, struct tx *tx, const struct mailing *mailing, void *arg),
                            void *arg)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &mailing_after, &stmt));
    bind_int(stmt, 1, after_no);
    bind_int(stmt, 2, (int64_t)max);
    return mailing_rows(op, tx, stmt, max, fn, arg);
}

enum err store_mailing_newest(struct op *op, struct tx *tx, size_t max,
                              enum err (*fn)(struct op *op, struct tx *tx, const struct mailing *mailing, void *arg),
                              void *arg)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &mailing_last, &stmt));
    bind_int(stmt, 1, (int64_t)max);
    return mailing_rows(op, tx, stmt, max, fn, arg);
}
