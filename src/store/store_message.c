#include "store/store_message.h"

#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "store/ahead.h"
#include "store/block.h"
#include "store/db.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/rows.h"
#include "store/seq.h"

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

#define MESSAGE_COLUMNS                                                                                                \
    "no, id, given, tenant_no, mailing_no, member_no, channel, key, first_status, imported, recipient,"                \
    " recipient_hash, provider, provider_message_id, provider_hash, template, reference, created_at_ms, added_at_ms,"  \
    " sent_at_us, local_day"
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
/* What a page of events or an import will ask, by one statement. OFFSET keeps each look-up one by itself; a LIMIT would
 * lead the planner to walk another index in the hope of an early find. */
SQL_ONLY_POSTGRES(message_wanted,
                  "SELECT 1::bigint, k.at, m.no FROM unnest(?1" PG_INTS ", ?2" PG_INTS
                  ") WITH ORDINALITY AS k(mailing_no, recipient_hash, at)"
                  " CROSS JOIN LATERAL (SELECT no FROM message WHERE mailing_no = k.mailing_no AND mailing_no > 0"
                  "  AND recipient_hash = k.recipient_hash OFFSET 0) AS m"
                  " UNION ALL SELECT 2, k.at, m.no FROM unnest(?3" PG_INTS ", ?4" PG_INTS
                  ") WITH ORDINALITY AS k(provider_hash, recipient_hash, at)"
                  " CROSS JOIN LATERAL (SELECT no FROM message WHERE provider_hash = k.provider_hash"
                  "  AND recipient_hash = k.recipient_hash OFFSET 0) AS m"
                  " UNION ALL SELECT 3, k.at, m.no FROM unnest(?3" PG_INTS ") WITH ORDINALITY AS k(provider_hash, at)"
                  " CROSS JOIN LATERAL (SELECT no FROM message WHERE provider_hash = k.provider_hash"
                  "  ORDER BY recipient_hash LIMIT 2) AS m"
                  " UNION ALL SELECT 4, k.at, m.no FROM unnest(?5" PG_TEXTS ") WITH ORDINALITY AS k(id, at)"
                  " CROSS JOIN LATERAL (SELECT no FROM message WHERE id = k.id AND given = 1 OFFSET 0) AS m"
                  " UNION ALL SELECT 4, k.at, m.no FROM unnest(?6" PG_INTS ", ?5" PG_TEXTS
                  ") WITH ORDINALITY AS k(no, id, at)"
                  " CROSS JOIN LATERAL (SELECT no FROM message WHERE no = k.no AND id = k.id OFFSET 0) AS m");
SQL(message_by_no, "SELECT " MESSAGE_COLUMNS " FROM message WHERE no = ?1", NULL);
SQL(message_by_id, "SELECT no FROM message WHERE id = ?1 AND given = 1", NULL);
SQL(message_id_of_no, "SELECT id FROM message WHERE no = ?1", NULL);
SQL(message_by_recipient, "SELECT no FROM message WHERE mailing_no = ?1 AND mailing_no > 0 AND recipient_hash = ?2",
    NULL);
/* The plus signs keep the planner from walking the rows of a whole mailing. */
SQL(message_by_member,
    "SELECT no FROM message WHERE mailing_no = ?1 AND mailing_no > 0 AND member_no = ?2"
    " ORDER BY +no LIMIT 1",
    NULL);
SQL(message_near,
    "SELECT message.no, message.member_no, message.key, member.id FROM message"
    " JOIN member ON member.no = message.member_no"
    " WHERE message.no >= ?1 AND message.no < ?2 AND +message.mailing_no = ?3",
    NULL);
SQL(message_by_provider, "SELECT no FROM message WHERE provider_hash = ?1 LIMIT 2",
    "SELECT no FROM message WHERE provider_hash = ?1 ORDER BY recipient_hash LIMIT 2");
SQL(message_by_provider_recipient,
    "SELECT no FROM message WHERE provider_hash = ?1 AND recipient_hash = ?2 ORDER BY no DESC LIMIT 2",
    "SELECT no FROM message WHERE provider_hash = ?1 AND recipient_hash = ?2 ORDER BY no + 0 DESC LIMIT 2");
