#include "engine/segment.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define SPLIT_PAGES   4                /* a stretch is split when about so many pages are left */
#define SPLIT_SPAN_US INT64_C(1000000) /* shorter ones are not worth a chain of their own */

static int64_t floor_to(int64_t us, int64_t grain_us)
{
    int64_t rest = us % grain_us;
    return us - (rest < 0 ? rest + grain_us : rest);
}

static void forget_token(struct segment *segment)
{
    free(segment->token);
    segment->token = NULL;
    segment->token_n = 0;
}

static void start_chain(struct segment *segment)
{
    forget_token(segment);
    segment->is_fresh = true;
    segment->pages = segment->still_pages = segment->same_pages = 0;
}

void segment_open(struct segment *segment, const struct segment_form *form, int64_t begin_us, int64_t end_us)
{
    assert(!segment->is_open && begin_us < end_us);
    *segment = (struct segment){
        .is_open = true,
        .end_us = end_us,
        .position_us = begin_us,
        .stop_us = end_us,
        .is_fresh = true,
        .limit = form->limit,
    };
}

void segment_open_hole(struct segment *segment, const struct segment_form *form, int64_t begin_us, int64_t end_us)
{
    segment_open(segment, form, begin_us, end_us);
    segment->phase = SEGMENT_AT_HOLE;
    segment->hole_begin_us = begin_us;
    segment->hole_end_us = end_us;
}

void segment_close(struct segment *segment)
{
    forget_token(segment);
    *segment = (struct segment){ 0 };
}

void segment_clip(struct segment *segment, const struct segment_form *form, int64_t end_us)
{
    if (end_us < segment->position_us + form->grain_us)
        end_us = segment->position_us + form->grain_us;
    if (segment->end_us <= end_us)
        return;
    segment->end_us = end_us;
    if (segment->stop_us > end_us)
        segment->stop_us = end_us;
}

void segment_restart(struct segment *segment)
{
    if (!segment->is_open)
        return;
    segment->asked = segment->saving = 0;
    segment->is_last = false;
    segment->split_us = 0;
    start_chain(segment);
}

bool segment_wants_hole(const struct segment *segment)
{
    return segment->is_open && segment->phase == SEGMENT_AT_HOLE && segment->tries >= SEGMENT_TRIES_SMALL;
}

bool segment_is_ready(const struct segment *segment, int64_t now_us)
{
    if (!segment->is_open || segment->asked || segment->retry_at_us > now_us || segment_wants_hole(segment))
        return false;
    /* Behind a page that is being kept only its own chain may go on; everything else begins at a known position. */
    bool in_chain = !segment->is_fresh && !segment->is_last && !segment->split_us;
    return !segment->saving || in_chain;
}

struct segment_request segment_ask(struct segment *segment, uint64_t ticket)
{
    segment->asked = ticket;
    if (segment->phase == SEGMENT_PROBING)
        return (
            struct segment_request){ segment->probe_begin_us, segment->probe_us, { NULL, 0 }, segment->probe_limit };
    if (segment->is_fresh) {
        segment->is_fresh = false;
        segment->chain_begin_us = segment->position_us;
    }
    return (struct segment_request){
        .begin_us = segment->chain_begin_us,
        .end_us = segment->stop_us,
        .token = { segment->token, segment->token_n },
        .limit = segment->limit,
    };
}

/* ------------------------------------------------------------------------------------------------ unreadable pages */

/* After several spots in a row with nothing good between them holes double: an hour of rubbish must not take a request
 * per millisecond. */
static int64_t hole_size(const struct segment *segment, const struct segment_form *form)
{
    int doublings = segment->holes - SEGMENT_HOLES_SMALL;
    return form->grain_us << (doublings < 0 ? 0 : doublings > 40 ? 40 : doublings);
}

