/*
 * schedule_own.h - schedules inside the job machine.
 *
 *     schedule.c       what a PUT says; delete; zones
 *     schedule_fire.c  what falls due; runs and their ends
 *     schedule_view.c  as people see them
 */
#pragma once

#include "engine/cron.h"
#include "engine/jobs_own.h"
#include "engine/keep_run.h"
#include "engine/schedule.h"
#include "store/store_schedule.h"

/* The row's cron and zone, parsed. */
enum err schedule_read(struct op *op, const struct schedule_row *row, struct cron *ret_cron,
                       const struct zone **ret_zone);

/* Sets next and due: the first nominal time behind after_us. */
void schedule_aim(struct schedule_row *row, const struct cron *cron, const struct zone *zone, int64_t after_us);
enum err schedule_must(struct op *op, struct tx *tx, struct str id, struct schedule_row *ret);

/* The run that one of this nominal time waits for (SCHED-7): the newest by hand when that is later, else the newest up
 * to then. *ret_found false: nobody to wait for, or it never ran. */
enum err schedule_run_before(struct op *op, struct tx *tx, const struct schedule_row *s, int64_t nominal_us,
                             struct fired_row *ret, bool *ret_found);

/* What our own work it runs; NULL = none with parts. */
const struct keep_kind *schedule_kind(struct op *op, const struct schedule_row *s);

/* keep_run.c: parts that were held back begin when they may; a page at a time, *ret_more says whether there is another.
 */
enum err keep_held_tick(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more);

/* SCHED-7: why a run for this nominal time must wait, for people; not given = it may go. Rows only. */
enum err schedule_waits_why(struct op *op, struct tx *tx, const struct schedule_row *s, int64_t nominal_us,
                            struct str *ret_why);

struct str run_text(struct op *op, uint64_t run);

/* keep_run.c: a job of a run with parts came into this state, enum fired_state; `rows` it says to have done, -1 = none.
 * The run's row is changed, not written. */
enum err keep_run_moves(struct op *op, struct tx *tx, const struct job_known *job, struct fired_row *run, int to,
                        int64_t rows);
