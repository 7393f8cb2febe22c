/*
 * store_source.c - sources and their lanes. Coverage and gaps are store_coverage.c, what is noted about a source
 * store_source_log.c, tokens of webhooks store_hook_token.c.
 */
#include "store/store_source.h"

#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/seq.h"
#include "store/source_delta.h"
#include "store/store_tenant.h"
#include "store/tally.h"

const struct schema_step source_step = {
    .name = "sources",
    .sqlite =
        "CREATE TABLE source(no INTEGER PRIMARY KEY, id TEXT NOT NULL, type TEXT NOT NULL, api TEXT,"
        " base_url TEXT, domain TEXT, api_key TEXT, signing_key TEXT, tags TEXT, topics TEXT, hook_url TEXT,"
        " timing TEXT, hook_tolerance TEXT, tenant_no INTEGER NOT NULL, noprune INTEGER NOT NULL,"
        " created_at_us INTEGER NOT NULL, first_begin_us INTEGER, version INTEGER NOT NULL);"
        "CREATE UNIQUE INDEX source_id ON source(id);"
        "CREATE TABLE lane(source_no INTEGER NOT NULL, lane INTEGER NOT NULL, state INTEGER NOT NULL,"
        " window_begin_us INTEGER, window_end_us INTEGER, position_us INTEGER, next_run_at_us INTEGER,"
        " last_event_at_us INTEGER, behind_since_us INTEGER, last_error TEXT, count0 INTEGER NOT NULL,"
        " count1 INTEGER NOT NULL, count2 INTEGER NOT NULL, count3 INTEGER NOT NULL, count4 INTEGER NOT NULL,"
        " count5 INTEGER NOT NULL, lease_node TEXT, lease_epoch INTEGER NOT NULL, lease_until_us INTEGER NOT NULL,"
        " PRIMARY KEY(source_no, lane)) WITHOUT ROWID;",
    .postgres = "CREATE TABLE source(no bigint PRIMARY KEY, id " PG_TEXT " NOT NULL, type " PG_TEXT
                " NOT NULL, api " PG_TEXT ","
                " base_url " PG_TEXT ", domain " PG_TEXT ", api_key " PG_TEXT ", signing_key " PG_TEXT ", tags " PG_TEXT
                ", topics " PG_TEXT ","
                " hook_url " PG_TEXT ", timing " PG_TEXT ", hook_tolerance " PG_TEXT ", tenant_no bigint NOT NULL,"
                " noprune bigint NOT NULL, created_at_us bigint NOT NULL, first_begin_us bigint,"
                " version bigint NOT NULL);"
                "CREATE UNIQUE INDEX source_id ON source(id);"
                "CREATE TABLE lane(source_no bigint NOT NULL, lane bigint NOT NULL, state bigint NOT NULL,"
                " window_begin_us bigint, window_end_us bigint, position_us bigint, next_run_at_us bigint,"
                " last_event_at_us bigint, behind_since_us bigint, last_error " PG_TEXT ", count0 bigint NOT NULL,"
                " count1 bigint NOT NULL, count2 bigint NOT NULL, count3 bigint NOT NULL, count4 bigint NOT NULL,"
                " count5 bigint NOT NULL, lease_node " PG_TEXT ", lease_epoch bigint NOT NULL,"
                " lease_until_us bigint NOT NULL, PRIMARY KEY(source_no, lane))" PG_CHANGES ";",
};

#define SOURCE_COLUMNS                                                                                                 \
    "no, id, type, api, base_url, domain, api_key, signing_key, tags, topics, hook_url, timing, hook_tolerance,"       \
    " tenant_no, noprune, created_at_us, first_begin_us, version"
SQL(source_by_id, "SELECT " SOURCE_COLUMNS " FROM source WHERE id = ?1", NULL);
SQL(source_by_no, "SELECT " SOURCE_COLUMNS " FROM source WHERE no = ?1", NULL);
SQL(source_after, "SELECT " SOURCE_COLUMNS " FROM source WHERE id > ?1 ORDER BY id LIMIT ?2", NULL);
SQL(source_insert,
    "INSERT INTO source(" SOURCE_COLUMNS ") VALUES(?1,?16,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?17,?18,?15)",
    NULL);
SQL(source_update,
    "UPDATE source SET type = ?2, api = ?3, base_url = ?4, domain = ?5, api_key = ?6, signing_key = ?7, tags = ?8,"
    " topics = ?9, hook_url = ?10, timing = ?11, hook_tolerance = ?12, tenant_no = ?13, noprune = ?14,"
    " version = ?15 WHERE no = ?1",
    NULL);
