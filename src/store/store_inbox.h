/*
 * store_inbox.h - what applications said inside their own transactions, until a node takes it.
 *
 *     put_mailing, add_messages, push, record --> inbox --taken, applied--> mailings, messages, jobs, events
 *                                                       --not possible----> inbox_refused, with the reason
 *
 * The functions stand in inbox*.sql (TX-1); their rows appear with the caller's commit,
 * in any order of their numbers. So rows are taken by removing them, whichever
 * are there, and never by remembering how far one has come (TX-2).
 *
 * On SQLite there are no such functions: the tables hold what a move from
 * PostgreSQL brought along.
 */
#pragma once

#include "store/tx.h"

enum inbox_kind {
    INBOX_MAILING = 1, /* subject is its id, body what PUT takes */
    INBOX_MESSAGE = 2, /* subject is the mailing, body one line of messages */
    INBOX_JOB = 3,     /* subject is the jid or "", body the job object */
    INBOX_EVENT = 4    /* subject is the id, body the event object */
};

#define INBOX_TAKE_BYTES (16 << 20) /* of bodies taken at once; the row that reaches it is still taken */

struct inbox_row {
    int64_t no;
    int64_t kind;
    int64_t at_us; /* when the application said it, by the database's clock */
    struct str subject, body;
};

/* Is anything there. Cheap; for snapshots. */
enum err store_inbox_waits(struct op *op, struct tx *tx, bool *ret_waits);

/* Takes at most max rows and about INBOX_TAKE_BYTES out, oldest number first; rows another node is taking are left to
 * it. */
enum err store_inbox_take(struct op *op, struct tx *tx, size_t max, struct inbox_row **ret_rows, size_t *ret_count);

/* Puts a row in, as the SQL functions do; for tests. */
enum err store_inbox_add(struct op *op, struct tx *tx, const struct inbox_row *row);

/* Keeps a row that was taken and could not be applied. */
enum err store_inbox_refuse(struct op *op, struct tx *tx, const struct inbox_row *row, struct str reason);

/* Calls fn for the refused rows behind after_no, oldest number first, at most max. */
enum err store_inbox_refused_each(struct op *op, struct tx *tx, int64_t after_no, size_t max,
                                  enum err (*fn)(struct op *op, const struct inbox_row *row, struct str reason,
                                                 void *arg),
                                  void *arg);

/* Throws refused rows away that stand longer than since before_us, at most max_rows; *ret_gone counts them. */
enum err store_inbox_has_older(struct op *op, struct tx *tx, int64_t before_us, bool *ret);
enum err store_inbox_expire(struct op *op, struct tx *tx, int64_t before_us, int max_rows, int *ret_gone);

/* Gives the space of an emptied inbox back to the disk when it is worth it and nobody is writing to it. */
enum err store_inbox_shrink(struct op *op, struct tx *tx);

/* Waits until nobody is about to commit rows, and lets nobody in until the transaction ends: for a move. */
enum err store_inbox_close(struct op *op, struct tx *tx);
