/*
 * store_message_ahead.c - what a page of events or an import will ask about messages, asked by one statement (ahead.h).
 */
#include "base/id.h"
#include "store/ahead.h"
#include "store/block.h"
#include "store/rows.h"
#include "store/seq.h"
#include "store/store_message_own.h"

/* OFFSET keeps each look-up one by itself; a LIMIT would lead the planner to walk another index in the hope of an early
 * find. */
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
    if (want->mailing_no && !message_is_remembered(tx, want->mailing_no, want->recipient_hash) &&
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
