/*
 * simulate_hooks.c - webhooks of the stand-in: what happens is posted, signed, and tried again when nobody took it.
 */
#include "serve/simulate_door.h"

#include "base/duration.h"
#include "base/json_fields.h"
#include "base/random.h"
#include "engine/simulate_dice.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * Webhooks: each visible item of the share is posted, signed, to one URL.
 *
 *   became visible -> waiting -> under way -> 2xx: done
 *                        ^           |        406: refused for good
 *                        +-- timer --+ anything else: again after 10, 10, 15, 30, 60, 120, 240 min (divided)
 *
 * A repetition carries the same token, timestamp and body, as the provider's do
 * (SRC-28). Garbage is only ever polled: the provider does not post it.
 */
#define TICK_MS      20
#define SLICE_US     1000000 /* of visible time taken in at once, while the waiting ones are few */
#define SLICES_MAX   2000    /* a tick */
#define WAITING_HIGH 20000   /* above this nothing more is taken in */
#define RETRIES_MAX  100000
#define UNDER_WAY    HTTP_CLIENT_HOST_MAX
#define TOKEN_BYTES  50

static const int retry_minutes[] = { 10, 10, 15, 30, 60, 120, 240 };
#define RETRIES (int)(sizeof retry_minutes / sizeof *retry_minutes)

struct hook {
    struct sim_event event;
    char token[TOKEN_BYTES];
    int64_t timestamp_s; /* 0 before the first attempt */
    int attempts;
};

struct waiting {
    struct hook *items;
    size_t count, room, head; /* [head, count) */
};

struct retry {
    struct timer timer;
    struct retry *next, *before;
    struct hooks *hooks;
    struct hook hook;
};

struct posting {
    struct fetch fetch;
    struct hooks *hooks;
    struct hook hook;
    struct buf body;
    bool busy;
};

struct hooks {
    struct stand_in *stand_in;
    struct timer tick;
    char url[512];
    int64_t share_ppm;
    bool random, stopped;
    int64_t taken_until_us;
    struct rng rng;
    struct waiting waiting;
    struct retry *retries;
    size_t retry_count;
    struct posting postings[UNDER_WAY];
    int64_t sent, delivered, refused, failed, given_up;
};

/* -------------------------------------------------------------------------------------------- waiting */

static void waiting_add(struct waiting *waiting, const struct hook *hook)
{
    if (waiting->head == waiting->count)
        waiting->head = waiting->count = 0;
    if (waiting->count == waiting->room) {
        waiting->room = waiting->room ? 2 * waiting->room : 1024;
        waiting->items = realloc(waiting->items, waiting->room * sizeof *waiting->items);
        if (!waiting->items)
            abort();
    }
    waiting->items[waiting->count++] = *hook;
}

static struct hook waiting_take(struct hooks *hooks)
{
    struct waiting *waiting = &hooks->waiting;
    size_t at = waiting->head;
    if (hooks->random)
        at += rng_below(&hooks->rng, waiting->count - waiting->head);
    struct hook hook = waiting->items[at];
    waiting->items[at] = waiting->items[waiting->head++];
    return hook;
}

static void take_event(void *data, const struct sim_event *event)
{
    struct hooks *hooks = data;
    struct sim_dice dice = sim_dice_of(sim_config(hooks->stand_in->sim)->seed, 100, event->no, event->n);
    struct hook hook = { .event = *event };
    if (event->flags & SIM_GARBAGE || !sim_dice_share(&dice, hooks->share_ppm))
        return;
    for (size_t i = 0; i < TOKEN_BYTES; i++)
        hook.token[i] = "0123456789abcdef"[rng_below(&hooks->rng, 16)];
    waiting_add(&hooks->waiting, &hook);
}

static void take_in(struct hooks *hooks)
{
    int64_t now_us = stand_in_now_us(hooks->stand_in);
    for (int i = 0; i < SLICES_MAX && hooks->taken_until_us < now_us; i++) {
        if (hooks->waiting.count - hooks->waiting.head > WAITING_HIGH)
            return;
        int64_t until_us = hooks->taken_until_us + SLICE_US < now_us ? hooks->taken_until_us + SLICE_US : now_us;
        sim_became_visible(hooks->stand_in->sim, SIM_TYPES_ALL, hooks->taken_until_us, until_us, take_event, hooks);
        hooks->taken_until_us = until_us;
    }
}

/* -------------------------------------------------------------------------------------------- posting */

