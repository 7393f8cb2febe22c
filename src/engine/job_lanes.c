#include "engine/job_lanes.h"

#include <assert.h>
#include <stdlib.h>

#include "base/chains.h"
#include "base/heap.h"
#include "engine/job_lane.h"
#include "store/store_ready.h"

#define SCAN_STEP 32 /* keys looked for in one pick */

struct level {
    struct lane **slots;
    size_t slot_count, lanes;
    struct lane *turn;
    bool scanned;     /* every key with rows has a lane */
    bool missed;      /* a key was left out for lack of room */
    int64_t scan_key; /* keys up to this one were looked for */
};

struct lanes {
    struct lanes_host host;
    struct level levels[LEVELS];
    struct heap heads; /* of all levels: the oldest head is first */
};

struct lanes *lanes_new(const struct lanes_host *host, bool empty)
{
    struct lanes *lanes = calloc(1, sizeof *lanes);
    if (!lanes)
        abort();
    lanes->host = *host;
    for (int i = 0; i < LEVELS; i++) {
        lanes->levels[i].scanned = empty;
        lanes->levels[i].scan_key = empty ? INT64_MAX : -1;
    }
    return lanes;
}

static bool head_before(const void *a, const void *b)
{
    return lane_head(a)->ord < lane_head(b)->ord;
}

static const struct heap_kind heads = { offsetof(struct lane, heap_place), head_before };

/* Its window has changed. */
static void lane_changed(struct lanes *lanes, struct lane *lane)
{
    if (lane->count)
        heap_settle(&lanes->heads, &heads, lane);
    else
        heap_remove(&lanes->heads, &heads, lane);
}

static void lane_free(struct lanes *lanes, struct lane *lane)
{
    *lanes->host.ids -= lane->count;
    free(lane->places);
    free(lane);
}

void lanes_free(struct lanes *lanes)
{
    if (!lanes)
        return;
    for (int i = 0; i < LEVELS; i++) {
        struct level *level = &lanes->levels[i];
        for (size_t s = 0; s < level->slot_count; s++)
            for (struct lane *lane = level->slots[s], *next; lane; lane = next) {
                next = lane->hash_next;
                lane_free(lanes, lane);
            }
        free(level->slots);
    }
    heap_free(&lanes->heads);
    free(lanes);
}

/* --- lanes by key --- */

static uint64_t key_hash(uint64_t key)
{
    return (key * 0x9E3779B97F4A7C15u) >> 32;
}

static size_t slot_of(const struct level *level, uint64_t key)
{
    return (size_t)key_hash(key) & (level->slot_count - 1);
}

static struct lane *lane_find(const struct level *level, uint64_t key)
{
    if (level->slot_count == 0)
        return NULL;
    struct lane *lane = level->slots[slot_of(level, key)];
    while (lane && lane->key != key)
        lane = lane->hash_next;
    return lane;
}

static uint64_t hash_of(const void *entry, const void *data)
{
    (void)data;
    return key_hash(((const struct lane *)entry)->key);
}

static void level_grow(struct level *level)
{
    static const struct chain chain = { offsetof(struct lane, hash_next), hash_of };
    size_t n = level->slot_count ? level->slot_count * 4 : 1;
    level->slots = chains_move(level->slots, level->slot_count, n, &chain, NULL);
    level->slot_count = n;
}

/* --- the ring --- */

/* Behind all others: in front of the one whose turn it is. */
static void ring_add(struct lanes *lanes, struct level *level, struct lane *lane)
{
    if (lane->next)
        return;
    if (!level->turn) {
        level->turn = lane->next = lane->prev = lane;
        lane->credit = lanes->host.weight(lanes->host.data, lane->key);
        return;
    }
    lane->next = level->turn;
    lane->prev = level->turn->prev;
    lane->prev->next = lane;
    lane->next->prev = lane;
    lane->credit = 0;
}

static void ring_arrive(struct lanes *lanes, struct level *level, struct lane *lane)
{
    level->turn = lane;
    if (lane)
        lane->credit += lanes->host.weight(lanes->host.data, lane->key);
}

static void ring_remove(struct lanes *lanes, struct level *level, struct lane *lane)
{
    if (!lane->next)
        return;
    struct lane *after = lane->next == lane ? NULL : lane->next;
    lane->prev->next = lane->next;
    lane->next->prev = lane->prev;
    lane->next = lane->prev = NULL;
    lane->credit = 0;
    if (level->turn == lane)
        ring_arrive(lanes, level, after);
}

static struct lane *lane_new(struct lanes *lanes, struct level *level, uint64_t key, bool complete)
{
    if (level->lanes >= level->slot_count)
        level_grow(level);
    struct lane *lane = calloc(1, sizeof *lane);
    if (!lane)
        abort();
    lane->key = key;
    lane->complete = complete;
    size_t slot = slot_of(level, key);
    lane->hash_next = level->slots[slot];
    level->slots[slot] = lane;
    level->lanes++;
    ring_add(lanes, level, lane);
    return lane;
}

