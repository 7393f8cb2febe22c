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

static enum err delete_run(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return queue_delete(op, tx, S("q"));
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
TEST(job_sweep, takes_as_many_rows_as_fit_in_4_ms_and_rests_long_beside_others)
{
    lab_start(&lab);
    for (int i = 0; i < DEEP; i++)
        EQ(lab_job(&lab, "q", arena_fmt(lab.f.arena, "job-%04d", i).p, ""), JOB_PUSHED);
    WRITES(&lab.f, delete_run, NULL);
    EQ(rows(), DEEP);
    EQ(swept_after_ms(0), 100);
    jobs_tick_took(lab.jobs, 40000, true); /* ten times too long */
    EQ(swept_after_ms(20), 9);             /* when the next one comes was said before */
    jobs_tick_took(lab.jobs, 4000, true);
    EQ(swept_after_ms(1040), 9 * 4000 / 4001);
    jobs_tick_took(lab.jobs, 10, false);
    EQ(swept_after_ms(499), 0);
    jobs_tick_took(lab.jobs, 10, false); /* a tick that swept nothing says nothing */
    EQ(swept_after_ms(1), 16);
    lab_end(&lab);
}
