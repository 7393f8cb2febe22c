/*
 * job_rows.h - rows of jobs on PostgreSQL: written together, read together.
 *
 * Private to src/store. What a push, a fetch and an ack change are rows of
 * `job`, `ready` and `lease` that are added once and deleted once. Where a
 * round trip costs more than a row they are collected here and written by a
 * few statements when the group ends (changes.h). Rows of jobs that will be
 * handed out soon are kept, those this process took in and those store_job_ahead
 * read together, so that a fetch asks the server for nothing.
 *
 * On SQLite, and in a snapshot, there is none of this: job_rows_of is NULL.
 */
#pragma once

#include "store/changes.h"
#include "store/store_job.h"
#include "store/store_lease.h"
#include "store/store_ready.h"

struct job_rows;

struct job_rows *job_rows_of(struct tx *tx);

/* Everything collected is written; before whatever reads these tables. Nothing to do where there is nothing. */
enum err job_rows_write(struct op *op, struct tx *tx);

/* --- job --- */
void job_rows_add(struct tx *tx, struct job_rows *rows, const struct job_row *row);
void job_rows_delete(struct tx *tx, struct job_rows *rows, uint64_t id);

/* A row known here, its texts borrowed until the next call. *ret_gone: it was deleted in this group. */
bool job_rows_find(struct job_rows *rows, uint64_t id, struct job_row *ret, bool *ret_gone);

/* Keeps a copy, for a time, if it is not too large. `old`: may push out what was kept longest. */
void job_rows_keep(struct job_rows *rows, const struct job_row *row, bool old);
bool job_rows_kept(const struct job_rows *rows, uint64_t id);
void job_rows_forget(struct job_rows *rows, uint64_t id);

/*
 * Whose jids are taken a push need not ask where its group supposes that RAM is right: the index refuses a row whose
 * jid is there. So nobody is supposed to have the jid, it is remembered here, and the end of the group finds out
 * whether it is so. As long as clients push what is there already, jids are asked as usual.
 */
bool job_rows_supposes(const struct job_rows *rows, const struct tx *tx);
void job_rows_suppose(struct tx *tx, struct job_rows *rows, struct str jid);
void job_rows_taken(struct job_rows *rows); /* a jid that was pushed is there */

/* --- ready --- */
void job_rows_ready_add(struct tx *tx, struct job_rows *rows, const struct ready_row *row);
void job_rows_ready_delete(struct tx *tx, struct job_rows *rows, const struct ready_row *row);

/* --- lease --- */
void job_rows_lease_add(struct tx *tx, struct job_rows *rows, const struct lease_row *row);
void job_rows_lease_delete(struct tx *tx, struct job_rows *rows, uint64_t id);
