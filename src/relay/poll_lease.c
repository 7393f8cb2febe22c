/*
 * poll_lease.c - one source of the poller: its lease, and what is read of its rows when it is taken or the source
 * changed.
 */
#include "base/log.h"
#include "base/random.h"
#include "engine/source_metrics.h"
#include "relay/poller_parts.h"

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

void polled_renew(struct timer *timer)
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

void polled_post_give(struct polled *source)
{
    struct lease_post *lease = poller_post_new(source->poller, sizeof *lease, 65536);
    lease->source = source;
    lease->epoch = source->epoch;
    lease->post.hop = give_route;
    post_send(&lease->post);
}