static void found_hole(struct segment *segment, const struct segment_form *form, int64_t begin_us, int64_t end_us)
{
    int64_t size_us = hole_size(segment, form);
    int64_t from_us = begin_us;
    if (begin_us >= segment->spot_begin_us && begin_us < segment->spot_end_us)
        from_us = segment->spot_begin_us - form->grain_us; /* found before, but the provider's ends are rough */
    segment->hole_begin_us = from_us > segment->position_us ? from_us : segment->position_us;
    segment->hole_end_us = size_us > end_us - begin_us ? begin_us + size_us : end_us;
    if (segment->hole_end_us > segment->end_us)
        segment->hole_end_us = segment->end_us;
    segment->spot_begin_us = segment->hole_begin_us;
    segment->spot_end_us = segment->hole_end_us;
    segment->limit = form->limit;
    segment->narrow = 0;
    bool has_front = segment->hole_begin_us > segment->position_us;
    segment->tries = has_front ? 0 : SEGMENT_TRIES_SMALL - 1; /* the probes have tried it */
    segment->phase = has_front ? SEGMENT_BEFORE_HOLE : SEGMENT_AT_HOLE;
    segment->stop_us = has_front ? segment->hole_begin_us : segment->hole_end_us;
    start_chain(segment);
}

/* What lies before the spot cannot be read either, although the probes went well behind the position's own grain: it
 * may hold another spot, and is tried alone. */
static void doubt_position(struct segment *segment, const struct segment_form *form)
{
    int64_t end_us = floor_to(segment->position_us, form->grain_us) + form->grain_us;
    segment->hole_end_us = end_us < segment->hole_begin_us ? end_us : segment->hole_begin_us;
    segment->hole_begin_us = segment->position_us;
    segment->phase = SEGMENT_AT_HOLE;
    segment->stop_us = segment->hole_end_us;
    segment->tries = 0;
    start_chain(segment);
}

static int64_t square_root(int64_t n)
{
    int64_t root = 0;
    for (int64_t bit = INT64_C(1) << 31; bit; bit >>= 1)
        if ((root + bit) * (root + bit) <= n)
            root += bit;
    return root;
}

/* Chooses the next end to probe. The spot may lie a millisecond or a day away, so far apart it is halved by factors,
 * then by distance. */
static void next_probe(struct segment *segment, const struct segment_form *form)
{
    int64_t near = (segment->low_us - segment->probe_begin_us) / form->grain_us;
    int64_t far = (segment->high_us - segment->probe_begin_us + form->grain_us - 1) / form->grain_us;
    if (far - near <= 1) {
        found_hole(segment, form, segment->low_us, segment->high_us);
        return;
    }
    int64_t least = near ? near : 1;
    int64_t likely = 2 * segment->pace_us / form->grain_us;
    bool by_factors = far > 4 * least && far < INT64_C(1) << 31;
    int64_t middle = by_factors ? square_root(least * far) : near + (far - near) / 2;
    if (likely > 0 && far > 2 * likely)
        middle = likely > near ? likely : 2 * near;
    else if (likely > 0)
        middle = near + (far - near) / 2;
    segment->probe_us = segment->probe_begin_us + middle * form->grain_us;
}

/*
 * What spoils the page is among its items, so a page of the same size that begins behind the position and ends before
 * the spot is good, and one that ends behind it is not. First: does the spot lie within the position's own grain? Pages
 * that are too large are another matter: there single items are asked for, and the next one is to blame.
 */
static void start_probing(struct segment *segment, const struct segment_form *form, bool is_too_large)
{
    segment->probe_limit = is_too_large ? 1 : form->limit;
    segment->stop_us = segment->end_us;
    segment->probe_begin_us = floor_to(segment->position_us, form->grain_us) + form->grain_us;
    if (segment->probe_begin_us >= segment->end_us) {
        found_hole(segment, form, segment->position_us, segment->end_us);
        return;
    }
    segment->phase = SEGMENT_PROBING;
    segment->low_us = segment->probe_begin_us;
    segment->high_us = segment->probe_us = segment->end_us;
    start_chain(segment);
}

