/*
 * store_inbox.h - what applications said inside their own transactions, until a node takes it.
 *
 *     put_mailing, add_messages, push, record --> inbox --taken, applied--> mailings, messages, jobs, events
 *                                                       --not possible----> inbox_refused, with the reason
 *
 * The functions stand in inbox*.sql (TX-1); their rows appear with the caller's commit,
 * in any order of their numbers. So rows are taken by removing them, whichever
 * are there; how far one has come says little, and is said with care (TX-2).
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

/* What a snapshot shows of the inbox, and of who may still write to it. On SQLite only `first`. */
struct inbox_look {
    int64_t first;     /* lowest number behind the one that was asked for; 0 = there is none */
    int64_t given;     /* numbers up to here have been given to somebody */
    int64_t open_from; /* transactions of lower numbers are over */
    int64_t number;    /* of this look, as a transaction that changes something has one; 0 = it was given none */
};

/* Cheap while rows that were taken are few behind that number. */
enum err store_inbox_look(struct op *op, struct tx *tx, int64_t behind, bool numbered, struct inbox_look *ret);

/*
 * How far the inbox is empty for good. Rows that were taken stay where they were while anybody holds an old snapshot,
 * and who looks from the first number walks over all of them. A number stays free for ever when it was taken, or when
 * whoever it was given to is over; so three looks make one step:
 *
 *     which rows have numbers --later--> which transactions may have them --when those are over--> nothing is there
 *
 * Only whoever got a number and stands still before its transaction has written anything, for as long as lies between
 * two looks, is not seen: now and then the whole inbox is looked at.
 */
struct inbox_reach {
    int64_t gone;          /* no row has a number up to this */
    int64_t given, had_by; /* of the step under way: by transactions up to that one; 0 = not known yet */
};

/* The next look is to have a number of its own: all that began before have lower ones. */
bool inbox_reach_asks(const struct inbox_reach *reach);
void inbox_reach_note(struct inbox_reach *reach, const struct inbox_look *look);

/* Takes at most max rows and about INBOX_TAKE_BYTES out, oldest number first, of those behind `behind` (0 = all); rows
 * another node is taking are left to it. */
enum err store_inbox_take(struct op *op, struct tx *tx, int64_t behind, size_t max, struct inbox_row **ret_rows,
                          size_t *ret_count);

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
