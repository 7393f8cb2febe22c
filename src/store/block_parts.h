/*
 * block_parts.h - the inside of blocks, shared by their files.
 *
 *     block.c         the calls, and what the end of a group means
 *     block_cache.c   which blocks are in RAM
 *     block_rows.c    their tables
 *     block_settle.c  what a transaction changed goes to the log, and later to the rows
 *     block_debt.c    records that are newer than their rows, of blocks that are not in the cache
 *     block_reload.c  the log laid over what is in RAM
 *     block_view.c    snapshots
 */
#pragma once

#include "store/block.h"
#include "store/block_log.h"
#include "store/db.h"

#define CACHE_BLOCKS         2560  /* kept between commands: 10 MiB */
#define TOUCHED_MAX          8192  /* changed ones after which a group is committed: 32 MiB */
#define LONES_MAX            65536 /* the same for records that are changed without their blocks: 3 MiB */
#define LONES_A_STEP         32    /* of them make the clock hand pass one block of a full cache */
#define CHAINS               8192  /* a power of two */
#define SLAB_BLOCKS          64
#define OWED_MAX             2048              /* changed by one transaction: beyond it all may be settled at once */
#define CHANGED_MAX          192               /* records of a block, rounded up to words */
#define SHARED_LOG_BYTES_MAX (4 * 1024 * 1024) /* where several nodes write; above it the blocks are settled */
#define WANTS_MAX            4096              /* blocks read by one statement */
#define NUMBER_MASK          (UINT64_MAX >> 8) /* of a key: the rest is the kind */

struct block_kind_of {
    size_t record_bytes;
    uint64_t per_block;
    const struct sql *get, *add, *set, *walk, *pick, *erase;
};
extern const struct block_kind_of block_kinds[BLOCK_KINDS];

/* The record in the bytes of its block. */
static inline void *block_record_in(uint8_t *data, enum block_kind kind, uint64_t no)
{
    return data + no % block_kinds[kind].per_block * block_kinds[kind].record_bytes;
}

struct block {
    uint64_t key;                       /* kind and number, see block_key: their order is the order of flushing */
    struct block *chain;                /* same hash, or the free list */
    struct block *touched;              /* next of those changed in this transaction */
    bool in_touched;                    /* its bytes are not those of the newest commit */
    bool dirty;                         /* its bytes are not yet in the table */
    bool stored;                        /* the table has its row */
    bool owed;                          /* its newest committed bytes stand in the log, not in its row */
    bool logged;                        /* this transaction put it into the log */
    uint64_t changed[CHANGED_MAX / 64]; /* records changed in this transaction, a bit each */
    uint64_t behind[CHANGED_MAX / 64];  /* records that make it owed */
    bool recent;                        /* used since the clock hand passed */
    _Alignas(8) uint8_t data[BLOCK_BYTES];
};

/* Keys of blocks to be read together. */
struct wants {
    uint64_t *keys;
    int64_t *numbers;
    size_t count;
};

/* A record outside the cache that is newer than its row, or about to be. There are many: each takes what its kind
 * needs.
 */
struct lone {
    struct lone *next;    /* of its block, or of the free ones of its slab */
    uint64_t key : 61;    /* kind and number of the record */
    uint64_t touched : 1; /* changed in this transaction: it is in blocks->lones */
    uint64_t owed : 1;    /* its newest committed bytes stand in the log, not in the row */
    uint64_t gone : 1;    /* its block holds its bytes by now; it goes when the transaction ends */
    uint8_t data[];       /* a multiple of 8 */
};
#define LONE_KEY_MASK (UINT64_MAX >> 3)
_Static_assert(BLOCK_KINDS <= 32 && sizeof(struct lone) == 16, "a key's kind stands in bits 56 to 60");

/* Room for lone records of one kind; found by its alignment. An empty one serves any kind. */
#define LONE_SLAB_BYTES 16384
struct lone_slab {
    struct lone_slab *next, *before; /* of its kind, with room; or next of those that are empty */
    struct lone *free;
    uint32_t used;
    uint32_t kind;
    uint8_t lones[];
};
_Static_assert(sizeof(struct lone_slab) % 8 == 0, "lone records are aligned to 8");

/* The lone records of a block. */
struct debt {
    uint64_t key; /* of the block */
    struct debt *chain;
    struct lone *first;
    uint64_t held[CHANGED_MAX / 64]; /* which they are, a bit each: most that are asked for are not among them */
};

/* The row of a block that was read for one of its records; valid until rows are written, or the transaction ends. */
struct page {
    uint64_t key; /* UINT64_MAX = none */
    bool stored;
    _Alignas(8) uint8_t data[BLOCK_BYTES];
};

/* How far the log goes, as far as this node knows. */
struct log {
    int64_t settled; /* everything up to this row is in the blocks */
    int64_t erased;  /* rows up to here are gone; below 0: not known yet */
    int64_t newest;
    int64_t bytes; /* behind `settled`, or behind the beginning of the sweep that is under way */
};

/* Blocks being written to their rows little by little, while the log grows on: block_settle.c. */
struct sweep {
    bool begun;
    int64_t mark; /* the row that begins it: what the log held before it is in the blocks when it ends */
    size_t at;    /* keys before it are written */
    size_t count;
    uint64_t *keys; /* of the blocks that were owed, in order; written once before the sweep begins */
};

