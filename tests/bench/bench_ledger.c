/*
 * bench_ledger.c - how fast parsed events become figures: the ledger with every rule in force.
 *
 *     bench_ledger [messages] [events] [per commit]
 *
 * Mailings of 100,000; the events are of the newest one, in random order: all
 * are delivered, half are opened, an eighth clicked. Prints lines per second of
 * the import and events per second of the rest.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/random.h"
#include "engine/import.h"
#include "engine/ledger.h"
#include "engine/tenants.h"
#include "must.h"

#define MAILING_SIZE 100000
#define T0           INT64_C(1700000000000000)

struct bench {
    struct import_chunk chunk;
    struct import_line lines[IMPORT_CHUNK_LINES];
    char mailing[32];
    struct provider_event *events;
    size_t count;
    int64_t results[RESULT_COUNT];
};

static enum err make_mailing(struct op *op, struct tx *tx, void *arg)
{
    struct bench *b = arg;
    struct tenant tenant;
    struct mailing mailing;
    struct tenant_put tenant_put = { .timezone = S("Europe/London") };
    struct mailing_put put = { .tenant = S("acme"), .track_opens = true, .track_clicks = true };
    TRY(tenant_store(op, tx, S("acme"), &tenant_put, &tenant));
    return mailing_store(op, tx, str_of(b->mailing), &put, &mailing);
}

static enum err import_chunk(struct op *op, struct tx *tx, void *arg)
{
    return import_apply(op, tx, &((struct bench *)arg)->chunk);
}

static enum err apply_events(struct op *op, struct tx *tx, void *arg)
{
    struct bench *b = arg;
    for (size_t i = 0; i < b->count; i++) {
        enum event_result result;
        TRY(ledger_apply(op, tx, S("mg"), 1, 1, &b->events[i], &result));
        b->results[result]++;
    }
    return OK;
}

static struct str text(struct arena *arena, const char *format, int64_t number)
{
    char line[128];
    snprintf(line, sizeof line, format, (long long)number);
    return arena_str(arena, str_of(line));
}

static void import_all(struct op *op, struct store *store, struct bench *b, int64_t messages)
{
    for (int64_t done = 0; done < messages; done += IMPORT_CHUNK_LINES) {
        if (done % MAILING_SIZE == 0) {
            snprintf(b->mailing, sizeof b->mailing, "m-%lld", (long long)(done / MAILING_SIZE));
            must(op, store_write(op, store, make_mailing, b));
        }
        arena_reset(op->arena);
        b->chunk = (struct import_chunk){
            .kind = IMPORT_MAILING, .mailing = str_of(b->mailing), .lines = b->lines, .count = IMPORT_CHUNK_LINES
        };
        for (int i = 0; i < IMPORT_CHUNK_LINES; i++)
            b->lines[i] =
                (struct import_line){ .number = i + 1,
                                      .recipient = text(op->arena, "person.%lld@example.org", done + i),
                                      .member = text(op->arena, "member-%lld", (done + i) % 1000000),
                                      .provider_message_id = text(op->arena, "20261121.%lld@mg.example.org", done + i),
                                      .channel = CHANNEL_EMAIL,
                                      .key = KEY_NORMAL,
                                      .created_at_us = INT64_MIN };
        must(op, store_write(op, store, import_chunk, b));
    }
}

/* Which events of the newest mailing there are, shuffled: message number * 4 + kind. */
static uint32_t *shuffled_events(size_t events, int64_t messages, struct rng *rng)
{
    uint32_t *order = malloc(events * sizeof *order);
    int64_t first = messages - MAILING_SIZE;
    for (size_t i = 0; i < events; i++) {
        uint32_t person = (uint32_t)(i % MAILING_SIZE);
        size_t round = i / MAILING_SIZE;
        order[i] = (uint32_t)((uint32_t)first + person) * 4 + (uint32_t)(round == 0 ? 0 : i % 8 == 0 ? 2 : 1);
    }
    for (size_t i = events; i > 1; i--) {
        size_t k = (size_t)rng_below(rng, i);
        uint32_t swap = order[i - 1];
        order[i - 1] = order[k];
        order[k] = swap;
    }
    return order;
}

