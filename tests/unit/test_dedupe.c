#include "base/random.h"
#include "store/dedupe.h"
#include "store/dedupe_run.h"
#include "store_test.h"

static struct fixture f;

/* A store whose dedupe ripens after 2,000 keys. */
static void start_small(void)
{
    dedupe_young_max = 2000;
    fixture_start_file(&f);
}

/* --- single keys --- */

struct one {
    int32_t day;
    uint64_t key[2];
    bool is_new;
    bool fail;
};

static enum err take(struct op *op, struct tx *tx, void *arg)
{
    struct one *one = arg;
    TRY(store_dedupe_take(op, tx, one->day, one->key, &one->is_new));
    return one->fail ? fail(op, ERR_INVALID, "no") : OK;
}

static enum err forget(struct op *op, struct tx *tx, void *arg)
{
    struct one *one = arg;
    TRY(store_dedupe_forget(op, tx, one->day, one->key));
    return one->fail ? fail(op, ERR_INVALID, "no") : OK;
}

static bool takes(int32_t day, uint64_t a, uint64_t b)
{
    struct one one = { .day = day, .key = { a, b } };
    WRITES(&f, take, &one);
    return one.is_new;
}

TEST(dedupe, takes_a_key_once_per_day)
{
    fixture_start_file(&f);
    YES(takes(20000, 1, 2));
    NO(takes(20000, 1, 2));
    YES(takes(20001, 1, 2));
    YES(takes(20000, 2, 1));
    YES(takes(-5, 1, 2));
    fixture_reopen(&f);
    NO(takes(20000, 1, 2));
    NO(takes(20001, 1, 2));
    NO(takes(-5, 1, 2));
    YES(takes(20000, 1, 3));
    fixture_end(&f);
}

TEST(dedupe, does_not_know_the_keys_of_a_rolled_back_transaction)
{
    fixture_start(&f);
    struct one one = { .day = 1, .key = { 5, 5 }, .fail = true };
    EQ(store_write(&f.op, f.store, take, &one), ERR_INVALID);
    YES(one.is_new);
    YES(takes(1, 5, 5));
    fixture_end(&f);
}

TEST(dedupe, takes_a_forgotten_key_again)
{
    fixture_start_file(&f);
    struct one one = { .day = 1, .key = { 5, 5 } };
    WRITES(&f, forget, &one); /* unknown: nothing happens */
    YES(takes(1, 5, 5));
    one.fail = true;
    EQ(store_write(&f.op, f.store, forget, &one), ERR_INVALID);
    NO(takes(1, 5, 5));
    one.fail = false;
    WRITES(&f, forget, &one);
    fixture_reopen(&f);
    YES(takes(1, 5, 5));
    NO(takes(1, 5, 5));
    fixture_end(&f);
}

/* --- many keys --- */

struct many {
    int32_t day;
    uint64_t from, to; /* keys are made from numbers */
    uint64_t news;
};

static void key_of(uint64_t no, uint64_t key[2])
{
    key[0] = no * 0x9E3779B97F4A7C15u + 1;
    key[1] = no;
}

static enum err take_many(struct op *op, struct tx *tx, void *arg)
{
    struct many *many = arg;
    many->news = 0;
    for (uint64_t no = many->from; no < many->to; no++) {
        uint64_t key[2];
        bool is_new;
        key_of(no, key);
        TRY(store_dedupe_take(op, tx, many->day, key, &is_new));
        many->news += is_new;
    }
    return OK;
}

/* Takes numbers [from, to) in transactions of 5,000; returns how many were new. */
static uint64_t takes_many(int32_t day, uint64_t from, uint64_t to)
{
    uint64_t news = 0;
    for (; from < to; from += 500) {
        struct many many = { .day = day, .from = from, .to = from + 500 < to ? from + 500 : to };
        WRITES(&f, take_many, &many);
        news += many.news;
    }
    return news;
}

SQL_SCAN(test_runs, "SELECT count(*) FROM dedupe_run", NULL);
SQL_SCAN(test_live_runs, "SELECT count(*) FROM dedupe_run WHERE state = 0", NULL);
SQL_SCAN(test_buckets, "SELECT count(*) FROM dedupe_bucket", NULL);
SQL_SCAN(test_logs, "SELECT count(*) FROM dedupe_log", NULL);

struct asked {
    const struct sql *sql;
    int64_t value;
};

