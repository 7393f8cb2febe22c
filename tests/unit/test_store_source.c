#include "base/random.h"
#include "store/store_delta.h"
#include "store/store_source.h"
#include "store_test.h"

static struct fixture f;

/* ---------------------------------------------------------------------------------------------------------- source */

static enum err put_and_get(struct op *op, struct tx *tx, void *arg)
{
    struct source_row *row = arg, got;
    TRY(store_source_put(op, tx, row));
    TRY(store_source_get(op, tx, row->id, &got));
    *row = got;
    return OK;
}

TEST(store_source, keeps_a_source_and_counts_its_versions)
{
    fixture_start(&f);
    struct source_row row = { .id = S("mg"),
                              .type = S("mailgun"),
                              .api_key = S("secret"),
                              .tags = S("[\"a\"]"),
                              .tenant_no = 3,
                              .created_at_us = 5,
                              .first_begin_us = STORE_NO_INSTANT };
    WRITES(&f, put_and_get, &row);
    NE(row.no, 0);
    EQ(row.version, 1);
    STR_EQ(row.api_key, "secret");
    STR_EQ(row.tags, "[\"a\"]");
    NO(str_given(row.domain));
    EQ(row.first_begin_us, STORE_NO_INSTANT);
    uint32_t no = row.no;
    row.domain = S("x.org");
    WRITES(&f, put_and_get, &row);
    EQ(row.no, no);
    EQ(row.version, 2);
    STR_EQ(row.domain, "x.org");
    fixture_end(&f);
}

static enum err put_many(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    for (int i = 0; i < 25; i++) {
        struct source_row row = { .id = arena_fmt(op->arena, "s-%02d", i), .type = S("mailgun") };
        TRY(store_source_put(op, tx, &row));
    }
    return OK;
}

static enum err count_one(struct op *op, struct tx *tx, const struct source_row *row, void *arg)
{
    (void)op;
    (void)tx;
    snprintf((char *)arg, 16, "%.*s", STR(row->id));
    return OK;
}

static enum err list_ten(struct op *op, struct tx *tx, void *arg)
{
    return store_source_each(op, tx, S("s-04"), 10, count_one, arg);
}

TEST(store_source, lists_in_order_of_id_behind_one)
{
    fixture_start(&f);
    char last[16] = "";
    WRITES(&f, put_many, NULL);
    READS(&f, list_ten, last);
    STR_EQ(str_of(last), "s-14");
    fixture_end(&f);
}

/* ---------------------------------------------------------------------------------------------------------- lanes */

static struct lane_row lanes[STORE_LANES];

static enum err lane_roundtrip(struct op *op, struct tx *tx, void *arg)
{
    TRY(store_lane_get(op, tx, 1, lanes));
    EQ(lanes[2].window_begin_us, STORE_NO_INSTANT);
    EQ(lanes[2].lease_epoch, 0);
    TRY(store_lane_put(op, tx, arg));
    return store_lane_get(op, tx, 1, lanes);
}

TEST(store_source, a_lane_reads_as_idle_until_it_is_written)
{
    fixture_start(&f);
    struct lane_row row = { .source_no = 1,
                            .lane = 2,
                            .state = 3,
                            .window_begin_us = 10,
                            .window_end_us = 20,
                            .position_us = 15,
                            .next_run_at_us = STORE_NO_INSTANT,
                            .last_event_at_us = 14,
                            .behind_since_us = STORE_NO_INSTANT,
                            .last_error = S("no"),
                            .count = { 1, 2, 3, 4, 5, 6 },
                            .lease_node = S("n1"),
                            .lease_epoch = 7,
                            .lease_until_us = 99 };
    WRITES(&f, lane_roundtrip, &row);
    EQ(lanes[2].position_us, 15);
    EQ(lanes[2].count[5], 6);
    EQ(lanes[2].lease_epoch, 7);
    STR_EQ(lanes[2].last_error, "no");
    STR_EQ(lanes[2].lease_node, "n1");
    EQ(lanes[2].next_run_at_us, STORE_NO_INSTANT);
    EQ(lanes[1].window_begin_us, STORE_NO_INSTANT);
    fixture_end(&f);
}

static enum err fold_all(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    for (bool more = true; more;)
        TRY(store_delta_fold(op, tx, 2, &more));
    return OK;
}