static void lane_drop(struct lanes *lanes, struct level *level, struct lane *lane)
{
    ring_remove(lanes, level, lane);
    heap_remove(&lanes->heads, &heads, lane);
    struct lane **link = &level->slots[slot_of(level, lane->key)];
    while (*link != lane)
        link = &(*link)->hash_next;
    *link = lane->hash_next;
    level->lanes--;
    lane_free(lanes, lane);
}

/* --- windows --- */

static uint32_t window_max(const struct lanes *lanes, const struct lane *lane)
{
    if (*lanes->host.ids >= LANE_IDS_MAX)
        return 2; /* enough to go on, and not much more than nothing */
    return lane->key ? LANE_KEY_WINDOW : LANE_WINDOW;
}

/* Places that one read brings. Whoever fetches waits for it: where it is a call it brings what a few groups need, where
 * it is a trip to a server as many as fit. */
static uint32_t piece_max(const struct lanes *lanes, const struct lane *lane, struct tx *tx)
{
    uint32_t max = window_max(lanes, lane);
    return max < LANE_PIECE || tx_asks_ahead(tx) ? max : LANE_PIECE;
}

static void place_append(struct lanes *lanes, struct lane *lane, const struct lane_place *place)
{
    lane_append(lane, place);
    ++*lanes->host.ids;
    if (lane->count == 1)
        lane_changed(lanes, lane);
}

static void place_pop(struct lanes *lanes, struct lane *lane)
{
    lane_pop(lane);
    --*lanes->host.ids;
    lane_changed(lanes, lane);
}

void lanes_add(struct lanes *lanes, int level_no, uint64_t key, const struct lane_place *place)
{
    struct level *level = &lanes->levels[level_no];
    struct lane *lane = lane_find(level, key);
    if (!lane) {
        if (!level->scanned && (int64_t)key > level->scan_key)
            return; /* the search will come to it */
        if (level->lanes >= LANES_MAX) {
            level->scanned = false;
            level->missed = true;
            return;
        }
        lane = lane_new(lanes, level, key, true);
    }
    if (!lane->complete)
        return;
    if (lane->count >= window_max(lanes, lane))
        lane->complete = false;
    else
        place_append(lanes, lane, place);
    if (!lane->capped)
        ring_add(lanes, level, lane);
}

void lanes_return(struct lanes *lanes, int level_no, uint64_t key, const struct lane_place *place)
{
    struct level *level = &lanes->levels[level_no];
    struct lane *lane = lane_find(level, key);
    if (!lane) {
        if ((!level->scanned && (int64_t)key > level->scan_key) || level->lanes >= LANES_MAX) {
            lanes_add(lanes, level_no, key, place);
            return;
        }
        lane = lane_new(lanes, level, key, true);
    }
    if (place->ord > lane->last && !lane->complete)
        return; /* it lies behind the window */
    lane_insert(lane, place);
    ++*lanes->host.ids;
    lane_changed(lanes, lane);
    if (!lane->capped)
        ring_add(lanes, level, lane);
}

void lanes_remove(struct lanes *lanes, int level_no, uint64_t key, uint64_t ord)
{
    struct lane *lane = lane_find(&lanes->levels[level_no], key);
    if (!lane || !lane_remove(lane, ord))
        return;
    --*lanes->host.ids;
    lane_changed(lanes, lane);
}

/* Reads on when little is left. */
static enum err lane_fill(struct op *op, struct tx *tx, struct lanes *lanes, int level, struct lane *lane, uint64_t cut)
{
    uint32_t max = piece_max(lanes, lane, tx);
    struct ready_row *rows, key = { .queue_no = lanes->host.queue_no, .level = level, .key = lane->key };
    int n;
    if (lane->complete || lane->count > max / 4)
        return OK;
    TRY(lanes->host.write_pending(op, tx, lanes->host.data));
    rows = malloc(max * sizeof *rows);
    if (!rows)
        abort();
    uint64_t after = cut && cut - 1 > lane->last ? cut - 1 : lane->last;
    enum err err = store_ready_lane(op, tx, &key, after, (int)max, rows, &n);
    for (int i = 0; err == OK && i < n; i++)
        place_append(lanes, lane, &(struct lane_place){ rows[i].ord, rows[i].job });
    if (err == OK)
        lane->complete = n < (int)max;
    free(rows);
    return err;
}

/* --- keys on disk --- */