static void put_body(struct hooks *hooks, struct posting *posting)
{
    const struct hook *hook = &posting->hook;
    struct sim_seal seal = { .key = str_of(hooks->stand_in->signing_key),
                             .token = { hook->token, TOKEN_BYTES },
                             .timestamp_s = hook->timestamp_s };
    buf_reset(&posting->body);
    sim_render_hook(hooks->stand_in->sim, &hook->event, &seal, &posting->body);
}

static void fill(struct hooks *hooks);

static void retry_unlink(struct retry *retry)
{
    struct hooks *hooks = retry->hooks;
    if (retry->next)
        retry->next->before = retry->before;
    *(retry->before ? &retry->before->next : &hooks->retries) = retry->next;
    hooks->retry_count--;
}

static void retry_run(struct timer *timer)
{
    struct retry *retry = (struct retry *)(void *)timer; /* its first member */
    struct hooks *hooks = retry->hooks;
    waiting_add(&hooks->waiting, &retry->hook);
    retry_unlink(retry);
    free(retry);
    fill(hooks);
}

static void try_later(struct hooks *hooks, const struct hook *hook)
{
    int64_t wait_us = retry_minutes[hook->attempts - 1] * INT64_C(60000000);
    struct retry *retry = hooks->retry_count < RETRIES_MAX ? calloc(1, sizeof *retry) : NULL;
    if (!retry) {
        hooks->given_up++;
        return;
    }
    *retry = (struct retry){ .hooks = hooks, .hook = *hook, .next = hooks->retries };
    retry->timer.run = retry_run;
    if (retry->next)
        retry->next->before = retry;
    hooks->retries = retry;
    hooks->retry_count++;
    int64_t compressed_us = wait_us * 1000 / sim_config(hooks->stand_in->sim)->compress_milli;
    loop_timer_set(hooks->stand_in->loop, &retry->timer, compressed_us / 1000);
}

static void answered(struct fetch *fetch)
{
    struct posting *posting = fetch->data;
    struct hooks *hooks = posting->hooks;
    bool was_answered = fetch->err == OK;
    posting->busy = false;
    if (was_answered && fetch->status / 100 == 2)
        hooks->delivered++;
    else if (was_answered && fetch->status == 406)
        hooks->refused++;
    else if (hooks->stopped)
        ;
    else if (posting->hook.attempts > RETRIES)
        hooks->given_up++;
    else {
        hooks->failed++;
        try_later(hooks, &posting->hook);
    }
    fetch_free(fetch);
    if (!hooks->stopped)
        fill(hooks);
}

static void send(struct hooks *hooks, struct posting *posting)
{
    struct hook *hook = &posting->hook;
    if (hook->attempts++ == 0)
        hook->timestamp_s = loop_wall_us(hooks->stand_in->loop) / 1000000;
    put_body(hooks, posting);
    posting->busy = true;
    posting->fetch = (struct fetch){
        .method = S("POST"),
        .url = str_of(hooks->url),
        .headers = { { S("Content-Type"), S("application/json") } },
        .header_count = 1,
        .body = buf_str(&posting->body),
        .done = answered,
        .data = posting,
    };
    hooks->sent++;
    http_fetch(hooks->stand_in->client, &posting->fetch);
}

/* Keeps every connection busy while something waits. */
static void fill(struct hooks *hooks)
{
    for (size_t i = 0; i < UNDER_WAY && hooks->waiting.head < hooks->waiting.count; i++) {
        struct posting *posting = &hooks->postings[i];
        if (posting->busy)
            continue;
        posting->hook = waiting_take(hooks);
        send(hooks, posting);
    }
}

static void hooks_tick(struct timer *timer)
{
    struct hooks *hooks = (struct hooks *)(void *)((char *)timer - offsetof(struct hooks, tick));
    take_in(hooks);
    fill(hooks);
    loop_timer_set(hooks->stand_in->loop, &hooks->tick, TICK_MS);
}

/* ----------------------------------------------------------------------------------------- start and stop */

struct hooks *hooks_new(struct stand_in *stand_in)
{
    struct hooks *hooks = calloc(1, sizeof *hooks);
    if (!hooks)
        abort();
    hooks->stand_in = stand_in;
    hooks->tick.run = hooks_tick;
    rng_init(&hooks->rng, random_u64());
    for (size_t i = 0; i < UNDER_WAY; i++) {
        hooks->postings[i].hooks = hooks;
        buf_init(&hooks->postings[i].body, 1 << 20);
    }
    return hooks;
}

/* Forgets what waits and what would be tried again; what is under way ends by itself. */
static void hooks_clear(struct hooks *hooks)
{
    loop_timer_clear(hooks->stand_in->loop, &hooks->tick);
    hooks->waiting.head = hooks->waiting.count = 0;
    struct retry *retry = hooks->retries;
    hooks->retries = NULL;
    hooks->retry_count = 0;
    while (retry) {
        struct retry *next = retry->next;
        loop_timer_clear(hooks->stand_in->loop, &retry->timer);
        free(retry);
        retry = next;
    }
}

