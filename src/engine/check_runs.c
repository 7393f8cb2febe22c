/*
 * check_runs.c - runs of schedules against their jobs.
 */
#include "engine/check_part.h"
#include "engine/schedule_own.h"

#define PAGE 500

/* A run that is called live holds the next one back (SCHED-6), so its job must be there to end. */
static enum err check_run_of(struct op *op, struct tx *tx, struct check *check, const struct fired_row *row)
{
    struct job_row job;
    struct job_opts opts = { 0 };
    uint64_t id;
    bool found = false;
    TRY(store_job_find(op, tx, str_given(row->jid) ? row->jid : S(""), &id));
    if (id)
        TRY(store_job_get(op, tx, id, &job, &found));
    if (found)
        TRY(job_opts_read(op, job.flags, job.opts, &opts));
    check_claim(check, found && opts.run == row->run, "run %.*s of a schedule is live and has no job",
                STR(run_text(op, row->run)));
    return OK;
}

enum err check_runs(struct op *op, struct tx *tx, struct check *check)
{
    struct fired_row *rows;
    uint64_t after = 0;
    TRY(op_alloc(op, PAGE * sizeof *rows, &rows));
    for (int n = PAGE; n == PAGE;) {
        TRY(store_fired_live(op, tx, after, PAGE, rows, &n));
        for (int i = 0; i < n; i++) {
            after = rows[i].run;
            TRY(check_run_of(op, tx, check, &rows[i]));
        }
    }
    return OK;
}