/* Looks for the next keys with rows. */
static enum err level_scan(struct op *op, struct tx *tx, struct lanes *lanes, int level_no)
{
    struct level *level = &lanes->levels[level_no];
    if (level->scanned || level->lanes >= LANES_MAX)
        return OK;
    TRY(lanes->host.write_pending(op, tx, lanes->host.data));
    for (int i = 0; i < SCAN_STEP && level->lanes < LANES_MAX; i++) {
        struct ready_row row = { 0 };
        bool found = false;
        if (level->scan_key < INT64_MAX) /* one seek finds the next key, whatever lies between */
            TRY(store_ready_next_lane(op, tx, lanes->host.queue_no, level_no, (uint64_t)level->scan_key, &row, &found));
        if (!found || row.level != level_no) {
            level->scan_key = level->missed ? -1 : INT64_MAX;
            level->scanned = !level->missed;
            level->missed = false;
            return OK;
        }
        level->scan_key = (int64_t)row.key;
        if (!lane_find(level, row.key))
            lane_new(lanes, level, row.key, false);
    }
    return OK;
}

/* The lane whose turn it is in the level, with a place at its head; NULL: none may start. */
static enum err level_head(struct op *op, struct tx *tx, struct lanes *lanes, int level_no, uint64_t cut,
                           struct lane **ret)
{
    struct level *level = &lanes->levels[level_no];
    *ret = NULL;
    for (;;) {
        if (!level->scanned)
            TRY(level_scan(op, tx, lanes, level_no));
        struct lane *lane = level->turn;
        if (!lane && level->scanned)
            return OK;
        if (!lane && level->lanes >= LANES_MAX)
            return OK; /* all of them are at their limits */
        if (!lane)
            continue;
        while (lane->count && lane_head(lane)->ord < cut)
            place_pop(lanes, lane);
        TRY(lane_fill(op, tx, lanes, level_no, lane, cut));
        if (lane->count == 0) {
            lane_drop(lanes, level, lane);
            continue;
        }
        if (!lanes->host.may_start(op, tx, lanes->host.data, lane->key)) {
            lane->capped = true;
            ring_remove(lanes, level, lane);
            continue;
        }
        *ret = lane;
        return OK;
    }
}

static int64_t standing(int level, const struct lane *lane, int64_t now_us, int64_t ageing_us)
{
    int64_t waited_us = now_us - (int64_t)lane_head(lane)->ord;
    int64_t priority = level ? level : 5;
    if (ageing_us < 0)
        return 0;
    if (ageing_us > 0 && waited_us > 0)
        priority += waited_us / ageing_us;
    return priority > 9 ? 9 : priority;
}

enum err lanes_pick(struct op *op, struct tx *tx, struct lanes *lanes, uint64_t cut, int64_t now_us, int64_t ageing_us,
                    struct lane_pick *ret, bool *ret_found)
{
    struct lane *best = NULL;
    int best_level = 0;
    int64_t best_standing = 0;
    for (int i = 0; i < LEVELS; i++) {
        struct lane *lane;
        if (lanes->levels[i].scanned && !lanes->levels[i].turn)
            continue;
        TRY(level_head(op, tx, lanes, i, cut, &lane));
        if (!lane)
            continue;
        int64_t value = standing(i, lane, now_us, ageing_us);
        if (best && (value < best_standing || (value == best_standing && lane_head(lane)->ord > lane_head(best)->ord)))
            continue;
        best = lane;
        best_level = i;
        best_standing = value;
    }
    *ret_found = best != NULL;
    if (best)
        *ret = (struct lane_pick){ best_level, best->key, *lane_head(best), best };
    return OK;
}

void lanes_take(struct lanes *lanes, const struct lane_pick *pick)
{
    struct level *level = &lanes->levels[pick->level];
    struct lane *lane = pick->lane;
    assert(lane->count && lane_head(lane)->ord == pick->place.ord);
    place_pop(lanes, lane);
    lane->credit--;
    if (lane->count == 0 && lane->complete && lane->key)
        lane_drop(lanes, level, lane);
    else if (lane->count == 0 && lane->complete) /* the lane without key comes and goes: its memory stays */
        ring_remove(lanes, level, lane);
    else if (lane->credit < 1)
        ring_arrive(lanes, level, lane->next);
}

size_t lanes_peek(const struct lanes *lanes, size_t max, uint64_t *ret_ids)
{
    size_t n = 0;
    for (int i = LEVELS - 1; i >= 0; i--) {
        const struct level *level = &lanes->levels[i];
        size_t share = level->lanes ? max / level->lanes + 1 : 0;
        const struct lane *lane = level->turn;
        while (lane && n < max) {
            n += lane_peek(lane, max - n < share ? max - n : share, ret_ids + n);
            lane = lane->next == level->turn ? NULL : lane->next;
        }
    }
    return n;
}

void lanes_open_key(struct lanes *lanes, uint64_t key)
{
    for (int i = 0; i < LEVELS; i++) {
        struct lane *lane = lane_find(&lanes->levels[i], key);
        if (!lane || !lane->capped)
            continue;
        lane->capped = false;
        ring_add(lanes, &lanes->levels[i], lane);
    }
}

uint64_t lanes_oldest(const struct lanes *lanes)
{
    const struct lane *first = heap_first(&lanes->heads);
    return first ? lane_head(first)->ord : 0;
}
