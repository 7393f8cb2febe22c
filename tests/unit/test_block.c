#include "base/random.h"
#include "base/sort.h"
#include "store/block.h"
#include "store/block_log.h"
#include "store/block_parts.h"
#include "store/db.h"
#include "store_test.h"

static struct fixture f;

struct one {
    uint64_t no;
    int64_t opened_at_us;
};

static enum err put_opened(struct op *op, struct tx *tx, void *arg)
{
    const struct one *one = arg;
    struct message_engagement *record;
    TRY(store_block_edit(op, tx, BLOCK_MESSAGE_ENGAGEMENT, one->no, &record));
    record->opened_at_us = one->opened_at_us;
    return OK;
}

static enum err get_opened(struct op *op, struct tx *tx, void *arg)
{
    struct one *one = arg;
    const struct message_engagement *record;
    TRY(store_block_get(op, tx, BLOCK_MESSAGE_ENGAGEMENT, one->no, &record));
    one->opened_at_us = record->opened_at_us;
    return OK;
}

static void put(uint64_t no, int64_t value)
{
    struct one one = { no, value };
    WRITES(&f, put_opened, &one);
}

static int64_t get(uint64_t no)
{
    struct one one = { no, -1 };
    READS(&f, get_opened, &one);
    return one.opened_at_us;
}

TEST(block, reads_zeros_where_nothing_was_written)
{
    fixture_start(&f);
    EQ(get(0), 0);
    EQ(get(123456789), 0);
    fixture_end(&f);
}

TEST(block, keeps_records_apart)
{
    fixture_start_file(&f);
    uint64_t per = store_block_per_block(BLOCK_MESSAGE_ENGAGEMENT);
    EQ(per, 126);
    for (uint64_t no = 0; no < 3 * per; no++)
        put(no, (int64_t)no * 7 + 1);
    fixture_reopen(&f);
    for (uint64_t no = 0; no < 3 * per; no++)
        EQ(get(no), no * 7 + 1);
    EQ(get(3 * per), 0);
    fixture_end(&f);
}

static enum err edit_then_get(struct op *op, struct tx *tx, void *arg)
{
    struct one one = { 40, 5 };
    TRY(put_opened(op, tx, &one));
    one.opened_at_us = 0;
    TRY(get_opened(op, tx, &one));
    *(int64_t *)arg = one.opened_at_us;
    return OK;
}

TEST(block, shows_a_transaction_its_own_changes)
{
    fixture_start(&f);
    int64_t seen = 0;
    WRITES(&f, edit_then_get, &seen);
    EQ(seen, 5);
    fixture_end(&f);
}

static enum err get_then_dirty(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    const struct message_engagement *record;
    TRY(store_block_get(op, tx, BLOCK_MESSAGE_ENGAGEMENT, 9, &record));
    if (record->opened_at_us == 0) {
        ((struct message_engagement *)(uintptr_t)record)->opened_at_us = 77;
        store_block_dirty(tx, BLOCK_MESSAGE_ENGAGEMENT, 9);
    }
    return OK;
}

TEST(block, writes_a_record_that_was_read_and_then_marked)
{
    fixture_start_file(&f);
    WRITES(&f, get_then_dirty, NULL);
    fixture_reopen(&f);
    EQ(get(9), 77);
    fixture_end(&f);
}

static enum err put_then_fail(struct op *op, struct tx *tx, void *arg)
{
    TRY(put_opened(op, tx, arg));
    return fail(op, ERR_INVALID, "no");
}

TEST(block, forgets_the_changes_of_a_rolled_back_transaction)
{
    fixture_start(&f);
    put(1, 10);
    struct one one = { 1, 99 };
    EQ(store_write(&f.op, f.store, put_then_fail, &one), ERR_INVALID);
    EQ(get(1), 10);
    struct one seen = { 1, 0 };
    WRITES(&f, get_opened, &seen); /* the writer's RAM, too */
    EQ(seen.opened_at_us, 10);
    fixture_end(&f);
}

/* More blocks in one transaction than the cache holds, and again more after it. */
static enum err put_many(struct op *op, struct tx *tx, void *arg)
{
    uint64_t per = store_block_per_block(BLOCK_MESSAGE_ENGAGEMENT);
    for (uint64_t i = 0; i < 6000; i++) {
        struct one one = { i * per + i % per, *(int64_t *)arg + (int64_t)i };
        TRY(put_opened(op, tx, &one));
    }
    return OK;
}