SQL(source_begin, "UPDATE source SET first_begin_us = ?2 WHERE no = ?1", NULL);
SQL(source_touch, "UPDATE source SET version = version + 1 WHERE no = ?1", NULL);

#define LANE_COLUMNS                                                                                                   \
    "lane, state, window_begin_us, window_end_us, position_us, next_run_at_us, last_event_at_us, behind_since_us,"     \
    " last_error, count0, count1, count2, count3, count4, count5, lease_node, lease_epoch, lease_until_us, source_no"

/* PostgreSQL: the newest row that is not folded, else the one that stands. */
#define LANE_NEWEST(number)                                                                                            \
    "(SELECT " LANE_COLUMNS " FROM ((SELECT no, " LANE_COLUMNS " FROM lane_delta WHERE source_no = ?1"                 \
    " AND lane = " number DELTA_NEWEST ") UNION ALL (SELECT 0, " LANE_COLUMNS " FROM lane WHERE source_no = ?1"        \
    " AND lane = " number ")) AS both_ ORDER BY no DESC LIMIT 1)"
_Static_assert(STORE_LANES == 5, "as many as the text below asks for");
SQL(lane_all, "SELECT " LANE_COLUMNS " FROM lane WHERE source_no = ?1 ORDER BY lane",
    "SELECT l.* FROM generate_series(0::bigint, 4) AS n(lane)"
    " CROSS JOIN LATERAL " LANE_NEWEST("n.lane") " AS l");
SQL(lane_one, "SELECT " LANE_COLUMNS " FROM lane WHERE source_no = ?1 AND lane = ?2",
    "SELECT * FROM " LANE_NEWEST("?2") " AS l");
SQL(lane_put,
    "INSERT INTO lane(" LANE_COLUMNS ")"
    " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19)"
    " ON CONFLICT(source_no, lane) DO UPDATE SET state = excluded.state, window_begin_us = excluded.window_begin_us,"
    " window_end_us = excluded.window_end_us, position_us = excluded.position_us,"
    " next_run_at_us = excluded.next_run_at_us, last_event_at_us = excluded.last_event_at_us,"
    " behind_since_us = excluded.behind_since_us, last_error = excluded.last_error, count0 = excluded.count0,"
    " count1 = excluded.count1, count2 = excluded.count2, count3 = excluded.count3, count4 = excluded.count4,"
    " count5 = excluded.count5, lease_node = excluded.lease_node, lease_epoch = excluded.lease_epoch,"
    " lease_until_us = excluded.lease_until_us",
    "INSERT INTO lane_delta(" LANE_COLUMNS ", no)"
    " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20)");

SQL(source_sent_of,
    "SELECT no FROM mailing WHERE tenant_no = ?3 AND sent_at_us >= ?1 AND sent_at_us < ?2 ORDER BY sent_at_us DESC",
    NULL);
SQL(source_sent_any, "SELECT no FROM mailing WHERE sent_at_us >= ?1 AND sent_at_us < ?2 ORDER BY sent_at_us DESC",
    NULL);

/* Mailings nobody gave a sent_at: numbers grow with time, so the newest is the one with the largest. */
SQL(source_unsent_of,
    "SELECT created_at_ms FROM mailing WHERE tenant_no = ?1 AND sent_at_us IS NULL ORDER BY no DESC LIMIT 1", NULL);
SQL(source_unsent_any, "SELECT created_at_ms FROM mailing WHERE sent_at_us IS NULL ORDER BY no DESC LIMIT 1", NULL);

/* ---------------------------------------------------------------------------------------------------------- source */

static void source_columns(struct op *op, struct stmt *stmt, struct source_row *ret)
{
    *ret = (struct source_row){
        .no = (uint32_t)col_int(stmt, 0),
        .id = col_str(op, stmt, 1),
        .type = col_str(op, stmt, 2),
        .api = col_str(op, stmt, 3),
        .base_url = col_str(op, stmt, 4),
        .domain = col_str(op, stmt, 5),
        .api_key = col_str(op, stmt, 6),
        .signing_key = col_str(op, stmt, 7),
        .tags = col_str(op, stmt, 8),
        .topics = col_str(op, stmt, 9),
        .hook_url = col_str(op, stmt, 10),
        .timing = col_str(op, stmt, 11),
        .hook_tolerance = col_str(op, stmt, 12),
        .tenant_no = (uint32_t)col_int(stmt, 13),
        .noprune = col_int(stmt, 14) != 0,
        .created_at_us = col_int(stmt, 15),
        .first_begin_us = col_int_null(stmt, 16, STORE_NO_INSTANT),
        .version = (uint64_t)col_int(stmt, 17),
    };
}

