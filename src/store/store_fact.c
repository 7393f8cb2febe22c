#include "store/store_fact.h"

#include <stdlib.h>
#include <string.h>

#include "store/delta.h"
#include "store/families.h"
#include "store/postgres_table.h"
#include "store/seq.h"

const struct schema_step cohort_step = {
    .name = "cohorts",
    .sqlite = "CREATE TABLE cohort(no INTEGER PRIMARY KEY, tenant_no INTEGER NOT NULL, local_day INTEGER NOT NULL,"
              " channel INTEGER NOT NULL, key INTEGER NOT NULL, template TEXT NOT NULL);"
              "CREATE UNIQUE INDEX cohort_values ON cohort(tenant_no, local_day, channel, key, template);",
    .postgres = "CREATE TABLE cohort(no bigint PRIMARY KEY, tenant_no bigint NOT NULL, local_day bigint NOT NULL,"
                " channel bigint NOT NULL, key bigint NOT NULL, template " PG_TEXT " NOT NULL)" PG_GROWS ";"
                "CREATE UNIQUE INDEX cohort_values ON cohort(tenant_no, local_day, channel, key, template);",
};

SQL(cohort_find,
    "SELECT no FROM cohort WHERE tenant_no = ?1 AND local_day = ?2 AND channel = ?3 AND key = ?4 AND template = ?5",
    NULL);
SQL(cohort_by_no, "SELECT tenant_no, local_day, channel, key, template FROM cohort WHERE no = ?1", NULL);
SQL(cohort_insert, "INSERT INTO cohort(no, tenant_no, local_day, channel, key, template) VALUES(?6,?1,?2,?3,?4,?5)",
    NULL);
/* The words of channel, key and status order as the API lists them. */
#define CHANNEL_WORD "CASE c.channel WHEN 1 THEN 'email' WHEN 2 THEN 'sms' ELSE 'letter' END"
#define KEY_WORD     "CASE c.key WHEN 1 THEN 'normal' WHEN 2 THEN 'team' ELSE 'test' END"
#define STATUS_WORD                                                                                                    \
    "CASE f.status WHEN 1 THEN 'created' WHEN 2 THEN 'sending' WHEN 3 THEN 'pending' WHEN 4 THEN 'sent'"               \
    " WHEN 5 THEN 'delivered' WHEN 6 THEN 'temporary-failure' WHEN 7 THEN 'permanent-failure'"                         \
    " WHEN 8 THEN 'technical-failure' WHEN 9 THEN 'cancelled' WHEN 10 THEN 'returned-letter'"                          \
    " WHEN 11 THEN 'pending-virus-check' WHEN 12 THEN 'virus-scan-failed' ELSE 'validation-failed' END"
SQL(fact_list,
    "SELECT c.no, c.local_day, c.channel, c.key, c.template, f.status, f.count"
    " FROM cohort c JOIN fact f ON f.cohort_no = c.no"
    " WHERE c.tenant_no = ?1 AND c.local_day BETWEEN ?2 AND ?3 AND (c.channel = ?4 OR ?4 = 0) AND f.count > 0"
    " ORDER BY c.local_day, " CHANNEL_WORD ", " KEY_WORD ", c.template, " STATUS_WORD,
    "SELECT c.no, c.local_day, c.channel, c.key, c.template, f.status, f.count"
    " FROM cohort c CROSS JOIN LATERAL (SELECT p.status, sum(p.count)::bigint AS count"
    "  FROM (SELECT status, count FROM fact WHERE cohort_no = c.no UNION ALL"
    "   SELECT status, count FROM fact_delta WHERE cohort_no = c.no AND no > " DELTA_FOLDED ") AS p"
    "  GROUP BY p.status) AS f"
    " WHERE c.tenant_no = ?1 AND c.local_day BETWEEN ?2 AND ?3 AND (c.channel = ?4 OR ?4 = 0) AND f.count > 0"
    " ORDER BY c.local_day, " CHANNEL_WORD " COLLATE \"C\", " KEY_WORD " COLLATE \"C\", c.template, " STATUS_WORD
    " COLLATE \"C\"");

#define CACHE_SLOTS  1024
#define MET_SLOTS    64
#define TEMPLATE_MAX 128

struct cohort_cache {
    struct cohort briefs[CACHE_SLOTS];
    struct { /* imports ask for the same few line after line */
        struct cohort cohort;
        char template_name[TEMPLATE_MAX];
    } met[MET_SLOTS];
};

static enum err cache_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)tx;
    *ret_state = calloc(1, sizeof(struct cohort_cache));
    return *ret_state ? OK : fail(op, ERR_UNAVAILABLE, "no memory for the cache of cohorts");
}

static void cache_drop(void *state)
{
    memset(state, 0, sizeof(struct cohort_cache));
}

/* Nobody changes a cohort. */
static enum err cache_foreign(struct op *op, struct tx *tx, void *state)
{
    (void)op;
    (void)tx;
    (void)state;
    return OK;
}

