/* How often a PostgreSQL is asked and waited for by jobs: once for many, whatever their number. */
#include "store/core.h"

#include "engine/job_ahead.h"
#include "job_lab.h"

#define MANY 200

static struct lab lab;

struct many {
    struct job_spec specs[MANY];
    struct job_pushed pushed[MANY];
    size_t count;
};

static enum err push_many(struct op *op, struct tx *tx, void *arg)
{
    struct many *many = arg;
    return job_push(op, tx, many->specs, many->count, false, many->pushed);
}

/* A push that says its jids beforehand, as those of the doors do. */
struct told {
    struct post post;
    struct many *many;
};

static enum err told_run(struct post *post)
{
    struct many *many = ((struct told *)(void *)post)->many;
    return job_push(&post->op, post->tx, many->specs, many->count, false, many->pushed);
}

static void told_ahead(struct post *post)
{
    const struct many *many = ((struct told *)(void *)post)->many;
    job_push_ahead(post->tx, many->specs, many->count);
}

static uint64_t push_told(struct many *many)
{
    static const struct hop route[] = { { told_run, THREAD_WRITER, told_ahead }, { 0 } };
    struct told told = { .post = { .hop = route }, .many = many };
    struct post *posts[] = { &told.post };
    uint64_t before = lab.f.store->conn->trips;
    op_init(&told.post.op, lab.f.arena, lab.f.op.now_us);
    EQ(group_run(lab.f.store, &lab.f.op, posts, 1), 1);
    EQ(told.post.err, OK);
    return lab.f.store->conn->trips - before;
}

static void fill(struct many *ret, size_t count, int first)
{
    struct job_reader reader = lab_reader(&lab);
    ret->count = count;
    for (size_t i = 0; i < count; i++) {
        struct str text = arena_fmt(lab.f.arena, "{\"jid\":\"job-%04d\",\"queue\":\"q\",\"jobtype\":\"t\",\"args\":[]}",
                                    first + (int)i);
        SUCCEEDS(&lab.f.op, job_read(&lab.f.op, &reader, text, &ret->specs[i]));
    }
}

/* Trips of one command that pushes `count` jobs whose jids begin with `first`. */
static uint64_t push(size_t count, int first)
{
    static struct many many;
    fill(&many, count, first);
    uint64_t before = lab.f.store->conn->trips;
    WRITES(&lab.f, push_many, &many);
    return lab.f.store->conn->trips - before;
}

static uint64_t fetch(int count)
{
    uint64_t before = lab.f.store->conn->trips;
    EQ(lab_fetch(&lab, "q", count), count);
    return lab.f.store->conn->trips - before;
}

TEST(job_trips, of_a_push_do_not_grow_with_its_jobs)
{
    if (!test_server())
        SKIP("there is no server to ask");
    lab_start(&lab);
    push(1, 0);
    uint64_t few = push(10, 10), all = push(MANY, 100);
    print_message("# 10 jobs: %d trips, %d jobs: %d\n", (int)few, MANY, (int)all);
    YES(all <= few + 2);
    YES(all <= 8);
    lab_end(&lab);
}

TEST(job_trips, of_a_push_that_says_its_jids_are_the_turn_and_the_commit)
{
    static struct many many;
    if (!test_server())
        SKIP("there is no server to ask");
    lab_start(&lab);
    push(1, 0);
    fill(&many, 10, 1);
    EQ(push_told(&many), 2);
    fill(&many, 12, 0);
    push_told(&many);
    for (int i = 0; i < 11; i++)
        EQ(many.pushed[i].result, JOB_DUPLICATE);
    EQ(many.pushed[11].result, JOB_PUSHED);
    lab_end(&lab);
}

TEST(job_trips, of_a_fetch_do_not_grow_with_its_jobs)
{
    if (!test_server())
        SKIP("there is no server to ask");
    lab_start(&lab);
    push(MANY, 0);
    uint64_t few = fetch(10), all = fetch(100);
    print_message("# 10 jobs: %d trips, 100 jobs: %d\n", (int)few, (int)all);
    YES(all <= few + 4);
    lab_end(&lab);
}
