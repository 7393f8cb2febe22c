/*
 * poll_source.c - one source of the poller: its lease, its machine, its requests and commits.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "engine/source_metrics.h"
#include "relay/poller_parts.h"

#define SAVE_ARENA_BYTES (1u << 20)

/* ----------------------------------------------------------------------------------------------------------- load */

struct load {
    struct post post; /* first */
    struct polled *source;
    bool takes_lease;
    struct node_life life;
    struct source_setup setup;
    uint64_t epoch;
};

/* In the writer also when no lease is taken: then everything committed before is in it, and nothing else. */
static enum err load_read(struct post *post)
{
    struct load *load = (struct load *)post;
    struct op *op = &post->op;
    struct node_self self = node_self(&load->life);
    if (load->takes_lease)
        TRY(source_lease_take(op, post->tx, load->source->no, &self, &load->epoch));
    return source_load(op, post->tx, load->source->no, &load->setup);
}

static struct str keep(struct arena *arena, struct str s)
{
    return str_given(s) ? arena_str(arena, s) : s;
}

/* What requests are made of: kept apart from the post's arena, replaced with the next load. */
static enum err take_account(struct polled *source, struct op *op, const struct source_row *row)
{
    struct arena *arena = arena_new(256 * 1024);
    struct op kept;
    struct str *tags;
    size_t tag_n;
    op_init(&kept, arena, op->now_us);
    struct str json = keep(arena, row->tags);
    enum err err = source_config_texts(&kept, json, &tags, &tag_n);
    if (err != OK) {
        arena_free(arena);
        return err;
    }
    if (source->account_arena)
        arena_free(source->account_arena);
    source->account_arena = arena;
    source->account = (struct poll_account){
        .base_url = keep(arena, row->base_url),
        .domain = keep(arena, row->domain),
        .api_key = keep(arena, row->api_key),
        .is_logs = str_eq(row->api, S("logs")),
        .tags = tags,
        .tag_n = tag_n,
    };
    return OK;
}

static void renew(struct timer *timer);

static void take_load(struct polled *source, struct load *load)
{
    struct loop *loop = source->poller->config.loop;
    int64_t now_us = poller_now_us(source->poller);
    if (take_account(source, &load->post.op, &load->setup.row) != OK) {
        log_error("source cannot be read", LOG_TEXT("source", source->id), LOG_TEXT("error", "too many tags"));
        return;
    }
    source->is_polled = source_config_is_polled(&load->setup.row);
    struct poll_host *host = poll_host_get(&source->poller->hosts, source->account.base_url);
    if (source->host && source->host != host)
        poll_host_leave(source->host, &source->turn);
    source->host = host;
    source->version = load->setup.row.version;
    if (load->takes_lease) {
        source->epoch = load->epoch;
        source->life = load->life;
        source->free_since_ms = source->given_at_ms = 0;
        load->setup.epoch = load->epoch;
        if (load->life.alive > 1)
            log_info("a source is read by this node", LOG_TEXT("source", source->id));
        loop_timer_set(loop, &source->renew_timer, POLLER_RENEW_MS);
    }
    if (source->machine)
        source_reload(source->machine, &load->setup, now_us);
    else
        source->machine = source_new(&load->setup, random_u64());
    source_hold(source->machine, true);
    polled_drive(source);
}

/* Among several nodes the next look decides who reads it; alone, one that died may still hold the lease. */
static void load_again(struct polled *source, const struct load *load)
{
    struct loop *loop = source->poller->config.loop;
    if (load->post.err != ERR_CONFLICT) {
        log_warn("source cannot be loaded", LOG_TEXT("source", source->id), LOG_ERROR_OF(&load->post.op));
        loop_timer_set(loop, &source->timer, POLLER_AGAIN_MS);
    } else if (load->life.alive <= 1) {
        loop_timer_set(loop, &source->timer, POLLER_LEASE_MS);
    }
}

static enum err load_done(struct post *post)
{
    struct load *load = (struct load *)post;
    struct polled *source = load->source;
    struct poller *poller = source->poller;
    source->is_loading = false;
    if (poller->is_stopping) {
        if (post->err == OK && load->takes_lease)
            source->epoch = load->epoch;
    } else if (post->err == OK) {
        take_load(source, load);
    } else {
        load_again(source, load);
    }
    poller_post_free(poller, post);
    return OK;
}

static const struct hop load_route[] = {
    { load_read, THREAD_WRITER },
    { load_done, THREAD_CALLER },
    { 0 },
};

