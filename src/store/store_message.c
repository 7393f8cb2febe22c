#include "store/store_message.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "store/ahead.h"
#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/rows.h"
#include "store/seq.h"
#include "store/store_message_own.h"

const struct schema_step message_step = {
    .name = "messages",
    .sqlite = "CREATE TABLE message(no INTEGER PRIMARY KEY, id TEXT NOT NULL, given INTEGER NOT NULL,"
              " tenant_no INTEGER NOT NULL, mailing_no INTEGER NOT NULL, member_no INTEGER NOT NULL,"
              " channel INTEGER NOT NULL, key INTEGER NOT NULL, first_status INTEGER NOT NULL,"
              " imported INTEGER NOT NULL, recipient TEXT, recipient_hash INTEGER NOT NULL, provider TEXT,"
              " provider_message_id TEXT, provider_hash INTEGER, template TEXT, reference TEXT,"
              " created_at_ms INTEGER NOT NULL, added_at_ms INTEGER NOT NULL, sent_at_us INTEGER,"
              " local_day INTEGER NOT NULL);"
              "CREATE UNIQUE INDEX message_id ON message(id) WHERE given = 1;"
              "CREATE INDEX message_recipient ON message(mailing_no, recipient_hash) WHERE mailing_no > 0;"
              "CREATE INDEX message_provider ON message(provider_hash, recipient_hash)"
              " WHERE provider_hash IS NOT NULL;"
              "CREATE INDEX message_created ON message(created_at_ms, id);"
              "CREATE INDEX message_mailing ON message(mailing_no, created_at_ms, id) WHERE mailing_no > 0;",
    .postgres =
        "CREATE TABLE message(no bigint PRIMARY KEY, id " PG_TEXT " NOT NULL, given bigint NOT NULL,"
        " tenant_no bigint NOT NULL, mailing_no bigint NOT NULL, member_no bigint NOT NULL,"
        " channel bigint NOT NULL, key bigint NOT NULL, first_status bigint NOT NULL,"
        " imported bigint NOT NULL, recipient " PG_TEXT ", recipient_hash bigint NOT NULL, provider " PG_TEXT ","
        " provider_message_id " PG_TEXT ", provider_hash bigint, template " PG_TEXT ", reference " PG_TEXT ","
        " created_at_ms bigint NOT NULL, added_at_ms bigint NOT NULL, sent_at_us bigint,"
        " local_day bigint NOT NULL)" PG_GROWS ";"
        "CREATE UNIQUE INDEX message_id ON message(id) WHERE given = 1;"
        "CREATE INDEX message_recipient ON message(mailing_no, recipient_hash) WHERE mailing_no > 0;"
        "CREATE INDEX message_provider ON message(provider_hash,"
        " recipient_hash, no) WHERE provider_hash IS NOT NULL;" /* no: the newest of them without a sort */
        "CREATE INDEX message_created ON message(created_at_ms, id);"
        "CREATE INDEX message_mailing ON message(mailing_no, created_at_ms, id) WHERE mailing_no > 0;",
};

/* A tracked click knows its member: which message of the mailing is his. */
const struct schema_step message_member_step = {
    .name = "messages by member",
    .sqlite = "CREATE INDEX message_member ON message(mailing_no, member_no) WHERE mailing_no > 0;",
    .postgres = "CREATE INDEX message_member ON message(mailing_no, member_no) WHERE mailing_no > 0;",
};

/* Where members are not told, equal entries for thousands of messages cost more than all other indexes together. */
#define OF_MEMBER                                                                                                      \
    "CREATE INDEX message_of_member ON message(mailing_no, member_no) WHERE mailing_no > 0 AND member_no <> 0;"        \
    "DROP INDEX message_member;"
const struct schema_step message_of_member_step = {
    .name = "messages by member, of those that have one",
    .sqlite = OF_MEMBER,
    .postgres = OF_MEMBER,
};

SQL(message_insert,
    "INSERT INTO message(" MESSAGE_COLUMNS
    ") VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19,?20,?21)",
    NULL);
