/* Two stores on one PostgreSQL database, as two nodes: they write in turns, and each sees what the other did. */
#include "store/core.h"

#include "base/random.h"
#include "base/zone.h"
#include "store/block.h"
#include "store/dedupe.h"
#include "store/dedupe_run.h"
#include "store/seq.h"
#include "store/store_client_key.h"
#include "store/store_delta.h"
#include "store/store_fact.h"
#include "store/store_outcome.h"
#include "store/store_parked.h"
#include "store/store_tenant.h"
#include "store/tally.h"
#include "store_test.h"

static struct fixture f; /* holds the database, and the first store */
static struct store *stores[2];
static struct rng dice;

#define START_TWO()                                                                                                    \
    do {                                                                                                               \
        if (!test_server())                                                                                            \
            SKIP("two nodes write only to PostgreSQL");                                                                \
        start_two();                                                                                                   \
    } while (0)

static void open_store(int i)
{
    struct store_config config = fixture_config(&f);
    SUCCEEDS(&f.op, store_open(&f.op, &config, &stores[i]));
}

static void start_two(void)
{
    fixture_init(&f);
    open_store(0);
    open_store(1);
    rng_init(&dice, 7);
}

static void reopen(int i)
{
    store_close(stores[i]);
    open_store(i);
}

static void end_two(void)
{
    store_close(stores[0]);
    store_close(stores[1]);
    fixture_end(&f);
}

static void write_by(int i, enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg)
{
    arena_reset(f.arena);
    SUCCEEDS(&f.op, store_write(&f.op, stores[i], fn, arg));
}

static void read_by(int i, enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg)
{
    arena_reset(f.arena);
    SUCCEEDS(&f.op, store_read(&f.op, stores[i], fn, arg));
}

static uint64_t roll(uint64_t n)
{
    return rng_below(&dice, n);
}

static enum err count_of(struct op *op, struct tx *tx, const struct sql *sql, int64_t *ret)
{
    struct stmt *stmt;
    bool found;
    TRY(tx_stmt(op, tx, sql, &stmt));
    TRY(stmt_row(op, stmt, &found));
    *ret = col_int(stmt, 0);
    stmt_reset(stmt);
    return OK;
}

/* --- figures --- */

struct counts {
    int64_t opened, fact, members, parked;
    uint32_t link_no;
};

static enum err count_all(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    uint32_t link_no;
    struct parked parked = { .source_no = 3, .event = S("x") };
    int64_t ref = 5;
    store_mailing_count(tx, 7, MAILING_OPENED, 1);
    store_mailing_seen(tx, 7, op->now_us++);
    store_fact_count(tx, 9, 4, 1);
    TRY(store_link_meet(op, tx, 7, S("https://example.org/"), &link_no));
    TRY(store_link_count(op, tx, link_no, 1, 2));
    return store_parked_add(op, tx, &parked, &ref, 1);
}

static enum err link_seen(struct op *op, struct tx *tx, const struct link_row *row, void *arg)
{
    (void)op;
    (void)tx;
    ((struct counts *)arg)->members = row->members;
    EQ(row->clicks, 2 * row->members);
    return OK;
}

static enum err counts_read(struct op *op, struct tx *tx, void *arg)
{
    struct counts *counts = arg;
    struct mailing_stats stats;
    bool more;
    TRY(store_mailing_stats_get(op, tx, 7, &stats));
    counts->opened = stats.figure[MAILING_OPENED];
    EQ(stats.last_event_at_us - stats.first_event_at_us, counts->opened - 1);
    TRY(store_fact_get(op, tx, 9, 4, &counts->fact));
    if (tx_may_write(tx))
        TRY(store_parked_count(op, tx, 3, &counts->parked));
    return store_link_list(op, tx, 7, 0, 10, link_seen, counts, &more);
}

static void counts_are(int64_t n)
{
    for (int i = 0; i < 2; i++) {
        struct counts counts = { 0 };
        read_by(i, counts_read, &counts);
        EQ(counts.opened, n);
        EQ(counts.fact, n);
        EQ(counts.members, n);
        write_by(i, counts_read, &counts);
        EQ(counts.opened, n);
        EQ(counts.parked, n);
    }
}

static enum err stats_of_seven(struct op *op, struct tx *tx, void *arg)
{
    return store_mailing_stats_get(op, tx, 7, arg);
}

static enum err fold_some(struct op *op, struct tx *tx, void *arg)
{
    return store_delta_fold(op, tx, 11, arg);
}

