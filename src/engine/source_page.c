/*
 * source_page.c - pages that came, and saves that were kept or not, for the machine of source.h.
 */
#include "engine/source_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define SKEW_AGAIN_US (WARN_HOOK_US / 6) /* a warning that goes by itself after an hour is noted again in time */
#define SAVE_AGAIN_US INT64_C(1000000)

static struct segment *find_segment(struct source *source, uint64_t ticket, bool by_save, struct lane_run **ret_run)
{
    for (int i = 0; i < LANE_COUNT; i++)
        for (int k = 0; k < SOURCE_SEGMENTS; k++) {
            struct segment *segment = &source->lanes[i].segments[k];
            if (!segment->is_open || (by_save ? segment->saving : segment->asked) != ticket)
                continue;
            *ret_run = &source->lanes[i];
            return segment;
        }
    return NULL;
}

bool source_can_take(const struct source *source, uint64_t ticket)
{
    for (int i = 0; i < LANE_COUNT; i++)
        for (int k = 0; k < SOURCE_SEGMENTS; k++) {
            const struct segment *segment = &source->lanes[i].segments[k];
            if (segment->is_open && segment->asked == ticket)
                return !segment->saving;
        }
    return true; /* nobody waits for it any more */
}

/* SRC-6: how far our clock was ahead when the request left. The header knows whole seconds only. */
static void compare_clocks(struct source *source, int64_t asked_us, int64_t date_us, int64_t now_us)
{
    if (date_us <= 0)
        return;
    int64_t ahead_us = asked_us - asked_us % 1000000 - date_us;
    int64_t least_us = source->skew_us < 0 ? source->skew_us : 0; /* a step back counts while the provider agrees */
    source->skew_us = ahead_us > least_us ? ahead_us : least_us;
    source->has_date = true;
    int64_t apart_us = ahead_us < 0 ? -ahead_us : ahead_us;
    if (apart_us <= WARN_SKEW_US) {
        if (source->skew_noted != NOTED_OFF)
            source_note(source, WARN_CLOCK_SKEW, false, 0, "");
        source->skew_noted = NOTED_OFF;
        return;
    }
    if (source->skew_noted == NOTED_ON && now_us - source->skew_noted_at_us < SKEW_AGAIN_US)
        return;
    char detail[STORE_LANE_ERROR_MAX];
    snprintf(detail, sizeof detail, "our clock is %lld s %s the provider's", (long long)(apart_us / 1000000),
             ahead_us > 0 ? "ahead of" : "behind");
    source_note(source, WARN_CLOCK_SKEW, true, apart_us / 1000000, detail);
    source->skew_noted = NOTED_ON;
    source->skew_noted_at_us = now_us;
}

/* The window was opened by a clock that the provider has now corrected: it ends, and was read, that much earlier. */
static void correct_window(struct source *source, struct lane_run *run)
{
    int64_t safe_us = source_safe_now(source, run->opened_at_us);
    if (safe_us >= run->read_at_us)
        return;
    run->read_at_us = safe_us;
    if (run->round_us > safe_us)
        run->round_us = safe_us;
    if (run->lane == LANE_RECHECK)
        return; /* its windows end long ago */
    for (int k = 0; k < SOURCE_SEGMENTS; k++)
        if (run->segments[k].is_open)
            segment_clip(&run->segments[k], &source->form, safe_us - source->timing.margin_us);
    run->window_end_us = run->window_begin_us;
    for (int k = 0; k < SOURCE_SEGMENTS; k++)
        if (run->segments[k].is_open && run->segments[k].end_us > run->window_end_us)
            run->window_end_us = run->segments[k].end_us;
}

static bool is_only_segment(const struct lane_run *run, const struct segment *segment)
{
    for (int k = 0; k < SOURCE_SEGMENTS; k++)
        if (&run->segments[k] != segment && run->segments[k].is_open)
            return false;
    return true;
}

/* Up to where everything of the window is read once this save is kept. */
static int64_t window_position(const struct lane_run *run, const struct segment *segment)
{
    int64_t position_us = segment->is_last ? run->window_end_us : segment->next_position_us;
    for (int k = 0; k < SOURCE_SEGMENTS; k++) {
        const struct segment *other = &run->segments[k];
        if (other != segment && other->is_open && other->position_us < position_us)
            position_us = other->position_us;
    }
    return position_us;
}

/* The last page of a window: the lane's next turn is planned from when it was opened. */
static void plan_next_run(struct source *source, struct lane_run *run, int64_t now_us)
{
    if (run->lane == LANE_BACKFILL) {
        run->next_run_at_us = INT64_MAX;
        return;
    }
    int64_t pause_us = lane_pause(&source->timing, source->newest_sent_us, run->had_items, now_us);
    pause_us += rng_between(&source->rng, -(pause_us / 10), pause_us / 10);
    run->next_run_at_us = run->opened_at_us + pause_us > now_us ? run->opened_at_us + pause_us : now_us;
}

/* How the lane stands when its window is done. */
static void save_end(struct source *source, struct lane_run *run, int64_t now_us, struct source_save *save)
{
    plan_next_run(source, run, now_us);
    run->is_end_saved = true;
    if (run->lane == LANE_BACKFILL)
        save->window_begin_us = save->window_end_us = STORE_NO_INSTANT;
    if (save->state == LANE_WAITING)
        return; /* the whole source waits */
    save->state = LANE_IDLE;
    save->next_run_at_us = run->next_run_at_us == INT64_MAX ? STORE_NO_INSTANT : run->next_run_at_us;
}

