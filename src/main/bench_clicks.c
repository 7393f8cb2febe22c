#include "main/bench_clicks.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "engine/tenants.h"
#include "main/settle.h"

#define TENANT       "bench"
#define MAILING      "bench"
#define MEMORY_BYTES (64u << 20)
#define MEMBER_BYTES 37

struct bench_clicks *bench_clicks_new(int64_t members, int64_t links)
{
    struct bench_clicks *clicks = calloc(1, sizeof *clicks);
    if (!clicks)
        abort();
    clicks->members = members;
    clicks->links = links;
    clicks->codes = malloc((size_t)links * sizeof *clicks->codes);
    if (!clicks->codes)
        abort();
    rng_init(&clicks->rng, 1);
    return clicks;
}

void bench_clicks_free(struct bench_clicks *clicks)
{
    free(clicks->codes);
    free(clicks);
}

/* A UUID that says which member it is. */
static void member_text(int64_t no, char ret[MEMBER_BYTES])
{
    snprintf(ret, MEMBER_BYTES, "%08x-58f0-4a52-9d5e-%012llx", (unsigned)((uint64_t)no * 2654435761u),
             (unsigned long long)no);
}

static enum err make_mailing(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct tenant tenant;
    struct mailing mailing;
    struct tenant_put tenant_put = { .timezone = S("Europe/London") };
    struct mailing_put put = { .tenant = S(TENANT), .track_opens = true, .track_clicks = true };
    TRY(tenant_store(op, tx, S(TENANT), &tenant_put, &tenant));
    return mailing_store(op, tx, S(MAILING), &put, &mailing);
}

static enum err make_members(struct op *op, struct tx *tx, void *arg)
{
    struct bench_clicks *clicks = arg;
    struct import_chunk chunk = { .kind = IMPORT_MAILING, .mailing = S(MAILING), .lines = clicks->lines };
    for (; chunk.count < BENCH_CLICKS_CHUNK && clicks->from + (int64_t)chunk.count < clicks->members; chunk.count++) {
        char member[MEMBER_BYTES];
        member_text(clicks->from + (int64_t)chunk.count, member);
        clicks->lines[chunk.count] =
            (struct import_line){ .number = (int64_t)chunk.count + 1,
                                  .recipient = arena_fmt(op->arena, "%s@reader.example", member),
                                  .member = arena_str(op->arena, str_of(member)),
                                  .channel = CHANNEL_EMAIL,
                                  .key = KEY_NORMAL,
                                  .created_at_us = INT64_MIN };
    }
    return import_apply(op, tx, &chunk);
}

static enum err make_links(struct op *op, struct tx *tx, void *arg)
{
    struct bench_clicks *clicks = arg;
    struct link_put put = { .tenant = S(TENANT), .mailing = S(MAILING) };
    for (int64_t i = clicks->from; i < clicks->from + BENCH_CLICKS_CHUNK && i < clicks->links; i++) {
        struct link link;
        bool made;
        put.url = arena_fmt(op->arena, "https://shop.example.org/p/%lld?u=%%%%{uuid}%%%%", (long long)i);
        TRY(link_make(op, tx, &put, 0, 0, &link, &made));
        memcpy(clicks->codes[i], link.code.p, LINK_CODE_BYTES);
    }
    return OK;
}

/* In the daemon's writer, or in this thread. */
static enum err write(struct op *op, struct store *store, enum err (*fn)(struct op *op, struct tx *tx, void *arg),
                      void *arg)
{
    return store ? store_write(op, store, fn, arg) : settle(op, fn, arg);
}

struct filling {
    struct bench_clicks *clicks;
    struct store *store;
    void (*done)(void *data, int64_t count);
    void *data;
    int64_t made;
};

static enum err fill(struct op *op, struct filling *filling, int64_t count,
                     enum err (*make)(struct op *op, struct tx *tx, void *arg))
{
    struct bench_clicks *clicks = filling->clicks;
    for (clicks->from = 0; clicks->from < count; clicks->from += BENCH_CLICKS_CHUNK) {
        arena_reset(op->arena);
        TRY(write(op, filling->store, make, clicks));
        filling->made += BENCH_CLICKS_CHUNK;
        if (filling->done)
            filling->done(filling->data, filling->made);
    }
    return OK;
}

enum err bench_clicks_fill(struct op *op, struct bench_clicks *clicks, struct store *store,
                           void (*done)(void *data, int64_t count), void *data)
{
    struct op own;
    op_init(&own, arena_new(MEMORY_BYTES), clock_wall_us());
    struct filling filling = { .clicks = clicks, .store = store, .done = done, .data = data };
    enum err err = write(&own, store, make_mailing, NULL);
    if (err == OK)
        err = fill(&own, &filling, clicks->members, make_members);
    if (err == OK)
        err = fill(&own, &filling, clicks->links, make_links);
    if (err != OK)
        fail(op, err, "%s", own.error);
    arena_free(own.arena);
    return err;
}

static char *put(char *at, const char *text, size_t n)
{
    memcpy(at, text, n);
    return at + n;
}

#define PUT(at, literal) put(at, literal, sizeof literal - 1)

size_t bench_clicks_next(void *data, char ret_request[LOAD_REQUEST_BYTES_MAX])
{
    struct bench_clicks *clicks = data;
    char member[MEMBER_BYTES];
    member_text((int64_t)rng_below(&clicks->rng, (uint64_t)clicks->members), member);
    char *at = PUT(ret_request, "GET /r/");
    at = put(at, clicks->codes[rng_below(&clicks->rng, (uint64_t)clicks->links)], LINK_CODE_BYTES);
    at = PUT(at, "?m=");
    at = put(at, member, MEMBER_BYTES - 1);
    at = PUT(at, " HTTP/1.1\r\nHost: news.example.org\r\n"
                 "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
                 "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8\r\nAccept-Language: en-GB,en;q=0.5\r\n\r\n");
    return (size_t)(at - ret_request);
}
