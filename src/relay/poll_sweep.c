/*
 * poll_sweep.c - which sources there are, what changed, and which of them this node reads.
 *
 * One pass over the rows in a reader, then the moves on the loop: what is in RAM there (a lease just taken, a machine
 * on its way out) is newer than the snapshot.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/metric.h"
#include "engine/share.h"
#include "relay/poller_parts.h"
#include "store/store_source_leases.h"

#define SWEEP_ARENA_BYTES (64u << 20)
#define SWEEP_PAGE        1000
#define RING_MS           50 /* rings in quick succession are one sweep */

struct swept {
    uint32_t no;
    struct str id;
    uint64_t version;
    bool is_polled;
    enum share_holder holder; /* by the rows, where several nodes live */
    int64_t newest_sent_us;
    struct polled *source; /* on the loop */
};

struct sweep {
    struct post post; /* first */
    struct poller *poller;
    struct node_life life;
    bool asks_news;
    struct swept *sources;
    size_t count, room;
    size_t least; /* sources of the other living node that has the fewest */
};

/* ----------------------------------------------------------------------------------------------------------- rows */

static enum err sweep_one(struct op *op, struct tx *tx, const struct source_row *row, void *arg)
{
    struct sweep *sweep = arg;
    if (sweep->count == sweep->room) {
        struct swept *wider;
        size_t room = sweep->room ? 2 * sweep->room : 64;
        TRY(op_alloc(op, room * sizeof *wider, &wider));
        if (sweep->count)
            memcpy(wider, sweep->sources, sweep->count * sizeof *wider);
        sweep->sources = wider;
        sweep->room = room;
    }
    struct swept *swept = &sweep->sources[sweep->count++];
    *swept = (struct swept){ .no = row->no,
                             .id = row->id,
                             .version = row->version,
                             .is_polled = source_config_is_polled(row),
                             .newest_sent_us = STORE_NO_INSTANT };
    return sweep->asks_news ? store_source_newest_mailing(op, tx, row->tenant_no, &swept->newest_sent_us) : OK;
}

static enum err read_sources(struct op *op, struct tx *tx, struct sweep *sweep)
{
    size_t before;
    do {
        before = sweep->count;
        struct str after = before ? sweep->sources[before - 1].id : (struct str){ NULL, 0 };
        TRY(store_source_each(op, tx, after, SWEEP_PAGE, sweep_one, sweep));
    } while (sweep->count == before + SWEEP_PAGE);
    return OK;
}

/* ------------------------------------------------------------------------------------------------ who reads what */

/* The living nodes, and how many sources each of them reads. */
struct holders {
    struct node_row *nodes;
    size_t node_n;
    size_t *held;
    struct swept **by_no;
    uint32_t no_max;
    int64_t clock_us;
};

/* A lease in force counts for its node; one that is over, or whose node is lost, leaves the source free. */
static void note_lease(struct holders *holders, const struct sweep *sweep, const struct source_lease *lease)
{
    struct swept *swept = lease->source_no <= holders->no_max ? holders->by_no[lease->source_no] : NULL;
    if (!swept || !swept->is_polled || !str_given(lease->node) || lease->until_us < holders->clock_us)
        return;
    size_t i = 0;
    while (i < holders->node_n && !str_eq(holders->nodes[i].id, lease->node))
        i++;
    if (i < holders->node_n && holders->nodes[i].is_lost)
        return;
    swept->holder = str_eq(lease->node, str_of(sweep->life.id)) ? SHARE_MINE : SHARE_OTHERS;
    if (i < holders->node_n)
        holders->held[i]++;
}

static size_t least_of_others(const struct holders *holders, const struct sweep *sweep)
{
    size_t least = SIZE_MAX;
    for (size_t i = 0; i < holders->node_n; i++)
        if (!holders->nodes[i].is_lost && holders->nodes[i].no != sweep->life.no && holders->held[i] < least)
            least = holders->held[i];
    return least;
}

