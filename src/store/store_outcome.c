#include "store/store_outcome.h"

#include <stdlib.h>
#include <string.h>

#include "base/siphash.h"
#include "store/delta.h"
#include "store/families.h"
#include "store/outcome_rows.h"
#include "store/postgres_table.h"
#include "store/seq.h"

const struct schema_step outcome_step = {
    .name = "failures, words and links",
    .sqlite = "CREATE TABLE failure(message_no INTEGER PRIMARY KEY, mailing_no INTEGER NOT NULL,"
              " severity INTEGER NOT NULL, code INTEGER, enhanced TEXT, text TEXT, at_us INTEGER NOT NULL,"
              " event_id TEXT NOT NULL);"
              "CREATE INDEX failure_mailing ON failure(mailing_no, message_no);"
              "CREATE INDEX failure_severity ON failure(mailing_no, severity, message_no);"
              "CREATE TABLE message_word(message_no INTEGER PRIMARY KEY, complained_at_us INTEGER,"
              " unsubscribed_at_us INTEGER);"
              "CREATE TABLE mailing_link(no INTEGER PRIMARY KEY, mailing_no INTEGER NOT NULL,"
              " url_hash INTEGER NOT NULL, url TEXT NOT NULL, members INTEGER NOT NULL, clicks INTEGER NOT NULL);"
              "CREATE INDEX mailing_link_url ON mailing_link(mailing_no, url_hash);"
              "CREATE INDEX mailing_link_list ON mailing_link(mailing_no, no);",
    .postgres = "CREATE TABLE failure(message_no bigint PRIMARY KEY, mailing_no bigint NOT NULL,"
                " severity bigint NOT NULL, code bigint, enhanced " PG_TEXT ", text " PG_TEXT ", at_us bigint NOT NULL,"
                " event_id " PG_TEXT " NOT NULL)" PG_GROWS ";"
                "CREATE INDEX failure_mailing ON failure(mailing_no, message_no);"
                "CREATE INDEX failure_severity ON failure(mailing_no, severity, message_no);"
                "CREATE TABLE message_word(message_no bigint PRIMARY KEY, complained_at_us bigint,"
                " unsubscribed_at_us bigint)" PG_GROWS ";"
                "CREATE TABLE mailing_link(no bigint PRIMARY KEY, mailing_no bigint NOT NULL,"
                " url_hash bigint NOT NULL, url " PG_TEXT
                " NOT NULL, members bigint NOT NULL, clicks bigint NOT NULL)" PG_CHANGES ";"
                "CREATE INDEX mailing_link_url ON mailing_link(mailing_no, url_hash);"
                "CREATE INDEX mailing_link_list ON mailing_link(mailing_no, no);",
};

#define FAILURE_COLUMNS "message_no, mailing_no, severity, code, enhanced, text, at_us, event_id"
SQL(failure_by_message, "SELECT " FAILURE_COLUMNS " FROM failure WHERE message_no = ?1", NULL);
SQL(failure_range,
    "SELECT message_no, severity FROM failure WHERE message_no >= ?1 AND message_no < ?2 ORDER BY message_no", NULL);
SQL_ONLY_SQLITE(
    failure_put,
    "INSERT INTO failure(" FAILURE_COLUMNS ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8) ON CONFLICT(message_no) DO UPDATE SET"
    " mailing_no = excluded.mailing_no, severity = excluded.severity, code = excluded.code,"
    " enhanced = excluded.enhanced, text = excluded.text, at_us = excluded.at_us, event_id = excluded.event_id");
SQL(failure_list,
    "SELECT " FAILURE_COLUMNS " FROM failure WHERE mailing_no = ?1 AND message_no > ?2 ORDER BY message_no LIMIT ?3",
    NULL);
SQL(failure_list_severity,
    "SELECT " FAILURE_COLUMNS
    " FROM failure WHERE mailing_no = ?1 AND severity = ?4 AND message_no > ?2 ORDER BY message_no LIMIT ?3",
    NULL);
SQL(word_by_message, "SELECT complained_at_us, unsubscribed_at_us FROM message_word WHERE message_no = ?1", NULL);
SQL(word_range,
    "SELECT message_no, complained_at_us, unsubscribed_at_us FROM message_word"
    " WHERE message_no >= ?1 AND message_no < ?2 ORDER BY message_no",
    NULL);