void source_save_step(struct source *source, struct lane_run *run, struct segment *segment, enum mark_kind kind,
                      int64_t now_us, struct source_save *ret_save)
{
    struct pending *pending = source_save_begin(source, run, ret_save);
    segment->saving = pending->ticket;
    source_save_mark(pending, ret_save, kind, lane_classes(run->lane), segment->position_us, segment->next_position_us,
                     kind == MARK_HOLE ? now_us : run->read_at_us);
    ret_save->dated_us = source_now(source, now_us);
    run->position_us = window_position(run, segment);
    run->is_dirty = false;
    source_save_lane(source, run, now_us, pending, ret_save);
    if (segment->is_last && is_only_segment(run, segment))
        save_end(source, run, now_us, ret_save);
}

bool source_page(struct source *source, uint64_t ticket, const struct provider_page *page, int64_t asked_us,
                 int64_t date_us, int64_t now_us, struct source_save *ret_save)
{
    assert(source->flights > 0);
    source->flights--;
    compare_clocks(source, asked_us, date_us, now_us);
    struct lane_run *run;
    struct segment *segment = find_segment(source, ticket, false, &run);
    if (!segment)
        return false;
    assert(!segment->saving);

    correct_window(source, run);
    enum segment_word word = segment_page(segment, &source->form, page);
    if (word == SEGMENT_NOTHING)
        return false;
    run->had_items |= page->n > 0;
    source_recover(source, run, now_us);
    segment->loops = word == SEGMENT_LOOP;
    source_save_step(source, run, segment, MARK_READ, now_us, ret_save);
    ret_save->events = page->events;
    ret_save->event_count = page->n;
    return true;
}

/* ----------------------------------------------------------------------------------------------------------- kept */

static struct pending *take_pending(struct source *source, uint64_t ticket)
{
    for (struct pending **link = &source->pending; *link; link = &(*link)->next) {
        struct pending *pending = *link;
        if (pending->ticket != ticket)
            continue;
        *link = pending->next;
        return pending;
    }
    return NULL;
}

/* What was to be noted is still to be noted, where nothing newer is. */
static void notes_again(struct source *source, const struct pending *pending)
{
    for (int i = 0; i < pending->note_count; i++)
        if (!source->notes[pending->codes[i]].is_set)
            source->notes[pending->codes[i]] = pending->notes[i];
}

static void end_window(struct source *source, struct lane_run *run, int64_t now_us)
{
    lane_run_end(run);
    run->loops = 0;
    if (!run->is_end_saved) { /* two segments ended at once, and neither save could know */
        plan_next_run(source, run, now_us);
        run->position_us = run->window_end_us;
        run->is_dirty = true;
    }
    if (run->lane == LANE_BACKFILL) {
        run->window_begin_us = run->window_end_us = STORE_NO_INSTANT;
        return;
    }
    /* What was due when the window (or the round it belongs to) opened and is still unread waits for no pause. */
    struct lane_view view = source_view(source, run->round_us);
    int64_t begin_us, end_us;
    if (lane_window(&view, run->lane, &begin_us, &end_us))
        run->next_run_at_us = now_us;
}

static void split_segment(struct source *source, struct lane_run *run, struct segment *segment)
{
    for (int k = 0; k < SOURCE_SEGMENTS; k++)
        if (!run->segments[k].is_open) {
            segment_split(segment, &source->form, &run->segments[k]);
            return;
        }
    segment->split_us = 0;
}

static void kept_segment(struct source *source, struct lane_run *run, struct segment *segment, int64_t now_us)
{
    if (segment->loops) {
        source_loops(source, run, now_us);
        return;
    }
    bool goes_on = segment_kept(segment, &source->form);
    if (goes_on && segment->split_us)
        split_segment(source, run, segment);
    if (!goes_on && is_only_segment(run, segment))
        end_window(source, run, now_us);
}

static void kept(struct source *source, uint64_t ticket, const struct pending *pending,
                 const struct source_result *result, int64_t now_us)
{
    coverage_apply(source->maps, &source->timing.plan, pending->marks, pending->mark_count);
    for (int i = 0; i < CLASS_COUNT; i++)
        coverage_age(&source->maps[i], &source->timing.plan, now_us - SOURCE_COVERAGE_KEEP_US);

    struct lane_run *run;
    struct segment *segment = find_segment(source, ticket, true, &run);
    if (!segment)
        return;
    kept_segment(source, run, segment, now_us);
    if (run->lane == LANE_BACKFILL && result && result->is_stopped && run->is_open)
        run->is_stopping = true;
}

static void not_kept(struct source *source, uint64_t ticket, const struct pending *pending, int64_t now_us)
{
    notes_again(source, pending);
    source->save_retry_at_us = now_us + SAVE_AGAIN_US;
    struct lane_run *run;
    struct segment *segment = find_segment(source, ticket, true, &run);
    if (segment)
        source_not_kept(source, run, segment, now_us);
}

void source_fence(struct source *source)
{
    source->is_fenced = true;
    for (int i = 0; i < LANE_COUNT; i++)
        lane_run_end(&source->lanes[i]);
}

void source_saved(struct source *source, uint64_t ticket, enum err err, const struct source_result *result,
                  int64_t now_us)
{
    struct pending *pending = take_pending(source, ticket);
    if (!pending)
        return;
    for (int i = 0; i < LANE_COUNT; i++) {
        struct lane_run *run = &source->lanes[i];
        if (run->saving != ticket)
            continue;
        run->saving = 0;
        run->is_dirty |= err != OK;
    }
    if (err == OK)
        kept(source, ticket, pending, result, now_us);
    else if (err == ERR_CONFLICT)
        source_fence(source);
    else
        not_kept(source, ticket, pending, now_us);
    free(pending);
}