SQL(message_newest, "SELECT max(no) FROM message", NULL);
SQL_WALK(message_of_mailing,
         "SELECT no FROM message INDEXED BY message_mailing WHERE mailing_no = ?1 AND mailing_no > 0"
         " ORDER BY created_at_ms, id",
         "SELECT no FROM message WHERE mailing_no = ?1 AND mailing_no > 0 ORDER BY created_at_ms, id");
SQL(message_range, "SELECT no, id, first_status FROM message WHERE no >= ?1 AND no < ?2 ORDER BY no", NULL);
SQL(message_fill,
    "UPDATE message SET provider = ?2, provider_message_id = ?3, provider_hash = ?4, sent_at_us = ?5 WHERE no = ?1",
    NULL);
SQL_WALK(message_list,
         "SELECT " MESSAGE_COLUMNS " FROM message INDEXED BY message_created"
         " WHERE (created_at_ms, id) < (?1, ?2) ORDER BY created_at_ms DESC, id DESC LIMIT ?3",
         "SELECT " MESSAGE_COLUMNS
         " FROM message WHERE (created_at_ms, id) < (?1, ?2) ORDER BY created_at_ms DESC, id DESC LIMIT ?3");
SQL_WALK(message_list_mailing,
         "SELECT " MESSAGE_COLUMNS " FROM message INDEXED BY message_mailing"
         " WHERE mailing_no = ?4 AND mailing_no > 0 AND (created_at_ms, id) < (?1, ?2)"
         " ORDER BY created_at_ms DESC, id DESC LIMIT ?3",
         "SELECT " MESSAGE_COLUMNS
         " FROM message WHERE mailing_no = ?4 AND mailing_no > 0 AND (created_at_ms, id) < (?1, ?2)"
         " ORDER BY created_at_ms DESC, id DESC LIMIT ?3");

/* Reports come several to a message and soon after its import, so who was asked for lately is remembered: a place for
 * each hash, the newest wins. Only the writer's; forgotten whole when a group is rolled back. */
#define CACHE_SLOTS 131072 /* a power of two; 3 MiB once used */

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

/* A statement that reads or changes the table. */
static enum err message_stmt(struct op *op, struct tx *tx, const struct sql *sql, struct stmt **ret_stmt)
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

static struct message_row message_columns(struct op *op, struct stmt *stmt)
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

/* --- reading ahead --- */

/* The arrays of one statement, and the keys their places stand for. */
struct asking {
    int64_t *mailing_no, *recipient, *provider, *provider_to, *id_no;
    struct str *id;
    size_t recipients, providers, ids;
};

static enum err asking_make(struct op *op, size_t n, struct asking *ret)
{
    *ret = (struct asking){ 0 };
    int64_t **numbers[] = { &ret->mailing_no, &ret->recipient, &ret->provider, &ret->provider_to, &ret->id_no };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        TRY(op_alloc(op, n * sizeof **numbers[i], numbers[i]));
    return op_alloc(op, n * sizeof *ret->id, &ret->id);
}

/* Notes the question with the answer "none", which rows then correct; one that was asked is not asked again. */
static bool ask(struct tx *tx, struct ahead_key key)
{
    struct ahead_answer answer;
    if (ahead_find(tx, key, &answer))
        return false;
    ahead_put(tx, key, (struct ahead_answer){ 0 });
    return ahead_find(tx, key, &answer); /* false: no room for more */
}