static enum err ask(struct op *op, struct tx *tx, void *arg)
{
    struct asked *asked = arg;
    struct stmt *stmt;
    bool row;
    TRY(tx_stmt(op, tx, asked->sql, &stmt));
    TRY(stmt_row(op, stmt, &row));
    asked->value = col_int(stmt, 0);
    stmt_reset(stmt);
    return OK;
}

static int64_t value_of(const struct sql *sql)
{
    struct asked asked = { .sql = sql };
    READS(&f, ask, &asked);
    return asked.value;
}

TEST(dedupe, knows_keys_that_have_left_the_young_set)
{
    start_small();
    EQ(takes_many(9, 0, 6000), 6000);
    YES(value_of(&test_runs) >= 2);
    EQ(takes_many(9, 0, 6000), 0);
    fixture_reopen(&f);
    EQ(takes_many(9, 0, 6000), 0);
    EQ(takes_many(10, 0, 1000), 1000);
    EQ(takes_many(9, 6000, 6500), 500);
    fixture_end(&f);
}

SQL_SCAN(test_spoil, "UPDATE dedupe_run SET bloom = NULL", NULL);

static enum err spoil_filters(struct op *op, struct tx *tx, void *arg)
{
    struct stmt *stmt;
    (void)arg;
    TRY(tx_stmt(op, tx, &test_spoil, &stmt));
    return stmt_done(op, stmt);
}

/* That they are not read again and again is seen by there being none to read. */
TEST(dedupe, looks_into_rows_where_filters_find_no_room)
{
    size_t room = dedupe_filter_bytes_max;
    start_small();
    dedupe_filter_bytes_max = 0;
    EQ(takes_many(9, 0, 9000), 9000);
    WRITES(&f, spoil_filters, NULL);
    EQ(takes_many(9, 0, 9000), 0);
    EQ(takes_many(9, 9000, 9200), 200);
    fixture_reopen(&f);
    EQ(takes_many(9, 0, 9200), 0);
    dedupe_filter_bytes_max = room;
    fixture_end(&f);
}

/* Ten runs of two days and room for the filters of three. */
TEST(dedupe, knows_all_keys_when_some_filters_find_room)
{
    size_t room = dedupe_filter_bytes_max;
    start_small();
    dedupe_filter_bytes_max = 9000;
    for (uint64_t n = 0; n < 12000; n += 500) {
        EQ(takes_many(9, n, n + 500), 500);
        EQ(takes_many(8, n, n + 500), 500);
    }
    EQ(takes_many(9, 0, 12000), 0);
    EQ(takes_many(8, 0, 12000), 0);
    fixture_reopen(&f);
    EQ(takes_many(8, 0, 12000), 0);
    EQ(takes_many(9, 0, 12000), 0);
    dedupe_filter_bytes_max = room;
    fixture_end(&f);
}

TEST(dedupe, merges_runs_and_erases_what_they_replace)
{
    start_small();
    EQ(takes_many(9, 0, 30000), 30000);
    YES(value_of(&test_live_runs) <= 7);
    EQ(takes_many(9, 0, 30000), 0);
    YES(value_of(&test_logs) < 20);
    fixture_reopen(&f);
    EQ(takes_many(9, 0, 30000), 0);
    fixture_end(&f);
}

TEST(dedupe, goes_on_with_a_merge_after_a_restart)
{
    start_small();
    for (uint64_t n = 0; n < 30000; n += 500) { /* less than a merge takes, and a restart */
        EQ(takes_many(9, n, n + 500), 500);
        fixture_reopen(&f);
    }
    YES(value_of(&test_live_runs) <= 7);
    YES(value_of(&test_runs) <= 15);
    EQ(takes_many(9, 0, 30000), 0);
    fixture_end(&f);
}

static enum err forget_some(struct op *op, struct tx *tx, void *arg)
{
    struct many *many = arg;
    for (uint64_t no = many->from; no < many->to; no += 100) {
        uint64_t key[2];
        key_of(no, key);
        TRY(store_dedupe_forget(op, tx, many->day, key));
    }
    return OK;
}

TEST(dedupe, forgets_keys_wherever_they_stand)
{
    start_small();
    uint64_t n = 0;
    for (; n < 35000; n += 500) { /* at every stage of merging */
        EQ(takes_many(9, n, n + 500), 500);
        if (n % 3000 != 0 || n == 0)
            continue;
        struct many many = { .day = 9, .from = n / 2 / 100 * 100, .to = n + 500 };
        WRITES(&f, forget_some, &many);
        uint64_t expected = (many.to - many.from + 99) / 100;
        EQ(takes_many(9, many.from, many.to), expected);
        WRITES(&f, forget_some, &many);
        fixture_reopen(&f);
        EQ(takes_many(9, many.from, many.to), expected);
    }
    EQ(takes_many(9, 0, n), 0);
    fixture_end(&f);
}

