/*
 * tx.h - one transaction as engine code sees it.
 *
 * A tx is handed to commands by the writer (may write) or to reads by the
 * reader pool (a snapshot, may not write). It is never kept beyond the call.
 * What a group accumulates before it is written - counters per mailing, state
 * blocks, dedupe keys - hangs on the tx and is flushed once before COMMIT, so
 * 300 events of one mailing cost one counter update (LED-15).
 *
 * Engine code reaches rows only through the store_*.h families; each takes
 * (op, tx, ...). No SQL and no engine name appears above this folder.
 */
#pragma once

#include "base/op.h"

struct tx;
struct store;

struct store_config {
    const char *directory;  /* SQLite: the data directory; posthouse.db lies in it. NULL = in memory, for tests */
    const char *url;        /* PostgreSQL; NULL = SQLite */
    int readers;            /* connections and threads of the reader pool, 1..16 */
    int64_t cache_bytes;    /* page cache of the writer's connection */
    bool threads;           /* false: no threads are started; tests and tools use store_write/store_read directly */
    bool read_only;         /* for `check` beside a running daemon */
    const struct store_faults *faults; /* sim: where to fail; NULL in life */
};

/* Opens (making and migrating when needed) the store. ERR_CONFLICT when a running daemon holds it for writing,
 * ERR_IO with the reason otherwise. The store owns its threads until store_close. */
enum err store_open(struct op *op, const struct store_config *config, struct store **ret_store);
void store_close(struct store *store);

/* Runs fn in a write transaction of its own and commits it durably, in the calling thread. For tools, tests and the
 * simulation harness; the daemon sends posts instead. Must not be mixed with a running writer thread. */
enum err store_write(struct op *op, struct store *store, enum err (*fn)(struct op *op, struct tx *tx, void *arg),
                     void *arg);

/* Runs fn over one snapshot, in the calling thread, on a connection of its own. */
enum err store_read(struct op *op, struct store *store, enum err (*fn)(struct op *op, struct tx *tx, void *arg),
                    void *arg);

/* False while commits fail (disk full, I/O error); true again after the first commit that succeeds. The writer tries
 * a small commit every second while it is false, so recovery needs no traffic and no restart. */
bool store_is_ready(const struct store *store);

/* 16 secret bytes made when the store was: key of every keyed hash (recipients, dedupe keys). */
const uint8_t *store_hash_key(const struct store *store);
const uint8_t *tx_hash_key(const struct tx *tx);
struct store *tx_store(struct tx *tx);
