/*
 * check_runs.c - runs of schedules against their jobs.
 */
#include "engine/check_part.h"
#include "engine/schedule_own.h"
#include "store/store_run_part.h"

#define PAGE 500

static enum err has_job(struct op *op, struct tx *tx, struct str jid, uint64_t run, bool *ret)
{
    struct job_row job;
    struct job_opts opts = { 0 };
    uint64_t id;
    bool found = false;
    TRY(store_job_find(op, tx, str_given(jid) ? jid : S(""), &id));
    if (id)
        TRY(store_job_get(op, tx, id, &job, &found));
    if (found)
        TRY(job_opts_read(op, job.flags, job.opts, &opts));
    *ret = found && opts.run == run;
    return OK;
}

/* Its figures are its rows, and each part that is live has a job. */
static enum err check_parts(struct op *op, struct tx *tx, struct check *check, const struct fired_row *run)
{
    int64_t live = 0, dead = 0, held = 0;
    struct part_row *parts;
    struct str after = S("");
    TRY(op_alloc(op, PAGE * sizeof *parts, &parts));
    for (int n = PAGE; n == PAGE;) {
        TRY(store_part_list(op, tx, run->run, after, PAGE, parts, &n));
        for (int i = 0; i < n; i++) {
            bool found = true;
            after = parts[i].name;
            live += parts[i].state == FIRED_LIVE;
            dead += parts[i].state == FIRED_DEAD;
            held += parts[i].state == FIRED_WAITS;
            if (parts[i].state == FIRED_LIVE)
                TRY(has_job(op, tx, parts[i].jid, run->run, &found));
            check_claim(check, found, "part %.*s of run %.*s is live and has no job", STR(parts[i].name),
                        STR(run_text(op, run->run)));
        }
    }
    check_claim(check,
                live + run->done + run->dead + run->held == run->children && dead == run->dead && held == run->held,
                "run %.*s counts other parts than it has", STR(run_text(op, run->run)));
    return OK;
}

/* A run that is called live holds the next one back (SCHED-6), so its job must be there to end. */
static enum err check_run_of(struct op *op, struct tx *tx, struct check *check, const struct fired_row *row)
{
    bool found = true;
    if (!row->own_state || row->own_state == FIRED_LIVE)
        TRY(has_job(op, tx, row->jid, row->run, &found));
    check_claim(check, found, "run %.*s of a schedule is live and has no job", STR(run_text(op, row->run)));
    return row->own_state ? check_parts(op, tx, check, row) : OK;
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
