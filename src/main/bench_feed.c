#include "main/bench_feed.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/simulate_render.h"
#include "engine/tenants.h"
#include "main/rig.h"

#define PAGE_MAX 3000

struct bench_feed *bench_feed_new(struct op *op, struct store *store, uint32_t recipients)
{
    struct bench_feed *feed = calloc(1, sizeof *feed);
    if (!feed)
        abort();
    assert(recipients % IMPORT_CHUNK_LINES == 0);
    feed->op = op;
    feed->recipients = recipients;
    memcpy(feed->hash_key, store_hash_key(store), sizeof feed->hash_key);
    return feed;
}

void bench_feed_free(struct bench_feed *feed)
{
    if (feed->sim)
        sim_close(feed->sim);
    free(feed);
}

/* --- filling --- */

static enum err make_mailing(struct op *op, struct tx *tx, void *arg)
{
    const struct bench_feed *feed = arg;
    struct tenant tenant;
    struct mailing mailing;
    struct tenant_put tenant_put = { .timezone = S("Europe/London") };
    struct mailing_put put = { .tenant = S(RIG_TENANT), .track_opens = true, .track_clicks = true };
    TRY(tenant_store(op, tx, S(RIG_TENANT), &tenant_put, &tenant));
    return mailing_store(op, tx, str_of(feed->mailing), &put, &mailing);
}

static enum err import_chunk(struct op *op, struct tx *tx, void *arg)
{
    return import_apply(op, tx, &((struct bench_feed *)arg)->chunk);
}

static void fill_line(struct bench_feed *feed, struct import_line *line, uint32_t no)
{
    struct sim_recipient recipient;
    sim_recipient(feed->sim, no, &recipient);
    *line = (struct import_line){ .number = no + 1,
                                  .recipient = arena_str(feed->op->arena, recipient.address),
                                  .member = arena_str(feed->op->arena, recipient.member),
                                  .provider_message_id = arena_str(feed->op->arena, recipient.provider_message_id),
                                  .channel = CHANNEL_EMAIL,
                                  .key = KEY_NORMAL,
                                  .created_at_us = INT64_MIN };
}

enum err bench_feed_fill(struct bench_feed *feed, struct store *store, int64_t n,
                         void (*done)(void *data, int64_t recipients), void *data)
{
    TRY(bench_feed_open(feed, n));
    TRY(store_write(feed->op, store, make_mailing, feed));
    for (uint32_t no = 0; no < feed->recipients; no += IMPORT_CHUNK_LINES) {
        arena_reset(feed->op->arena);
        feed->chunk = (struct import_chunk){
            .kind = IMPORT_MAILING, .mailing = str_of(feed->mailing), .lines = feed->lines, .count = IMPORT_CHUNK_LINES
        };
        for (uint32_t i = 0; i < IMPORT_CHUNK_LINES; i++)
            fill_line(feed, &feed->lines[i], no + i);
        TRY(store_write(feed->op, store, import_chunk, feed));
        if (done)
            done(data, n * feed->recipients + no);
    }
    return OK;
}

/* --- reports --- */

enum err bench_feed_open(struct bench_feed *feed, int64_t n)
{
    snprintf(feed->mailing, sizeof feed->mailing, "mailing-%lld", (long long)n);
    if (feed->sim)
        sim_close(feed->sim);
    feed->sim = NULL;
    feed->query = (struct sim_query){ .begin_us = 0, .end_us = INT64_MAX, .types = SIM_TYPES_ALL };
    struct sim_config config = { .seed = (uint64_t)n + 1,
                                 .mailing = str_of(feed->mailing),
                                 .recipients = feed->recipients,
                                 .start_us = feed->op->now_us - INT64_C(172800000000),
                                 .compress_milli = 1000 };
    return sim_open(feed->op, &config, &feed->sim);
}

enum err bench_feed_page(struct bench_feed *feed, struct str source, bool keep, struct provider_event *ret, size_t max,
                         size_t *ret_count)
{
    static struct sim_event page[PAGE_MAX];
    assert(max <= PAGE_MAX);
    if (!keep)
        arena_reset(feed->op->arena);
    size_t got = sim_page(feed->sim, &feed->query, INT64_MAX, page, max);
    for (size_t i = 0; i < got; i++) {
        TRY(sim_provider_event(feed->op, feed->sim, &page[i], &ret[i]));
        provider_event_key(&ret[i], feed->hash_key, source);
    }
    if (got > 0) {
        feed->query.place = sim_place_of(&page[got - 1]);
        feed->query.from_place = true;
    }
    *ret_count = got;
    return OK;
}

enum err bench_page_apply(struct op *op, struct tx *tx, void *arg)
{
    struct bench_page *page = arg;
    TRY(ledger_prefetch(op, tx, page->events, page->count));
    for (size_t i = 0; i < page->count; i++) {
        enum event_result result;
        TRY(ledger_apply(op, tx, page->source, 1, 1, &page->events[i], &result));
        page->results[result]++;
    }
    return OK;
}