TEST(turns, add_up_every_figure_whoever_counted_and_folded)
{
    START_TWO();
    bool more = false;
    for (int i = 0; i < 40; i++) {
        write_by((int)roll(2), count_all, NULL);
        if (i % 5 == 0)
            write_by((int)roll(2), fold_some, &more);
        if (i % 7 == 0)
            counts_are(i + 1);
    }
    YES(more);
    while (more)
        write_by(1, fold_some, &more);
    counts_are(40);
    reopen(0);
    counts_are(40);
    end_two();
}

SQL_SCAN(test_waiting, "SELECT 0",
         "SELECT (SELECT count(*) FROM mailing_stats_delta) + (SELECT count(*) FROM fact_delta)");

static enum err count_waiting(struct op *op, struct tx *tx, void *arg)
{
    return count_of(op, tx, &test_waiting, arg);
}

/* 1,500 mailings and as many cohorts. */
static enum err count_many(struct op *op, struct tx *tx, void *arg)
{
    (void)op;
    (void)arg;
    for (uint32_t no = 1; no <= 1500; no++) {
        store_mailing_count(tx, no, MAILING_OPENED, 1);
        store_fact_count(tx, no, 4, 1);
    }
    return OK;
}

static enum err fold_rest(struct op *op, struct tx *tx, void *arg)
{
    return store_delta_fold(op, tx, STORE_FOLD_ROWS, arg);
}

TEST(turns, keep_few_counters_waiting_and_fold_none_of_the_same_twice)
{
    START_TWO();
    int64_t waiting = 0;
    struct mailing_stats stats;
    for (int i = 0; i < 8; i++) {
        write_by((int)roll(2), count_many, NULL);
        read_by(0, count_waiting, &waiting);
        YES(waiting <= 4000);
    }
    read_by(1, stats_of_seven, &stats);
    EQ(stats.figure[MAILING_OPENED], 8);
    bool more = true;
    while (more)
        write_by((int)roll(2), fold_rest, &more);
    read_by(0, count_waiting, &waiting);
    EQ(waiting, 0);
    read_by(1, stats_of_seven, &stats);
    EQ(stats.figure[MAILING_OPENED], 8);
    end_two();
}

/* A clock that is 30 ms on whenever somebody looks at it. */
static int64_t slow_mono_us(void *data)
{
    static int64_t now_us;
    (void)data;
    return now_us += 30000;
}

TEST(turns, end_a_chunk_of_folding_after_fifty_milliseconds)
{
    START_TWO();
    int64_t waiting = 0;
    bool more = false;
    write_by(0, count_many, NULL);
    f.clock.mono_us = slow_mono_us;
    write_by(0, fold_rest, &more);
    YES(more);
    read_by(0, count_waiting, &waiting);
    EQ(waiting, 1000); /* of 3,000: two thousand took 60 ms */
    write_by(0, fold_rest, &more);
    YES(!more);
    f.clock.mono_us = fixture_mono_us;
    end_two();
}

/* --- numbers --- */

static enum err take_numbers(struct op *op, struct tx *tx, void *arg)
{
    (void)op;
    *(uint64_t *)arg = store_seq_take(tx, SEQ_MESSAGE, 3);
    tx_wrote(tx);
    return OK;
}

static enum err take_numbers_in_vain(struct op *op, struct tx *tx, void *arg)
{
    TRY(take_numbers(op, tx, arg));
    return fail(op, ERR_INVALID, "no");
}

TEST(turns, give_every_number_once)
{
    START_TWO();
    uint64_t first, expected = 1;
    for (int i = 0; i < 60; i++) {
        if (roll(4) == 0)
            EQ(store_write(&f.op, stores[roll(2)], take_numbers_in_vain, &first), ERR_INVALID);
        write_by((int)roll(2), take_numbers, &first);
        EQ(first, expected);
        expected += 3;
    }
    end_two();
}

/* --- blocks --- */

#define BLOCKS 1500
#define KINDS  3

static const enum block_kind block_kinds[KINDS] = { BLOCK_MESSAGE_ENGAGEMENT, BLOCK_MEMBER, BLOCK_VISITOR };
static int64_t model[KINDS][BLOCKS][2], before[KINDS][BLOCKS][2];

static uint64_t record_no(int kind, uint64_t block, int which)
{
    uint64_t per = store_block_per_block(block_kinds[kind]);
    return block * per + (which ? per - 1 : block % (per - 1));
}

