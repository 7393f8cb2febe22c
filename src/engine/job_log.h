/*
 * job_log.h - what a group changed in the job machine's RAM, told to other nodes.
 *
 * Where several nodes share a store each group leaves one row: everything that
 * it did to lanes, leases, finished jids, sessions and counters, as short
 * entries in the order in which it happened. A node whose turn comes lays the
 * rows of the others over its RAM instead of reading jobs, leases and queues
 * again. What is rare (a policy, a budget, FLUSH) is a mark that says: read it
 * from the rows. Whoever finds a gap reads everything.
 *
 * Each log_ call is for the place that changes the RAM; where one process has
 * the store it does nothing. An entry is a letter and little-endian words;
 * rows of another program's version are refused by the number of its schema.
 */
#pragma once

#include "engine/jobs_own.h"

enum log_mark { MARK_QUEUES = 1, MARK_ALL = 2 }; /* bits of a row, as stored */

void log_ready(struct jobs *jobs, const struct ready_row *row);    /* at the end of its lane */
void log_returned(struct jobs *jobs, const struct ready_row *row); /* at the place it had */
void log_taken(struct jobs *jobs, const struct ready_row *row);
void log_lease(struct jobs *jobs, const struct lease *lease);
void log_lease_end(struct jobs *jobs, const struct lease *lease);
void log_lease_until(struct jobs *jobs, const struct lease *lease);
void log_lease_leaves(struct jobs *jobs, const struct lease *lease); /* its session */
void log_lease_aside(struct jobs *jobs, const struct lease *lease);  /* it has a row aside from now on */
void log_revoked(struct jobs *jobs, const struct lease *lease);
void log_finished(struct jobs *jobs, const struct finished *finished, uint32_t queue_no);
void log_revived(struct jobs *jobs, uint64_t jid_hash);
void log_replaced(struct jobs *jobs, uint64_t id);
void log_delivered(struct jobs *jobs, uint64_t number);
void log_session(struct jobs *jobs, const struct session_row *row);
void log_session_end(struct jobs *jobs, uint32_t no);
void log_seen(struct jobs *jobs, const struct session *session);
void log_timer(struct jobs *jobs, int64_t due_us);
void log_budget(struct jobs *jobs, const struct budget *budget);
void log_key_rate(struct jobs *jobs, const struct queue *queue, const struct key_use *use);
void log_queues(struct jobs *jobs); /* a queue was made, deleted, paused or got another policy */
void log_all(struct jobs *jobs);    /* something that no entry describes */

/* Before COMMIT: the row of the group, with the counters of its queues. */
enum err log_flush(struct op *op, struct tx *tx, struct jobs *jobs);
void log_kept(struct jobs *jobs);
void log_drop(struct jobs *jobs);

/* RAM was read from the rows: it knows all groups so far. */
void log_loaded(struct tx *tx, struct jobs *jobs);

/* RAM knows all groups up to this row. */
void log_know(struct jobs *jobs, uint64_t no);

/* --- job_follow.c --- */

/* Asks for what others did with the turn: the next log_follow need not. */
enum err log_ask(struct op *op, struct tx *tx, const struct jobs *jobs);

/* Lays over RAM what others did. *ret_whole false: it must be read again. */
enum err log_follow(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_whole);

/* Lays over the numbers of leases what rows behind `known` say of them (0 = all rows). Of leases that began before
 * *ret_since_us nobody can say any more whether they were delivered. */
enum err log_find_delivered(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t known, int64_t *ret_since_us);