static void fill_event(struct op *op, struct store *store, struct bench *b, size_t i, uint32_t code, int64_t at_us,
                       int64_t number)
{
    static const enum event_kind kinds[] = { EVENT_DELIVERED, EVENT_OPENED, EVENT_CLICKED };
    static const char *const types[] = { "delivered", "opened", "clicked" };
    struct provider_event *event = &b->events[i];
    *event = (struct provider_event){ .kind = kinds[code % 4],
                                      .type = types[code % 4],
                                      .at_us = at_us,
                                      .event_id = text(op->arena, "Ev%018lldx", number),
                                      .mailing = str_of(b->mailing),
                                      .recipient = text(op->arena, "person.%lld@example.org", code / 4),
                                      .provider_message_id = text(op->arena, "20261121.%lld@mg.example.org", code / 4),
                                      .code = EVENT_CODE_NONE };
    if (code % 4) {
        event->ip = text(op->arena, "192.0.2.%lld", code % 250);
        event->agent = S("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36");
        event->url = code % 4 == 2 ? text(op->arena, "https://example.org/article/%lld", code % 9) : (struct str){ 0 };
    }
    provider_event_key(event, store_hash_key(store), S("mg"));
}

/* Processor seconds of this process: what counts when the machine has other work. */
static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds_since(int64_t began_us)
{
    return (double)(clock_mono_us() - began_us) / 1e6;
}

int main(int argc, char **argv)
{
    int64_t messages = argc > 1 ? atoll(argv[1]) : 1000000;
    size_t events = argc > 2 ? (size_t)atoll(argv[2]) : 300000;
    size_t group = argc > 3 ? (size_t)atoll(argv[3]) : 3000;
    char directory[] = "/tmp/bench-ledger-XXXXXX";
    if (!mkdtemp(directory))
        return 1;
    struct op op;
    op_init(&op, arena_new(256 << 20), T0 + INT64_C(86400000000));
    struct store_config config = { .directory = directory, .cache_bytes = 64 << 20 };
    struct store *store;
    must(&op, store_open(&op, &config, &store));
    static struct bench b;

    int64_t began_us = clock_mono_us();
    import_all(&op, store, &b, messages);
    double import_s = seconds_since(began_us);
    printf("import: %lld lines in %.2f s, %.0f/s, %.2f s of processor\n", (long long)messages, import_s,
           (double)messages / import_s, cpu_s());

    struct rng rng;
    rng_init(&rng, 1);
    uint32_t *order = shuffled_events(events, messages, &rng);
    b.events = malloc(group * sizeof *b.events);
    double apply_s = 0, apply_cpu_s = 0;
    for (size_t done = 0; done < events; done += b.count) {
        arena_reset(op.arena);
        b.count = events - done < group ? events - done : group;
        for (size_t i = 0; i < b.count; i++)
            fill_event(&op, store, &b, i, order[done + i], T0 + (int64_t)(done + i) * 1000, (int64_t)(done + i));
        int64_t group_us = clock_mono_us();
        double group_cpu_s = cpu_s();
        must(&op, store_write(&op, store, apply_events, &b));
        apply_s += seconds_since(group_us);
        apply_cpu_s += cpu_s() - group_cpu_s;
    }
    printf("apply: %zu events in %.2f s, %.0f/s, %.2f s of processor; applied %lld unchanged %lld\n", events, apply_s,
           (double)events / apply_s, apply_cpu_s, (long long)b.results[RESULT_APPLIED],
           (long long)b.results[RESULT_UNCHANGED]);
    store_close(store);
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command) == 0 ? 0 : 1;
}