SQL_ONLY_SQLITE(word_put, "INSERT INTO message_word(message_no, complained_at_us, unsubscribed_at_us) VALUES(?1,?2,?3)"
                          " ON CONFLICT(message_no) DO UPDATE SET complained_at_us = excluded.complained_at_us,"
                          " unsubscribed_at_us = excluded.unsubscribed_at_us");
SQL(link_by_url, "SELECT no, url FROM mailing_link WHERE mailing_no = ?1 AND url_hash = ?2", NULL);
SQL(link_insert, "INSERT INTO mailing_link(no, mailing_no, url_hash, url, members, clicks) VALUES(?1,?2,?3,?4,0,0)",
    NULL);
SQL_ONLY_SQLITE(link_count, "UPDATE mailing_link SET members = members + ?2, clicks = clicks + ?3 WHERE no = ?1");
SQL(link_list,
    "SELECT no, url, members, clicks FROM mailing_link WHERE mailing_no = ?1 AND no > ?2 ORDER BY no LIMIT ?3",
    "SELECT l.no, l.url, l.members + coalesce(d.members, 0), l.clicks + coalesce(d.clicks, 0) FROM mailing_link l"
    " CROSS JOIN LATERAL (SELECT sum(members)::bigint AS members, sum(clicks)::bigint AS clicks"
    "  FROM mailing_link_delta WHERE link_no = l.no AND no > " DELTA_FOLDED ") AS d"
    " WHERE l.mailing_no = ?1 AND l.no > ?2 ORDER BY l.no LIMIT ?3");

static struct failure_row failure_columns(struct op *op, struct stmt *stmt)
{
    return (struct failure_row){ .message_no = (uint64_t)col_int(stmt, 0),
                                 .mailing_no = (uint32_t)col_int(stmt, 1),
                                 .severity = (uint8_t)col_int(stmt, 2),
                                 .code = (int32_t)col_int_null(stmt, 3, INT32_MIN),
                                 .enhanced = col_str(op, stmt, 4),
                                 .text = col_str(op, stmt, 5),
                                 .at_us = col_int(stmt, 6),
                                 .event_id = col_str(op, stmt, 7) };
}

enum err store_failure_get(struct op *op, struct tx *tx, uint64_t message_no, struct failure_row *ret)
{
    struct stmt *stmt;
    bool found;
    if (outcome_failure_find(op, tx, message_no, ret))
        return OK;
    TRY(tx_stmt(op, tx, &failure_by_message, &stmt));
    bind_int(stmt, 1, (int64_t)message_no);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "the message has no failure");
    *ret = failure_columns(op, stmt);
    stmt_reset(stmt);
    return OK;
}

enum err store_failure_each(struct op *op, struct tx *tx, uint64_t from_no, uint64_t to_no,
                            void (*fn)(uint64_t message_no, uint8_t severity, void *arg), void *arg)
{
    struct stmt *stmt;
    TRY(outcome_settle(op, tx));
    TRY(tx_stmt(op, tx, &failure_range, &stmt));
    bind_int(stmt, 1, (int64_t)from_no);
    bind_int(stmt, 2, (int64_t)to_no);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        fn((uint64_t)col_int(stmt, 0), (uint8_t)col_int(stmt, 1), arg);
    }
}

enum err store_failure_put(struct op *op, struct tx *tx, const struct failure_row *row)
{
    struct stmt *stmt;
    if (outcome_failure_put(tx, row))
        return OK;
    TRY(tx_stmt(op, tx, &failure_put, &stmt));
    bind_int(stmt, 1, (int64_t)row->message_no);
    bind_int(stmt, 2, row->mailing_no);
    bind_int(stmt, 3, row->severity);
    bind_int_null(stmt, 4, row->code, INT32_MIN);
    bind_str(stmt, 5, row->enhanced);
    bind_str(stmt, 6, row->text);
    bind_int(stmt, 7, row->at_us);
    bind_str(stmt, 8, row->event_id);
    return stmt_later(op, stmt);
}