TEST(block, works_on_more_blocks_than_fit_in_ram)
{
    fixture_start_file(&f);
    uint64_t per = store_block_per_block(BLOCK_MESSAGE_ENGAGEMENT);
    for (int64_t base = 1; base <= 200001; base += 100000)
        WRITES(&f, put_many, &base);
    fixture_reopen(&f);
    for (uint64_t i = 0; i < 6000; i += 37)
        EQ(get(i * per + i % per), 200001 + (int64_t)i);
    fixture_end(&f);
}

static enum err count_blocks(struct op *op, struct tx *tx, void *arg)
{
    (void)op;
    *(size_t *)arg = ((const struct blocks *)tx_state(tx, &block_family))->count;
    return OK;
}

TEST(block, gives_the_memory_of_a_large_transaction_back_bit_by_bit)
{
    size_t first, count;
    int64_t base = 1;
    fixture_start_file(&f);
    WRITES(&f, put_many, &base);
    WRITES(&f, count_blocks, &first);
    YES(first > CACHE_BLOCKS + 1000);
    uint64_t per = store_block_per_block(BLOCK_MESSAGE_ENGAGEMENT);
    for (uint64_t i = 0; i < 200; i++)
        put(i * per, (int64_t)i + 7);
    WRITES(&f, count_blocks, &count);
    YES(count < first - 1000);
    if (!test_server()) /* where nodes share the rows a block that is owed stays, and what lies below it */
        YES(count <= CACHE_BLOCKS + 2 * SLAB_BLOCKS);
    for (uint64_t i = 0; i < 200; i++)
        EQ(get(i * per), (int64_t)i + 7);
    for (uint64_t i = 0; i < 6000; i += 37)
        EQ(get(i * per + i % per), i % per || i >= 200 ? base + (int64_t)i : (int64_t)i + 7);
    fixture_end(&f);
}

static enum err delete_far_away(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return store_block_delete(op, tx, BLOCK_MESSAGE_ENGAGEMENT, 1000000, 1000001); /* settles what the log holds */
}

TEST(block, is_read_anew_by_whoever_stayed_while_the_writer_was_restarted)
{
    fixture_start_file(&f);
    put(1, 10);
    put(1, 11); /* its block has a row already, so this stands in the log */
    struct store *beside;
    struct store_config config = fixture_config(&f);
    config.read_only = true;
    struct one one = { 1, 0 };
    SUCCEEDS(&f.op, store_open(&f.op, &config, &beside));
    SUCCEEDS(&f.op, store_read(&f.op, beside, get_opened, &one));
    EQ(one.opened_at_us, 11);

    WRITES(&f, delete_far_away, NULL);
    fixture_reopen(&f);
    put(1, 12); /* the first entry of a new log: its number must not be one the reader knows */
    SUCCEEDS(&f.op, store_read(&f.op, beside, get_opened, &one));
    EQ(one.opened_at_us, 12);
    store_close(beside);
    fixture_end(&f);
}

struct sum {
    uint64_t records, first, last;
    int64_t sum;
    uint64_t stop_at;
};

static enum err add_up(struct op *op, uint64_t no, const void *record, void *arg)
{
    struct sum *sum = arg;
    const struct message_engagement *engagement = record;
    if (sum->records++ == 0)
        sum->first = no;
    sum->last = no;
    sum->sum += engagement->opened_at_us;
    return sum->stop_at && no == sum->stop_at ? fail(op, ERR_BUSY, "enough") : OK;
}

static uint64_t walk_from, walk_to = UINT64_MAX;

static enum err walk(struct op *op, struct tx *tx, void *arg)
{
    return store_block_each(op, tx, BLOCK_MESSAGE_ENGAGEMENT, walk_from, walk_to, add_up, arg);
}

TEST(block, walks_all_records_in_order)
{
    fixture_start(&f);
    put(5, 1);
    put(300, 2);  /* block 2 */
    put(5000, 4); /* block 39 */
    struct sum all = { 0 };
    walk_from = 0;
    READS(&f, walk, &all);
    EQ(all.records, 3 * 126);
    EQ(all.sum, 7);
    EQ(all.first, 0);
    EQ(all.last, 40 * 126 - 1);

    struct sum part = { 0 };
    walk_from = 300;
    READS(&f, walk, &part);
    EQ(part.first, 300);
    EQ(part.sum, 6);

    struct sum before = { 0 };
    walk_to = 302;
    READS(&f, walk, &before);
    EQ(before.first, 300);
    EQ(before.last, 301);
    walk_to = UINT64_MAX;

    struct sum stopped = { .stop_at = 301 };
    EQ(store_read(&f.op, f.store, walk, &stopped), ERR_BUSY);
    EQ(stopped.last, 301);
    fixture_end(&f);
}

