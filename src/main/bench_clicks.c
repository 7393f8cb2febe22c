#include "main/bench_clicks.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "engine/tenants.h"
#include "main/rig.h"
#include "main/settle.h"

#define TENANT       "bench"
#define MEMORY_BYTES (64u << 20)
#define BODY_BYTES   (1u << 20) /* of a request that makes a chunk */
#define MEMBER_BYTES 37

struct bench_clicks *bench_clicks_new(int64_t members, int64_t links)
{
    struct bench_clicks *clicks = calloc(1, sizeof *clicks);
    if (!clicks)
        abort();
    snprintf(clicks->mailing, sizeof clicks->mailing, "bench-%016llx", (unsigned long long)random_u64());
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

static struct str url_text(struct op *op, int64_t no)
{
    return arena_fmt(op->arena, "https://shop.example.org/p/%lld?u=%%%%{uuid}%%%%", (long long)no);
}

/* --- in a store ------------------------------------------------------------------- */

static enum err make_mailing(struct op *op, struct tx *tx, void *arg)
{
    struct bench_clicks *clicks = arg;
    struct tenant tenant;
    struct mailing mailing;
    struct tenant_put tenant_put = { .timezone = S("Europe/London") };
    struct mailing_put put = { .tenant = S(TENANT), .track_opens = true, .track_clicks = true };
    TRY(tenant_store(op, tx, S(TENANT), &tenant_put, &tenant));
    return mailing_store(op, tx, str_of(clicks->mailing), &put, &mailing);
}

static enum err make_members(struct op *op, struct tx *tx, void *arg)
{
    struct bench_clicks *clicks = arg;
    struct import_chunk chunk = { .kind = IMPORT_MAILING, .mailing = str_of(clicks->mailing), .lines = clicks->lines };
    for (; clicks->from + (int64_t)chunk.count < clicks->to; chunk.count++) {
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
    struct link_put put = { .tenant = S(TENANT), .mailing = str_of(clicks->mailing) };
    for (int64_t i = clicks->from; i < clicks->to; i++) {
        struct link link;
        bool made;
        put.url = url_text(op, i);
        TRY(link_make(op, tx, &put, 0, 0, &link, &made));
        memcpy(clicks->codes[i], link.code.p, LINK_CODE_BYTES);
    }
    return OK;
}

/* --- through the API -------------------------------------------------------------- */

static enum err send_lines(struct op *op, struct http_easy *api, const char *path, struct buf *lines,
                           struct str *ret_json)
{
    struct http_easy_request request = {
        .method = "POST", .path = path, .content_type = "application/x-ndjson", .body = buf_str(lines), .read_bytes = -1
    };
    struct http_easy_answer answer;
    TRY(http_easy_send(op, api, &request, &answer));
    *ret_json = answer.body;
    return answer.status == 200 ? OK
                                : fail(op, ERR_IO, "POST %s answered %d: %.*s", path, answer.status, STR(answer.body));
}

static enum err put_mailing(struct op *op, struct bench_clicks *clicks, struct http_easy *api)
{
    const char *path = arena_fmt(op->arena, "/v1/mailings/%s", clicks->mailing).p;
    TRY(rig_ask(op, api, "PUT", "/v1/tenants/" TENANT, S("{\"timezone\":\"Europe/London\"}"), NULL));
    return rig_ask(op, api, "PUT", path, S("{\"tenant\":\"" TENANT "\"}"), NULL);
}

static enum err post_members(struct op *op, struct bench_clicks *clicks, struct http_easy *api)
{
    struct buf lines;
    struct str json;
    buf_init_arena(&lines, op->arena, BODY_BYTES);
    for (int64_t i = clicks->from; i < clicks->to; i++) {
        char member[MEMBER_BYTES];
        member_text(i, member);
        buf_add_fmt(&lines, "{\"recipient\":\"%s@reader.example\",\"member\":\"%s\"}\n", member, member);
    }
    return send_lines(op, api, arena_fmt(op->arena, "/v1/mailings/%s/messages", clicks->mailing).p, &lines, &json);
}

/* Every link that was made has its code in the answer, in order. */
static enum err take_codes(struct op *op, struct bench_clicks *clicks, struct str json)
{
    struct str name = S("\"code\":\"");
    for (int64_t i = clicks->from; i < clicks->to; i++) {
        size_t at = str_search(json, name) + name.n;
        if (at + LINK_CODE_BYTES > json.n)
            return fail(op, ERR_IO, "%lld links were not made", (long long)(clicks->to - i));
        memcpy(clicks->codes[i], json.p + at, LINK_CODE_BYTES);
        json = (struct str){ json.p + at, json.n - at };
    }
    return OK;
}

static enum err post_links(struct op *op, struct bench_clicks *clicks, struct http_easy *api)
{
    struct buf lines;
    struct str json;
    buf_init_arena(&lines, op->arena, BODY_BYTES);
    for (int64_t i = clicks->from; i < clicks->to; i++)
        buf_add_fmt(&lines, "{\"url\":\"%.*s\",\"tenant\":\"" TENANT "\",\"mailing\":\"%s\"}\n", STR(url_text(op, i)),
                    clicks->mailing);
    TRY(send_lines(op, api, "/v1/links", &lines, &json));
    return take_codes(op, clicks, json);
}

enum err bench_clicks_settle(struct op *op, struct bench_clicks *clicks, struct http_easy *api)
{
    static const struct str nothing = { 0 };
    struct str metrics, none = S("\nposthouse_click_spool_records 0\n");
    struct arena *arena = op->arena;
    enum err err = OK;
    op->arena = arena_new(MEMORY_BYTES);
    do {
        arena_reset(op->arena);
        const char *path = arena_fmt(op->arena, "/v1/links/%.*s", LINK_CODE_BYTES, clicks->codes[0]).p;
        /* Figures are answered when the clicks before are in them, or after a second (LNK-11). */
        err = rig_ask(op, api, "GET", path, nothing, NULL);
        if (err == OK)
            err = rig_ask(op, api, "GET", "/metrics", nothing, &metrics);
    } while (err == OK && str_search(metrics, none) == metrics.n);
    arena_free(op->arena);
    op->arena = arena;
    return err;
}

/* --- both ------------------------------------------------------------------------- */

struct filling {
    struct bench_clicks *clicks;
    struct store *store;
    struct http_easy *api; /* not NULL: through this */
    const struct bench_clicks_progress *progress;
};

/* One kind of what is made: by a command, or by a request. */
struct making {
    enum err (*make)(struct op *op, struct tx *tx, void *arg);
    enum err (*post)(struct op *op, struct bench_clicks *clicks, struct http_easy *api);
};

static const struct making of_mailing = { make_mailing, put_mailing };
static const struct making of_members = { make_members, post_members };
static const struct making of_links = { make_links, post_links };

/* By a request, in the daemon's writer, or in this thread. */
static enum err make(struct op *op, const struct filling *filling, const struct making *making)
{
    if (filling->api)
        return making->post(op, filling->clicks, filling->api);
    return filling->store ? store_write(op, filling->store, making->make, filling->clicks)
                          : settle(op, making->make, filling->clicks);
}

static enum err make_all(struct op *op, const struct filling *filling, const struct making *making, int64_t *made,
                         int64_t count)
{
    struct bench_clicks *clicks = filling->clicks;
    while (*made < count) {
        arena_reset(op->arena);
        clicks->from = *made;
        clicks->to = count - *made < BENCH_CLICKS_CHUNK ? count : *made + BENCH_CLICKS_CHUNK;
        TRY(make(op, filling, making));
        *made = clicks->to;
        if (filling->progress)
            filling->progress->made(filling->progress->data, clicks->members_made + clicks->links_made);
    }
    return OK;
}

static enum err fill(struct op *op, const struct filling *filling)
{
    struct bench_clicks *clicks = filling->clicks;
    struct op own;
    op_init(&own, arena_new(MEMORY_BYTES), clock_wall_us());
    enum err err = clicks->members_made ? OK : make(&own, filling, &of_mailing);
    if (err == OK)
        err = make_all(&own, filling, &of_members, &clicks->members_made, clicks->members);
    if (err == OK)
        err = make_all(&own, filling, &of_links, &clicks->links_made, clicks->links);
    op_inherit(op, err, &own);
    arena_free(own.arena);
    return err;
}

enum err bench_clicks_fill(struct op *op, struct bench_clicks *clicks, struct store *store,
                           const struct bench_clicks_progress *progress)
{
    struct filling filling = { .clicks = clicks, .store = store, .progress = progress };
    return fill(op, &filling);
}

enum err bench_clicks_fill_by_api(struct op *op, struct bench_clicks *clicks, struct http_easy *api,
                                  const struct bench_clicks_progress *progress)
{
    struct filling filling = { .clicks = clicks, .api = api, .progress = progress };
    return fill(op, &filling);
}

/* --- the load --------------------------------------------------------------------- */

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