enum err store_failure_list(struct op *op, struct tx *tx, uint32_t mailing_no, int severity, uint64_t after_no,
                            int limit,
                            enum err (*fn)(struct op *op, struct tx *tx, const struct failure_row *row, void *arg),
                            void *arg, bool *ret_more)
{
    struct stmt *stmt;
    TRY(outcome_settle(op, tx));
    TRY(tx_stmt(op, tx, severity ? &failure_list_severity : &failure_list, &stmt));
    bind_int(stmt, 1, mailing_no);
    bind_int(stmt, 2, (int64_t)after_no);
    bind_int(stmt, 3, limit + 1);
    if (severity)
        bind_int(stmt, 4, severity);
    *ret_more = false;
    for (int taken = 0;; taken++) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        if (taken == limit)
            break;
        struct failure_row row = failure_columns(op, stmt);
        TRY(fn(op, tx, &row, arg));
    }
    *ret_more = true;
    stmt_reset(stmt);
    return OK;
}

enum err store_word_get(struct op *op, struct tx *tx, uint64_t message_no, struct word_row *ret)
{
    struct stmt *stmt;
    bool found;
    if (outcome_word_find(tx, message_no, ret))
        return OK;
    TRY(tx_stmt(op, tx, &word_by_message, &stmt));
    bind_int(stmt, 1, (int64_t)message_no);
    TRY(stmt_row(op, stmt, &found));
    *ret = (struct word_row){ 0 };
    if (found)
        *ret = (struct word_row){ col_int(stmt, 0), col_int(stmt, 1) };
    stmt_reset(stmt);
    return OK;
}

enum err store_word_each(struct op *op, struct tx *tx, uint64_t from_no, uint64_t to_no,
                         void (*fn)(uint64_t message_no, const struct word_row *row, void *arg), void *arg)
{
    struct stmt *stmt;
    TRY(outcome_settle(op, tx));
    TRY(tx_stmt(op, tx, &word_range, &stmt));
    bind_int(stmt, 1, (int64_t)from_no);
    bind_int(stmt, 2, (int64_t)to_no);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct word_row row = { col_int(stmt, 1), col_int(stmt, 2) };
        fn((uint64_t)col_int(stmt, 0), &row, arg);
    }
}

enum err store_word_put(struct op *op, struct tx *tx, uint64_t message_no, const struct word_row *row)
{
    struct stmt *stmt;
    if (outcome_word_put(tx, message_no, row))
        return OK;
    TRY(tx_stmt(op, tx, &word_put, &stmt));
    bind_int(stmt, 1, (int64_t)message_no);
    bind_int_null(stmt, 2, row->complained_at_us, 0);
    bind_int_null(stmt, 3, row->unsubscribed_at_us, 0);
    return stmt_later(op, stmt);
}

/* Links are few and clicked often: the number behind a URL is remembered, and what clicks add is written once a
 * group. Forgotten whole when a group is rolled back. */
#define LINK_SLOTS  4096
#define PENDING_MAX 1024

struct link_cache {
    struct {
        uint32_t mailing_no;
        uint32_t no;
        int64_t url_hash;
    } slots[LINK_SLOTS];
    struct {
        uint32_t no;
        int32_t members, clicks;
    } pending[PENDING_MAX];
    size_t pending_count;
};

static enum err cache_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)tx;
    *ret_state = calloc(1, sizeof(struct link_cache));
    return *ret_state ? OK : fail(op, ERR_UNAVAILABLE, "no memory for the cache of links");
}

static void cache_drop(void *state)
{
    memset(state, 0, sizeof(struct link_cache));
}

static enum err count_write(struct op *op, struct tx *tx, uint32_t link_no, int64_t members, int64_t clicks)
{
    struct stmt *stmt;
    if (tx_is_shared(tx)) {
        struct rows *rows = delta_begin(tx, DELTA_LINK);
        rows_int(rows, link_no);
        rows_int(rows, members);
        rows_int(rows, clicks);
        return OK;
    }
    TRY(tx_stmt(op, tx, &link_count, &stmt));
    bind_int(stmt, 1, link_no);
    bind_int(stmt, 2, members);
    bind_int(stmt, 3, clicks);
    return stmt_done(op, stmt);
}