/* Blocks in RAM on the writer's side. What is clean equals the newest commit. */
struct blocks {
    struct block *chains[CHAINS];
    struct block **all; /* every block that is allocated, slab by slab, for the clock hand */
    size_t count, room, used;
    size_t hand;
    struct block *free;
    struct block *touched;
    size_t touched_count;
    struct block *last[BLOCK_KINDS]; /* most calls ask for the block of the call before */
    struct block **order;            /* scratch of the flush */
    size_t order_room;
    size_t owed_count;
    struct log log, log_kept;       /* as this transaction and the newest commit leave it */
    struct sweep sweep, sweep_kept; /* the same; their keys are one array */
    struct debt *debts[CHAINS];
    size_t debt_count;
    struct lone **lones; /* those changed in this transaction */
    size_t lone_count, lone_room;
    struct lone_slab *lone_slabs[BLOCK_KINDS]; /* with room */
    struct lone_slab *empty_slabs;
    void **lone_regions; /* what slabs are cut from */
    size_t lone_region_count;
    struct page pages[BLOCK_KINDS];
    bool shared;  /* others write, too: owed blocks stay in the cache and are settled together */
    bool whole;   /* rows were erased: this transaction settles whatever it costs */
    bool settled; /* this transaction wrote every owed block */
    bool paid;    /* and gave up debts, which a rollback must read from the log again */
    bool reload;  /* a rollback took owed blocks from RAM: read the log before the next use */
    struct buf row, entries;
    struct wants wants;
};

extern const struct family block_family;

/* --- block_rows.c --- */

/* Of a block: kind and number, so that their order is the order of flushing. And of the block that a record stands in.
 */
uint64_t block_key(enum block_kind kind, uint64_t block_no);
uint64_t block_key_of(uint64_t record_key);

/* Copies a row's bytes; a row of another length is a damaged file. */
enum err block_copy_row(struct op *op, struct stmt *stmt, int column, uint8_t *data);

/* Reads the bytes of a block; zeros, and *ret_stored false, when it has no row. */
enum err block_read_row(struct op *op, struct tx *tx, enum block_kind kind, uint64_t block_no, uint8_t *data,
                        bool *ret_stored);

/* --- block_cache.c --- */

/* Makes blocks->free not NULL. */
void blocks_grow(struct blocks *blocks);

/* The block in RAM, or NULL. */
struct block *block_find(const struct blocks *blocks, uint64_t key);
void block_forget(struct blocks *blocks, struct block *block);

/* Takes the free block into the cache; it is not there yet, and its bytes are the caller's. */
struct block *block_adopt(struct blocks *blocks, uint64_t key, bool stored);

/* Reads the block's row into a free block. */
enum err block_load(struct op *op, struct tx *tx, struct blocks *blocks, enum block_kind kind, uint64_t block_no,
                    struct block **ret_block);

/* The block's bytes are changed in this transaction. */
void block_mark(struct blocks *blocks, struct block *block);

/* The clock hand passes a block: one that was not used since it last did leaves, unless this transaction changed it.
 * Then: until the cache is of its size, or every block was passed twice. */
void blocks_hand_step(struct blocks *blocks);
void blocks_shrink(struct blocks *blocks);

/* Between transactions: what a large one needed beyond the cache goes back to the system, one slab a time. */
void blocks_give_back(struct blocks *blocks);

/* --- block.c --- */

/* Rows are about to be written, or the transaction ends: what was read of them is not valid any more. */
void pages_forget(struct blocks *blocks);

/* --- block_view.c --- */

/* A copy of a record as the snapshot sees it, in the op's arena. */
enum err block_view_get(struct op *op, struct tx *tx, enum block_kind kind, uint64_t no, void **ret_record);

/* --- block_settle.c --- */

/* Writes what this transaction changed. */
enum err blocks_flush(struct op *op, struct tx *tx, void *state);

/* Writes every block whose row is behind and gives up the log. */
enum err blocks_settle(struct op *op, struct tx *tx, struct blocks *blocks);

/* The transaction was committed, or rolled back. */
void blocks_settle_kept(struct blocks *blocks);
void blocks_settle_drop(struct blocks *blocks);

/* --- block_debt.c --- */

/* A record that was changed without its block, or NULL. */
struct lone *lone_find(const struct blocks *blocks, uint64_t record_key);

/* Makes one; its block is not in the cache. */
struct lone *lone_add(struct blocks *blocks, uint64_t record_key, const void *record);

/* It is changed in this transaction. */
void lone_touch(struct blocks *blocks, struct lone *lone);

/* The transaction was committed: what it changed is owed; or rolled back: it is forgotten. */
void lones_kept(struct blocks *blocks);
void lones_drop(struct blocks *blocks);

/* Keeps the owed records of a block that leaves the cache. */
void debt_keep(struct blocks *blocks, const struct block *block);

/* Lays what is owed over a block that came into the cache, which owes it from now on. */
void debt_pay(struct blocks *blocks, struct block *block);

/* One record more that is owed, or newer bytes of one. */
void debt_put(struct blocks *blocks, uint64_t record_key, const void *record);

/* The debt of a block, or NULL; its records laid over the block's bytes; forgotten. */
struct debt *debt_find(const struct blocks *blocks, uint64_t block_key);
void debt_lay(const struct debt *debt, uint8_t *data);
void debt_forget(struct blocks *blocks, struct debt *debt);
void debts_clear(struct blocks *blocks);

/* Everything, when the store closes. */
void debts_done(struct blocks *blocks);

/* --- block_reload.c --- */

/* Blocks to be read together: begin, each, and read. Where no server is asked, the caller leaves it. */
void block_wants_clear(struct blocks *blocks);
void block_want(struct blocks *blocks, uint64_t key);
enum err block_wants_load(struct op *op, struct tx *tx, struct blocks *blocks);

/* Lays the rows of the log behind `after` over the blocks in RAM. Nothing was changed yet in this transaction. */
enum err blocks_read_log(struct op *op, struct tx *tx, struct blocks *blocks, int64_t after);

/* After a start or a rollback the newest bytes of some blocks stand in the log only: they are owed again. */
enum err blocks_reload(struct op *op, struct tx *tx, struct blocks *blocks);
