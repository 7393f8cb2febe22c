/*
 * schedule_builtin.h - schedules that are Posthouse's own (KEEP-12).
 *
 * They are rows like all others, made at a start where they are missing: seen,
 * run by hand, missed and caught up with in the same way. When they run may be
 * changed, and whether; what they run may not. Their jobs are work of our own
 * (job_own.h) in the queue `keep`, and none of them is ever deleted.
 *
 * A new one is a line in the table of schedule_builtin.c, and the work it runs
 * one in the table of keep_run.c.
 */
#pragma once

#include "engine/schedule.h"

#define BUILTIN_PREFIX "keep." /* names that begin so are ours */

struct builtin_schedule {
    const char *id, *cron, *zone, *jobtype;
    const char *after; /* NULL = none; it stands before in the table */
};

/* NULL: it is none of ours. */
const struct builtin_schedule *schedule_builtin(struct str id);

/* A PUT of one of ours gets its job, which the caller must not have said. ERR_INVALID with pointers for that, and for a
 * name like ours that there is not; schedules of others are left as they are. */
enum err schedule_builtin_fill(struct op *op, struct str id, struct schedule_put *put, struct json_problems *problems);

/* Makes those that are not there. In the writer; nothing is written when all are. */
enum err schedules_builtin_make(struct op *op, struct tx *tx);
