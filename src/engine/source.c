/*
 * source.c - life of the machine of source.h. What it does next is source_next.c, what becomes of a page source_page.c,
 * faults are source_fail.c.
 */
#include "engine/source_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ----------------------------------------------------------------------------------------------------------- life */

static void take_setup(struct source *source, const struct source_setup *setup)
{
    const struct source_row *row = &setup->row;
    source->tenant_no = row->tenant_no;
    source->is_logs = str_eq(row->api, S("logs"));
    source->form = (struct segment_form){
        .limit = source->is_logs ? SOURCE_LOGS_LIMIT : SOURCE_EVENTS_LIMIT,
        .pages_max = source->is_logs ? SOURCE_LOGS_PAGES : 0,
        .grain_us = source->is_logs ? 1000000 : 1000,
        .end_without_token = source->is_logs,
    };
    source->timing = setup->timing;
    source->first_begin_us = row->first_begin_us;
    source->epoch = setup->epoch;
    source->newest_sent_us = setup->newest_sent_us;
}

static void take_maps(struct source *source, const struct source_setup *setup)
{
    for (int i = 0; i < CLASS_COUNT; i++)
        coverage_load(&source->maps[i], setup->intervals[i], setup->interval_count[i]);
}

static void take_backfill(struct source *source, const struct lane_row *row)
{
    struct lane_run *run = &source->lanes[LANE_BACKFILL];
    bool is_same = run->window_begin_us == row->window_begin_us && run->window_end_us == row->window_end_us;
    if (is_same && run->is_open)
        return;
    if (row->window_begin_us == STORE_NO_INSTANT) {
        run->is_stopping |= run->window_begin_us != STORE_NO_INSTANT;
        return;
    }
    lane_run_end(run);
    run->window_begin_us = run->asked_begin_us = row->window_begin_us;
    run->window_end_us = run->asked_end_us = row->window_end_us;
    run->position_us = row->position_us;
}

struct source *source_new(const struct source_setup *setup, uint64_t seed)
{
    struct source *source = calloc(1, sizeof *source);
    if (!source)
        abort();
    rng_init(&source->rng, seed);
    turns_init(&source->turns);
    for (int i = 0; i < CLASS_COUNT; i++)
        coverage_init(&source->maps[i]);
    source->no = setup->row.no;
    source->id = strndup(setup->row.id.p, setup->row.id.n); /* stays where it is: saves on their way point at it */
    if (!source->id)
        abort();
    take_setup(source, setup);
    take_maps(source, setup);
    for (int i = 0; i < LANE_COUNT; i++) {
        const struct lane_row *row = &setup->lanes[i];
        source->lanes[i] = (struct lane_run){
            .lane = (enum lane)i,
            .window_begin_us = row->window_begin_us,
            .window_end_us = row->window_end_us,
            .asked_begin_us = row->window_begin_us,
            .asked_end_us = row->window_end_us,
            .position_us = row->position_us,
            .is_dirty = row->state != LANE_IDLE && row->state != LANE_RUNNING,
        };
    }
    return source;
}

void source_free(struct source *source)
{
    if (!source)
        return;
    for (int i = 0; i < LANE_COUNT; i++)
        lane_run_end(&source->lanes[i]);
    for (int i = 0; i < CLASS_COUNT; i++)
        coverage_done(&source->maps[i]);
    while (source->pending) {
        struct pending *pending = source->pending;
        source->pending = pending->next;
        free(pending);
    }
    free(source->id);
    free(source);
}

void source_reload(struct source *source, const struct source_setup *setup, int64_t now_us)
{
    if (source->is_fenced || source_is_quiet(source))
        take_maps(source, setup);
    source->is_fenced = false;
    bool was_logs = source->is_logs;
    take_setup(source, setup);
    for (int i = 0; i < LANE_COUNT && was_logs != source->is_logs; i++)
        lane_run_end(&source->lanes[i]); /* pages and tokens of the other API mean nothing here */
    take_backfill(source, &setup->lanes[LANE_BACKFILL]);

    /* What failed may be mended: try at once. A rate limit is the provider's word and stays. */
    if (source->wait_fault != FAULT_RATE)
        source->wait_until_us = 0;
    for (int i = 0; i < LANE_COUNT; i++) {
        struct lane_run *run = &source->lanes[i];
        run->retry_at_us = 0;
        if (run->next_run_at_us > now_us)
            run->next_run_at_us = now_us;
        for (int k = 0; k < SOURCE_SEGMENTS; k++)
            if (!run->segments[k].asked && !run->segments[k].saving)
                segment_restart(&run->segments[k]);
    }
}

void source_news(struct source *source, int64_t newest_sent_us, int64_t now_us)
{
    if (newest_sent_us == source->newest_sent_us)
        return;
    source->newest_sent_us = newest_sent_us;
    for (int i = 0; i < LANE_COUNT; i++) {
        struct lane_run *run = &source->lanes[i];
        int64_t at_us = run->opened_at_us + lane_pause(&source->timing, newest_sent_us, run->had_items, now_us);
        if (run->lane != LANE_BACKFILL && at_us < run->next_run_at_us)
            run->next_run_at_us = at_us;
    }
}

static void move(int64_t *at_us, int64_t by_us)
{
    if (*at_us != 0 && *at_us != INT64_MAX && *at_us != STORE_NO_INSTANT)
        *at_us += by_us;
}

void source_stepped(struct source *source, int64_t by_us)
{
    /* Without a Date header a clock that was set forward is believed: nobody could ever say that it is right. */
    source->skew_us += by_us;
    if (source->skew_us > 0 && !source->has_date)
        source->skew_us = 0;
    move(&source->save_retry_at_us, by_us);
    move(&source->wait_until_us, by_us);
    move(&source->skew_noted_at_us, by_us);
    for (int i = 0; i < LANE_COUNT; i++) {
        struct lane_run *run = &source->lanes[i];
        move(&run->opened_at_us, by_us);
        move(&run->next_run_at_us, by_us);
        move(&run->retry_at_us, by_us);
        move(&run->token_at_us, by_us);
        for (int k = 0; k < SOURCE_SEGMENTS; k++)
            move(&run->segments[k].retry_at_us, by_us);
        run->is_dirty = true; /* the row says when it goes on */
    }
}

int64_t source_now(const struct source *source, int64_t now_us)
{
    return source->skew_us < 0 ? source_safe_now(source, now_us) : now_us;
}

void source_hold(struct source *source, bool is_held)
{
    source->is_held = is_held;
}

bool source_is_fenced(const struct source *source)
{
    return source->is_fenced;
}

bool source_is_quiet(const struct source *source)
{
    return source->flights == 0 && !source->pending;
}

void lane_run_end(struct lane_run *run)
{
    for (int k = 0; k < SOURCE_SEGMENTS; k++)
        segment_close(&run->segments[k]);
    run->is_open = run->is_stopping = false;
    run->saving = 0;
}