static void probe_failed(struct segment *segment, const struct segment_form *form)
{
    segment->high_us = segment->probe_us;
    next_probe(segment, form);
}

static void probe_was_good(struct segment *segment, const struct segment_form *form)
{
    if (segment->probe_us == segment->end_us) {
        found_hole(segment, form, segment->position_us, segment->probe_begin_us);
        return;
    }
    segment->low_us = segment->probe_us;
    next_probe(segment, form);
}

void segment_unreadable(struct segment *segment, const struct segment_form *form, struct rng *rng, bool is_too_large,
                        int64_t now_us)
{
    segment->asked = 0;
    segment->good_pages = 0;
    segment->retry_at_us = now_us;
    if (segment->phase == SEGMENT_PROBING) {
        probe_failed(segment, form);
        return;
    }

    bool is_whole = segment->phase == SEGMENT_PLAIN && segment->limit == form->limit && !segment->is_suspect;
    int most = is_whole ? SEGMENT_TRIES : SEGMENT_TRIES_SMALL;
    segment->tries++;
    if (!is_too_large && segment->tries < most) {
        segment->retry_at_us += fault_backoff(rng, is_whole ? segment->tries - 1 : 0);
        return;
    }
    if (segment->phase == SEGMENT_AT_HOLE && !(is_too_large && segment->limit > 1)) {
        segment->tries = SEGMENT_TRIES_SMALL; /* segment_wants_hole */
        return;
    }
    segment->tries = 0;
    segment->is_suspect = true;
    if (segment->phase == SEGMENT_BEFORE_HOLE && !is_too_large) {
        doubt_position(segment, form);
        return;
    }
    segment->narrow = segment->limit;
    if (segment->limit > 1) {
        segment->limit /= 2;
        start_chain(segment);
        return;
    }
    start_probing(segment, form, is_too_large);
}

/* ------------------------------------------------------------------------------------------------------ good pages */

static bool is_loop(struct segment *segment, const struct provider_page *page, bool moved)
{
    bool is_same_token = str_given(page->next) && segment->token_n &&
                         str_eq(page->next, (struct str){ segment->token, segment->token_n });
    segment->same_pages = segment->pages && page->ids == segment->ids ? segment->same_pages + 1 : 1;
    segment->ids = page->ids;
    segment->still_pages = moved ? 0 : segment->still_pages + 1;
    return is_same_token || segment->same_pages >= SEGMENT_SAME_PAGES || segment->still_pages > SEGMENT_STILL_PAGES;
}

static void take_token(struct segment *segment, struct str next)
{
    forget_token(segment);
    segment->token = malloc(next.n + 1);
    if (!segment->token)
        abort();
    memcpy(segment->token, next.p, next.n);
    segment->token[next.n] = '\0';
    segment->token_n = next.n;
}

/* What spoiled the larger page is not on this one: half of the rest is next. A new chain begins with the item of the
 * position once more. True while the item is being narrowed down. */
static bool narrow_down(struct segment *segment, size_t items, bool moved)
{
    int left = segment->narrow - (int)items, half = (left + 2) / 2;
    segment->narrow = left > 0 ? left : 0;
    if (segment->narrow && moved && half < segment->limit) {
        segment->narrow = left + 1;
        segment->limit = half;
        start_chain(segment);
    }
    return segment->narrow > 0;
}

/* A reduced limit grows back when pages are good again: what spoiled a page lies within three of half its size, not
 * counting those that only repeat the instant of the position. */
static void grow_limit(struct segment *segment, const struct segment_form *form, bool moved)
{
    segment->good_pages += moved;
    if (segment->limit >= form->limit || segment->good_pages < SEGMENT_GOOD_PAGES)
        return;
    segment->good_pages = 0;
    segment->limit = segment->limit * 2 < form->limit ? segment->limit * 2 : form->limit;
    start_chain(segment);
}