/* A row as values: the types of its columns, in their order. */
#define MESSAGE_TYPES "itiiiiiiiitittittiiii"
SQL_ONLY_POSTGRES(message_rows,
                  "INSERT INTO message(" MESSAGE_COLUMNS
                  ") SELECT no, id, given, tenant_no, mailing_no, member_no, channel, key, first_status, imported,"
                  " recipient, recipient_hash, provider, provider_message_id, nullif(provider_hash, 0), template,"
                  " reference, created_at_ms, added_at_ms, nullif(sent_at_us, 0), local_day"
                  " FROM unnest(?1" PG_INTS ",?2" PG_TEXTS ",?3" PG_INTS ",?4" PG_INTS ",?5" PG_INTS ",?6" PG_INTS
                  ",?7" PG_INTS ",?8" PG_INTS ",?9" PG_INTS ",?10" PG_INTS ",?11" PG_TEXTS ",?12" PG_INTS
                  ",?13" PG_TEXTS ",?14" PG_TEXTS ",?15" PG_INTS ",?16" PG_TEXTS ",?17" PG_TEXTS ",?18" PG_INTS
                  ",?19" PG_INTS ",?20" PG_INTS ",?21" PG_INTS ") AS"
                  " r(" MESSAGE_COLUMNS ")");
SQL(message_by_no, "SELECT " MESSAGE_COLUMNS " FROM message WHERE no = ?1", NULL);
SQL(message_by_id, "SELECT no FROM message WHERE id = ?1 AND given = 1", NULL);
SQL(message_id_of_no, "SELECT id FROM message WHERE no = ?1", NULL);
SQL(message_by_recipient, "SELECT no FROM message WHERE mailing_no = ?1 AND mailing_no > 0 AND recipient_hash = ?2",
    NULL);
/* The plus sign keeps the planner from walking the rows of a whole mailing. */
SQL(message_by_member,
    "SELECT no FROM message WHERE mailing_no = ?1 AND mailing_no > 0 AND member_no = ?2 AND member_no <> 0"
    " ORDER BY +no LIMIT 1",
    NULL);
SQL(message_by_provider, "SELECT no FROM message WHERE provider_hash = ?1 LIMIT 2",
    "SELECT no FROM message WHERE provider_hash = ?1 ORDER BY recipient_hash LIMIT 2");
SQL(message_by_provider_recipient,
    "SELECT no FROM message WHERE provider_hash = ?1 AND recipient_hash = ?2 ORDER BY no DESC LIMIT 2",
    "SELECT no FROM message WHERE provider_hash = ?1 AND recipient_hash = ?2 ORDER BY no + 0 DESC LIMIT 2");
SQL(message_newest, "SELECT max(no) FROM message", NULL);
SQL(message_fill,
    "UPDATE message SET provider = ?2, provider_message_id = ?3, provider_hash = ?4, sent_at_us = ?5 WHERE no = ?1",
    NULL);

/* Reports come several to a message and soon after its import, so who was asked for lately is remembered: a place for
 * each hash, the newest wins. Only the writer's; forgotten whole when a group is rolled back. */
#define CACHE_SLOTS 131072 /* a power of two; 3 MiB once used */
#define ROWS_SLICE  256    /* rows sent while those behind them are made: the server need not wait for the last one */

struct recipient_slot {
    uint64_t no;
    int64_t recipient_hash;
    uint32_t mailing_no;
    uint32_t age; /* of the cache when it was filled; another one: empty */
};

struct recipient_cache {
    struct recipient_slot slots[CACHE_SLOTS];
    uint32_t age;     /* grows when all is forgotten */
    struct rows rows; /* PostgreSQL: messages of the command under way, inserted together behind it */
};

static enum err cache_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)tx;
    struct recipient_cache *cache = calloc(1, sizeof *cache); /* pages never used cost nothing */
    if (!cache)
        return fail(op, ERR_UNAVAILABLE, "no memory for the cache of recipients");
    cache->age = 1;
    rows_init(&cache->rows, MESSAGE_TYPES);
    *ret_state = cache;
    return OK;
}

static void cache_close(void *state)
{
    struct recipient_cache *cache = state;
    rows_done(&cache->rows);
    free(cache);
}

static enum err rows_flush(struct op *op, struct tx *tx, void *state)
{
    struct recipient_cache *cache = state;
    return rows_write(op, tx, &cache->rows, &message_rows);
}

static void cache_drop(void *state)
{
    struct recipient_cache *cache = state;
    cache->age++;
    rows_clear(&cache->rows);
}

