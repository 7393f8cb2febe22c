#include "base/random.h"
#include "store/store_task.h"
#include "store_test.h"

static struct fixture f;

SQL(test_payload, "UPDATE task SET payload = ?2 WHERE no = ?1", NULL);
SQL(test_payload_of, "SELECT payload FROM task WHERE no = ?1", NULL);
SQL_SCAN(test_integrity, "PRAGMA integrity_check", NULL);

#define TASKS 3000

static enum err add_tasks(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    char payload[1000];
    memset(payload, '.', sizeof payload);
    for (int i = 0; i < TASKS; i++) {
        uint64_t no;
        TRY(store_task_add(op, tx, S("x"), (struct str){ payload, sizeof payload }, i, &no));
    }
    return OK;
}

struct marks {
    struct rng *rng;
    char mark[TASKS];
    bool fail;
};

/* Changes pages again that were spilled to the log earlier in the same transaction. */
static enum err mark_tasks(struct op *op, struct tx *tx, void *arg)
{
    struct marks *marks = arg;
    for (int i = 0; i < 2 * TASKS; i++) {
        char payload[1000];
        struct stmt *stmt;
        uint64_t at = rng_below(marks->rng, TASKS);
        marks->mark[at] = (char)('a' + i % 26);
        memset(payload, marks->mark[at], sizeof payload);
        TRY(tx_stmt(op, tx, &test_payload, &stmt));
        bind_int(stmt, 1, (int64_t)at + 1);
        bind_str(stmt, 2, (struct str){ payload, sizeof payload });
        TRY(stmt_done(op, stmt));
    }
    return marks->fail ? fail(op, ERR_INVALID, "no") : OK;
}

static enum err check_tasks(struct op *op, struct tx *tx, void *arg)
{
    const char *mark = arg;
    for (int i = 0; i < TASKS; i++) {
        struct stmt *stmt;
        bool found;
        TRY(tx_stmt(op, tx, &test_payload_of, &stmt));
        bind_int(stmt, 1, i + 1);
        TRY(stmt_row(op, stmt, &found));
        YES(found);
        struct str payload = col_str_borrowed(stmt, 0);
        EQ(payload.n, 1000);
        EQ(payload.p[0], mark[i]);
        EQ(payload.p[999], mark[i]);
        stmt_reset(stmt);
    }
    return OK;
}

static enum err check_integrity(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &test_integrity, &stmt));
    TRY(stmt_row(op, stmt, &found));
    STR_EQ(col_str_borrowed(stmt, 0), "ok");
    stmt_reset(stmt);
    return OK;
}

TEST(wal_file, writes_transactions_larger_than_the_page_cache)
{
    struct rng rng;
    struct marks marks = { .rng = &rng };
    char kept[TASKS];
    rng_init(&rng, 8);
    fixture_directory(&f);
    struct store_config config = fixture_config(&f);
    config.cache_bytes = 64 * 1024;
    SUCCEEDS(&f.op, store_open(&f.op, &config, &f.store));
    WRITES(&f, add_tasks, NULL);
    memset(marks.mark, '.', sizeof marks.mark);
    memcpy(kept, marks.mark, sizeof kept);
    for (int round = 0; round < 6; round++) {
        marks.fail = round % 2;
        enum err err = store_write(&f.op, f.store, mark_tasks, &marks);
        EQ(err, marks.fail ? ERR_INVALID : OK);
        memcpy(marks.fail ? marks.mark : kept, marks.fail ? kept : marks.mark, sizeof kept);
        READS(&f, check_tasks, kept); /* through another connection and the ordinary layer */
    }
    fixture_reopen(&f);
    READS(&f, check_tasks, kept);
    READS(&f, check_integrity, NULL);
    fixture_end(&f);
}

TEST(wal_file, leaves_a_log_that_is_whole_after_a_crash_at_any_point)
{
    struct rng rng;
    struct marks marks = { .rng = &rng };
    char kept[TASKS];
    rng_init(&rng, 9);
    fixture_start_file(&f);
    WRITES(&f, add_tasks, NULL);
    memset(kept, '.', sizeof kept);
    for (int round = 0; round < 8; round++) {
        memcpy(marks.mark, kept, sizeof kept);
        bool after = round % 3 == 2;
        if (round % 2)
            fixture_plan(&f, STORE_AT_STATEMENT, STORE_CRASH_BEFORE, rng_between(&rng, 1, 2 * TASKS));
        else
            fixture_plan(&f, STORE_AT_COMMIT, after ? STORE_CRASH_AFTER : STORE_CRASH_BEFORE, 1);
        EQ(store_write(&f.op, f.store, mark_tasks, &marks), ERR_UNAVAILABLE);
        if (round % 2 == 0 && after)
            memcpy(kept, marks.mark, sizeof kept);
        fixture_reopen(&f);
        READS(&f, check_tasks, kept);
        READS(&f, check_integrity, NULL);
    }
    fixture_end(&f);
}
