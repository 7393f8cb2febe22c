/*
 * keep_log.h - what is old of that which is only read: events, and the audit list.
 *
 *     events                    30 days from when they were received (EVT-51)
 *     entries of the audit list 400 days
 *
 * The work of the schedule keep.log, once a night. What counts as old is settled
 * by the nominal time of the run, so a run that begins late, or again, does what
 * it would have done (KEEP-6).
 */
#pragma once

#include "engine/job_own.h"

#define KEEP_LOG_TYPE   "posthouse.keep.log"
#define KEEP_AUDIT_DAYS 400

/* At most so many rows of each kind; *ret_gone counts them. *ret_more: old ones are left. */
enum err keep_log(struct op *op, struct tx *tx, int64_t now_us, int rows, int *ret_gone, bool *ret_more);

/* For the registry of job_own.c. */
enum err keep_log_step(struct op *op, struct tx *tx, struct own_work *work);
