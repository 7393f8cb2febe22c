/* tx.c - what a store and its transactions say of themselves, and are told. */
#include "store/tx.h"

#include <assert.h>

#include "base/clock.h"
#include "store/core.h"

bool store_is_ready(const struct store *store)
{
    return atomic_load(&store->ready);
}

bool store_is_stopping(const struct store *store)
{
    return atomic_load(&store->stopping);
}

bool store_is_dead(const struct store *store)
{
    return atomic_load(&store->dead);
}

bool store_is_shared(const struct store *store)
{
    return store->engine->shared;
}

enum store_fault store_ask(struct store *store, enum store_point point)
{
    enum store_fault fault = store->config.faults->ask(store->config.faults->data, point);
    if (fault == STORE_CRASH_BEFORE || fault == STORE_CRASH_AFTER)
        atomic_store(&store->dead, true);
    return fault;
}

const uint8_t *store_hash_key(const struct store *store)
{
    return store->hash_key;
}

const uint8_t *tx_hash_key(const struct tx *tx)
{
    return tx->store->hash_key;
}

struct store *tx_store(struct tx *tx)
{
    return tx->store;
}

int64_t store_mono_us(const struct store *store)
{
    const struct store_clock *clock = store->config.clock;
    return clock ? clock->mono_us(clock->data) : clock_mono_us();
}

int64_t tx_mono_us(const struct tx *tx)
{
    return tx->mono_us;
}

int64_t tx_mono_now_us(const struct tx *tx)
{
    return store_mono_us(tx->store);
}

void store_watch(struct store *store, const struct store_watch *watch)
{
    store->watch = *watch;
}

void store_fence(struct store *store, const struct store_fence *fence)
{
    store->fence = *fence;
    atomic_store(&store->is_fenced, true);
}

void store_fence_end(struct store *store)
{
    atomic_store(&store->is_fenced, false);
}

void *tx_watch(struct tx *tx)
{
    return tx->store->watch.data;
}

bool tx_may_write(const struct tx *tx)
{
    return tx->writing;
}

bool tx_has_clock(const struct tx *tx)
{
    return tx->store->engine->shared && !tx->store->config.op_clock;
}

bool tx_is_shared(const struct tx *tx)
{
    return tx->store->engine->shared;
}

bool tx_asks_ahead(const struct tx *tx)
{
    return tx->writing && tx_is_shared(tx);
}

bool tx_expects_news(const struct tx *tx)
{
    return tx->expects_news;
}

bool tx_supposes(const struct tx *tx)
{
    return tx->supposes;
}

struct str tx_seqs(const struct tx *tx)
{
    return tx->seqs_newest;
}

void tx_seqs_put(struct tx *tx, struct str seqs)
{
    assert(tx->writing);
    tx->seqs = seqs;
}

void tx_wrote(struct tx *tx)
{
    assert(tx->writing);
    tx->wrote++;
}

void tx_full(struct tx *tx)
{
    tx->full = true;
}

void *tx_state(struct tx *tx, const struct family *family)
{
    for (int i = 0; store_families[i]; i++)
        if (store_families[i] == family)
            return tx->store->state[i];
    assert(!"a family that is not in the list of schema.c");
    return NULL;
}

struct store_figures store_figures(const struct store *store)
{
    return (struct store_figures){
        .commits = atomic_load(&store->commits),
        .commands = atomic_load(&store->commands),
        .failures = atomic_load(&store->failures),
        .reruns = atomic_load(&store->reruns),
        .commit_us = atomic_load(&store->commit_us),
        .reads = atomic_load(&store->reads),
        .writer_waiting = writer_waiting(store->writer),
        .reader_waiting = store->readers ? readers_waiting(store->readers) : 0,
        .wal_bytes = atomic_load(&store->wal_bytes),
        .queued_us = atomic_load(&store->queued_us),
    };
}