struct expiry {
    int32_t before_day;
    int64_t max_rows;
    bool more;
    int64_t gone;
};

static enum err expire(struct op *op, struct tx *tx, void *arg)
{
    struct expiry *expiry = arg;
    return store_dedupe_expire(op, tx, expiry->before_day, expiry->max_rows, &expiry->gone, &expiry->more);
}

TEST(dedupe, expires_whole_days_in_slices)
{
    start_small();
    takes_many(1, 0, 20000); /* with a merge under way */
    takes_many(2, 0, 8000);
    struct expiry expiry = { 2, 5, true };
    int slices = 0;
    for (; expiry.more; slices++)
        WRITES(&f, expire, &expiry);
    YES(slices > 10);
    EQ(takes_many(2, 0, 8000), 0);
    expiry = (struct expiry){ 3, 1000, true };
    while (expiry.more)
        WRITES(&f, expire, &expiry);
    fixture_reopen(&f);
    EQ(value_of(&test_buckets), 0);
    EQ(value_of(&test_runs), 0);
    fixture_end(&f);
}

/* --- against a naive set, with failures and crashes --- */

#define MODEL_KEYS 20000

struct step {
    struct rng *rng;
    uint8_t *known; /* by key number */
    uint64_t from;
    bool fail;
};

static enum err random_step(struct op *op, struct tx *tx, void *arg)
{
    struct step *step = arg;
    for (int i = 0; i < 400; i++) {
        /* Mostly keys that come for the first time, some known, a few forgotten. */
        uint64_t no =
            rng_chance(step->rng, 0.7) ? (step->from + (uint64_t)i) % MODEL_KEYS : rng_below(step->rng, MODEL_KEYS);
        uint64_t key[2];
        bool is_new;
        key_of(no, key);
        if (rng_chance(step->rng, 0.005)) {
            TRY(store_dedupe_forget(op, tx, 77, key));
            step->known[no] = 0;
            continue;
        }
        TRY(store_dedupe_take(op, tx, 77, key, &is_new));
        EQ(is_new, !step->known[no]);
        step->known[no] = 1;
    }
    return step->fail ? fail(op, ERR_INVALID, "no") : OK;
}

TEST(dedupe, equals_a_naive_set_whatever_fails)
{
    static uint8_t known[MODEL_KEYS], kept[MODEL_KEYS];
    struct rng rng;
    rng_init(&rng, 11);
    memset(known, 0, sizeof known);
    memset(kept, 0, sizeof kept);
    start_small();
    uint64_t from = 0;
    for (int round = 0; round < 300; round++) {
        struct step step = { &rng, known, from, rng_chance(&rng, 0.1) };
        enum store_point point = rng_chance(&rng, 0.3) ? STORE_AT_COMMIT : STORE_AT_STATEMENT;
        enum store_fault fault = (enum store_fault)rng_between(&rng, STORE_FAIL_IO, STORE_CRASH_AFTER);
        if (point == STORE_AT_STATEMENT && fault == STORE_CRASH_AFTER)
            fault = STORE_CRASH_BEFORE;
        if (rng_chance(&rng, 0.3))
            fixture_plan(&f, point, fault, point == STORE_AT_COMMIT ? 1 : rng_between(&rng, 1, 60));
        enum err err = store_write(&f.op, f.store, random_step, &step);
        bool durable = err == OK || (fault == STORE_CRASH_AFTER && err == ERR_UNAVAILABLE && f.countdown == 0);
        if (durable) {
            memcpy(kept, known, sizeof known);
            from += 300;
        } else {
            memcpy(known, kept, sizeof known);
        }
        f.countdown = 0;
        arena_reset(f.arena);
        if (store_is_dead(f.store) || rng_chance(&rng, 0.05))
            fixture_reopen(&f);
    }
    for (uint64_t no = 0; no < MODEL_KEYS; no += 500)
        for (uint64_t i = no; i < no + 500; i += 13) {
            uint64_t key[2];
            key_of(i, key);
            EQ(takes(77, key[0], key[1]), !kept[i]);
        }
    fixture_end(&f);
}