static enum err pick(struct op *op, struct tx *tx, void *arg)
{
    static const uint64_t numbers[] = { 4, 5, 200, 299, 300, 301, 4999, 5000, 9000 };
    return store_block_pick(op, tx, BLOCK_MESSAGE_ENGAGEMENT, numbers, sizeof numbers / sizeof *numbers, add_up, arg);
}

TEST(block, picks_records_of_blocks_that_lie_apart)
{
    fixture_start(&f);
    put(5, 1);
    put(300, 2);
    put(5000, 4);
    struct sum picked = { 0 };
    READS(&f, pick, &picked);
    EQ(picked.sum, 7);
    EQ(picked.first, 4);
    put(5000, 8); /* in the log, not yet in its block */
    struct sum again = { 0 };
    READS(&f, pick, &again);
    EQ(again.sum, 11);
    fixture_end(&f);
}

struct range {
    uint64_t from, to;
    bool fail;
};

static enum err delete_range(struct op *op, struct tx *tx, void *arg)
{
    const struct range *range = arg;
    TRY(store_block_delete(op, tx, BLOCK_MESSAGE_ENGAGEMENT, range->from, range->to));
    return range->fail ? fail(op, ERR_INVALID, "no") : OK;
}

TEST(block, deletes_exactly_a_range)
{
    fixture_start_file(&f);
    struct range cases[] = { { 0, 126, false },   { 10, 20, false },   { 100, 700, false }, { 126, 252, false },
                             { 125, 127, false }, { 500, 500, false }, { 100, 700, true } };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++) {
        for (uint64_t no = 0; no < 800; no += 5)
            put(no, 3);
        enum err err = store_write(&f.op, f.store, delete_range, &cases[c]);
        EQ(err, cases[c].fail ? ERR_INVALID : OK);
        for (int round = 0; round < 2; round++) {
            for (uint64_t no = 0; no < 800; no += 5) {
                bool gone = !cases[c].fail && no >= cases[c].from && no < cases[c].to;
                EQ(get(no), gone ? 0 : 3);
            }
            fixture_reopen(&f);
        }
    }
    fixture_end(&f);
}

/* Random changes, failures and reopenings against an array. */
struct batch {
    struct rng *rng;
    int64_t *model;
    bool fail;
};

#define MODEL 4000

static enum err random_changes(struct op *op, struct tx *tx, void *arg)
{
    struct batch *batch = arg;
    for (int i = 0; i < 50; i++) {
        struct one one = { rng_below(batch->rng, MODEL), (int64_t)rng_below(batch->rng, 1000) };
        struct one before = { one.no, 0 };
        TRY(get_opened(op, tx, &before));
        EQ(before.opened_at_us, batch->model[one.no]);
        TRY(put_opened(op, tx, &one));
        batch->model[one.no] = one.opened_at_us;
    }
    return batch->fail ? fail(op, ERR_INVALID, "no") : OK;
}

TEST(block, equals_an_array_whatever_fails)
{
    struct rng rng;
    static int64_t model[MODEL], kept[MODEL];
    rng_init(&rng, 4);
    memset(model, 0, sizeof model);
    memset(kept, 0, sizeof kept);
    fixture_start_file(&f);
    for (int round = 0; round < 200; round++) {
        struct batch batch = { &rng, model, rng_chance(&rng, 0.2) };
        if (rng_chance(&rng, 0.2))
            fixture_plan(&f, STORE_AT_STATEMENT, STORE_FAIL_IO, rng_between(&rng, 1, 20));
        if (store_write(&f.op, f.store, random_changes, &batch) == OK)
            memcpy(kept, model, sizeof model);
        else
            memcpy(model, kept, sizeof model);
        f.countdown = 0;
        if (rng_chance(&rng, 0.05))
            fixture_reopen(&f);
    }
    for (uint64_t no = 0; no < MODEL; no++)
        EQ(get(no), kept[no]);
    fixture_end(&f);
}

/* So many blocks that most leave the cache while the log alone holds their newest records, and so many changes that
 * the log is swept several times. */
#define WIDE (1 << 20)

#define CHANGES_MAX 3000

