/*
 * poll_trip.c - one source of the poller: a request on its way, the page it brings, and the commit of that page.
 */
#include "base/log.h"
#include "engine/source_metrics.h"
#include "relay/poller_parts.h"

#define SAVE_ARENA_BYTES (1u << 20)

/* ---------------------------------------------------------------------------------------------------------- trips */

void trip_free(struct trip *trip)
{
    struct polled *source = trip->source;
    if (trip->is_fetched)
        fetch_free(&trip->fetch);
    poller_post_free(source->poller, &trip->post);
}

static struct trip *trip_new(struct polled *source, size_t arena_bytes)
{
    struct trip *trip = poller_post_new(source->poller, sizeof *trip, arena_bytes);
    trip->source = source;
    return trip;
}

static void link_trip(struct polled *source, struct trip *trip)
{
    trip->next = source->under_way;
    if (trip->next)
        trip->next->before = trip;
    source->under_way = trip;
}

static void unlink_trip(struct polled *source, struct trip *trip)
{
    if (trip->before)
        trip->before->next = trip->next;
    else
        source->under_way = trip->next;
    if (trip->next)
        trip->next->before = trip->before;
    trip->next = trip->before = NULL;
}

/* --------------------------------------------------------------------------------------------------------- commit */

static enum err trip_commit(struct post *post)
{
    struct trip *trip = (struct trip *)post;
    return source_commit(&post->op, post->tx, &trip->save, &trip->result);
}

static enum err trip_committed(struct post *post)
{
    struct trip *trip = (struct trip *)post;
    struct polled *source = trip->source;
    enum err err = post->err;
    if (err == OK)
        source_metrics_count(str_of(source->id), trip->save.lane, &trip->result);
    else
        log_warn("a page of a source could not be kept", LOG_TEXT("source", source->id), LOG_ERROR_OF(&post->op));
    uint64_t ticket = trip->save.ticket;
    struct source_result result = trip->result;
    trip_free(trip);
    source_saved(source->machine, ticket, err, &result, poller_now_us(source->poller));
    if (source->poller->is_stopping)
        return OK;
    if (source_is_fenced(source->machine) && !source->is_leaving)
        polled_load(source);
    polled_drive(source);
    return OK;
}

static const struct hop commit_route[] = {
    { .run = trip_commit, .thread = THREAD_WRITER, .bulk = true },
    { trip_committed, THREAD_CALLER },
    { 0 },
};

static void send_save(struct trip *trip)
{
    trip->post.op.now_us = poller_now_us(trip->source->poller);
    trip->life = trip->source->life;
    trip->save.node = node_self(&trip->life);
    trip->post.hop = commit_route;
    post_send(&trip->post);
}

void polled_save(struct polled *source, const struct source_save *save)
{
    struct trip *trip = trip_new(source, SAVE_ARENA_BYTES);
    trip->save = *save;
    send_save(trip);
}

/* ---------------------------------------------------------------------------------------------------------- fetch */

/* What went wrong with a request; FAULT_NONE when a page came and was read. */
static struct source_fault trip_read(struct trip *trip)
{
    struct polled *source = trip->source;
    struct fetch *fetch = &trip->fetch;
    struct op *op = &trip->post.op;
    int64_t now_us = poller_now_us(source->poller);
    op->now_us = source_now(source->machine, now_us);
    if (fetch->err == ERR_TOO_LARGE)
        return source_fault_make(FAULT_TOO_LARGE, "%s", fetch->error);
    if (fetch->err != OK)
        return source_fault_make(fetch->cut_off ? FAULT_UNREADABLE : FAULT_PROVIDER, "%s", fetch->error);

    int64_t wait_us = fetch_retry_after_ms(fetch, now_us) * 1000;
    struct source_fault fault = source_fault_of_status(fetch->status, trip->had_token, wait_us);
    if (fault.kind != FAULT_NONE)
        return fault;
    struct provider_source reading = {
        .id = str_of(source->id),
        .hash_key = store_hash_key(source->poller->config.store),
        .agents = source->poller->config.agents,
        .networks = source->poller->config.networks,
    };
    enum provider_api api = source->account.is_logs ? PROVIDER_API_LOGS : PROVIDER_API_EVENTS;
    enum err err = provider_page_parse(op, &reading, api, fetch->response, trip->begin_us, trip->end_us, &trip->page);
    if (err == OK)
        return fault;
    return source_fault_make(err == ERR_TOO_LARGE ? FAULT_TOO_LARGE : FAULT_UNREADABLE,
                             "the provider's answer cannot be read: %.200s", op->error);
}

/* Hands the answer to the machine. */
static void trip_take(struct trip *trip)
{
    struct polled *source = trip->source;
    int64_t now_us = poller_now_us(source->poller), date_us = 0;
    struct source_fault fault = trip_read(trip);
    if (fault.kind != FAULT_NONE) {
        source_failed(source->machine, trip->ticket, &fault, now_us);
        trip_free(trip);
        return;
    }
    fetch_date_us(&trip->fetch, now_us, &date_us);
    if (source_page(source->machine, trip->ticket, &trip->page, trip->asked_us, date_us, now_us, &trip->save))
        send_save(trip);
    else
        trip_free(trip);
}

/* Answers that had to wait for the page before them. */
void polled_take_held(struct polled *source)
{
    for (struct trip **link = &source->held; *link;) {
        struct trip *trip = *link;
        if (!source_can_take(source->machine, trip->ticket)) {
            link = &trip->next;
            continue;
        }
        *link = trip->next;
        trip->next = NULL;
        trip_take(trip);
    }
}

static void trip_fetched(struct fetch *fetch)
{
    struct trip *trip = fetch->data;
    struct polled *source = trip->source;
    struct poller *poller = source->poller;
    struct poll_host *host = trip->host;
    trip->is_fetched = true;
    unlink_trip(source, trip);
    host->under_way--;
    if (poller->is_stopping) {
        trip_free(trip);
        return;
    }
    if (source_can_take(source->machine, trip->ticket)) {
        trip_take(trip);
    } else {
        struct trip **end = &source->held;
        while (*end)
            end = &(*end)->next;
        *end = trip;
    }
    polled_drive(source);
    poller_pump(poller, host);
}

void polled_fetch(struct polled *source, const struct source_request *request)
{
    struct poller *poller = source->poller;
    struct trip *trip = trip_new(source, POLLER_PAGE_BYTES);
    trip->ticket = request->ticket;
    trip->begin_us = request->begin_us;
    trip->end_us = request->end_us;
    trip->had_token = str_given(request->token);
    trip->asked_us = poller_now_us(poller);
    trip->host = source->host;
    if (poll_mailgun_page(&trip->post.op, &source->account, request, &trip->fetch) != OK) {
        struct source_fault fault = source_fault_make(FAULT_REFUSED, "%.200s", trip->post.op.error);
        source->host->under_way--;
        source_failed(source->machine, trip->ticket, &fault, trip->asked_us);
        trip_free(trip);
        return;
    }
    trip->fetch.done = trip_fetched;
    trip->fetch.data = trip;
    link_trip(source, trip);
    http_fetch(poller->config.client, &trip->fetch);
}