const struct family message_family = { .name = "recipients",
                                       .open = cache_open,
                                       .close = cache_close,
                                       .flush = rows_flush,
                                       .trim = rows_flush,
                                       .drop = cache_drop };

/* NULL in a snapshot. */
static struct recipient_cache *cache_of(struct tx *tx)
{
    return tx_may_write(tx) ? tx_state(tx, &message_family) : NULL;
}

/* Before the table is read. */
static enum err rows_settle(struct op *op, struct tx *tx)
{
    struct recipient_cache *cache = cache_of(tx);
    return cache ? rows_flush(op, tx, cache) : OK;
}

enum err message_stmt(struct op *op, struct tx *tx, const struct sql *sql, struct stmt **ret_stmt)
{
    TRY(rows_settle(op, tx));
    return tx_stmt(op, tx, sql, ret_stmt);
}

static struct recipient_slot *slot_of(struct recipient_cache *cache, uint32_t mailing_no, int64_t recipient_hash)
{
    return &cache->slots[((uint64_t)recipient_hash ^ mailing_no) & (CACHE_SLOTS - 1)];
}

static uint64_t remembered(struct recipient_cache *cache, uint32_t mailing_no, int64_t recipient_hash)
{
    const struct recipient_slot *slot = cache ? slot_of(cache, mailing_no, recipient_hash) : NULL;
    bool hit =
        slot && slot->age == cache->age && slot->recipient_hash == recipient_hash && slot->mailing_no == mailing_no;
    return hit ? slot->no : 0;
}

bool message_is_remembered(struct tx *tx, uint32_t mailing_no, int64_t recipient_hash)
{
    return remembered(cache_of(tx), mailing_no, recipient_hash) != 0;
}

static void remember(struct recipient_cache *cache, uint32_t mailing_no, int64_t recipient_hash, uint64_t no)
{
    if (!cache || !no)
        return;
    *slot_of(cache, mailing_no, recipient_hash) = (struct recipient_slot){
        .no = no, .recipient_hash = recipient_hash, .mailing_no = mailing_no, .age = cache->age
    };
}

/* Answers read ahead that this row makes untrue. */
static void answers_forget(struct tx *tx, const struct message_row *row)
{
    ahead_forget(tx, ahead_text(tx, AHEAD_ID, 0, row->id));
    ahead_forget(tx, (struct ahead_key){ AHEAD_RECIPIENT, row->mailing_no, row->recipient_hash });
    ahead_forget(tx, (struct ahead_key){ AHEAD_PROVIDER_TO, row->provider_hash, row->recipient_hash });
    ahead_forget(tx, (struct ahead_key){ AHEAD_PROVIDER, row->provider_hash, 0 });
}

static void row_add(struct rows *rows, const struct message_row *row)
{
    rows_begin(rows);
    rows_int(rows, (int64_t)row->no);
    rows_str(rows, row->id);
    rows_int(rows, row->id_given);
    rows_int(rows, row->tenant_no);
    rows_int(rows, row->mailing_no);
    rows_int(rows, row->member_no);
    rows_int(rows, row->channel);
    rows_int(rows, row->key);
    rows_int(rows, row->first_status);
    rows_int(rows, row->imported);
    rows_str(rows, row->recipient);
    rows_int(rows, row->recipient_hash);
    rows_str(rows, row->provider);
    rows_str(rows, row->provider_message_id);
    rows_int(rows, row->provider_hash);
    rows_str(rows, row->template_name);
    rows_str(rows, row->reference);
    rows_int(rows, row->created_at_ms);
    rows_int(rows, row->added_at_ms);
    rows_int(rows, row->sent_at_us);
    rows_int(rows, row->local_day);
}

