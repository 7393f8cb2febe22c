#include "store/store_task.h"
#include "store_test.h"

static struct fixture f;

struct plan {
    const char *payload;
    int64_t due_at_ms;
    uint64_t no;
};

static enum err add(struct op *op, struct tx *tx, void *arg)
{
    struct plan *plan = arg;
    return store_task_add(op, tx, S("provider.unsuppress"), str_of(plan->payload), plan->due_at_ms, &plan->no);
}

struct taken {
    int64_t now_ms;
    int max;
    struct task *tasks;
    int count;
};

static enum err take(struct op *op, struct tx *tx, void *arg)
{
    struct taken *taken = arg;
    return store_task_take(op, tx, taken->now_ms, 1000, taken->max, &taken->tasks, &taken->count);
}

static struct taken takes(int64_t now_ms, int max)
{
    struct taken taken = { .now_ms = now_ms, .max = max };
    WRITES(&f, take, &taken);
    return taken;
}

static enum err done(struct op *op, struct tx *tx, void *arg)
{
    return store_task_done(op, tx, *(uint64_t *)arg);
}

static enum err retry(struct op *op, struct tx *tx, void *arg)
{
    return store_task_retry(op, tx, *(uint64_t *)arg, 9000, S("the provider answered 503"));
}

static enum err next(struct op *op, struct tx *tx, void *arg)
{
    return store_task_next(op, tx, arg);
}

static enum err count(struct op *op, struct tx *tx, void *arg)
{
    return store_task_count(op, tx, arg);
}

static void add_plan(const char *payload, int64_t due_at_ms, uint64_t *ret_no)
{
    struct plan plan = { payload, due_at_ms, 0 };
    WRITES(&f, add, &plan);
    *ret_no = plan.no;
}

TEST(store_task, gives_due_tasks_oldest_first)
{
    fixture_start_file(&f);
    uint64_t late, early, middle;
    add_plan("3", 300, &late);
    add_plan("1", 100, &early);
    add_plan("2", 200, &middle);
    fixture_reopen(&f);
    int64_t due;
    READS(&f, next, &due);
    EQ(due, 100);
    EQ(takes(99, 10).count, 0);
    struct taken two = takes(200, 10);
    EQ(two.count, 2);
    EQ(two.tasks[0].no, early);
    STR_EQ(two.tasks[0].kind, "provider.unsuppress");
    STR_EQ(two.tasks[0].payload, "1");
    EQ(two.tasks[0].attempts, 1);
    EQ(two.tasks[1].no, middle);
    fixture_end(&f);
}

TEST(store_task, comes_again_when_its_runner_dies)
{
    fixture_start_file(&f);
    uint64_t no;
    add_plan("{}", 100, &no);
    EQ(takes(100, 1).count, 1);
    EQ(takes(1099, 1).count, 0);
    fixture_reopen(&f);
    struct taken again = takes(1100, 1);
    EQ(again.count, 1);
    EQ(again.tasks[0].attempts, 2);
    fixture_end(&f);
}

TEST(store_task, is_gone_when_done)
{
    fixture_start(&f);
    uint64_t no;
    int64_t n, due;
    add_plan("{}", 100, &no);
    READS(&f, count, &n);
    EQ(n, 1);
    WRITES(&f, done, &no);
    WRITES(&f, done, &no);
    READS(&f, count, &n);
    EQ(n, 0);
    READS(&f, next, &due);
    EQ(due, INT64_MAX);
    fixture_end(&f);
}

TEST(store_task, is_put_off_with_the_reason)
{
    fixture_start(&f);
    uint64_t no;
    add_plan("{}", 100, &no);
    takes(100, 1);
    WRITES(&f, retry, &no);
    EQ(takes(8999, 1).count, 0);
    struct taken again = takes(9000, 1);
    EQ(again.count, 1);
    EQ(again.tasks[0].attempts, 2);
    STR_EQ(again.tasks[0].last_error, "the provider answered 503");
    fixture_end(&f);
}

TEST(store_task, refuses_a_payload_that_is_too_large)
{
    fixture_start(&f);
    char *payload = malloc(TASK_PAYLOAD_BYTES_MAX + 2);
    memset(payload, 'x', TASK_PAYLOAD_BYTES_MAX + 1);
    payload[TASK_PAYLOAD_BYTES_MAX + 1] = '\0';
    struct plan plan = { payload, 1, 0 };
    EQ(store_write(&f.op, f.store, add, &plan), ERR_TOO_LARGE);
    free(payload);
    fixture_end(&f);
}
