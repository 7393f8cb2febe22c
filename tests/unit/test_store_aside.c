/* Rows of jobs off the happy path: they are as a group left them, however often it changed its mind. */
#include "store/store_aside.h"

#include "store/core.h"
#include "store/store_ready.h"
#include "store_test.h"

#define MANY 200

static struct fixture f;

/* --- what is there --- */

struct seen {
    struct aside_row aside;
    int64_t attempts, newest_us;
    struct dead_row dead[4];
    struct timer_row timers[4];
    int dead_count, timer_count;
};

static enum err look(struct op *op, struct tx *tx, struct seen *seen)
{
    struct attempt_row rows[ATTEMPTS_KEPT];
    int n;
    TRY(store_aside_get(op, tx, 7, &seen->aside));
    TRY(store_attempt_newest(op, tx, 7, &seen->newest_us));
    TRY(store_attempt_list(op, tx, 7, rows, &n));
    seen->attempts = n;
    TRY(store_dead_walk(op, tx, &(struct dead_row){ .at_us = INT64_MIN }, 4, seen->dead, &seen->dead_count));
    return store_timer_walk(op, tx, TIMER_RETRY, &(struct timer_row){ INT64_MIN, 0 }, INT64_MAX, 4, seen->timers,
                            &seen->timer_count);
}

static enum err look_run(struct op *op, struct tx *tx, void *arg)
{
    return look(op, tx, arg);
}

/* --- one group --- */

struct change {
    enum err (*run)(struct op *op, struct tx *tx);
    struct seen inside; /* by the group itself, at its end */
};

static enum err change_run(struct op *op, struct tx *tx, void *arg)
{
    struct change *change = arg;
    TRY(change->run(op, tx));
    return look(op, tx, &change->inside);
}

/* The same is seen within the group, and behind it. */
static struct seen change(enum err (*run)(struct op *op, struct tx *tx))
{
    struct change change = { .run = run };
    struct seen after = { 0 };
    WRITES(&f, change_run, &change);
    READS(&f, look_run, &after);
    EQ(change.inside.aside.state, after.aside.state);
    EQ(change.inside.aside.failures, after.aside.failures);
    EQ(change.inside.attempts, after.attempts);
    EQ(change.inside.newest_us, after.newest_us);
    EQ(change.inside.dead_count, after.dead_count);
    EQ(change.inside.timer_count, after.timer_count);
    return after;
}

static enum err put(struct op *op, struct tx *tx, int state, int64_t failures, const char *failure)
{
    struct aside_row row = { .id = 7, .state = state, .failures = failures };
    if (failure)
        row.failure = str_of(failure);
    return store_aside_put(op, tx, &row);
}

static enum err attempt(struct op *op, struct tx *tx, int64_t n)
{
    struct attempt_row row = { .n = n, .ended_us = 1000 * n, .message = S("no luck") };
    return store_attempt_add(op, tx, 7, &row);
}

static enum err fails(struct op *op, struct tx *tx)
{
    TRY(put(op, tx, 1, 1, NULL));
    TRY(put(op, tx, 2, 1, "{\"message\":\"\xc3\xbc\"}"));
    TRY(attempt(op, tx, 1));
    return store_timer_add(op, tx, TIMER_RETRY, 500, 7);
}

static enum err fails_again(struct op *op, struct tx *tx)
{
    struct aside_row row;
    TRY(store_aside_get(op, tx, 7, &row));
    TRY(store_timer_delete(op, tx, TIMER_RETRY, 500, 7));
    TRY(store_timer_add(op, tx, TIMER_RETRY, 600, 7));
    TRY(store_timer_delete(op, tx, TIMER_RETRY, 600, 7));
    TRY(store_timer_add(op, tx, TIMER_RETRY, 700, 7));
    TRY(attempt(op, tx, 2));
    return put(op, tx, 2, row.failures + 1, NULL);
}

static enum err dies(struct op *op, struct tx *tx)
{
    TRY(store_timer_delete(op, tx, TIMER_RETRY, 700, 7));
    TRY(store_dead_add(op, tx, &(struct dead_row){ 900, 7, 3 }));
    return put(op, tx, 3, 2, NULL);
}

static enum err dies_twice(struct op *op, struct tx *tx)
{
    TRY(store_dead_delete(op, tx, 900, 7));
    TRY(store_dead_add(op, tx, &(struct dead_row){ 910, 7, 1 }));
    TRY(store_dead_delete(op, tx, 910, 7));
    return store_dead_add(op, tx, &(struct dead_row){ 920, 7, 2 });
}

