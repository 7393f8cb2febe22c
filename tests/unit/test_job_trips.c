/* How often a PostgreSQL is asked and waited for by jobs: once for many, whatever their number. */
#include "store/core.h"

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

/* Trips of one command that pushes `count` jobs whose jids begin with `first`. */
static uint64_t push(size_t count, int first)
{
    static struct many many;
    struct job_reader reader = lab_reader(&lab);
    many.count = count;
    for (size_t i = 0; i < count; i++) {
        struct str text = arena_fmt(lab.f.arena, "{\"jid\":\"job-%04d\",\"queue\":\"q\",\"jobtype\":\"t\",\"args\":[]}",
                                    first + (int)i);
        SUCCEEDS(&lab.f.op, job_read(&lab.f.op, &reader, text, &many.specs[i]));
    }
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