static enum err record_value(struct op *op, struct tx *tx, int kind, uint64_t no, int64_t *set, int64_t *ret)
{
    if (block_kinds[kind] == BLOCK_MEMBER) {
        struct member_state *member;
        TRY((set ? store_block_edit : store_block_get)(op, tx, BLOCK_MEMBER, no, &member));
        if (set)
            member->last_seen_us = *set;
        *ret = member->last_seen_us;
        return OK;
    }
    struct message_engagement *engagement;
    TRY((set ? store_block_edit : store_block_get)(op, tx, block_kinds[kind], no, &engagement));
    if (set)
        engagement->opened_at_us = *set;
    *ret = engagement->opened_at_us;
    return OK;
}

struct edits {
    int count;
    bool fails;
    bool ahead; /* asks for the blocks together first */
};

static enum err edit_some(struct op *op, struct tx *tx, void *arg)
{
    const struct edits *edits = arg;
    uint64_t blocks[2000], numbers[2000];
    for (int i = 0; i < edits->count; i++)
        blocks[i] = roll(BLOCKS);
    for (int kind = 0; kind < KINDS; kind++) {
        for (int i = 0; i < edits->count; i++)
            numbers[i] = record_no(kind, blocks[i], i % 2);
        if (edits->ahead)
            TRY(store_block_prefetch(op, tx, 1u << block_kinds[kind], numbers, (size_t)edits->count));
        for (int i = 0; i < edits->count; i++) {
            int64_t *value = &model[kind][blocks[i]][i % 2], seen;
            TRY(record_value(op, tx, kind, numbers[i], NULL, &seen));
            EQ(seen, *value);
            *value = (int64_t)roll(1000000) + 1;
            TRY(record_value(op, tx, kind, numbers[i], value, &seen));
        }
    }
    return edits->fails ? fail(op, ERR_INVALID, "no") : OK;
}

static enum err delete_some(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    int kind = (int)roll(KINDS);
    uint64_t per = store_block_per_block(block_kinds[kind]), from = roll(BLOCKS - 30);
    memset(model[kind][from], 0, 30 * sizeof model[kind][from]);
    return store_block_delete(op, tx, block_kinds[kind], from * per, (from + 30) * per);
}

static enum err compare_all(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    for (int kind = 0; kind < KINDS; kind++)
        for (uint64_t block = 0; block < BLOCKS; block++)
            for (int which = 0; which < 2; which++) {
                int64_t seen;
                TRY(record_value(op, tx, kind, record_no(kind, block, which), NULL, &seen));
                EQ(seen, model[kind][block][which]);
            }
    return OK;
}

TEST(turns, see_each_others_records_however_they_were_written)
{
    START_TWO();
    memset(model, 0, sizeof model);
    for (int step = 0; step < 150; step++) {
        int who = (int)roll(2);
        struct edits edits = { roll(10) == 0 ? 1400 : 1 + (int)roll(60), roll(8) == 0, roll(2) == 0 };
        arena_reset(f.arena);
        memcpy(before, model, sizeof model);
        EQ(store_write(&f.op, stores[who], edit_some, &edits), edits.fails ? ERR_INVALID : OK);
        if (edits.fails)
            memcpy(model, before, sizeof model);
        if (roll(15) == 0)
            write_by(who, delete_some, NULL);
        if (roll(30) == 0)
            reopen(who);
        if (step % 10 == 0) {
            write_by(1 - who, compare_all, NULL);
            read_by(who, compare_all, NULL);
            read_by(1 - who, compare_all, NULL);
        }
    }
    for (int i = 0; i < 2; i++) {
        write_by(i, compare_all, NULL);
        read_by(i, compare_all, NULL);
    }
    end_two();
}

/* --- keys --- */

#define KEYS 30000
#define DAYS 2

static bool taken[DAYS][KEYS], taken_before[DAYS][KEYS];

struct takes {
    int count;
    bool fails, ahead;
};