static enum err goes(struct op *op, struct tx *tx)
{
    TRY(put(op, tx, 3, 3, NULL));
    TRY(attempt(op, tx, 3));
    TRY(store_dead_delete(op, tx, 920, 7));
    TRY(store_aside_delete(op, tx, 7));
    return store_attempt_delete(op, tx, 7);
}

static enum err goes_and_comes_back(struct op *op, struct tx *tx)
{
    TRY(goes(op, tx));
    TRY(put(op, tx, 4, 9, NULL));
    return attempt(op, tx, 1);
}

TEST(store_aside, a_row_is_as_the_group_left_it)
{
    fixture_start(&f);
    struct seen seen = change(fails);
    EQ(seen.aside.state, 2);
    STR_EQ(seen.aside.failure, "{\"message\":\"\xc3\xbc\"}");
    EQ(seen.attempts, 1);
    EQ(seen.timer_count, 1);
    EQ(seen.timers[0].due_us, 500);
    seen = change(fails_again);
    EQ(seen.aside.failures, 2);
    NO(str_given(seen.aside.failure));
    EQ(seen.newest_us, 2000);
    EQ(seen.timer_count, 1);
    EQ(seen.timers[0].due_us, 700);
    seen = change(dies);
    EQ(seen.timer_count, 0);
    EQ(seen.dead_count, 1);
    EQ(seen.dead[0].reason, 3);
    seen = change(dies_twice);
    EQ(seen.dead_count, 1);
    EQ(seen.dead[0].at_us, 920);
    fixture_end(&f);
}

TEST(store_aside, what_went_is_gone_and_what_came_back_is_new)
{
    fixture_start(&f);
    change(fails);
    change(fails_again);
    change(dies);
    change(dies_twice);
    struct seen seen = change(goes);
    EQ(seen.aside.state, 0);
    EQ(seen.attempts, 0);
    EQ(seen.newest_us, 0);
    EQ(seen.dead_count, 0);
    seen = change(goes_and_comes_back);
    EQ(seen.aside.failures, 9);
    EQ(seen.attempts, 1);
    EQ(seen.newest_us, 1000);
    fixture_end(&f);
}

/* --- many --- */

static enum err many_die(struct op *op, struct tx *tx, void *arg)
{
    for (uint64_t id = 1; id <= MANY; id++) {
        struct aside_row row = { .id = id, .state = 3, .at = (int64_t)id };
        TRY(store_aside_put(op, tx, &row));
        TRY(store_attempt_add(op, tx, id, &(struct attempt_row){ .n = 1, .ended_us = (int64_t)id }));
        TRY(store_timer_add(op, tx, TIMER_RETRY, (int64_t)id, id));
        TRY(store_timer_delete(op, tx, TIMER_RETRY, (int64_t)id, id));
        TRY(store_dead_add(op, tx, &(struct dead_row){ (int64_t)id, id, 1 }));
    }
    (void)arg;
    return OK;
}

static enum err many_come_back(struct op *op, struct tx *tx, void *arg)
{
    uint64_t ids[MANY];
    int64_t *sum_us = arg;
    for (uint64_t id = 1; id <= MANY; id++)
        ids[id - 1] = id;
    TRY(store_aside_ahead(op, tx, ids, MANY));
    TRY(store_attempt_ahead(op, tx, ids, MANY));
    for (uint64_t id = 1; id <= MANY; id++) {
        struct aside_row row;
        int64_t ended_us;
        TRY(store_aside_get(op, tx, id, &row));
        TRY(store_attempt_newest(op, tx, id, &ended_us));
        *sum_us += ended_us;
        TRY(store_dead_delete(op, tx, row.at, id));
        TRY(store_attempt_delete(op, tx, id));
        TRY(store_aside_delete(op, tx, id));
    }
    return OK;
}

/* RETRY-5: what an action on many jobs does not ask for each of them. */
TEST(store_aside, of_many_rows_cost_no_more_trips_than_of_one)
{
    struct seen seen = { 0 };
    int64_t sum_us = 0;
    fixture_start(&f);
    uint64_t before = f.store->conn->trips;
    WRITES(&f, many_die, NULL);
    READS(&f, look_run, &seen);
    EQ(seen.dead_count, 4);
    EQ(seen.dead[3].at_us, 4);
    EQ(seen.timer_count, 0);
    WRITES(&f, many_come_back, &sum_us);
    EQ(sum_us, MANY * (MANY + 1) / 2);
    if (test_server())
        YES(f.store->conn->trips - before <= 12);
    READS(&f, look_run, &seen);
    EQ(seen.dead_count, 0);
    EQ(seen.aside.state, 0);
    fixture_end(&f);
}