void hooks_stop(struct hooks *hooks)
{
    hooks->stopped = true;
    hooks_clear(hooks);
}

void hooks_free(struct hooks *hooks)
{
    if (!hooks)
        return;
    for (size_t i = 0; i < UNDER_WAY; i++) {
        assert(!hooks->postings[i].busy);
        buf_done(&hooks->postings[i].body);
    }
    free(hooks->waiting.items);
    free(hooks);
}

/* ------------------------------------------------------------------------------------------ /sim/webhooks */

void hooks_get(struct stand_in *stand_in, struct http_request *request)
{
    const struct hooks *hooks = stand_in->hooks;
    struct buf buf = door_buf(request, 1024);
    struct json_writer w;
    size_t under_way = 0;
    for (size_t i = 0; i < UNDER_WAY; i++)
        under_way += hooks->postings[i].busy;
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_str(&w, "url", hooks->url[0] ? str_of(hooks->url) : (struct str){ NULL, 0 });
    json_member_int(&w, "waiting", (int64_t)(hooks->waiting.count - hooks->waiting.head));
    json_member_int(&w, "under_way", (int64_t)under_way);
    json_member_int(&w, "retrying", (int64_t)hooks->retry_count);
    json_member_int(&w, "sent", hooks->sent);
    json_member_int(&w, "delivered", hooks->delivered);
    json_member_int(&w, "refused", hooks->refused);
    json_member_int(&w, "failed", hooks->failed);
    json_member_int(&w, "given_up", hooks->given_up);
    json_object_end(&w);
    door_reply(request, 200, &buf);
}

struct wanted {
    struct str url, share, order, since;
};

enum { H_URL, H_SHARE, H_ORDER, H_SINCE, H_FIELDS };
static const struct json_field fields[H_FIELDS] = {
    [H_URL] = { "url", JSON_FIELD_STR, offsetof(struct wanted, url), 511, JSON_REQUIRED, 8 },
    [H_SHARE] = { "share", JSON_FIELD_RAW, offsetof(struct wanted, share), 16 },
    [H_ORDER] = { "order", JSON_FIELD_STR, offsetof(struct wanted, order), 16 },
    [H_SINCE] = { "since", JSON_FIELD_STR, offsetof(struct wanted, since), 16 },
};

static enum err read_wanted(struct op *op, struct stand_in *stand_in, struct str body)
{
    struct hooks *hooks = stand_in->hooks;
    struct wanted wanted = { .share = S("1"), .order = S("time"), .since = S("start") };
    int64_t share_ppm = 0;
    TRY(json_read_body(op, body, fields, H_FIELDS, &wanted, NULL, NULL));
    if (!sim_parse_decimal(wanted.share, 6, 1000000, &share_ppm))
        return fail_at(op, ERR_INVALID, "/share", "a share is between 0 and 1");
    if (!str_eq(wanted.order, S("time")) && !str_eq(wanted.order, S("random")))
        return fail_at(op, ERR_INVALID, "/order", "order is \"time\" or \"random\"");
    if (!str_eq(wanted.since, S("start")) && !str_eq(wanted.since, S("now")))
        return fail_at(op, ERR_INVALID, "/since", "since is \"start\" or \"now\"");
    hooks_clear(hooks);
    memcpy(hooks->url, wanted.url.p, wanted.url.n);
    hooks->url[wanted.url.n] = '\0';
    hooks->share_ppm = share_ppm;
    hooks->random = str_eq(wanted.order, S("random"));
    hooks->taken_until_us =
        str_eq(wanted.since, S("now")) ? stand_in_now_us(stand_in) : sim_config(stand_in->sim)->start_us - 1;
    hooks->sent = hooks->delivered = hooks->refused = hooks->failed = hooks->given_up = 0;
    return OK;
}

void hooks_post(struct stand_in *stand_in, struct http_request *request)
{
    enum err err = read_wanted(&request->op, stand_in, request->body);
    if (err != OK) {
        http_fail(request, err);
        return;
    }
    loop_timer_set(stand_in->loop, &stand_in->hooks->tick, 0);
    hooks_get(stand_in, request);
}

void hooks_delete(struct stand_in *stand_in, struct http_request *request)
{
    hooks_clear(stand_in->hooks);
    stand_in->hooks->url[0] = '\0';
    http_reply(request, 204, S(""), S(""));
}