void polled_load(struct polled *source)
{
    if (source->is_loading || source->poller->is_stopping)
        return;
    struct load *load = poller_post_new(source->poller, sizeof *load, 8u << 20);
    source->is_loading = true;
    load->source = source;
    load->takes_lease = !source->machine || source_is_fenced(source->machine);
    load->life = node_board_get(source->poller->config.nodes);
    load->post.hop = load_route;
    post_send(&load->post);
}

/* ---------------------------------------------------------------------------------------------------------- lease */

struct lease_post {
    struct post post; /* first */
    struct polled *source;
    struct node_life life;
    uint64_t epoch;
};

static enum err lease_renew(struct post *post)
{
    struct lease_post *lease = (struct lease_post *)post;
    struct node_self self = node_self(&lease->life);
    return source_lease_renew(&post->op, post->tx, lease->source->no, &self, lease->epoch);
}

static enum err lease_renewed(struct post *post)
{
    struct lease_post *lease = (struct lease_post *)post;
    struct polled *source = lease->source;
    if (post->err == ERR_CONFLICT && source->machine && source->epoch == lease->epoch && !source->is_leaving) {
        log_warn("the lease of a source was lost", LOG_TEXT("source", source->id));
        source_fence(source->machine);
        polled_load(source);
    }
    poller_post_free(source->poller, post);
    return OK;
}

static const struct hop renew_route[] = {
    { lease_renew, THREAD_WRITER },
    { lease_renewed, THREAD_CALLER },
    { 0 },
};

static void renew(struct timer *timer)
{
    struct polled *source = (struct polled *)((char *)timer - offsetof(struct polled, renew_timer));
    if (source->poller->is_stopping)
        return;
    loop_timer_set(source->poller->config.loop, timer, POLLER_RENEW_MS);
    struct lease_post *lease = poller_post_new(source->poller, sizeof *lease, 65536);
    lease->source = source;
    lease->life = source->life;
    lease->epoch = source->epoch;
    lease->post.hop = renew_route;
    post_send(&lease->post);
}

static enum err lease_give(struct post *post)
{
    struct lease_post *lease = (struct lease_post *)post;
    return source_lease_give(&post->op, post->tx, lease->source->no, lease->epoch);
}

/* While the poller runs, the machine goes: another node makes one of the rows. Given back or not, the lease ends. */
static enum err lease_given(struct post *post)
{
    struct polled *source = ((struct lease_post *)post)->source;
    struct poller *poller = source->poller;
    if (source->is_leaving && !poller->is_stopping) {
        source_free(source->machine);
        source->machine = NULL;
        source->epoch = 0;
        source->is_leaving = false;
        source->given_at_ms = loop_now_ms(poller->config.loop);
        source_metrics_hide(str_of(source->id));
    }
    poller_post_free(poller, post);
    return OK;
}

static const struct hop give_route[] = {
    { lease_give, THREAD_WRITER },
    { lease_given, THREAD_CALLER },
    { 0 },
};

static void post_give(struct polled *source)
{
    struct lease_post *lease = poller_post_new(source->poller, sizeof *lease, 65536);
    lease->source = source;
    lease->epoch = source->epoch;
    lease->post.hop = give_route;
    post_send(&lease->post);
}

/* ---------------------------------------------------------------------------------------------------------- trips */

static void trip_free(struct trip *trip)
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
    { trip_commit, THREAD_WRITER },
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
static void take_held(struct polled *source)
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

static void host_pump(struct poller *poller, struct poll_host *host);

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
    host_pump(poller, host);
}

static void send_fetch(struct polled *source, const struct source_request *request)
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

/* ---------------------------------------------------------------------------------------------------------- drive */

static void post_save(struct polled *source, const struct source_save *save)
{
    struct trip *trip = trip_new(source, SAVE_ARENA_BYTES);
    trip->save = *save;
    send_save(trip);
}

static void wake_at(struct polled *source, int64_t wake_us, int64_t now_us)
{
    struct loop *loop = source->poller->config.loop;
    if (wake_us == INT64_MAX) {
        loop_timer_clear(loop, &source->timer);
        return;
    }
    int64_t delay_ms = (wake_us - now_us + 999) / 1000;
    loop_timer_set(loop, &source->timer, delay_ms > 0 ? delay_ms : 0);
}

