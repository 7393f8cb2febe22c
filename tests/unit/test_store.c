#include "store/core.h"
#include "store/store_batch.h"
#include "store/store_task.h"
#include "store_count.h"
#include "store_test.h"

static struct fixture f;

static int64_t opened(void)
{
    return opened_in(&f);
}

TEST(store, keeps_what_was_written_when_opened_again)
{
    fixture_start_file(&f);
    WRITES(&f, count_one, SEVEN);
    fixture_reopen(&f);
    EQ(opened(), 1);
    fixture_end(&f);
}

TEST(store, keeps_its_hash_key)
{
    uint8_t key[16];
    fixture_start_file(&f);
    memcpy(key, store_hash_key(f.store), sizeof key);
    fixture_reopen(&f);
    assert_memory_equal(key, store_hash_key(f.store), sizeof key);
    fixture_end(&f);
}

TEST(store, reaches_rows_by_key_or_index_in_every_statement)
{
    fixture_start(&f);
    struct str scans;
    SUCCEEDS(&f.op, store_plan(&f.op, f.store, &scans));
    STR_EQ(scans, "");
    fixture_end(&f);
}

/* A condition that only says which index is meant must not be taken for the better one: then each click of a mailing of
 * 300,000 walked over all its members. */
TEST(store, reaches_a_message_by_its_member_and_walks_over_no_others)
{
    fixture_start(&f);
    struct str plan, wanted = f.store->engine->shared ? S("member_no = $2") : S("member_no=?");
    SUCCEEDS(&f.op, store_plan_named(&f.op, f.store, "message_by_member", &plan));
    YES(str_search(plan, wanted) < plan.n);
    EQ(store_plan_named(&f.op, f.store, "no_such_statement", &plan), ERR_NOT_FOUND);
    fixture_end(&f);
}

TEST(store, tells_a_plan_that_scans)
{
    fixture_start(&f);
    struct str plan;
    SUCCEEDS(&f.op, store_plan_of(&f.op, f.store, "SELECT * FROM mailing_stats WHERE opened = 5", &plan));
    YES(str_search(plan, str_of(f.store->engine->scan_word)) < plan.n);
    fixture_end(&f);
}

SQL_SCAN(test_long, "SELECT name FROM meta", NULL);

static enum err read_long(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct stmt *stmt;
    bool more;
    char full[256];
    struct arena *small = arena_new(sizeof full);
    struct arena *own = op->arena;
    while (arena_alloc(small, 16))
        continue;
    TRY(tx_stmt(op, tx, &test_long, &stmt));
    TRY(stmt_row(op, stmt, &more));
    op->arena = small;
    NO(str_given(col_str(op, stmt, 0)));
    op->arena = own;
    stmt_reset(stmt);
    arena_free(small);
    return OK;
}

static enum err add_batches(struct op *op, struct tx *tx, void *arg)
{
    const int64_t due_us[] = { 300, 100, INT64_MAX, 200 };
    (void)arg;
    for (uint64_t no = 1; no <= 4; no++)
        TRY(store_batch_put(op, tx, &(struct batch_row){ .no = no, .due_us = due_us[no - 1] }));
    return OK;
}

struct due_look {
    int64_t by_us;
    int max, count;
    uint64_t no[4];
    int64_t next_us;
};

static enum err look_due(struct op *op, struct tx *tx, void *arg)
{
    struct due_look *look = arg;
    struct due_range range = { INT64_MIN, look->by_us, INT64_MAX };
    return store_batch_due(op, tx, &range, look->max, look->no, &look->count, &look->next_us);
}

static enum err drop_second(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return store_batch_delete(op, tx, 2);
}

TEST(store, tells_what_is_due_and_when_the_next_will_be)
{
    fixture_start_file(&f);
    WRITES(&f, add_batches, NULL);
    struct due_look look = { .by_us = 200, .max = 4 };
    READS(&f, look_due, &look);
    EQ(look.count, 2);
    EQ(look.no[0], 2);
    EQ(look.no[1], 4);
    EQ(look.next_us, 300);
    look = (struct due_look){ .by_us = 200, .max = 1 };
    READS(&f, look_due, &look);
    EQ(look.count, 1);
    EQ(look.next_us, 200);
    WRITES(&f, drop_second, NULL);
    look = (struct due_look){ .by_us = 400, .max = 4 };
    READS(&f, look_due, &look);
    EQ(look.count, 2);
    EQ(look.no[0], 4);
    EQ(look.next_us, INT64_MAX);
    fixture_end(&f);
}

TEST(store, fails_a_command_whose_text_does_not_fit_its_memory)
{
    fixture_start_file(&f);
    EQ(store_write(&f.op, f.store, read_long, NULL), ERR_TOO_LARGE);
    EQ(store_read(&f.op, f.store, read_long, NULL), ERR_TOO_LARGE);
    YES(store_is_ready(f.store));
    fixture_end(&f);
}