static void ask_all(struct tx *tx, const struct message_want *want, struct asking *asking)
{
    int64_t made_ms;
    uint64_t own_no;
    if (str_given(want->id) && ask(tx, ahead_text(tx, AHEAD_ID, 0, want->id))) {
        bool is_own = id_parse(want->id, &made_ms, &own_no) && own_no <= INT64_MAX;
        asking->id_no[asking->ids] = is_own ? (int64_t)own_no : 0;
        asking->id[asking->ids++] = want->id;
    }
    if (want->mailing_no && !remembered(cache_of(tx), want->mailing_no, want->recipient_hash) &&
        ask(tx, (struct ahead_key){ AHEAD_RECIPIENT, want->mailing_no, want->recipient_hash })) {
        asking->mailing_no[asking->recipients] = want->mailing_no;
        asking->recipient[asking->recipients++] = want->recipient_hash;
    }
    if (!want->provider_hash)
        return;
    bool to = ask(tx, (struct ahead_key){ AHEAD_PROVIDER_TO, want->provider_hash, want->recipient_hash });
    if (ask(tx, (struct ahead_key){ AHEAD_PROVIDER, want->provider_hash, 0 }) || to) {
        asking->provider[asking->providers] = want->provider_hash;
        asking->provider_to[asking->providers++] = want->recipient_hash;
    }
}

static struct ahead_key asked_key(struct tx *tx, const struct asking *asking, int64_t what, size_t at)
{
    switch (what) {
    case 1:
        return (struct ahead_key){ AHEAD_RECIPIENT, asking->mailing_no[at], asking->recipient[at] };
    case 2:
        return (struct ahead_key){ AHEAD_PROVIDER_TO, asking->provider[at], asking->provider_to[at] };
    case 3:
        return (struct ahead_key){ AHEAD_PROVIDER, asking->provider[at], 0 };
    default:
        return ahead_text(tx, AHEAD_ID, 0, asking->id[at]);
    }
}

/* One more number of an answer, which keeps the two largest. A provider's id that was asked for with several recipients
 * is answered as often, with the same numbers. */
static void answer_add(struct tx *tx, struct ahead_key key, int64_t no)
{
    struct ahead_answer answer = { 0 };
    ahead_find(tx, key, &answer);
    for (int i = 0; i < answer.count; i++)
        if (answer.value[i] == no)
            return;
    if (answer.count == 2 && no < answer.value[1])
        return;
    bool largest = answer.count == 0 || no > answer.value[0];
    if (largest)
        answer.value[1] = answer.value[0];
    answer.value[largest ? 0 : 1] = no;
    answer.count += answer.count < 2;
    ahead_put(tx, key, answer);
}

enum err store_message_prefetch(struct op *op, struct tx *tx, const struct message_want *wants, size_t count)
{
    struct asking asking;
    struct stmt *stmt;
    if (!tx_is_shared(tx) || !tx_may_write(tx) || count == 0)
        return OK;
    TRY(asking_make(op, count, &asking));
    for (size_t i = 0; i < count; i++)
        ask_all(tx, &wants[i], &asking);
    if (asking.recipients + asking.providers + asking.ids == 0)
        return OK;
    TRY(message_stmt(op, tx, &message_wanted, &stmt));
    bind_ints(stmt, 1, asking.mailing_no, asking.recipients);
    bind_ints(stmt, 2, asking.recipient, asking.recipients);
    bind_ints(stmt, 3, asking.provider, asking.providers);
    bind_ints(stmt, 4, asking.provider_to, asking.providers);
    bind_strs(stmt, 5, asking.id, asking.ids);
    bind_ints(stmt, 6, asking.id_no, asking.ids);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        size_t at = (size_t)col_int(stmt, 1) - 1;
        answer_add(tx, asked_key(tx, &asking, col_int(stmt, 0), at), col_int(stmt, 2));
    }
}

enum err store_message_expect(struct op *op, struct tx *tx, size_t count)
{
    uint64_t *numbers, newest = store_seq_newest(tx, SEQ_MESSAGE);
    if (!tx_is_shared(tx))
        return OK;
    TRY(op_alloc(op, count * sizeof *numbers, &numbers));
    for (size_t i = 0; i < count; i++)
        numbers[i] = newest + 1 + i;
    return store_block_prefetch(op, tx, 1u << BLOCK_MESSAGE_FIXED | 1u << BLOCK_MESSAGE_DELIVERY, numbers, count);
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

enum err store_message_each_near(struct op *op, struct tx *tx, uint32_t mailing_no, uint64_t from_no, uint64_t to_no,
                                 void (*fn)(const struct message_near *near, void *arg), void *arg)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &message_near, &stmt));
    bind_int(stmt, 1, (int64_t)from_no);
    bind_int(stmt, 2, (int64_t)to_no);
    bind_int(stmt, 3, mailing_no);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct message_near near = { .no = (uint64_t)col_int(stmt, 0),
                                     .member_no = (uint32_t)col_int(stmt, 1),
                                     .key = (uint8_t)col_int(stmt, 2),
                                     .member = col_str_borrowed(stmt, 3) };
        fn(&near, arg);
    }
}

