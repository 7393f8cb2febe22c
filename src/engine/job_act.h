/*
 * job_act.h - what an operator does to one job.
 *
 *     retry   a dead one, one in backoff, or one that was cancelled: READY
 *     run     a scheduled one or one in backoff: READY now
 *     kill    any live one: DEAD with reason killed; a lease is revoked. A dead one stays as it is
 *     cancel  any live or dead one: DONE with outcome cancelled; a lease is revoked
 */
#pragma once

#include "engine/job.h"
#include "store/tx.h"

struct jobs;
struct job_known;

enum job_action { ACTION_RETRY, ACTION_RUN, ACTION_KILL, ACTION_CANCEL };

/* *ret_state is where the job is now. ERR_NOT_FOUND; ERR_CONFLICT naming the state for a move that is not allowed. */
enum err job_act(struct op *op, struct tx *tx, struct str jid, enum job_action action, enum job_state *ret_state);

/* The same to a job that has a row and was looked up already, in this group and since then not changed. */
enum err job_act_known(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job, enum job_action action);
