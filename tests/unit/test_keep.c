#include "engine/keep.h"
#include "engine/keep_parked.h"
#include "keep_lab.h"

#include "base/log.h"
#include "base/metric.h"
#include "ledger_test.h"
#include "store/dedupe.h"
#include "store/dedupe_run.h"

#define DAY (86400 * SECOND)

struct step {
    struct keep_result result;
    int calls;
    int parked; /* reports that the night threw away */
};

static enum err step_run(struct op *op, struct tx *tx, void *arg)
{
    struct step *step = arg;
    step->calls++;
    return keep_step(op, tx, &step->result);
}

/* Steps until nothing is left to do at this instant, and what is left for the night. */
static struct step keep_at(struct ledger *l, int64_t now_us)
{
    struct step step = { .calls = 0 };
    int gone = 0;
    l->fixture.op.now_us = now_us;
    do {
        WRITES(&l->fixture, step_run, &step);
        gone += step.result.parked_gone;
    } while (step.result.more);
    struct keep_all parked = { .jobtype = KEEP_PARKED_TYPE }, keys = { .jobtype = KEEP_KEYS_TYPE };
    WRITES(&l->fixture, keep_all, &parked);
    WRITES(&l->fixture, keep_all, &keys);
    step.parked = parked.gone;
    step.result.parked_gone = gone;
    return step;
}

static struct provider_event opened(const char *recipient, const char *id)
{
    return event_of(EVENT_OPENED, recipient, T0, id);
}

struct keys {
    int32_t day;
    int count, known;
};

/* Takes keys of a day; how many were known. */
static enum err take_keys(struct op *op, struct tx *tx, void *arg)
{
    struct keys *keys = arg;
    keys->known = 0;
    for (int i = 0; i < keys->count; i++) {
        uint64_t key[2] = { (uint64_t)i * 0x9e3779b97f4a7c15u, (uint64_t)i + 1 };
        bool is_new;
        TRY(store_dedupe_take(op, tx, keys->day, key, &is_new));
        keys->known += !is_new;
    }
    return OK;
}

TEST(keep, remembers_keys_for_35_days_and_then_forgets_them)
{
    struct ledger l;
    struct keys keys = { .day = (int32_t)(T0 / DAY), .count = 6000 };
    size_t usual = dedupe_young_max;
    dedupe_young_max = 2000; /* so that they leave the log for the runs of their day */
    ledger_start(&l);
    WRITES(&l.fixture, take_keys, &keys);
    dedupe_young_max = usual;
    keep_at(&l, T0 + 35 * DAY);
    WRITES(&l.fixture, take_keys, &keys);
    EQ(keys.known, keys.count);
    keep_at(&l, T0 + 37 * DAY);
    WRITES(&l.fixture, take_keys, &keys);
    EQ(keys.known, 0);
    ledger_stop(&l);
}

TEST(keep, throws_reports_away_that_waited_35_days_so_that_they_may_come_again)
{
    struct ledger l;
    ledger_start(&l);
    for (int i = 0; i < KEEP_ROWS + 20; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        EQ(tell(&l, opened("nobody@x.org", id)), RESULT_PARKED);
    }
    EQ(keep_at(&l, l.fixture.op.now_us + 34 * DAY).parked, 0);
    EQ(tell(&l, opened("nobody@x.org", "0")), RESULT_DUPLICATE);
    struct step step = keep_at(&l, l.fixture.op.now_us + 2 * DAY);
    EQ(step.parked, KEEP_ROWS + 20);
    EQ(tell(&l, opened("nobody@x.org", "0")), RESULT_PARKED);
    ledger_stop(&l);
}

TEST(keep, changes_nothing_when_nothing_is_old)
{
    struct ledger l;
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\"}\n");
    tell(&l, opened("a@x.org", "1"));
    keep_at(&l, T0 + DAY); /* what counters moved by is folded, where it is kept apart */
    struct store_figures before = store_figures(l.fixture.store);
    EQ(keep_at(&l, T0 + 2 * DAY).calls, 1);
    EQ(store_figures(l.fixture.store).commits, before.commits);
    ledger_stop(&l);
}

static enum err tamper(struct op *op, struct tx *tx, void *arg)
{
    (void)op;
    struct ledger *l = arg;
    store_mailing_count(tx, l->mailing_no, MAILING_OPENED, 40);
    return OK;
}

struct logged {
    int lines;
    char first[256];
};

static void see_line(void *context, struct str line)
{
    struct logged *logged = context;
    if (logged->lines++ == 0)
        snprintf(logged->first, sizeof logged->first, "%.*s", STR(line));
}

TEST(keep, counts_a_difference_and_names_it_in_the_log)
{
    struct ledger l;
    struct logged logged = { .lines = 0 };
    int64_t differ;
    keep_declare();
    struct metric_cell *drift = METRIC_PLAIN(metric_counter("posthouse_counter_drift_total", "Drift.", "", METRIC_ONE));
    ledger_start(&l);
    import(&l, "{\"recipient\":\"a@x.org\"}\n");
    log_capture(see_line, &logged);
    SUCCEEDS(&l.fixture.op, keep_recount(&l.fixture.op, l.fixture.store, &(struct keep_pace){ 0 }, &differ));
    EQ(differ, 0);
    EQ(logged.lines, 0);
    EQ(metric_value(drift), 0);
    WRITES(&l.fixture, tamper, &l);
    SUCCEEDS(&l.fixture.op, keep_recount(&l.fixture.op, l.fixture.store, &(struct keep_pace){ 0 }, &differ));
    log_capture(NULL, NULL);
    EQ(differ, 1);
    EQ(logged.lines, 1);
    YES(strstr(logged.first, "mailing m opened: counter 40, rows 0") != NULL);
    EQ(metric_value(drift), 1);
    ledger_stop(&l);
}