enum err store_message_newest(struct op *op, struct tx *tx, uint64_t *ret_no)
{
    struct stmt *stmt;
    TRY(message_stmt(op, tx, &message_newest, &stmt));
    return one_number(op, stmt, ret_no);
}

enum err store_message_each_of_mailing(struct op *op, struct tx *tx, uint32_t mailing_no,
                                       enum err (*fn)(struct op *op, struct tx *tx, uint64_t no, void *arg), void *arg)
{
    struct stmt *stmt;
    TRY(message_stmt(op, tx, &message_of_mailing, &stmt));
    bind_int(stmt, 1, mailing_no);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        enum err err = fn(op, tx, (uint64_t)col_int(stmt, 0), arg);
        if (err != OK) {
            stmt_reset(stmt);
            return err;
        }
    }
}

enum err store_message_each(struct op *op, struct tx *tx, uint64_t from_no, uint64_t to_no,
                            void (*fn)(const struct message_brief *brief, void *arg), void *arg)
{
    struct stmt *stmt;
    TRY(message_stmt(op, tx, &message_range, &stmt));
    bind_int(stmt, 1, (int64_t)from_no);
    bind_int(stmt, 2, (int64_t)to_no);
    for (;;) {
        bool found;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct message_brief brief = { .no = (uint64_t)col_int(stmt, 0),
                                       .id = col_str_borrowed(stmt, 1),
                                       .first_status = (uint8_t)col_int(stmt, 2) };
        fn(&brief, arg);
    }
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

static bool passes(const struct message_filter *filter, const struct message_row *row)
{
    return (!filter->tenant_no || row->tenant_no == filter->tenant_no) &&
           (!filter->channel || row->channel == filter->channel) &&
           (!filter->by_recipient || row->recipient_hash == filter->recipient_hash);
}

static enum err list_begin(struct op *op, struct tx *tx, const struct message_filter *filter, struct stmt **ret_stmt)
{
    struct stmt *stmt;
    TRY(message_stmt(op, tx, filter->mailing_no ? &message_list_mailing : &message_list, &stmt));
    bind_int(stmt, 1, filter->after ? filter->after_created_at_ms : INT64_MAX);
    bind_str(stmt, 2, filter->after ? filter->after_id : S(""));
    bind_int(stmt, 3, STORE_LIST_SCAN_MAX);
    if (filter->mailing_no)
        bind_int(stmt, 4, filter->mailing_no);
    *ret_stmt = stmt;
    return OK;
}

/* Looks at rows until `limit` are taken and one more is seen, or 10,000 were looked at. */
enum err store_message_list(struct op *op, struct tx *tx, const struct message_filter *filter, int limit,
                            enum err (*fn)(struct op *op, struct tx *tx, const struct message_row *row, bool probe,
                                           bool *ret_take, void *arg),
                            void *arg, bool *ret_more, struct message_row *ret_last)
{
    struct stmt *stmt;
    TRY(list_begin(op, tx, filter, &stmt));
    int taken = 0, looked = 0;
    *ret_more = false;
    for (;;) {
        bool found, take = false;
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct message_row row = message_columns(op, stmt);
        looked++;
        if (passes(filter, &row))
            TRY(fn(op, tx, &row, taken == limit, &take, arg));
        if (take && taken == limit) {
            *ret_more = true; /* one row more exists: what was taken before it is the page */
            break;
        }
        taken += take;
        if (take || looked == STORE_LIST_SCAN_MAX)
            *ret_last = row;
        if (looked == STORE_LIST_SCAN_MAX) {
            *ret_more = true;
            break;
        }
    }
    stmt_reset(stmt);
    return OK;
}