struct wide {
    size_t count;
    bool fail, ahead;
    struct one changes[CHANGES_MAX];
    bool alone[CHANGES_MAX]; /* without its block, if that is not in RAM */
};

/* More than will be changed, so that some of what was taken is left as it was. */
static enum err take_ahead(struct op *op, struct tx *tx, const struct wide *wide)
{
    uint64_t numbers[CHANGES_MAX];
    for (size_t i = 0; i < wide->count; i++)
        numbers[i] = wide->changes[i].no - (wide->changes[i].no > 0 && i % 8 == 0);
    sort_u64(numbers, wide->count);
    return store_block_take_alone(op, tx, BLOCK_MESSAGE_ENGAGEMENT, numbers, wide->count);
}

static enum err put_alone(struct op *op, struct tx *tx, const struct one *one)
{
    const struct message_engagement *record;
    struct message_engagement *edited;
    TRY(store_block_look(op, tx, BLOCK_MESSAGE_ENGAGEMENT, one->no, &record));
    int64_t before_us = record->opened_at_us;
    TRY(store_block_edit_alone(op, tx, BLOCK_MESSAGE_ENGAGEMENT, one->no, &edited));
    EQ(edited->opened_at_us, before_us);
    edited->opened_at_us = one->opened_at_us;
    TRY(store_block_look(op, tx, BLOCK_MESSAGE_ENGAGEMENT, one->no, &record));
    EQ(record->opened_at_us, one->opened_at_us);
    return OK;
}

static enum err wide_changes(struct op *op, struct tx *tx, void *arg)
{
    const struct wide *wide = arg;
    if (wide->ahead)
        TRY(take_ahead(op, tx, wide));
    for (size_t i = 0; i < wide->count; i++) {
        struct one one = wide->changes[i];
        TRY(wide->alone[i] ? put_alone(op, tx, &one) : put_opened(op, tx, &one));
    }
    return wide->fail ? fail(op, ERR_INVALID, "no") : OK;
}

/* Random changes of records near each other or anywhere; what must be there afterwards is in the model. */
static void wide_round(struct rng *rng, int64_t *model)
{
    static struct wide wide;
    bool near = rng_chance(rng, 0.3), huge = !near && rng_chance(rng, 0.03);
    uint64_t from = rng_below(rng, WIDE - CHANGES_MAX);
    double alone = rng_chance(rng, 0.5) ? 0.97 : 0;
    wide.fail = rng_chance(rng, 0.03);
    wide.ahead = alone > 0 && rng_chance(rng, 0.5);
    wide.count = near ? 300 : huge ? CHANGES_MAX : 1800; /* so many are settled at once */
    for (size_t i = 0; i < wide.count; i++) {
        wide.changes[i].no = near ? from + rng_below(rng, CHANGES_MAX) : rng_below(rng, WIDE);
        wide.changes[i].opened_at_us = (int64_t)rng_below(rng, 1000000);
        wide.alone[i] = rng_chance(rng, alone);
    }
    if (huge || rng_chance(rng, 0.1))
        fixture_plan(&f, STORE_AT_STATEMENT, STORE_FAIL_IO, rng_between(rng, 1, huge ? 10000 : 200));
    if (store_write(&f.op, f.store, wide_changes, &wide) == OK)
        for (size_t i = 0; i < wide.count; i++)
            model[wide.changes[i].no] = wide.changes[i].opened_at_us;
    f.countdown = 0;
}

static enum err equals_model(struct op *op, uint64_t no, const void *record, void *arg)
{
    (void)op;
    const struct message_engagement *engagement = record;
    EQ(engagement->opened_at_us, ((const int64_t *)arg)[no]);
    return OK;
}

static enum err walk_all(struct op *op, struct tx *tx, void *arg)
{
    return store_block_each(op, tx, BLOCK_MESSAGE_ENGAGEMENT, 0, WIDE, equals_model, arg);
}

SQL(log_bytes, "SELECT coalesce(sum(length(data)), 0) FROM block_log", NULL);

static enum err read_log_bytes(struct op *op, struct tx *tx, void *arg)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, &log_bytes, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *(int64_t *)arg = col_int(stmt, 0);
    stmt_reset(stmt);
    return OK;
}

static enum err count_regions(struct op *op, struct tx *tx, void *arg)
{
    (void)op;
    *(size_t *)arg = ((const struct blocks *)tx_state(tx, &block_family))->lone_region_count;
    return OK;
}

/* More blocks than the cache holds, then records of one kind without theirs. */
struct kind_range {
    enum block_kind kind;
    uint64_t from;
};

