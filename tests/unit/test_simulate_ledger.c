/*
 * A simulated mailing through the real ledger: every item in random order, a part of them before the recipients are
 * known, and the figures must be the truth.
 */
#include "base/random.h"
#include "engine/check.h"
#include "engine/simulate_render.h"
#include "engine/simulate_truth.h"
#include "ledger_test.h"
#include "store/store_suppression.h"

#define RECIPIENTS 3000
#define PAGE       300

static struct ledger ledger;

struct play {
    struct sim *sim;
    struct sim_event *items;
    size_t count, at, until;
    struct import_chunk chunk;
    struct import_line lines[IMPORT_CHUNK_LINES];
    uint32_t next;
    int64_t results[RESULT_COUNT];
    int64_t suppressed[SUPPRESS_UNSUBSCRIBE + 1];
};

static enum err import_next(struct op *op, struct tx *tx, void *arg)
{
    return import_apply(op, tx, &((struct play *)arg)->chunk);
}

/* The recipients as GET /sim/messages gives them. */
static void import_recipients(struct play *play, uint32_t until)
{
    struct op *op = &ledger.fixture.op;
    while (play->next < until) {
        struct buf buf;
        struct json_lines lines;
        struct json_line line;
        arena_reset(op->arena);
        buf_init_arena(&buf, op->arena, 1 << 20);
        play->chunk = (struct import_chunk){ .kind = IMPORT_MAILING, .mailing = S("m"), .lines = play->lines };
        for (int i = 0; i < 500 && play->next < until; i++)
            sim_render_message(play->sim, play->next++, &buf);
        json_lines_init(&lines);
        json_lines_feed(&lines, buf_str(&buf), true);
        while (json_line_next(&lines, &line))
            import_line_parse(op, IMPORT_MAILING, &line, &play->lines[play->chunk.count++]);
        WRITES(&ledger.fixture, import_next, play);
        EQ(play->chunk.accepted, play->chunk.count);
    }
}

static enum err apply_page(struct op *op, struct tx *tx, void *arg)
{
    struct play *play = arg;
    for (; play->at < play->until; play->at++) {
        struct provider_event event;
        enum event_result result;
        TRY(sim_provider_event(op, play->sim, &play->items[play->at], &event));
        provider_event_key(&event, tx_hash_key(tx), S("mg"));
        TRY(ledger_apply(op, tx, S("mg"), 1, ledger.tenant_no, &event, &result));
        play->results[result]++;
    }
    return OK;
}

static void apply_until(struct play *play, size_t until)
{
    while (play->at < until) {
        arena_reset(ledger.fixture.op.arena);
        play->until = play->at + PAGE < until ? play->at + PAGE : until;
        WRITES(&ledger.fixture, apply_page, play);
    }
}

static void collect(struct play *play, uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed);
    play->items = calloc((size_t)RECIPIENTS * SIM_EVENTS_MAX, sizeof *play->items);
    for (uint32_t no = 0; no < RECIPIENTS; no++)
        play->count += sim_events(play->sim, no, &play->items[play->count]);
    for (size_t i = play->count; i > 1; i--) {
        size_t k = (size_t)rng_below(&rng, i);
        struct sim_event swap = play->items[i - 1];
        play->items[i - 1] = play->items[k];
        play->items[k] = swap;
    }
}

static enum err count_suppression(struct op *op, struct tx *tx, const struct suppression *row, void *arg)
{
    (void)op, (void)tx;
    ((struct play *)arg)->suppressed[row->reason]++;
    return OK;
}

static enum err count_suppressions(struct op *op, struct tx *tx, void *arg)
{
    bool more;
    return store_suppression_list(op, tx, ledger.tenant_no, false, 0, 0, 100000, count_suppression, arg, &more);
}

static void expect_truth(struct play *play)
{
    struct sim_truth truth;
    struct mailing_stats stats = stats_of(&ledger);
    sim_truth(play->sim, &truth);
    EQ(stats.figure[MAILING_MESSAGES], truth.messages);
    EQ(stats.figure[MAILING_DELIVERED], truth.delivered);
    EQ(stats.figure[MAILING_FAILED_PERMANENT], truth.failed_permanent);
    EQ(stats.figure[MAILING_FAILED_TEMPORARY], truth.failed_temporary);
    EQ(stats.figure[MAILING_OPENED], truth.opened);
    EQ(stats.figure[MAILING_OPENED_HUMAN], truth.opened_human);
    EQ(stats.figure[MAILING_OPENED_MACHINE], truth.opened_machine);
    EQ(stats.figure[MAILING_CLICKED], truth.clicked);
    EQ(stats.figure[MAILING_CLICKED_HUMAN], truth.clicked_human);
    EQ(stats.figure[MAILING_CLICKED_MACHINE], truth.clicked_machine);
    EQ(stats.figure[MAILING_COMPLAINED], truth.complained);
    EQ(stats.figure[MAILING_UNSUBSCRIBED], truth.unsubscribed);
    EQ(stats.first_event_at_us, truth.first_event_us);
    EQ(stats.last_event_at_us, truth.last_event_us);
    READS(&ledger.fixture, count_suppressions, play);
    EQ(play->suppressed[SUPPRESS_BOUNCE], truth.suppressed_bounce);
    EQ(play->suppressed[SUPPRESS_COMPLAINT], truth.suppressed_complaint);
    EQ(play->suppressed[SUPPRESS_UNSUBSCRIBE], truth.suppressed_unsubscribe);
    EQ(play->results[RESULT_DUPLICATE], truth.duplicate);
    EQ(play->results[RESULT_MALFORMED], truth.malformed);
    EQ(play->results[RESULT_UNHANDLED], truth.unhandled);
    struct check check = { .store = ledger.fixture.store };
    SUCCEEDS(&ledger.fixture.op, check_run(&ledger.fixture.op, &check));
    EQ(check.differ, 0);
    YES(check.compared > RECIPIENTS);
}

static void play_mailing(uint64_t seed, int64_t compress_milli)
{
    static struct play play;
    struct sim_config config = {
        .seed = seed,
        .mailing = S("m"),
        .recipients = RECIPIENTS,
        .start_us = T0,
        .compress_milli = compress_milli,
        .late_ppm = 50000,
        .late_by_us = 2400 * SECOND,
        .duplicate_ppm = 50000,
        .garbage_ppm = 10000,
    };
    ledger_start(&ledger);
    memset(&play, 0, sizeof play);
    SUCCEEDS(&ledger.fixture.op, sim_open(&ledger.fixture.op, &config, &play.sim));
    collect(&play, seed);
    import_recipients(&play, RECIPIENTS / 2);
    apply_until(&play, play.count / 2);
    import_recipients(&play, RECIPIENTS);
    apply_until(&play, play.count);
    expect_truth(&play);
    free(play.items);
    sim_close(play.sim);
    ledger_stop(&ledger);
}

TEST(simulate_ledger, comes_to_the_truth_in_any_order)
{
    play_mailing(1, 1000);
    play_mailing(2, 1000);
}

TEST(simulate_ledger, comes_to_the_truth_when_a_day_takes_a_minute)
{
    play_mailing(3, 1440 * 1000);
}

TEST(simulate_ledger, comes_to_the_truth_when_all_happens_at_once)
{
    play_mailing(4, INT64_C(100000000000));
}