static enum err pages_of_lanes(struct op *op, struct tx *tx, void *arg)
{
    int64_t *at_us = arg;
    for (int i = 0; i < 10; i++) {
        struct ring ring;
        struct lane_row row;
        uint32_t source_no = 1 + (uint32_t)i % 2;
        TRY(store_lane_get_one(op, tx, source_no, (unsigned)i % 3, &row));
        row.position_us = ++*at_us;
        row.count[0]++;
        TRY(store_lane_put(op, tx, &row));
        TRY(store_ring_get(op, tx, source_no, &ring));
        ring.parked[7]++;
        TRY(store_ring_put(op, tx, source_no, &ring));
    }
    return OK;
}

struct state {
    struct lane_row lanes[2][STORE_LANES];
    struct ring ring[2];
};

static enum err read_state(struct op *op, struct tx *tx, void *arg)
{
    struct state *state = arg;
    for (uint32_t i = 0; i < 2; i++) {
        TRY(store_lane_get(op, tx, i + 1, state->lanes[i]));
        TRY(store_ring_get(op, tx, i + 1, &state->ring[i]));
    }
    return OK;
}

/* Of PostgreSQL: rows that wait hold what is true, and what stands does once they are folded, in whatever pieces. */
TEST(store_source, lanes_and_rings_read_the_same_before_and_after_they_were_folded)
{
    fixture_start(&f);
    static struct state waiting, folded;
    int64_t at_us = 0;
    for (int round = 1; round <= 4; round++) {
        WRITES(&f, pages_of_lanes, &at_us);
        READS(&f, read_state, &waiting);
        WRITES(&f, fold_all, NULL);
        READS(&f, read_state, &folded);
        for (int s = 0; s < 2; s++) {
            EQ(folded.ring[s].parked[7], 5 * round);
            EQ(memcmp(&folded.ring[s], &waiting.ring[s], sizeof waiting.ring[s]), 0);
            for (int i = 0; i < STORE_LANES; i++) {
                EQ(folded.lanes[s][i].position_us, waiting.lanes[s][i].position_us);
                EQ(folded.lanes[s][i].count[0], waiting.lanes[s][i].count[0]);
            }
        }
        EQ(folded.lanes[1][0].position_us, at_us); /* the last of the ten is the first of source 2 again */
        EQ(folded.lanes[0][3].position_us, STORE_NO_INSTANT);
    }
    fixture_end(&f);
}

/* ------------------------------------------------------------------------------------------------------- coverage */

struct change {
    struct interval before[12], now[12];
    size_t before_n, now_n;
    struct interval *got;
    size_t got_n;
};

static enum err coverage_change(struct op *op, struct tx *tx, void *arg)
{
    struct change *c = arg;
    TRY(store_coverage_put(op, tx, 1, 0, c->before, c->before_n, c->now, c->now_n));
    return store_coverage_get(op, tx, 1, 0, &c->got, &c->got_n);
}

static enum err coverage_read(struct op *op, struct tx *tx, void *arg)
{
    struct change *c = arg;
    return store_coverage_get(op, tx, 1, 0, &c->got, &c->got_n);
}

static size_t random_list(struct rng *rng, struct interval list[12])
{
    size_t n = 0;
    for (int64_t at = 0; n < 12 && at < 60; n++) {
        at += rng_between(rng, 0, 6);
        list[n] = (struct interval){ .begin_us = at,
                                     .end_us = at + rng_between(rng, 1, 5),
                                     .passes = (uint32_t)rng_below(rng, 3),
                                     .looks = (uint8_t)rng_below(rng, 3),
                                     .tried = (uint8_t)rng_below(rng, 3),
                                     .again_us = (int64_t)rng_below(rng, 2) };
        at = list[n].end_us;
    }
    return rng_below(rng, n + 1);
}

