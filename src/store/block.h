/*
 * block.h - small fixed-size state records, many to a page.
 *
 * What bounds ingest is pages written per event, so the state that events
 * touch does not live in rows. A record has a number; record `no` stands in
 * block no / per_block at place no % per_block, and a block is one row of 4,032
 * bytes, which fills one page. Messages of a mailing have neighbouring numbers,
 * so 3,000 events of current mailings change a few hundred pages.
 *
 * A transaction works on blocks in RAM. What it changed is in the file with its
 * COMMIT: the records, in one row of the log (block_log.h). Their blocks follow
 * later, in the order of their rows. See docs/adr/0001-state-blocks.md and
 * 0002-block-log.md.
 *
 * The records are little-endian, laid out as the structs of store/records.h;
 * a record never written reads as zeros.
 */
#pragma once

#include "store/records.h"
#include "store/tx.h"

#define BLOCK_BYTES 4032 /* with its row's overhead just below a page of 4,096 */

enum block_kind {
    BLOCK_MESSAGE_FIXED,      /* struct message_fixed by message no */
    BLOCK_MESSAGE_DELIVERY,   /* struct message_delivery by message no */
    BLOCK_MESSAGE_ENGAGEMENT, /* struct message_engagement by message no */
    BLOCK_MEMBER,             /* struct member_state by member no */
    BLOCK_LINK,               /* struct link_state by link no */
    BLOCK_VISITOR,            /* struct message_engagement by visitor no: who clicks links without a mailing */
    BLOCK_KINDS
};

/* The record, valid until the command ends (the hop, or store_write's fn). `ret_record` is the address of a pointer to
 * the kind's (const) struct. In a snapshot it is a copy in the op's arena. */
enum err store_block_get(struct op *op, struct tx *tx, enum block_kind kind, uint64_t no, void *ret_record);

/* The same, to be changed in place: COMMIT keeps what it then holds. Only in the writer's transaction. */
enum err store_block_edit(struct op *op, struct tx *tx, enum block_kind kind, uint64_t no, void *ret_record);

/* The same two for a record that is asked for without its neighbours: when the cache is full its block is not brought
 * into RAM. Valid until the next call that names another record of the block by another way. */
enum err store_block_look(struct op *op, struct tx *tx, enum block_kind kind, uint64_t no, void *ret_record);
enum err store_block_edit_alone(struct op *op, struct tx *tx, enum block_kind kind, uint64_t no, void *ret_record);

/* Says that records will be edited alone soon, in whatever order: numbers[0..count-1] ascend. When the cache is full
 * they are taken from their rows now, so that a block is read once for all of them. Only in the writer's transaction.
 */
enum err store_block_take_alone(struct op *op, struct tx *tx, enum block_kind kind, const uint64_t *numbers,
                                size_t count);

/* Says that records will be asked for soon: numbers[i] that are not 0, of the kinds whose bit (1 << kind) is set. On
 * PostgreSQL their blocks are read together; else nothing is done. Only in the writer's transaction. */
enum err store_block_prefetch(struct op *op, struct tx *tx, unsigned kinds, const uint64_t *numbers, size_t count);

/* Says that a long command uses no record any more that it has obtained so far: blocks that it did not change may leave
 * RAM. Only in the writer's transaction. */
void store_block_release(struct tx *tx);

/* Says that a record obtained by store_block_get in this command was changed after all. */
void store_block_dirty(struct tx *tx, enum block_kind kind, uint64_t no);

/* Every record from_no .. to_no - 1 of the stored blocks, in order, records never written included as zeros where their
 * block exists. An error of fn ends the walk and is returned. Sees only what is committed or flushed: for snapshots. */
enum err store_block_each(struct op *op, struct tx *tx, enum block_kind kind, uint64_t from_no, uint64_t to_no,
                          enum err (*fn)(struct op *op, uint64_t no, const void *record, void *arg), void *arg);

/* The same for the records of these numbers, which ascend; their blocks are read together. A block that was never
 * written may be left out. */
enum err store_block_pick(struct op *op, struct tx *tx, enum block_kind kind, const uint64_t *numbers, size_t count,
                          enum err (*fn)(struct op *op, uint64_t no, const void *record, void *arg), void *arg);

/* Zeroes the records from_no .. to_no - 1, gives up the blocks that lie wholly inside. For retention; bounded work is
 * the caller's choice of range. */
enum err store_block_delete(struct op *op, struct tx *tx, enum block_kind kind, uint64_t from_no, uint64_t to_no);

/* Bytes of a record, and records of a block. */
size_t store_block_record_bytes(enum block_kind kind);
uint64_t store_block_per_block(enum block_kind kind);
