/*
 * schedule.h - jobs that are pushed by the clock.
 *
 *     nominal time comes --+--> the run before has not ended: skipped, or one waits (SCHED-6)
 *                          +--> `after` has not ended done: waits (SCHED-7)
 *                          +--> its job is pushed
 *
 * One fire is one transaction: the row of the nominal time, the push, the next
 * time (SCHED-3). What fell due while nobody was there, or is more than five
 * minutes late, is missed; catch_up says what becomes of it (SCHED-5).
 *
 * One that is paused has no next time, and what would have fallen due meanwhile is not missed.
 *
 * Nominal times are of the zone's clocks (cron.h). Instants here are wall time:
 * a clock that steps back finds the row, one that steps forward finds missed times.
 */
#pragma once

#include "base/json_fields.h"
#include "base/json_write.h"
#include "engine/job_read.h"
#include "store/tx.h"

#define SCHEDULES_MAX       10000
#define SCHEDULE_JOB_MAX    (64 * 1024)
#define SCHEDULE_JITTER_MAX INT64_C(86400000) /* ms */
#define SCHEDULE_LATE_US    (INT64_C(300) * 1000000)
#define SCHEDULE_ALL_MAX    100 /* missed times that `all` runs */

enum schedule_overlap { OVERLAP_SKIP, OVERLAP_QUEUE, OVERLAP_ALLOW };
enum schedule_catch_up { CATCH_LAST, CATCH_NONE, CATCH_ALL };

/* A PUT, as it was said. */
struct schedule_put {
    struct str cron, timezone, job, overlap, catch_up, jitter, after;
    bool paused;
    bool builtin; /* its job is ours: schedule_builtin.h */
};

#define SCHEDULE_PUT_FIELDS 8
extern const struct json_field schedule_put_fields[SCHEDULE_PUT_FIELDS];

/* Everything that can be wrong without looking into the store; ERR_INVALID with pointers. ret_queue (may be NULL):
 * where its jobs go. */
enum err schedule_check(struct op *op, const struct job_reader *reader, const struct schedule_put *put,
                        struct json_problems *problems, struct str *ret_queue);

/* Creates or replaces; put was checked. Times in the past never fire because of it (SCHED-8). ERR_INVALID for an
 * unknown `after` and for a cycle of them, ERR_BUSY above SCHEDULES_MAX. */
enum err schedule_store(struct op *op, struct tx *tx, struct str id, const struct schedule_put *put);

enum err schedule_is_there(struct op *op, struct tx *tx, struct str id, bool *ret_there);

/* ERR_CONFLICT while another one waits for it, and for one of ours; ERR_NOT_FOUND. Its jobs run on. */
enum err schedule_delete(struct op *op, struct tx *tx, struct str id);

/* A run by hand, for the nominal time at_us (0 = now); obeys overlap and after. ERR_NOT_FOUND. */
enum err schedule_run(struct op *op, struct tx *tx, struct str id, int64_t at_us, struct str *ret_run);

/* As JSON objects; rows only, so over a snapshot, too. ERR_NOT_FOUND. */
enum err schedule_view(struct op *op, struct tx *tx, struct str id, struct json_writer *w);

/* Items of an open array, behind `after` by id, at most max. *ret_last is the id of the last one. */
enum err schedule_view_list(struct op *op, struct tx *tx, struct str after, int max, struct json_writer *w,
                            struct str *ret_last, bool *ret_more);

/* The rules of zones may have changed: next times are found again. In the writer, behind zone_reload. */
enum err schedules_rezone(struct op *op, struct tx *tx);