static enum err row_insert(struct op *op, struct tx *tx, const struct message_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &message_insert, &stmt));
    bind_int(stmt, 1, (int64_t)row->no);
    bind_str(stmt, 2, row->id);
    bind_int(stmt, 3, row->id_given);
    bind_int(stmt, 4, row->tenant_no);
    bind_int(stmt, 5, row->mailing_no);
    bind_int(stmt, 6, row->member_no);
    bind_int(stmt, 7, row->channel);
    bind_int(stmt, 8, row->key);
    bind_int(stmt, 9, row->first_status);
    bind_int(stmt, 10, row->imported);
    bind_str(stmt, 11, row->recipient);
    bind_int(stmt, 12, row->recipient_hash);
    bind_str(stmt, 13, row->provider);
    bind_str(stmt, 14, row->provider_message_id);
    bind_int_null(stmt, 15, row->provider_hash, 0);
    bind_str(stmt, 16, row->template_name);
    bind_str(stmt, 17, row->reference);
    bind_int(stmt, 18, row->created_at_ms);
    bind_int(stmt, 19, row->added_at_ms);
    bind_int_null(stmt, 20, row->sent_at_us, 0);
    bind_int(stmt, 21, row->local_day);
    return stmt_done(op, stmt);
}

enum err store_message_put(struct op *op, struct tx *tx, const struct message_row *row)
{
    struct recipient_cache *cache = cache_of(tx);
    if (tx_is_shared(tx)) {
        row_add(&cache->rows, row);
        answers_forget(tx, row);
        tx_wrote(tx);
        if (cache->rows.count >= ROWS_SLICE)
            TRY(rows_flush(op, tx, cache));
    } else {
        TRY(row_insert(op, tx, row));
    }
    if (row->mailing_no)
        remember(cache, row->mailing_no, row->recipient_hash, row->no);
    return OK;
}

uint64_t store_message_number(struct tx *tx)
{
    return store_seq_next(tx, SEQ_MESSAGE);
}

struct message_row message_columns(struct op *op, struct stmt *stmt)
{
    return (struct message_row){ .no = (uint64_t)col_int(stmt, 0),
                                 .id = col_str(op, stmt, 1),
                                 .id_given = col_int(stmt, 2) != 0,
                                 .tenant_no = (uint32_t)col_int(stmt, 3),
                                 .mailing_no = (uint32_t)col_int(stmt, 4),
                                 .member_no = (uint32_t)col_int(stmt, 5),
                                 .channel = (uint8_t)col_int(stmt, 6),
                                 .key = (uint8_t)col_int(stmt, 7),
                                 .first_status = (uint8_t)col_int(stmt, 8),
                                 .imported = col_int(stmt, 9) != 0,
                                 .recipient = col_str(op, stmt, 10),
                                 .recipient_hash = col_int(stmt, 11),
                                 .provider = col_str(op, stmt, 12),
                                 .provider_message_id = col_str(op, stmt, 13),
                                 .provider_hash = col_int_null(stmt, 14, 0),
                                 .template_name = col_str(op, stmt, 15),
                                 .reference = col_str(op, stmt, 16),
                                 .created_at_ms = col_int(stmt, 17),
                                 .added_at_ms = col_int(stmt, 18),
                                 .sent_at_us = col_int_null(stmt, 19, 0),
                                 .local_day = (int32_t)col_int(stmt, 20) };
}

