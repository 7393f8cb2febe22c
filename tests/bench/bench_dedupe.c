/* bench_dedupe.c - takes per second, 3,000 keys per commit, on one day that grows to 5 million keys. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/dedupe.h"

#define PER_COMMIT 3000
#define DAY        20000

struct batch {
    uint64_t from, n;
    uint64_t news;
};

static uint64_t mixed(uint64_t x)
{
    x ^= x >> 33;
    x *= 0xFF51AFD7ED558CCDu;
    x ^= x >> 33;
    x *= 0xC4CEB9FE1A85EC53u;
    return x ^ x >> 33;
}

static enum err take_batch(struct op *op, struct tx *tx, void *arg)
{
    struct batch *batch = arg;
    batch->news = 0;
    for (uint64_t i = batch->from; i < batch->from + batch->n; i++) {
        const uint64_t key[2] = { mixed(2 * i + 1), mixed(2 * i + 2) };
        bool is_new;
        TRY(store_dedupe_take(op, tx, DAY, key, &is_new));
        batch->news += is_new;
    }
    return OK;
}

/* Takes [from, to) and prints the rate and the slowest commit. */
static void measure(struct store *store, const char *what, uint64_t from, uint64_t to, uint64_t stride)
{
    struct arena *arena = arena_new(1 << 20);
    struct op op;
    uint64_t news = 0, taken = 0;
    int64_t start_us = clock_mono_us(), slowest_us = 0;
    op_init(&op, arena, 0);
    for (uint64_t at = from; at < to; at += stride) {
        struct batch batch = { at, PER_COMMIT, 0 };
        int64_t before_us = clock_mono_us();
        if (store_write(&op, store, take_batch, &batch) != OK) {
            fprintf(stderr, "%s\n", op.error);
            exit(1);
        }
        int64_t took_us = clock_mono_us() - before_us;
        if (took_us > slowest_us)
            slowest_us = took_us;
        taken += PER_COMMIT;
        news += batch.news;
    }
    double seconds = (double)(clock_mono_us() - start_us) / 1e6;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf("{\"bench\":\"dedupe\",\"what\":\"%s\",\"taken\":%llu,\"new\":%llu,\"per_second\":%.0f,\"slowest_ms\":%.1f,"
           "\"memory_mb\":%ld}\n",
           what, (unsigned long long)taken, (unsigned long long)news, (double)taken / seconds, (double)slowest_us / 1e3,
           usage.ru_maxrss / 1024);
    arena_free(arena);
}

int main(int argc, char **argv)
{
    char directory[256] = "/tmp/posthouse-bench-XXXXXX";
    if (argc > 1)
        snprintf(directory, sizeof directory, "%s/posthouse-bench-XXXXXX", argv[1]);
    if (!mkdtemp(directory))
        return 1;
    struct store_config config = { .directory = directory };
    struct store *store;
    struct op op;
    struct arena *arena = arena_new(1 << 20);
    op_init(&op, arena, 0);
    if (store_open(&op, &config, &store) != OK) {
        fprintf(stderr, "%s\n", op.error);
        return 1;
    }
    for (uint64_t million = 0; million < 5; million++)
        measure(store, "new keys, next million", million * 1000000, (million + 1) * 1000000, PER_COMMIT);
    measure(store, "known keys, newest first million", 4000000, 4990000, PER_COMMIT);
    measure(store, "known keys, spread", 0, 4990000, 5 * PER_COMMIT);
    store_close(store);
    if (store_open(&op, &config, &store) != OK)
        return 1;
    measure(store, "new keys after a restart", 5010000, 5310000, PER_COMMIT);
    store_close(store);
    char command[300];
    snprintf(command, sizeof command, "ls -l %s | awk 'NR>1 {printf \"%%s %%.1f MB\\n\", $9, $5/1048576}'; rm -r %s",
             directory, directory);
    int rc = system(command);
    arena_free(arena);
    return rc;
}
