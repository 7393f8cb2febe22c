/*
 * seq.h - numbers for rows, handed out in RAM.
 *
 * Each sequence starts at 1 and is never reused, also after its newest rows
 * were deleted: the next number is a row written with every group that took
 * one. A group that is rolled back gives its numbers back. Where several nodes
 * write, they take turns, and the numbers travel in the row every group leaves.
 */
#pragma once

#include "store/tx.h"

enum seq {
    SEQ_MESSAGE,
    SEQ_HISTORY,
    SEQ_TOUCH,
    SEQ_COHORT,
    SEQ_MAILING,
    SEQ_MEMBER,
    SEQ_TENANT,
    SEQ_LINK,
    SEQ_PARKED,
    SEQ_EVENT,
    SEQ_TASK,
    SEQ_AUDIT,
    SEQ_TOKEN,
    SEQ_DEDUPE,
    SEQ_SOURCE,
    SEQ_IDEMPOTENCY,
    SEQ_SUPPRESSION,
    SEQ_BLOCK_LOG, /* never reused: a reader beside a restarted daemon knows rows of the log by it */
    SEQ_DELTA,     /* changes of counters that wait to be folded: tally.c */
    SEQ_JOB,       /* engine time of the newest job or place: ids are instants made unique */
    SEQ_LEASE,     /* leases */
    SEQ_DELIVERED, /* every lease up to this one was written to a socket or ended (LEASE-5) */
    SEQ_QUEUE,
    SEQ_SESSION,
    SEQ_DONE,     /* chunks of finished jobs */
    SEQ_DONE_JOB, /* jobs that finished */
    SEQ_NODE,
    SEQ_NODE_EPOCH, /* of all starts of all nodes: one number, one life */
    SEQ_VISITOR,
    SEQ_SCHEDULE,
    SEQ_LINK_CHANGE,
    SEQ_JOB_LOG,  /* what groups changed in the job machine */
    SEQ_CATALOG,  /* changes of tenants and mailings that were there before, and client keys that went */
    SEQS_MAX = 64 /* the row has room for so many; numbers above are never renumbered, only appended */
};

/* The next number; only in the writer's transaction. */
uint64_t store_seq_next(struct tx *tx, enum seq seq);

/* The first of n neighbouring numbers. */
uint64_t store_seq_take(struct tx *tx, enum seq seq, uint64_t n);

/* Moves the sequence forward to `value`; one that is there already stays. For sequences that follow a clock. */
void store_seq_reach(struct tx *tx, enum seq seq, uint64_t value);

/* The newest number given in this sequence; 0 = none. In the writer's transaction. */
uint64_t store_seq_newest(struct tx *tx, enum seq seq);

/* For the foreign hooks of families: whether other nodes have taken numbers of this sequence since this store's last
 * group. Costs nothing: the numbers came with the turn. */
bool store_seq_moved(struct tx *tx, enum seq seq);