/* Where to cut so that the rest is read twice as fast; 0 = not worth it. */
static int64_t choose_split(const struct segment *segment, const struct segment_form *form, size_t items,
                            int64_t position_us)
{
    int64_t left_us = segment->stop_us - position_us, step_us = position_us - segment->position_us;
    if (segment->phase != SEGMENT_PLAIN || segment->limit != form->limit || items < (size_t)form->limit)
        return 0;
    if (step_us == 0 || left_us < SPLIT_SPAN_US || left_us / SPLIT_PAGES < step_us)
        return 0;
    int64_t middle_us = floor_to(position_us + left_us / 2, form->grain_us);
    return middle_us > position_us && middle_us < segment->stop_us ? middle_us : 0;
}

enum segment_word segment_page(struct segment *segment, const struct segment_form *form,
                               const struct provider_page *page)
{
    segment->asked = 0;
    segment->retry_at_us = 0;
    if (segment->phase == SEGMENT_PROBING) {
        probe_was_good(segment, form);
        return SEGMENT_NOTHING;
    }

    segment->tries = 0;
    bool is_end = page->item_n == 0 || (form->end_without_token && !str_given(page->next));
    int64_t position_us = page->last_us > segment->position_us ? page->last_us : segment->position_us;
    segment->next_position_us = is_end ? segment->stop_us : position_us;
    segment->is_last = is_end && segment->stop_us == segment->end_us;
    if (is_end) {
        start_chain(segment);
        return SEGMENT_KEEP;
    }

    bool moved = position_us > segment->position_us;
    if (moved) {
        segment->holes = 0;
        segment->pace_us = (position_us - segment->position_us) / (int64_t)page->item_n;
    }
    if (moved && segment->limit == form->limit && segment->phase == SEGMENT_PLAIN)
        segment->is_suspect = false;
    bool loops = is_loop(segment, page, moved) || (!str_given(page->next) && !moved);
    segment->pages++;
    segment->split_us = choose_split(segment, form, page->item_n, position_us);
    if (!str_given(page->next) || (form->pages_max && segment->pages >= form->pages_max && moved))
        start_chain(segment);
    else
        take_token(segment, page->next);
    if (segment->limit < form->limit && segment->still_pages >= SEGMENT_CREEPING)
        start_probing(segment, form, false); /* many items at one instant: smaller pages only creep */
    else if (segment->limit == form->limit || !narrow_down(segment, page->item_n, moved))
        grow_limit(segment, form, moved);
    return loops ? SEGMENT_LOOP : SEGMENT_KEEP;
}

bool segment_kept(struct segment *segment, const struct segment_form *form)
{
    segment->saving = 0;
    segment->position_us = segment->next_position_us;
    if (segment->is_last || segment->position_us >= segment->end_us) {
        segment_close(segment);
        return false;
    }
    if (segment->position_us < segment->stop_us)
        return true;

    /* The border of a hole: try the hole itself, then go on behind it. */
    bool was_before = segment->phase == SEGMENT_BEFORE_HOLE;
    segment->holes += segment_wants_hole(segment);
    segment->phase = was_before ? SEGMENT_AT_HOLE : SEGMENT_PLAIN;
    segment->stop_us = was_before ? segment->hole_end_us : segment->end_us;
    segment->limit = form->limit;
    segment->tries = was_before ? SEGMENT_TRIES_SMALL - 1 : 0; /* the probes have tried it */
    segment->good_pages = 0;
    segment->retry_at_us = 0;
    start_chain(segment);
    return true;
}

void segment_split(struct segment *segment, const struct segment_form *form, struct segment *other)
{
    int64_t split_us = segment->split_us;
    segment->split_us = 0;
    if (split_us <= segment->position_us || split_us >= segment->end_us || segment->phase != SEGMENT_PLAIN)
        return;
    segment_open(other, form, split_us, segment->end_us);
    segment->end_us = segment->stop_us = split_us;
    start_chain(segment);
}