enum err store_source_get(struct op *op, struct tx *tx, struct str id, struct source_row *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &source_by_id, &stmt));
    bind_str(stmt, 1, id);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "no source %.*s", STR(id));
    source_columns(op, stmt, ret);
    stmt_reset(stmt);
    return OK;
}

enum err store_source_get_no(struct op *op, struct tx *tx, uint32_t no, struct source_row *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &source_by_no, &stmt));
    bind_int(stmt, 1, no);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "no source number %u", (unsigned)no);
    source_columns(op, stmt, ret);
    stmt_reset(stmt);
    return OK;
}

enum err store_source_put(struct op *op, struct tx *tx, struct source_row *row)
{
    bool is_new = row->no == 0;
    if (is_new)
        row->no = (uint32_t)store_seq_next(tx, SEQ_SOURCE);
    row->version++;
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, is_new ? &source_insert : &source_update, &stmt));
    bind_int(stmt, 1, row->no);
    bind_str(stmt, 2, row->type);
    bind_str(stmt, 3, row->api);
    bind_str(stmt, 4, row->base_url);
    bind_str(stmt, 5, row->domain);
    bind_str(stmt, 6, row->api_key);
    bind_str(stmt, 7, row->signing_key);
    bind_str(stmt, 8, row->tags);
    bind_str(stmt, 9, row->topics);
    bind_str(stmt, 10, row->hook_url);
    bind_str(stmt, 11, row->timing);
    bind_str(stmt, 12, row->hook_tolerance);
    bind_int(stmt, 13, row->tenant_no);
    bind_int(stmt, 14, row->noprune);
    bind_int(stmt, 15, (int64_t)row->version);
    if (is_new) {
        bind_str(stmt, 16, row->id);
        bind_int(stmt, 17, row->created_at_us);
        bind_int_null(stmt, 18, row->first_begin_us, STORE_NO_INSTANT);
    }
    return stmt_later(op, stmt);
}

enum err store_source_begin_put(struct op *op, struct tx *tx, uint32_t source_no, int64_t first_begin_us)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &source_begin, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, first_begin_us);
    return stmt_later(op, stmt);
}

enum err store_source_touch(struct op *op, struct tx *tx, uint32_t source_no)
{
    return stmt_by_no(op, tx, &source_touch, source_no);
}

enum err store_source_each(struct op *op, struct tx *tx, struct str after, int limit,
                           enum err (*fn)(struct op *op, struct tx *tx, const struct source_row *row, void *arg),
                           void *arg)
{
    /* One statement per row, because fn may ask for sources itself. */
    struct str last = str_given(after) ? after : S("");
    for (int i = 0; i < limit; i++) {
        struct stmt *stmt;
        struct source_row row;
        bool found;
        TRY(tx_stmt(op, tx, &source_after, &stmt));
        bind_str(stmt, 1, last);
        bind_int(stmt, 2, 1);
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        source_columns(op, stmt, &row);
        stmt_reset(stmt);
        if (!str_given(row.id))
            return fail(op, ERR_TOO_LARGE, "no room for the list of sources");
        TRY(fn(op, tx, &row, arg));
        last = row.id;
    }
    return OK;
}

/* ---------------------------------------------------------------------------------------------------------- lanes */

static struct lane_row lane_empty(uint32_t source_no, unsigned lane)
{
    return (struct lane_row){
        .source_no = source_no,
        .lane = (uint8_t)lane,
        .window_begin_us = STORE_NO_INSTANT,
        .window_end_us = STORE_NO_INSTANT,
        .position_us = STORE_NO_INSTANT,
        .next_run_at_us = STORE_NO_INSTANT,
        .last_event_at_us = STORE_NO_INSTANT,
        .behind_since_us = STORE_NO_INSTANT,
    };
}