static enum err read_holders(struct op *op, struct tx *tx, struct sweep *sweep)
{
    struct holders holders = { 0 };
    struct source_lease *leases;
    size_t count;
    for (size_t i = 0; i < sweep->count; i++)
        if (sweep->sources[i].no > holders.no_max)
            holders.no_max = sweep->sources[i].no;
    TRY(op_alloc(op, (holders.no_max + (size_t)1) * sizeof(struct swept *), &holders.by_no));
    for (size_t i = 0; i < sweep->count; i++)
        holders.by_no[sweep->sources[i].no] = &sweep->sources[i];
    TRY(store_clock_us(op, tx, &holders.clock_us));
    TRY(store_node_list(op, tx, &holders.nodes, &holders.node_n));
    TRY(op_alloc(op, (holders.node_n + 1) * sizeof *holders.held, &holders.held));
    uint32_t after = 0;
    do {
        TRY(store_source_leases(op, tx, after, SWEEP_PAGE, &leases, &count));
        for (size_t i = 0; i < count; i++)
            note_lease(&holders, sweep, &leases[i]);
        after = count ? leases[count - 1].source_no : after;
    } while (count == SWEEP_PAGE);
    sweep->least = least_of_others(&holders, sweep);
    return OK;
}

static enum err sweep_read(struct post *post)
{
    struct sweep *sweep = (struct sweep *)post;
    TRY(read_sources(&post->op, post->tx, sweep));
    return sweep->life.alive > 1 ? read_holders(&post->op, post->tx, sweep) : OK;
}

/* ----------------------------------------------------------------------------------------------------- on the loop */

/* Numbers are handed out one after the other, so an array finds a source at once. */
static struct polled **place_of(struct poller *poller, uint32_t no)
{
    if (no >= poller->by_no_room) {
        size_t room = no + 64;
        poller->by_no = realloc(poller->by_no, room * sizeof *poller->by_no);
        if (!poller->by_no)
            abort();
        memset(poller->by_no + poller->by_no_room, 0, (room - poller->by_no_room) * sizeof *poller->by_no);
        poller->by_no_room = room;
    }
    return &poller->by_no[no];
}

static struct polled *polled_of(struct poller *poller, const struct swept *swept)
{
    struct polled **place = place_of(poller, swept->no), *source = *place;
    if (!source) {
        *place = source = polled_new(poller, swept->no, swept->id);
        source->next = poller->sources;
        poller->sources = source;
    }
    source->is_hook = !swept->is_polled;
    return source;
}

/* Who reads it, as share.h wants to know. Alone, whatever this node does not read is free; a lease of a node that died
 * is then tried until it is over. */
static struct share_source share_of(const struct sweep *sweep, const struct swept *swept, int64_t now_ms)
{
    struct polled *source = swept->source;
    bool is_elsewhere = sweep->life.alive > 1 && swept->holder == SHARE_OTHERS;
    struct share_source share = { .holder = SHARE_FREE };
    if (source->is_leaving)
        share.holder = SHARE_OTHERS;
    else if (polled_is_held(source))
        share.holder = SHARE_MINE;
    else if (is_elsewhere)
        share.holder = SHARE_OTHERS;
    if (share.holder != SHARE_FREE)
        source->free_since_ms = 0;
    else if (source->free_since_ms == 0)
        source->free_since_ms = now_ms;
    share.free_for_us = share.holder == SHARE_FREE ? (now_ms - source->free_since_ms) * 1000 : 0;
    share.is_given = source->given_at_ms != 0 && (now_ms - source->given_at_ms) * 1000 < SHARE_STALE_US;
    return share;
}