TEST(store_source, writes_only_what_changed_and_ends_with_the_new_intervals)
{
    fixture_start(&f);
    struct rng rng;
    rng_init(&rng, 3);
    static struct change c;
    for (int round = 0; round < 300; round++) {
        memcpy(c.before, c.now, sizeof c.before);
        c.before_n = c.now_n;
        c.now_n = random_list(&rng, c.now);
        WRITES(&f, coverage_change, &c);
        if (round % 3 == 0) { /* what stands is then that of three rounds before */
            WRITES(&f, fold_all, NULL);
            READS(&f, coverage_read, &c);
        }
        EQ(c.got_n, c.now_n);
        for (size_t i = 0; i < c.now_n; i++) {
            EQ(c.got[i].begin_us, c.now[i].begin_us);
            EQ(c.got[i].end_us, c.now[i].end_us);
            EQ(c.got[i].passes, c.now[i].passes);
            EQ(c.got[i].looks, c.now[i].looks);
            EQ(c.got[i].tried, c.now[i].tried);
            EQ(c.got[i].again_us, c.now[i].again_us);
        }
    }
    fixture_end(&f);
}

static enum err many_gaps(struct op *op, struct tx *tx, void *arg)
{
    for (int i = 0; i < STORE_GAPS_MAX + 20; i++)
        TRY(store_gap_add(op, tx, 1, &(struct gap_row){ 10 * i, 10 * i + 5, 7 }));
    struct gap_row *gaps;
    TRY(store_gap_list(op, tx, 1, &gaps, arg));
    EQ(gaps[0].begin_us, 200);
    return OK;
}

TEST(store_source, keeps_the_newest_gaps)
{
    fixture_start(&f);
    size_t count;
    WRITES(&f, many_gaps, &count);
    EQ(count, STORE_GAPS_MAX);
    fixture_end(&f);
}

static enum err many_samples(struct op *op, struct tx *tx, void *arg)
{
    for (int i = 0; i < 50; i++) {
        struct sample_row row = { .at_us = i, .reason = S("no_time"), .raw = S("{}") };
        TRY(store_sample_add(op, tx, 1, &row));
    }
    struct sample_row *rows;
    TRY(store_sample_list(op, tx, 1, &rows, arg));
    EQ(rows[0].at_us, 49);
    return OK;
}

TEST(store_source, keeps_the_newest_samples)
{
    fixture_start(&f);
    size_t count;
    WRITES(&f, many_samples, &count);
    EQ(count, STORE_SAMPLES_MAX);
    fixture_end(&f);
}

/* ------------------------------------------------------------------------------------------------------- warnings */

static enum err warning_life(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct warning_row row = { .code = 4, .since_us = 1, .seen_us = 2, .number = 3, .detail = S("why") }, *rows;
    size_t n;
    TRY(store_warning_put(op, tx, 1, &row));
    row.seen_us = 9;
    TRY(store_warning_put(op, tx, 1, &row));
    TRY(store_warning_list(op, tx, 1, &rows, &n));
    EQ(n, 1);
    EQ(rows[0].seen_us, 9);
    STR_EQ(rows[0].detail, "why");
    TRY(store_warning_delete(op, tx, 1, 4));
    TRY(store_warning_list(op, tx, 1, &rows, &n));
    EQ(n, 0);
    return OK;
}

TEST(store_source, a_warning_is_one_row_per_code)
{
    fixture_start(&f);
    WRITES(&f, warning_life, NULL);
    fixture_end(&f);
}

static enum err token_life(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    uint8_t token[STORE_TOKEN_HASH_BYTES] = { 1 }, other[STORE_TOKEN_HASH_BYTES] = { 2 };
    uint8_t body[STORE_BODY_HASH_BYTES] = { 9 }, got[STORE_BODY_HASH_BYTES] = { 0 };
    bool found;
    TRY(store_hook_token_put(op, tx, 1, token, body, 100, 0));
    TRY(store_hook_token_get(op, tx, 1, token, &found, got));
    YES(found);
    EQ(got[0], 9);
    TRY(store_hook_token_get(op, tx, 2, token, &found, got)); /* the memory is per source */
    NO(found);
    TRY(store_hook_token_put(op, tx, 1, other, body, 300, 100));
    TRY(store_hook_token_get(op, tx, 1, token, &found, got));
    YES(found);
    TRY(store_hook_token_put(op, tx, 1, other, body, 300, 101));
    TRY(store_hook_token_get(op, tx, 1, token, &found, got));
    NO(found);
    return OK;
}

TEST(store_source, a_token_is_remembered_per_source_until_its_time_is_over)
{
    fixture_start(&f);
    WRITES(&f, token_life, NULL);
    fixture_end(&f);
}