static enum err take_some(struct op *op, struct tx *tx, void *arg)
{
    const struct takes *takes = arg;
    struct dedupe_key keys[700];
    uint64_t numbers[700];
    for (int i = 0; i < takes->count; i++) {
        numbers[i] = roll(KEYS);
        uint64_t mixed = (numbers[i] + 1) * 0x9E3779B97F4A7C15u;
        keys[i] = (struct dedupe_key){ (int32_t)roll(DAYS), { mixed, mixed ^ mixed >> 29 }, false };
    }
    if (takes->ahead)
        TRY(store_dedupe_prefetch(op, tx, keys, (size_t)takes->count));
    for (int i = 0; i < takes->count; i++) {
        bool is_new, *known = &taken[keys[i].day][numbers[i]];
        TRY(store_dedupe_take(op, tx, keys[i].day, keys[i].key, &is_new));
        EQ(is_new, !*known);
        *known = true;
        if (roll(20) == 0) {
            TRY(store_dedupe_forget(op, tx, keys[i].day, keys[i].key));
            *known = false;
        }
    }
    return takes->fails ? fail(op, ERR_INVALID, "no") : OK;
}

static enum err expire_day(struct op *op, struct tx *tx, void *arg)
{
    int64_t gone;
    return store_dedupe_expire(op, tx, 1, 40, &gone, arg);
}

SQL_SCAN(test_runs, "SELECT count(*) FROM dedupe_run", NULL);
SQL_SCAN(test_orphans, "SELECT count(*) FROM dedupe_bucket WHERE no / 16777216 NOT IN (SELECT no FROM dedupe_run)",
         NULL);

static enum err check_runs(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    int64_t runs, orphans;
    TRY(count_of(op, tx, &test_runs, &runs));
    TRY(count_of(op, tx, &test_orphans, &orphans));
    YES(runs > 0 && runs < 60);
    EQ(orphans, 0);
    return OK;
}

TEST(turns, take_each_key_once_while_both_merge)
{
    START_TWO();
    dedupe_young_max = 500;
    memset(taken, 0, sizeof taken);
    for (int step = 0; step < 400; step++) {
        int who = (int)roll(2);
        struct takes takes = { 1 + (int)roll(600), roll(10) == 0, roll(2) == 0 };
        arena_reset(f.arena);
        memcpy(taken_before, taken, sizeof taken);
        EQ(store_write(&f.op, stores[who], take_some, &takes), takes.fails ? ERR_INVALID : OK);
        if (takes.fails)
            memcpy(taken, taken_before, sizeof taken);
        if (roll(40) == 0)
            reopen(who);
    }
    for (bool more = true; more;)
        write_by((int)roll(2), expire_day, &more); /* of a day that nobody takes keys of any more */
    read_by(0, check_runs, NULL);
    end_two();
}

/* --- links that end --- */

static int64_t reads_left; /* of a group, before its link ends */

static enum store_fault end_at_read(void *data, enum store_point point)
{
    (void)data;
    if (point == STORE_AT_READ && reads_left > 0 && --reads_left == 0)
        test_end_links();
    return STORE_NO_FAULT;
}

/* What a group finds and does; run again it finds the same. */
struct meeting {
    struct rng dice;
    int64_t figures;
};

static enum err meet_all(struct op *op, struct tx *tx, void *arg)
{
    const struct meeting *meeting = arg;
    struct mailing_stats stats;
    int64_t parked;
    struct edits edits = { 3, false, true };
    struct takes takes = { 10, false, true };
    dice = meeting->dice;
    memcpy(model, before, sizeof model);
    memcpy(taken, taken_before, sizeof taken);
    TRY(stats_of_seven(op, tx, &stats));
    EQ(stats.figure[MAILING_OPENED], meeting->figures);
    TRY(store_parked_count(op, tx, 3, &parked));
    EQ(parked, meeting->figures);
    TRY(edit_some(op, tx, &edits));
    TRY(take_some(op, tx, &takes));
    return count_all(op, tx, NULL);
}

static void meet_by(int i, int64_t figures)
{
    struct meeting meeting = { dice, figures };
    memcpy(before, model, sizeof model);
    memcpy(taken_before, taken, sizeof taken);
    write_by(i, meet_all, &meeting);
}

TEST(turns, know_what_others_wrote_at_whichever_answer_a_link_ends)
{
    START_TWO();
    dedupe_young_max = 20;
    memset(model, 0, sizeof model);
    memset(taken, 0, sizeof taken);
    int64_t figures = 0;
    f.faults.ask = end_at_read;
    for (int64_t nth = 1; reads_left == 0; nth++) {
        for (int i = 0; i < 2; i++) /* the keys of both are enough for a run */
            meet_by(1, figures++);
        reads_left = nth;
        meet_by(0, figures++);
    }
    reads_left = 0;
    write_by(0, compare_all, NULL);
    end_two();
}

/* --- caches --- */

static enum err client_key_of(struct op *op, struct tx *tx, void *arg)
{
    return store_client_key(op, tx, 19675, arg);
}