/* What this node reads already: takes over what changed. */
static void refresh(const struct sweep *sweep, const struct swept *swept, int64_t now_us)
{
    struct polled *source = swept->source;
    if (!source->machine || source->is_leaving || source_is_fenced(source->machine))
        return;
    if (source->version != swept->version) {
        polled_load(source);
        return;
    }
    if (sweep->asks_news)
        source_news(source->machine, swept->newest_sent_us, now_us);
    polled_drive(source);
}

static void move(struct polled *source, enum share_move move)
{
    if (move == SHARE_TAKE)
        polled_load(source);
    else if (move == SHARE_GIVE)
        polled_leave(source);
}

static void apply(struct poller *poller, struct sweep *sweep)
{
    struct share_source *shares;
    size_t count = 0;
    int64_t now_us = poller_now_us(poller), now_ms = loop_now_ms(poller->config.loop);
    if (op_alloc(&sweep->post.op, (sweep->count + 1) * sizeof *shares, &shares) != OK)
        return; /* the next sweep tries again */
    for (size_t i = 0; i < sweep->count; i++) {
        struct swept *swept = &sweep->sources[i];
        swept->source = polled_of(poller, swept);
        if (swept->is_polled)
            shares[count++] = share_of(sweep, swept, now_ms);
    }
    size_t mine = 0;
    for (size_t i = 0; i < count; i++)
        mine += shares[i].holder == SHARE_MINE;
    metric_set(METRIC_PLAIN(metric_gauge("posthouse_node_sources", "Sources that this node reads.", "", METRIC_ONE)),
               (int64_t)mine);
    share_decide(shares, count, sweep->life.alive, sweep->least, sweep->life.no * UINT64_C(7919));
    for (size_t i = 0, k = 0; i < sweep->count; i++) {
        refresh(sweep, &sweep->sources[i], now_us);
        if (sweep->sources[i].is_polled)
            move(sweep->sources[i].source, shares[k++].move);
    }
}

/* ---------------------------------------------------------------------------------------------------------- sweep */

static int64_t rest_ms(const struct poller *poller, const struct sweep *sweep)
{
    if (sweep->post.err != OK)
        return POLLER_AGAIN_MS;
    if (poller->is_rung)
        return RING_MS;
    return sweep->life.alive > 1 ? POLLER_LOOK_MS : POLLER_SWEEP_MS;
}

static void sweep_due(struct timer *timer)
{
    sweep_start((struct poller *)((char *)timer - offsetof(struct poller, sweep_timer)));
}

static enum err sweep_done(struct post *post)
{
    struct sweep *sweep = (struct sweep *)post;
    struct poller *poller = sweep->poller;
    poller->is_sweeping = false;
    if (post->err != OK)
        log_warn("the list of sources could not be read", LOG_ERROR_OF(&post->op));
    else if (!poller->is_stopping)
        apply(poller, sweep);
    if (!poller->is_stopping)
        loop_timer_set(poller->config.loop, &poller->sweep_timer, rest_ms(poller, sweep));
    poller_post_free(poller, post);
    return OK;
}

static const struct hop sweep_route[] = {
    { sweep_read, THREAD_READER },
    { sweep_done, THREAD_CALLER },
    { 0 },
};

/* The newest mailings are asked for once a minute, and whenever somebody rings. */
void sweep_start(struct poller *poller)
{
    if (poller->is_stopping)
        return;
    int64_t now_ms = loop_now_ms(poller->config.loop);
    struct sweep *sweep = poller_post_new(poller, sizeof *sweep, SWEEP_ARENA_BYTES);
    sweep->poller = poller;
    sweep->life = node_board_get(poller->config.nodes);
    sweep->asks_news = poller->is_rung || sweep->life.alive <= 1 || now_ms >= poller->news_at_ms + POLLER_SWEEP_MS;
    if (sweep->asks_news)
        poller->news_at_ms = now_ms;
    poller->sweep_timer.run = sweep_due;
    poller->is_sweeping = true;
    poller->is_rung = false;
    sweep->post.hop = sweep_route;
    post_send(&sweep->post);
}
