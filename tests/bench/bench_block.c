/*
 * bench_block.c - the same state changes to records in blocks and to rows.
 *
 * 1M messages; 300,000 events of the newest 100,000, in random order, 3,000 per
 * commit, each changing one record of 24 bytes. Processor seconds matter on a
 * shared machine, so both are printed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/random.h"
#include "store/block.h"
#include "store/db.h"
#include "must.h"

#define MESSAGES   1000000
#define MAILING    100000
#define EVENTS     300000
#define PER_COMMIT 3000

SQL(bench_make,
    "CREATE TABLE IF NOT EXISTS bench_row (no INTEGER PRIMARY KEY, status INTEGER, failure INTEGER,"
    " history_last INTEGER, delivered_at_us INTEGER, failed_at_us INTEGER)",
    NULL);
SQL(bench_add, "INSERT INTO bench_row VALUES (?1, 1, 0, 0, 0, 0)", NULL);
SQL(bench_set, "UPDATE bench_row SET status = 4, delivered_at_us = ?2 WHERE no = ?1", NULL);

struct batch {
    uint64_t from, n; /* records to make */
    struct rng rng;   /* or to change at random */
};

static enum err make_table(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct stmt *stmt;
    tx_wrote(tx); /* a new table is no changed row */
    TRY(tx_stmt(op, tx, &bench_make, &stmt));
    return stmt_done(op, stmt);
}

static enum err make_rows(struct op *op, struct tx *tx, void *arg)
{
    const struct batch *batch = arg;
    struct stmt *stmt;
    for (uint64_t no = batch->from; no < batch->from + batch->n; no++) {
        TRY(tx_stmt(op, tx, &bench_add, &stmt));
        bind_int(stmt, 1, (int64_t)no);
        TRY(stmt_done(op, stmt));
    }
    return OK;
}

static enum err make_records(struct op *op, struct tx *tx, void *arg)
{
    const struct batch *batch = arg;
    for (uint64_t no = batch->from; no < batch->from + batch->n; no++) {
        struct message_delivery *record;
        TRY(store_block_edit(op, tx, BLOCK_MESSAGE_DELIVERY, no, &record));
        record->status = 1;
    }
    return OK;
}

static uint64_t any_of_mailing(struct batch *batch)
{
    return MESSAGES - MAILING + rng_below(&batch->rng, MAILING);
}

static enum err change_rows(struct op *op, struct tx *tx, void *arg)
{
    struct batch *batch = arg;
    struct stmt *stmt;
    for (int i = 0; i < PER_COMMIT; i++) {
        TRY(tx_stmt(op, tx, &bench_set, &stmt));
        bind_int(stmt, 1, (int64_t)any_of_mailing(batch));
        bind_int(stmt, 2, 1700000000000000 + i);
        TRY(stmt_done(op, stmt));
    }
    return OK;
}

static enum err change_records(struct op *op, struct tx *tx, void *arg)
{
    struct batch *batch = arg;
    for (int i = 0; i < PER_COMMIT; i++) {
        struct message_delivery *record;
        TRY(store_block_edit(op, tx, BLOCK_MESSAGE_DELIVERY, any_of_mailing(batch), &record));
        record->status = 4;
        record->delivered_at_us = 1700000000000000 + i;
    }
    return OK;
}

static void measure(struct op *op, struct store *store, const char *what,
                    enum err (*make)(struct op *op, struct tx *tx, void *arg),
                    enum err (*change)(struct op *op, struct tx *tx, void *arg))
{
    struct batch batch = { .n = 10000 };
    for (batch.from = 0; batch.from < MESSAGES; batch.from += batch.n)
        must(op, store_write(op, store, make, &batch));
    rng_init(&batch.rng, 1);
    int64_t start_us = clock_mono_us();
    clock_t cpu = clock();
    for (int done = 0; done < EVENTS; done += PER_COMMIT)
        must(op, store_write(op, store, change, &batch));
    double cpu_s = (double)(clock() - cpu) / CLOCKS_PER_SEC, wall_s = (double)(clock_mono_us() - start_us) / 1e6;
    printf("{\"bench\":\"block\",\"what\":\"%s\",\"per_second\":%.0f,\"processor_s_per_million\":%.2f}\n", what,
           EVENTS / wall_s, cpu_s * 1e6 / EVENTS);
}

int main(void)
{
    char directory[] = "/tmp/posthouse-bench-XXXXXX", command[64];
    if (!mkdtemp(directory))
        return 1;
    struct arena *arena = arena_new(1 << 20);
    struct store_config config = { .directory = directory };
    struct store *store;
    struct op op;
    op_init(&op, arena, 0);
    must(&op, store_open(&op, &config, &store));
    must(&op, store_write(&op, store, make_table, NULL));
    measure(&op, store, "rows", make_rows, change_rows);
    measure(&op, store, "records in blocks", make_records, change_records);
    store_close(store);
    arena_free(arena);
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}