static enum err client_keys_end(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return store_client_key_expire(op, tx, 20000);
}

TEST(turns, share_the_key_of_a_day_and_forget_it_together)
{
    START_TWO();
    uint8_t first[16], second[16], again[16];
    write_by(0, client_key_of, first);
    write_by(1, client_key_of, second);
    assert_memory_equal(first, second, sizeof first);
    write_by(0, client_keys_end, NULL);
    write_by(1, client_key_of, again);
    assert_memory_not_equal(again, first, sizeof again);
    write_by(0, client_key_of, first);
    assert_memory_equal(again, first, sizeof again);
    end_two();
}

static enum err zone_of_tenant(struct op *op, struct tx *tx, void *arg)
{
    return store_tenant_zone(op, tx, 1, arg);
}

static enum err put_tenant(struct op *op, struct tx *tx, void *arg)
{
    struct tenant tenant = { .no = *(const char *)arg == 'U' ? 0 : 1, .id = S("t"), .timezone = str_of(arg) };
    return store_tenant_put(op, tx, &tenant);
}

TEST(turns, notice_that_another_node_changed_a_tenant)
{
    START_TWO();
    const struct zone *zone, *other;
    char utc[] = "UTC", berlin[] = "Europe/Berlin";
    write_by(0, put_tenant, utc);
    write_by(0, zone_of_tenant, &zone);
    write_by(1, put_tenant, berlin);
    write_by(0, zone_of_tenant, &other);
    YES(zone != other);
    end_two();
}

static enum err put_mailing(struct op *op, struct tx *tx, void *arg)
{
    struct mailing mailing = { .no = *(const uint32_t *)arg, .tenant_no = 1, .id = S("m"), .sent_at_us = INT64_MIN };
    mailing.track_opens = mailing.no > 0;
    return store_mailing_put(op, tx, &mailing);
}

/* What events ask over and over. */
struct catalog {
    const struct zone *zone;
    struct mailing_brief brief;
    uint32_t mailing_no, link_no;
    struct cohort cohort;
    uint8_t key[16];
};

static enum err look_up(struct op *op, struct tx *tx, void *arg)
{
    struct catalog *catalog = arg;
    TRY(store_tenant_zone(op, tx, 1, &catalog->zone));
    TRY(store_mailing_no(op, tx, S("m"), &catalog->mailing_no));
    TRY(store_mailing_brief(op, tx, 1, &catalog->brief));
    TRY(store_link_meet(op, tx, 1, S("https://example.org/"), &catalog->link_no));
    catalog->cohort = (struct cohort){ .tenant_no = 1, .local_day = 19675, .template_name = S("") };
    TRY(store_cohort_meet(op, tx, &catalog->cohort));
    TRY(store_client_key(op, tx, 19675, catalog->key));
    store_mailing_count(tx, 1, MAILING_OPENED, 1);
    return OK;
}

/* How often the first store's server was waited for. */
static uint64_t trips_of_look_up(struct catalog *catalog)
{
    uint64_t so_far = stores[0]->conn->trips;
    write_by(0, look_up, catalog);
    return stores[0]->conn->trips - so_far;
}

TEST(turns, ask_nothing_again_that_another_node_left_as_it_was)
{
    START_TWO();
    struct catalog first = { 0 }, other = { 0 };
    uint32_t mailing_no = 0;
    char utc[] = "UTC";
    write_by(0, put_tenant, utc);
    write_by(0, put_mailing, &mailing_no);
    trips_of_look_up(&first);
    write_by(1, look_up, &other);
    EQ(other.link_no, first.link_no);
    trips_of_look_up(&first);
    uint64_t undisturbed = trips_of_look_up(&first);
    write_by(1, look_up, &other);
    uint64_t foreign = trips_of_look_up(&first);
    print_message("# look-ups when nobody else wrote: %d trips; when another node did: %d\n", (int)undisturbed,
                  (int)foreign);
    EQ(undisturbed, 2);           /* the turn and the commit */
    EQ(foreign, undisturbed + 2); /* the logs of blocks and of keys */
    write_by(1, look_up, &other);
    EQ(trips_of_look_up(&first), undisturbed); /* others write, too: that was asked with the turn */
    EQ(trips_of_look_up(&first), undisturbed);
    mailing_no = 1;
    write_by(1, put_mailing, &mailing_no);
    trips_of_look_up(&first);
    YES(first.brief.track_opens);
    end_two();
}