/* Takes answers, posts saves, and stands in line when a page is wanted. */
static void drive_one(struct polled *source)
{
    struct source_todo todo;
    int64_t now_us = poller_now_us(source->poller);
    take_held(source);
    for (;;) {
        source_next(source->machine, now_us, &todo);
        if (todo.step != SOURCE_SAVE)
            break;
        post_save(source, &todo.save);
    }
    assert(todo.step == SOURCE_WAIT); /* it is held: pages are asked for in turn only */
    if (todo.wants_page)
        poll_host_queue(source->host, &source->turn);
    wake_at(source, todo.wake_us, now_us);
}

/* A source's turn: one page. */
static void take_turn(struct polled *source)
{
    struct source_todo todo = { .step = SOURCE_WAIT };
    source_hold(source->machine, !source->is_polled || source_is_fenced(source->machine));
    source_next(source->machine, poller_now_us(source->poller), &todo);
    source_hold(source->machine, true);
    if (todo.step == SOURCE_FETCH) {
        send_fetch(source, &todo.request);
        return;
    }
    source->host->under_way--;
    if (todo.step == SOURCE_SAVE)
        post_save(source, &todo.save);
}

/* Gives free slots of a host to those in line. */
static void host_pump(struct poller *poller, struct poll_host *host)
{
    struct poll_turn *turn;
    while (!poller->is_stopping && (turn = poll_host_take(host, POLLER_HOST_MAX))) {
        struct polled *source = (struct polled *)turn;
        take_turn(source);
        if (source->is_polled)
            drive_one(source);
    }
}

void polled_stepped(struct polled *source, int64_t by_us)
{
    if (source->machine)
        source_stepped(source->machine, by_us);
    for (struct trip *trip = source->under_way; trip; trip = trip->next)
        trip->asked_us += by_us;
    for (struct trip *trip = source->held; trip; trip = trip->next)
        trip->asked_us += by_us;
}

/* Keeps what is in hand, and gives the lease back when nothing is. */
static void leave_on(struct polled *source)
{
    take_held(source);
    if (!source_is_quiet(source->machine) || source->held || source->is_given)
        return;
    source->is_given = true;
    loop_timer_clear(source->poller->config.loop, &source->renew_timer);
    post_give(source);
}

void polled_leave(struct polled *source)
{
    if (source->is_leaving || source->is_loading || !source->machine)
        return;
    log_info("a source is left to another node", LOG_TEXT("source", source->id));
    source->is_leaving = true;
    source->is_given = false;
    source_hold(source->machine, true);
    loop_timer_clear(source->poller->config.loop, &source->timer);
    poll_host_leave(source->host, &source->turn);
    leave_on(source);
}

void polled_drive(struct polled *source)
{
    if (source->poller->is_stopping || !source->machine)
        return;
    if (source->is_leaving) {
        leave_on(source);
        return;
    }
    if (source_is_fenced(source->machine))
        return;
    if (source->is_polled)
        drive_one(source);
    else
        take_held(source); /* its key was taken away: what is under way is still kept */
    host_pump(source->poller, source->host);
}

bool polled_is_held(const struct polled *source)
{
    return source->is_loading || (source->machine && !source_is_fenced(source->machine));
}

void polled_wake(struct timer *timer)
{
    struct polled *source = (struct polled *)((char *)timer - offsetof(struct polled, timer));
    if (!source->machine || source_is_fenced(source->machine))
        polled_load(source);
    else
        polled_drive(source);
}

/* ----------------------------------------------------------------------------------------------------------- stop */

struct polled *polled_new(struct poller *poller, uint32_t no, struct str id)
{
    struct polled *source = calloc(1, sizeof *source);
    if (!source || !(source->id = strndup(id.p, id.n)))
        abort();
    source->poller = poller;
    source->no = no;
    source->timer.run = polled_wake;
    source->renew_timer.run = renew;
    return source;
}

void polled_stop(struct polled *source)
{
    struct loop *loop = source->poller->config.loop;
    loop_timer_clear(loop, &source->timer);
    loop_timer_clear(loop, &source->renew_timer);
    for (struct trip *trip = source->under_way; trip; trip = trip->next)
        http_fetch_cancel(&trip->fetch);
    while (source->held) {
        struct trip *trip = source->held;
        source->held = trip->next;
        trip_free(trip);
    }
}

void polled_give(struct polled *source)
{
    if (source->epoch)
        post_give(source);
}

void polled_free(struct polled *source)
{
    source_free(source->machine);
    if (source->account_arena)
        arena_free(source->account_arena);
    free(source->id);
    free(source);
}