static enum err take_range(struct op *op, struct tx *tx, void *arg)
{
    const struct kind_range *range = arg;
    for (uint64_t no = range->from; no < range->from + 2000; no++) {
        void *record;
        TRY(store_block_edit_alone(op, tx, range->kind, no * 50, &record));
        memset(record, 1, store_block_record_bytes(range->kind));
    }
    return OK;
}

TEST(block, room_of_records_that_were_swept_serves_other_kinds)
{
    ONLY_SQLITE();
    int64_t base = 1;
    size_t regions[2];
    fixture_start_file(&f);
    WRITES(&f, put_many, &base);
    for (enum block_kind kind = BLOCK_MESSAGE_DELIVERY; kind <= BLOCK_MEMBER; kind++)
        for (uint64_t from = 0; from < 14000; from += 2000) {
            struct kind_range range = { kind, from };
            WRITES(&f, take_range, &range); /* the blocks get their rows */
        }
    for (int turn = 0; turn < 2; turn++) {
        for (int i = 0; i < 210; i++) {
            struct kind_range range = { turn == 0 ? BLOCK_MESSAGE_DELIVERY : BLOCK_MEMBER, (uint64_t)(i % 7) * 2000 };
            WRITES(&f, take_range, &range);
        }
        WRITES(&f, count_regions, &regions[turn]);
    }
    YES(regions[0] > 0);
    EQ(regions[1], regions[0]);
    fixture_end(&f);
}

static enum err read_log(struct op *op, struct tx *tx, void *arg)
{
    const struct message_engagement *record;
    TRY(store_block_get(op, tx, BLOCK_MESSAGE_ENGAGEMENT, 1, &record));
    *(struct log *)arg = ((const struct blocks *)tx_state(tx, &block_family))->log;
    return OK;
}

TEST(block, start_takes_nothing_again_that_a_sweep_has_written)
{
    ONLY_SQLITE();
    int64_t base = 1, bytes;
    struct log log = { 0 };
    fixture_start_file(&f);
    WRITES(&f, put_many, &base);
    for (uint64_t i = 0; i < 400 && log.erased + 8 > log.settled; i++) {
        struct kind_range range = { BLOCK_MESSAGE_DELIVERY, i % 7 * 2000 };
        WRITES(&f, take_range, &range);
        WRITES(&f, read_log, &log);
    }
    YES(log.erased + 8 <= log.settled); /* so many rows wait to be erased */
    READS(&f, read_log_bytes, &bytes);
    fixture_reopen(&f);
    WRITES(&f, read_log, &log);
    YES(log.bytes > 0 && log.bytes < bytes * 15 / 16);
    fixture_end(&f);
}

TEST(block, equals_an_array_while_the_log_is_swept)
{
    ONLY_SQLITE();
    struct rng rng;
    static int64_t model[WIDE];
    int64_t bytes = 0, most = 0;
    rng_init(&rng, 5);
    memset(model, 0, sizeof model);
    fixture_start_file(&f);
    struct store *beside;
    struct store_config config = fixture_config(&f);
    config.read_only = true;
    SUCCEEDS(&f.op, store_open(&f.op, &config, &beside));
    for (int round = 0; round < 240; round++) {
        wide_round(&rng, model);
        arena_reset(f.op.arena);
        for (int i = 0; i < 20; i++) { /* by a reader that knows a part of the log already */
            uint64_t no = rng_below(&rng, WIDE);
            EQ(get(no), model[no]);
        }
        for (int i = rng_chance(&rng, 0.04) ? 20 : 0; i > 0; i--) { /* and by one that missed a lot */
            struct one one = { rng_below(&rng, WIDE), 0 };
            SUCCEEDS(&f.op, store_read(&f.op, beside, get_opened, &one));
            EQ(one.opened_at_us, model[one.no]);
        }
        READS(&f, read_log_bytes, &bytes);
        most = bytes > most ? bytes : most;
        if (rng_chance(&rng, 0.03))
            fixture_reopen(&f);
    }
    YES(most > BLOCK_LOG_BYTES_MAX / 2 && most < BLOCK_LOG_BYTES_MAX * 8 / 5); /* what is swept goes little by little */
    READS(&f, walk_all, model);
    fixture_reopen(&f);
    READS(&f, walk_all, model);
    SUCCEEDS(&f.op, store_read(&f.op, beside, walk_all, model));
    store_close(beside);
    fixture_end(&f);
}