static struct lane_row lane_columns(struct op *op, struct stmt *stmt)
{
    struct lane_row row = {
        .lane = (uint8_t)col_int(stmt, 0),
        .state = (uint8_t)col_int(stmt, 1),
        .window_begin_us = col_int_null(stmt, 2, STORE_NO_INSTANT),
        .window_end_us = col_int_null(stmt, 3, STORE_NO_INSTANT),
        .position_us = col_int_null(stmt, 4, STORE_NO_INSTANT),
        .next_run_at_us = col_int_null(stmt, 5, STORE_NO_INSTANT),
        .last_event_at_us = col_int_null(stmt, 6, STORE_NO_INSTANT),
        .behind_since_us = col_int_null(stmt, 7, STORE_NO_INSTANT),
        .last_error = col_str(op, stmt, 8),
        .lease_node = col_str(op, stmt, 15),
        .lease_epoch = (uint64_t)col_int(stmt, 16),
        .lease_until_us = col_int(stmt, 17),
        .source_no = (uint32_t)col_int(stmt, 18),
    };
    for (int i = 0; i < STORE_RESULTS; i++)
        row.count[i] = col_int(stmt, 9 + i);
    return row;
}

enum err store_lane_get(struct op *op, struct tx *tx, uint32_t source_no, struct lane_row ret[STORE_LANES])
{
    for (unsigned i = 0; i < STORE_LANES; i++)
        ret[i] = lane_empty(source_no, i);
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &lane_all, &stmt));
    bind_int(stmt, 1, source_no);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct lane_row row = lane_columns(op, stmt);
        if (row.lane < STORE_LANES)
            ret[row.lane] = row;
    }
}

enum err store_lane_get_one(struct op *op, struct tx *tx, uint32_t source_no, unsigned lane, struct lane_row *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &lane_one, &stmt));
    bind_int(stmt, 1, source_no);
    bind_int(stmt, 2, lane);
    TRY(stmt_row(op, stmt, &found));
    *ret = found ? lane_columns(op, stmt) : lane_empty(source_no, lane);
    stmt_reset(stmt);
    return OK;
}

enum err store_lane_put(struct op *op, struct tx *tx, const struct lane_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &lane_put, &stmt));
    bind_int(stmt, 1, row->lane);
    bind_int(stmt, 2, row->state);
    bind_int_null(stmt, 3, row->window_begin_us, STORE_NO_INSTANT);
    bind_int_null(stmt, 4, row->window_end_us, STORE_NO_INSTANT);
    bind_int_null(stmt, 5, row->position_us, STORE_NO_INSTANT);
    bind_int_null(stmt, 6, row->next_run_at_us, STORE_NO_INSTANT);
    bind_int_null(stmt, 7, row->last_event_at_us, STORE_NO_INSTANT);
    bind_int_null(stmt, 8, row->behind_since_us, STORE_NO_INSTANT);
    bind_str(stmt, 9, row->last_error);
    for (int i = 0; i < STORE_RESULTS; i++)
        bind_int(stmt, 10 + i, row->count[i]);
    bind_str(stmt, 16, row->lease_node);
    bind_int(stmt, 17, (int64_t)row->lease_epoch);
    bind_int(stmt, 18, row->lease_until_us);
    bind_int(stmt, 19, row->source_no);
    if (tx_is_shared(tx))
        source_delta_bind_no(tx, stmt, 20);
    return stmt_later(op, stmt);
}

enum err store_source_newest_mailing(struct op *op, struct tx *tx, uint32_t tenant_no, int64_t *ret_us)
{
    struct stmt *stmt;
    bool found;
    int64_t newest_us;
    TRY(store_mailing_newest_sent(op, tx, tenant_no, &newest_us));
    TRY(tx_stmt(op, tx, tenant_no ? &source_unsent_of : &source_unsent_any, &stmt));
    if (tenant_no)
        bind_int(stmt, 1, tenant_no);
    TRY(stmt_row(op, stmt, &found));
    if (found && col_int(stmt, 0) * 1000 > newest_us)
        newest_us = col_int(stmt, 0) * 1000;
    stmt_reset(stmt);
    *ret_us = newest_us;
    return OK;
}

enum err store_source_sent_count(struct op *op, struct tx *tx, uint32_t tenant_no, int64_t from_us, int64_t to_us,
                                 int64_t enough, int64_t *ret_count)
{
    struct stmt *stmt;
    int64_t count = 0;
    TRY(tx_stmt(op, tx, tenant_no ? &source_sent_of : &source_sent_any, &stmt));
    bind_int(stmt, 1, from_us);
    bind_int(stmt, 2, to_us);
    if (tenant_no)
        bind_int(stmt, 3, tenant_no);
    for (bool found = true; count < enough;) {
        struct mailing_stats stats;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        TRY(store_mailing_stats_get(op, tx, (uint32_t)col_int(stmt, 0), &stats));
        count += stats.figure[MAILING_MESSAGES];
    }
    stmt_reset(stmt);
    *ret_count = count;
    return OK;
}
