/* What of a deep queue that was deleted goes at once, and when. */
#include "job_lab.h"

#include "store/store_job.h"

#define DEEP 300

static struct lab lab;

static enum err count_rows(struct op *op, struct tx *tx, void *arg)
{
    struct job_row *rows;
    return store_job_walk(op, tx, 0, LAB_JOBS_MAX, &rows, arg);
}

static size_t rows(void)
{
    size_t n;
    READS(&lab.f, count_rows, &n);
    return n;
}

static void push_jobs(int first, int count)
{
    for (int i = first; i < first + count; i++)
        EQ(lab_job(&lab, "q", arena_fmt(lab.f.arena, "job-%04d", i).p, ""), JOB_PUSHED);
}

static enum err delete_run(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return queue_delete(op, tx, S("q"));
}

static void delete_deep(void)
{
    push_jobs(0, DEEP);
    WRITES(&lab.f, delete_run, NULL);
    EQ(rows(), DEEP);
}

/* How many rows go when the sweeper looks this much later. */
static size_t swept_after_ms(int64_t ms)
{
    size_t before = rows();
    lab_wait_ms(&lab, ms);
    lab_tick(&lab);
    return before - rows();
}

/* QUE-7. */
TEST(job_sweep, takes_as_many_rows_as_fit_in_the_time_and_rests_long_beside_others)
{
    lab_start(&lab);
    delete_deep();
    EQ(swept_after_ms(0), 100);
    jobs_tick_took(lab.jobs, 40000, true); /* five times too long */
    EQ(swept_after_ms(20), 19);            /* when the next one comes was said before */
    jobs_tick_took(lab.jobs, 8000, true);
    EQ(swept_after_ms(1040), 18);
    jobs_tick_took(lab.jobs, 10, false);
    EQ(swept_after_ms(990), 0);
    jobs_tick_took(lab.jobs, 10, false); /* a tick that swept nothing says nothing */
    EQ(swept_after_ms(10), 36);
    lab_end(&lab);
}

/* QUE-7. */
TEST(job_sweep, goes_on_after_a_restart)
{
    lab_start_file(&lab);
    delete_deep();
    EQ(swept_after_ms(0), 100);
    lab_reopen(&lab);
    EQ(rows(), DEEP - 100);
    lab_pass_ms(&lab, 1000);
    EQ(rows(), 0);
    lab_end(&lab);
}

/* QUE-7: rows of a lane lie in their order, so what came later is looked at once. */
TEST(job_sweep, passes_over_what_came_behind_the_deletion)
{
    lab_start(&lab);
    push_jobs(0, 20);
    WRITES(&lab.f, delete_run, NULL);
    push_jobs(20, DEEP);
    EQ(swept_after_ms(0), 20);
    for (int i = 0; i < 3; i++) { /* its rows, those of gates, all else */
        YES(lab.tick_next_us <= 20000);
        EQ(swept_after_ms(20), 0);
    }
    YES(lab.tick_next_us > 20000); /* it is over */
    EQ(rows(), DEEP);
    lab_end(&lab);
}