static enum err counts_flush(struct op *op, struct tx *tx, void *state)
{
    struct link_cache *cache = state;
    for (size_t i = 0; i < cache->pending_count; i++)
        TRY(count_write(op, tx, cache->pending[i].no, cache->pending[i].members, cache->pending[i].clicks));
    cache->pending_count = 0;
    return OK;
}

/* Links that are new are found when they are asked for. */
static enum err cache_foreign(struct op *op, struct tx *tx, void *state)
{
    (void)op;
    if (store_seq_moved(tx, SEQ_LINK_CHANGE))
        cache_drop(state);
    return OK;
}

const struct family link_family = { .name = "links of mailings",
                                    .open = cache_open,
                                    .close = free,
                                    .flush = counts_flush,
                                    .drop = cache_drop,
                                    .foreign = cache_foreign };

static int64_t url_hash_of(struct tx *tx, struct str url)
{
    return (int64_t)siphash64(siphash_key_from(tx_hash_key(tx)), url.p, url.n);
}

static enum err link_find(struct op *op, struct tx *tx, uint32_t mailing_no, int64_t url_hash, struct str url,
                          uint32_t *ret_no)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &link_by_url, &stmt));
    bind_int(stmt, 1, mailing_no);
    bind_int(stmt, 2, url_hash);
    *ret_no = 0;
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        if (str_eq(col_str_borrowed(stmt, 1), url))
            break;
    }
    *ret_no = (uint32_t)col_int(stmt, 0);
    stmt_reset(stmt);
    return OK;
}

enum err store_link_meet(struct op *op, struct tx *tx, uint32_t mailing_no, struct str url, uint32_t *ret_no)
{
    struct link_cache *cache = tx_state(tx, &link_family);
    int64_t hash = url_hash_of(tx, url);
    size_t slot = (size_t)(((uint64_t)hash ^ mailing_no) % LINK_SLOTS);
    if (cache->slots[slot].no && cache->slots[slot].url_hash == hash && cache->slots[slot].mailing_no == mailing_no) {
        *ret_no = cache->slots[slot].no;
        return OK;
    }
    uint32_t no;
    TRY(link_find(op, tx, mailing_no, hash, url, &no));
    if (no == 0) {
        no = (uint32_t)store_seq_next(tx, SEQ_LINK);
        struct stmt *stmt;
        TRY(tx_stmt(op, tx, &link_insert, &stmt));
        bind_int(stmt, 1, no);
        bind_int(stmt, 2, mailing_no);
        bind_int(stmt, 3, hash);
        bind_str(stmt, 4, url);
        TRY(stmt_later(op, stmt));
    }
    cache->slots[slot].mailing_no = mailing_no;
    cache->slots[slot].url_hash = hash;
    cache->slots[slot].no = no;
    *ret_no = no;
    return OK;
}

enum err store_link_count(struct op *op, struct tx *tx, uint32_t link_no, int members, int clicks)
{
    struct link_cache *cache = tx_state(tx, &link_family);
    tx_wrote(tx);
    for (size_t i = 0; i < cache->pending_count; i++) {
        if (cache->pending[i].no == link_no) {
            cache->pending[i].members += members;
            cache->pending[i].clicks += clicks;
            return OK;
        }
    }
    if (cache->pending_count == PENDING_MAX)
        TRY(counts_flush(op, tx, cache));
    cache->pending[cache->pending_count].no = link_no;
    cache->pending[cache->pending_count].members = members;
    cache->pending[cache->pending_count].clicks = clicks;
    cache->pending_count++;
    return OK;
}

enum err store_link_list(struct op *op, struct tx *tx, uint32_t mailing_no, uint32_t after_no, int limit,
                         enum err (*fn)(struct op *op, struct tx *tx, const struct link_row *row, void *arg), void *arg,
                         bool *ret_more)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &link_list, &stmt));
    bind_int(stmt, 1, mailing_no);
    bind_int(stmt, 2, after_no);
    bind_int(stmt, 3, limit + 1);
    *ret_more = false;
    for (int taken = 0;; taken++) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        if (taken == limit)
            break;
        struct link_row row = { (uint32_t)col_int(stmt, 0), col_str(op, stmt, 1), col_int(stmt, 2), col_int(stmt, 3) };
        TRY(fn(op, tx, &row, arg));
    }
    *ret_more = true;
    stmt_reset(stmt);
    return OK;
}
