#include "store/tally.h"
#include "store_test.h"

static struct fixture f;

static enum err stats_of_4(struct op *op, struct tx *tx, void *arg)
{
    return store_mailing_stats_get(op, tx, 4, arg);
}

static struct mailing_stats stats(void)
{
    struct mailing_stats stats;
    READS(&f, stats_of_4, &stats);
    return stats;
}

static enum err count_some(struct op *op, struct tx *tx, void *arg)
{
    (void)op, (void)arg;
    for (int i = 0; i < 300; i++)
        store_mailing_count(tx, 4, MAILING_DELIVERED, 1);
    store_mailing_count(tx, 4, MAILING_FAILED_TEMPORARY, 2);
    store_mailing_count(tx, 4, MAILING_FAILED_TEMPORARY, -1);
    store_mailing_count(tx, 5, MAILING_OPENED, 9);
    return OK;
}

TEST(tally, adds_deltas_up_per_mailing)
{
    fixture_start(&f);
    WRITES(&f, count_some, NULL);
    WRITES(&f, count_some, NULL);
    struct mailing_stats figures = stats();
    EQ(figures.figure[MAILING_DELIVERED], 600);
    EQ(figures.figure[MAILING_FAILED_TEMPORARY], 2);
    EQ(figures.figure[MAILING_OPENED], 0);
    fixture_end(&f);
}

static enum err count_each(struct op *op, struct tx *tx, void *arg)
{
    (void)op, (void)arg;
    for (int i = 0; i < MAILING_FIGURES; i++)
        store_mailing_count(tx, 4, (enum mailing_figure)i, i + 1);
    return OK;
}

TEST(tally, keeps_every_figure_in_its_own_column)
{
    fixture_start_file(&f);
    WRITES(&f, count_each, NULL);
    WRITES(&f, count_each, NULL);
    fixture_reopen(&f);
    struct mailing_stats figures = stats();
    for (int i = 0; i < MAILING_FIGURES; i++) {
        EQ(figures.figure[i], 2 * (i + 1));
        char text[160];
        struct str plan;
        snprintf(text, sizeof text, "SELECT %s FROM mailing_stats", mailing_figure_name((enum mailing_figure)i));
        SUCCEEDS(&f.op, store_plan_of(&f.op, f.store, text, &plan)); /* the column exists */
    }
    fixture_end(&f);
}

static enum err see(struct op *op, struct tx *tx, void *arg)
{
    (void)op;
    for (const int64_t *at_us = arg; *at_us; at_us++)
        store_mailing_seen(tx, 4, *at_us);
    return OK;
}

TEST(tally, knows_the_first_and_last_event_of_a_mailing)
{
    fixture_start(&f);
    EQ(stats().first_event_at_us, 0);
    EQ(stats().last_event_at_us, 0);
    WRITES(&f, see, ((int64_t[]){ 500, 300, 400, 0 }));
    EQ(stats().first_event_at_us, 300);
    EQ(stats().last_event_at_us, 500);
    WRITES(&f, see, ((int64_t[]){ 350, 0 }));
    EQ(stats().first_event_at_us, 300);
    WRITES(&f, see, ((int64_t[]){ 200, 900, 0 }));
    EQ(stats().first_event_at_us, 200);
    EQ(stats().last_event_at_us, 900);
    WRITES(&f, count_some, NULL);
    EQ(stats().first_event_at_us, 200);
    fixture_end(&f);
}

static enum err see_and_read(struct op *op, struct tx *tx, void *arg)
{
    store_mailing_count(tx, 4, MAILING_CLICKED, 2);
    store_mailing_seen(tx, 4, 70);
    store_mailing_seen(tx, 4, 90);
    return store_mailing_stats_get(op, tx, 4, arg);
}

TEST(tally, shows_a_transaction_its_own_counts)
{
    fixture_start(&f);
    struct mailing_stats figures;
    WRITES(&f, see_and_read, &figures);
    WRITES(&f, see_and_read, &figures);
    EQ(figures.figure[MAILING_CLICKED], 4);
    EQ(figures.first_event_at_us, 70);
    EQ(figures.last_event_at_us, 90);
    fixture_end(&f);
}

static enum err count_then_fail(struct op *op, struct tx *tx, void *arg)
{
    TRY(count_some(op, tx, arg));
    return fail(op, ERR_INVALID, "no");
}

TEST(tally, forgets_the_counts_of_a_rolled_back_transaction)
{
    fixture_start(&f);
    EQ(store_write(&f.op, f.store, count_then_fail, NULL), ERR_INVALID);
    WRITES(&f, count_each, NULL);
    EQ(stats().figure[MAILING_DELIVERED], 2);
    fixture_end(&f);
}

static enum err count_widely(struct op *op, struct tx *tx, void *arg)
{
    (void)op, (void)arg;
    for (uint32_t no = 5000; no > 0; no--)
        store_mailing_count(tx, no, MAILING_MESSAGES, no);
    for (uint32_t no = 1; no <= 5000; no++)
        store_fact_count(tx, no, no % 12, -(int64_t)no);
    return OK;
}

static enum err check_widely(struct op *op, struct tx *tx, void *arg)
{
    for (uint32_t no = 1; no <= 5000; no++) {
        struct mailing_stats figures;
        int64_t fact, other;
        TRY(store_mailing_stats_get(op, tx, no, &figures));
        TRY(store_fact_get(op, tx, no, no % 12, &fact));
        TRY(store_fact_get(op, tx, no, (no + 1) % 12, &other));
        EQ(figures.figure[MAILING_MESSAGES], *(int64_t *)arg * no);
        EQ(fact, -*(int64_t *)arg * no);
        EQ(other, 0);
    }
    return OK;
}

TEST(tally, counts_for_many_mailings_and_cohorts_in_one_transaction)
{
    fixture_start(&f);
    for (int64_t round = 1; round <= 2; round++) {
        WRITES(&f, count_widely, NULL);
        READS(&f, check_widely, &round);
    }
    fixture_end(&f);
}

static enum err move_fact(struct op *op, struct tx *tx, void *arg)
{
    int64_t n;
    store_fact_count(tx, 8, 2, 1);
    store_fact_count(tx, 8, 2, -1);
    store_fact_count(tx, 8, 3, 1);
    TRY(store_fact_get(op, tx, 8, 3, &n));
    *(int64_t *)arg = n;
    return OK;
}

TEST(tally, moves_facts_between_statuses)
{
    fixture_start(&f);
    int64_t n = 0;
    WRITES(&f, move_fact, &n);
    EQ(n, 1);
    WRITES(&f, move_fact, &n);
    EQ(n, 2);
    fixture_end(&f);
}