enum err store_message_get(struct op *op, struct tx *tx, uint64_t no, struct message_row *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(message_stmt(op, tx, &message_by_no, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "there is no such message");
    *ret = message_columns(op, stmt);
    stmt_reset(stmt);
    return OK;
}

static enum err one_number(struct op *op, struct stmt *stmt, uint64_t *ret_no)
{
    bool found;
    TRY(stmt_row(op, stmt, &found));
    *ret_no = found ? (uint64_t)col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    return OK;
}

/* An id of ours names its row; the row must agree, since anyone may write a text of that form. */
static enum err find_own_id(struct op *op, struct tx *tx, struct str id, uint64_t *ret_no)
{
    int64_t made_ms;
    uint64_t no;
    *ret_no = 0;
    if (!id_parse(id, &made_ms, &no) || no > INT64_MAX)
        return OK;
    struct stmt *stmt;
    bool found;
    TRY(message_stmt(op, tx, &message_id_of_no, &stmt));
    bind_int(stmt, 1, (int64_t)no);
    TRY(stmt_row(op, stmt, &found));
    if (found && str_eq(col_str_borrowed(stmt, 0), id))
        *ret_no = no;
    stmt_reset(stmt);
    return OK;
}

static enum err find_id(struct op *op, struct tx *tx, struct str id, uint64_t *ret_no)
{
    struct ahead_answer answer;
    if (ahead_find(tx, ahead_text(tx, AHEAD_ID, 0, id), &answer)) {
        *ret_no = answer.count ? (uint64_t)answer.value[0] : 0;
        return OK;
    }
    TRY(find_own_id(op, tx, id, ret_no));
    if (*ret_no)
        return OK;
    struct stmt *stmt;
    TRY(message_stmt(op, tx, &message_by_id, &stmt));
    bind_str(stmt, 1, id);
    return one_number(op, stmt, ret_no);
}

enum err store_message_find_id(struct op *op, struct tx *tx, struct str id, uint64_t *ret_no)
{
    uint64_t no;
    TRY(find_id(op, tx, id, &no));
    if (no == 0)
        return fail(op, ERR_NOT_FOUND, "there is no message '%.*s'", STR(id));
    *ret_no = no;
    return OK;
}

enum err store_message_find_recipient(struct op *op, struct tx *tx, uint32_t mailing_no, int64_t recipient_hash,
                                      uint64_t *ret_no)
{
    struct recipient_cache *cache = cache_of(tx);
    struct ahead_answer answer;
    *ret_no = remembered(cache, mailing_no, recipient_hash);
    if (*ret_no)
        return OK;
    if (ahead_find(tx, (struct ahead_key){ AHEAD_RECIPIENT, mailing_no, recipient_hash }, &answer)) {
        *ret_no = answer.count ? (uint64_t)answer.value[0] : 0;
        return OK;
    }
    struct stmt *stmt;
    TRY(message_stmt(op, tx, &message_by_recipient, &stmt));
    bind_int(stmt, 1, mailing_no);
    bind_int(stmt, 2, recipient_hash);
    TRY(one_number(op, stmt, ret_no));
    remember(cache, mailing_no, recipient_hash, *ret_no);
    return OK;
}

enum err store_message_find_provider(struct op *op, struct tx *tx, int64_t provider_hash, bool by_recipient,
                                     int64_t recipient_hash, uint64_t ret_no[2], int *ret_count)
{
    struct ahead_key key = by_recipient ? (struct ahead_key){ AHEAD_PROVIDER_TO, provider_hash, recipient_hash }
                                        : (struct ahead_key){ AHEAD_PROVIDER, provider_hash, 0 };
    struct ahead_answer answer;
    if (ahead_find(tx, key, &answer)) {
        for (int i = 0; i < answer.count; i++)
            ret_no[i] = (uint64_t)answer.value[i];
        *ret_count = answer.count;
        return OK;
    }
    struct stmt *stmt;
    TRY(message_stmt(op, tx, by_recipient ? &message_by_provider_recipient : &message_by_provider, &stmt));
    bind_int(stmt, 1, provider_hash);
    if (by_recipient)
        bind_int(stmt, 2, recipient_hash);
    int count = 0;
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            break;
        ret_no[count++] = (uint64_t)col_int(stmt, 0);
    }
    *ret_count = count;
    return OK;
}

enum err store_message_find_member(struct op *op, struct tx *tx, uint32_t mailing_no, uint32_t member_no,
                                   uint64_t *ret_no)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &message_by_member, &stmt));
    bind_int(stmt, 1, mailing_no);
    bind_int(stmt, 2, member_no);
    return one_number(op, stmt, ret_no);
}

enum err store_message_fill(struct op *op, struct tx *tx, const struct message_row *row)
{
    struct stmt *stmt;
    ahead_forget(tx, (struct ahead_key){ AHEAD_PROVIDER_TO, row->provider_hash, row->recipient_hash });
    ahead_forget(tx, (struct ahead_key){ AHEAD_PROVIDER, row->provider_hash, 0 });
    TRY(message_stmt(op, tx, &message_fill, &stmt));
    bind_int(stmt, 1, (int64_t)row->no);
    bind_str(stmt, 2, row->provider);
    bind_str(stmt, 3, row->provider_message_id);
    bind_int_null(stmt, 4, row->provider_hash, 0);
    bind_int_null(stmt, 5, row->sent_at_us, 0);
    return stmt_done(op, stmt);
}

enum err store_message_newest(struct op *op, struct tx *tx, uint64_t *ret_no)
{
    struct stmt *stmt;
    TRY(message_stmt(op, tx, &message_newest, &stmt));
    return one_number(op, stmt, ret_no);
}