const struct family cohort_family = {
    .name = "cohorts", .open = cache_open, .close = free, .drop = cache_drop, .foreign = cache_foreign
};

static bool same_values(const struct cohort *a, const struct cohort *b)
{
    return a->tenant_no == b->tenant_no && a->local_day == b->local_day && a->channel == b->channel &&
           a->key == b->key && str_eq(a->template_name, b->template_name);
}

static void bind_values(struct stmt *stmt, const struct cohort *cohort)
{
    bind_int(stmt, 1, cohort->tenant_no);
    bind_int(stmt, 2, cohort->local_day);
    bind_int(stmt, 3, cohort->channel);
    bind_int(stmt, 4, cohort->key);
    bind_str(stmt, 5, cohort->template_name);
}

static size_t met_slot(const struct cohort *cohort)
{
    uint32_t hash = (uint32_t)cohort->local_day * 31 + cohort->tenant_no + cohort->channel * 7u + cohort->key;
    for (size_t i = 0; i < cohort->template_name.n; i++)
        hash = hash * 16777619u ^ (uint8_t)cohort->template_name.p[i];
    return hash % MET_SLOTS;
}

static void remember(struct cohort_cache *cache, const struct cohort *cohort)
{
    size_t slot = met_slot(cohort);
    if (cohort->template_name.n > TEMPLATE_MAX)
        return;
    cache->met[slot].cohort = *cohort;
    memcpy(cache->met[slot].template_name, cohort->template_name.p, cohort->template_name.n);
    cache->met[slot].cohort.template_name.p = cache->met[slot].template_name;
}

enum err store_cohort_meet(struct op *op, struct tx *tx, struct cohort *cohort)
{
    struct cohort_cache *cache = tx_state(tx, &cohort_family);
    const struct cohort *met = &cache->met[met_slot(cohort)].cohort;
    if (met->no && same_values(met, cohort)) {
        cohort->no = met->no;
        return OK;
    }
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &cohort_find, &stmt));
    bind_values(stmt, cohort);
    TRY(stmt_row(op, stmt, &found));
    if (found) {
        cohort->no = (uint32_t)col_int(stmt, 0);
        stmt_reset(stmt);
    } else {
        cohort->no = (uint32_t)store_seq_next(tx, SEQ_COHORT);
        TRY(tx_stmt(op, tx, &cohort_insert, &stmt));
        bind_values(stmt, cohort);
        bind_int(stmt, 6, cohort->no);
        TRY(stmt_later(op, stmt));
    }
    remember(cache, cohort);
    return OK;
}

static enum err cohort_read(struct op *op, struct tx *tx, uint32_t no, struct cohort *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &cohort_by_no, &stmt));
    bind_int(stmt, 1, no);
    TRY(stmt_row(op, stmt, &found));
    if (!found)
        return fail(op, ERR_NOT_FOUND, "there is no cohort %u", no);
    *ret = (struct cohort){ .no = no,
                            .tenant_no = (uint32_t)col_int(stmt, 0),
                            .local_day = (int32_t)col_int(stmt, 1),
                            .channel = (uint8_t)col_int(stmt, 2),
                            .key = (uint8_t)col_int(stmt, 3),
                            .template_name = col_str(op, stmt, 4) };
    stmt_reset(stmt);
    return OK;
}

enum err store_cohort_brief(struct op *op, struct tx *tx, uint32_t no, struct cohort *ret)
{
    struct cohort_cache *cache = tx_may_write(tx) ? tx_state(tx, &cohort_family) : NULL;
    if (cache && cache->briefs[no % CACHE_SLOTS].no == no && no) {
        *ret = cache->briefs[no % CACHE_SLOTS];
        return OK;
    }
    TRY(cohort_read(op, tx, no, ret));
    ret->template_name = (struct str){ 0 };
    if (cache)
        cache->briefs[no % CACHE_SLOTS] = *ret;
    return OK;
}

enum err store_fact_list(struct op *op, struct tx *tx, uint32_t tenant_no, int32_t from_day, int32_t to_day,
                         uint8_t channel,
                         enum err (*fn)(struct op *op, struct tx *tx, const struct cohort *cohort, uint8_t status,
                                        int64_t count, void *arg),
                         void *arg)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &fact_list, &stmt));
    bind_int(stmt, 1, tenant_no);
    bind_int(stmt, 2, from_day);
    bind_int(stmt, 3, to_day);
    bind_int(stmt, 4, channel);
    for (;;) {
        TRY(stmt_row(op, stmt, &found));
        if (!found)
            return OK;
        struct cohort cohort = { .no = (uint32_t)col_int(stmt, 0),
                                 .tenant_no = tenant_no,
                                 .local_day = (int32_t)col_int(stmt, 1),
                                 .channel = (uint8_t)col_int(stmt, 2),
                                 .key = (uint8_t)col_int(stmt, 3),
                                 .template_name = col_str_borrowed(stmt, 4) };
        TRY(fn(op, tx, &cohort, (uint8_t)col_int(stmt, 5), col_int(stmt, 6), arg));
    }
}
