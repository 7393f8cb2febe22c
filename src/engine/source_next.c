/*
 * source_next.c - what the machine of source.h does next: first what the rows must learn, then, when a lane may, a
 * page.
 *
 * A lane without a window opens one; which one, says the map of what was read. Whose page it is, say the turns.
 */
#include "engine/source_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------------------------------------------------- saves */

struct pending *source_save_begin(struct source *source, struct lane_run *run, struct source_save *ret_save)
{
    struct pending *pending = calloc(1, sizeof *pending);
    if (!pending)
        abort();
    pending->ticket = ++source->tickets;
    pending->next = source->pending;
    source->pending = pending;
    *ret_save = (struct source_save){
        .ticket = pending->ticket,
        .source_no = source->no,
        .tenant_no = source->tenant_no,
        .source_id = str_of(source->id),
        .epoch = source->epoch,
        .lane = run->lane,
        .timing = source->timing,
        .first_begin_us = source->first_begin_us,
    };
    for (int code = 0; code < WARN_COUNT && pending->note_count < SOURCE_NOTES_MAX; code++) {
        if (!source->notes[code].is_set)
            continue;
        int n = pending->note_count++;
        pending->codes[n] = (enum warning_code)code;
        pending->notes[n] = source->notes[code];
        source->notes[code].is_set = false;
        ret_save->notes[n] = (struct warning_note){ (enum warning_code)code, pending->notes[n].on,
                                                    pending->notes[n].number, str_of(pending->notes[n].detail) };
        ret_save->note_count = pending->note_count;
    }
    return pending;
}

void source_save_mark(struct pending *pending, struct source_save *save, enum mark_kind kind, unsigned classes,
                      int64_t begin_us, int64_t end_us, int64_t at_us)
{
    assert(save->mark_count < SOURCE_MARKS_MAX);
    if (begin_us >= end_us)
        return;
    struct coverage_mark mark = { kind, classes, begin_us, end_us, at_us };
    save->marks[save->mark_count++] = mark;
    pending->marks[pending->mark_count++] = mark;
}

void source_save_lane(struct source *source, const struct lane_run *run, int64_t now_us, struct pending *pending,
                      struct source_save *save)
{
    save->has_lane = true;
    save->state = source_lane_state(source, run, now_us, &save->next_run_at_us);
    save->window_begin_us = run->window_begin_us;
    save->window_end_us = run->window_end_us;
    save->position_us = run->position_us;
    save->read_begin_us = run->asked_begin_us;
    save->read_end_us = run->asked_end_us;

    bool is_source = source->wait_until_us > now_us && (save->state == LANE_WAITING || save->state == LANE_ERROR);
    const char *error = is_source ? source->wait_error : run->error;
    memcpy(pending->error, error, sizeof pending->error);
    save->last_error = pending->error[0] ? str_of(pending->error) : (struct str){ NULL, 0 };
}

/* A lane's row alone. */
static bool next_dirty(struct source *source, struct lane_run *run, int64_t now_us, struct source_todo *todo)
{
    if (!run->is_dirty || run->saving || source->save_retry_at_us > now_us)
        return false;
    struct pending *pending = source_save_begin(source, run, &todo->save);
    source_save_lane(source, run, now_us, pending, &todo->save);
    run->is_dirty = false;
    run->saving = pending->ticket;
    return true;
}

/* A spot that cannot be read (SRC-18). */
static bool next_hole(struct source *source, struct lane_run *run, int64_t now_us, struct source_todo *todo)
{
    for (int k = 0; k < SOURCE_SEGMENTS; k++) {
        struct segment *segment = &run->segments[k];
        if (!segment_wants_hole(segment) || segment->saving || run->retry_at_us > now_us)
            continue;
        segment->next_position_us = segment->hole_end_us;
        segment->is_last = segment->hole_end_us >= segment->end_us;
        source_note(source, WARN_UNREAD_GAP, true, 0, "a page of the provider cannot be read");
        source_save_step(source, run, segment, MARK_HOLE, now_us, &todo->save);
        return true;
    }
    return false;
}

/* Time that was never read and is gone (SRC-20). */
static bool next_gap(struct source *source, struct lane_run *run, int64_t now_us, struct source_todo *todo)
{
    int64_t begin_us, end_us, safe_us = source_safe_now(source, now_us);
    struct lane_view view = source_view(source, safe_us);
    if (run->is_open || run->saving || (run->lane != LANE_OPENS && run->lane != LANE_OTHERS) ||
        source->save_retry_at_us > now_us || !lane_lost(&view, run->lane, &begin_us, &end_us))
        return false;
    struct pending *pending = source_save_begin(source, run, &todo->save);
    source_save_mark(pending, &todo->save, MARK_GAP, lane_classes(run->lane), begin_us, end_us, now_us);
    source_save_lane(source, run, now_us, pending, &todo->save);
    run->saving = pending->ticket;
    return true;
}

/* -------------------------------------------------------------------------------------------------------- windows */

struct lane_view source_view(const struct source *source, int64_t safe_now_us)
{
    return (struct lane_view){ source->maps, &source->timing, source->first_begin_us, safe_now_us };
}

static int64_t jittered(struct rng *rng, int64_t pause_us)
{
    return pause_us + rng_between(rng, -(pause_us / 10), pause_us / 10);
}

/* Nothing to read: when to look again. */
static void stay_idle(struct source *source, struct lane_run *run, int64_t now_us)
{
    int64_t pause_us =
        jittered(&source->rng, lane_pause(&source->timing, source->newest_sent_us, run->had_items, now_us));
    int64_t from_us = now_us;
    if (run->lane == LANE_RECHECK) {
        struct lane_view view = source_view(source, source_safe_now(source, now_us));
        int64_t due_us = coverage_next_due(source->maps, &source->timing.plan, lane_through(&view, LANE_RECHECK));
        if (due_us != INT64_MAX && due_us + source->skew_us > now_us)
            from_us = due_us + source->skew_us;
    }
    run->next_run_at_us = from_us + pause_us;
    run->opened_at_us = now_us;
    run->is_dirty = true;
}

/* A recheck meets the holes of the map one by one (coverage_due), so it need not look for them again. */
static bool is_hole(const struct source *source, const struct lane_run *run, int64_t begin_us)
{
    return run->lane == LANE_RECHECK && (coverage_is_hole(&source->maps[CLASS_OPENS], begin_us) ||
                                         coverage_is_hole(&source->maps[CLASS_OTHERS], begin_us));
}

static void open_window(struct source *source, struct lane_run *run, int64_t begin_us, int64_t end_us, int64_t now_us)
{
    run->is_open = true;
    run->had_items = run->is_end_saved = false;
    run->opened_at_us = now_us;
    run->read_at_us = source_safe_now(source, now_us);
    if (is_hole(source, run, begin_us))
        segment_open_hole(&run->segments[0], &source->form, begin_us, end_us);
    else
        segment_open(&run->segments[0], &source->form, begin_us, end_us);
}

static void open_backfill(struct source *source, struct lane_run *run, int64_t now_us)
{
    run->next_run_at_us = INT64_MAX;
    if (run->window_begin_us == STORE_NO_INSTANT)
        return;
    int64_t last_us = source_safe_now(source, now_us) - source->timing.margin_us;
    if (run->window_end_us > last_us)
        run->window_end_us = last_us; /* the row was written by a clock that ran ahead */
    if (run->position_us < run->window_begin_us)
        run->position_us = run->window_begin_us;
    if (run->position_us >= run->window_end_us) {
        run->window_begin_us = run->window_end_us = STORE_NO_INSTANT;
        run->is_dirty = true;
        return;
    }
    open_window(source, run, run->position_us, run->window_end_us, now_us);
}

/*
 * The later look of recheck becomes due at the oldest end, microsecond by microsecond. If each window were chosen by
 * the clock, the next one would always be the sliver of it that became due meanwhile, and the earlier look would
 * starve; so a round takes all that was due when it began, and only then the clock is asked again.
 */
static bool next_window(struct source *source, struct lane_run *run, int64_t safe_now_us, int64_t *ret_begin_us,
                        int64_t *ret_end_us)
{
    if (run->lane == LANE_RECHECK && run->round_us && run->round_us < safe_now_us) {
        struct lane_view view = source_view(source, run->round_us);
        if (lane_window(&view, run->lane, ret_begin_us, ret_end_us))
            return true;
    }
    struct lane_view view = source_view(source, safe_now_us);
    run->round_us = safe_now_us;
    return lane_window(&view, run->lane, ret_begin_us, ret_end_us);
}

static void open_lane(struct source *source, struct lane_run *run, int64_t now_us)
{
    if (run->lane == LANE_BACKFILL) {
        open_backfill(source, run, now_us);
        return;
    }
    int64_t begin_us, end_us;
    if (!next_window(source, run, source_safe_now(source, now_us), &begin_us, &end_us)) {
        stay_idle(source, run, now_us);
        return;
    }
    run->window_begin_us = run->position_us = begin_us;
    run->window_end_us = end_us;
    open_window(source, run, begin_us, end_us, now_us);
}

/* A cancelled backfill ends with the page in hand (SRC-11). */
static void stop_lane(struct lane_run *run)
{
    for (int k = 0; k < SOURCE_SEGMENTS; k++)
        if (run->segments[k].is_open && (run->segments[k].asked || run->segments[k].saving))
            return;
    lane_run_end(run);
    run->window_begin_us = run->window_end_us = STORE_NO_INSTANT;
    run->fault = FAULT_NONE;
    run->error[0] = '\0';
    run->is_dirty = true;
}

/* ------------------------------------------------------------------------------------------------------- the next */

static bool is_waiting(const struct source *source, const struct lane_run *run, int64_t now_us)
{
    return source->wait_until_us > now_us || run->retry_at_us > now_us;
}

static bool next_save(struct source *source, int64_t now_us, struct source_todo *todo)
{
    for (int i = 0; i < LANE_COUNT; i++) {
        struct lane_run *run = &source->lanes[i];
        if (run->is_stopping)
            stop_lane(run);
        if (!run->is_open && !run->saving && run->next_run_at_us <= now_us && !is_waiting(source, run, now_us)) {
            if (next_gap(source, run, now_us, todo))
                return true;
            open_lane(source, run, now_us);
        }
        if (next_hole(source, run, now_us, todo) || next_dirty(source, run, now_us, todo))
            return true;
    }
    return false;
}

static struct segment *ready_segment(struct lane_run *run, int64_t now_us)
{
    for (int k = 0; k < SOURCE_SEGMENTS; k++)
        if (segment_is_ready(&run->segments[k], now_us))
            return &run->segments[k];
    return NULL;
}

/* A page of the lane is under way or being kept. */
static bool is_busy(const struct lane_run *run)
{
    for (int k = 0; k < SOURCE_SEGMENTS; k++)
        if (run->segments[k].is_open && (run->segments[k].asked || run->segments[k].saving))
            return true;
    return false;
}

static bool next_fetch(struct source *source, int64_t now_us, struct source_todo *todo)
{
    bool has_work[LANE_COUNT], is_ready[LANE_COUNT];
    if (source->flights >= SOURCE_FLIGHTS)
        return false;
    for (int i = 0; i < LANE_COUNT; i++) {
        struct lane_run *run = &source->lanes[i];
        bool is_free = run->is_open && !run->is_stopping && !is_waiting(source, run, now_us);
        is_ready[i] = is_free && ready_segment(run, now_us);
        has_work[i] = is_ready[i] || (is_free && is_busy(run)); /* one that waits for a retry stops nobody */
    }
    todo->wants_page = source->is_held && turns_next(&source->turns, has_work, is_ready) != LANE_COUNT;
    if (todo->wants_page)
        return false;
    enum lane lane = turns_take(&source->turns, has_work, is_ready);
    if (lane == LANE_COUNT)
        return false;

    uint64_t ticket = ++source->tickets;
    struct segment_request request = segment_ask(ready_segment(&source->lanes[lane], now_us), ticket);
    source->flights++;
    todo->request = (struct source_request){
        .ticket = ticket,
        .lane = lane,
        .classes = lane_classes(lane),
        .begin_us = request.begin_us,
        .end_us = request.end_us,
        .token = request.token,
        .limit = request.limit,
    };
    return true;
}

/* When a lane could go on by itself; INT64_MAX while it waits for an answer. */
static int64_t wake_lane(const struct source *source, const struct lane_run *run)
{
    int64_t at_us = run->is_open ? INT64_MAX : run->next_run_at_us;
    for (int k = 0; run->is_open && k < SOURCE_SEGMENTS; k++) {
        const struct segment *segment = &run->segments[k];
        if (segment->is_open && !segment->asked && segment->retry_at_us < at_us)
            at_us = segment->retry_at_us;
    }
    if (at_us < run->retry_at_us)
        at_us = run->retry_at_us;
    return at_us < source->wait_until_us ? source->wait_until_us : at_us;
}

void source_next(struct source *source, int64_t now_us, struct source_todo *ret)
{
    *ret = (struct source_todo){ .step = SOURCE_WAIT, .wake_us = INT64_MAX };
    if (source->is_fenced)
        return;
    if (next_save(source, now_us, ret)) {
        ret->step = SOURCE_SAVE;
        return;
    }
    if (next_fetch(source, now_us, ret)) {
        ret->step = SOURCE_FETCH;
        return;
    }
    for (int i = 0; i < LANE_COUNT; i++) {
        const struct lane_run *run = &source->lanes[i];
        int64_t at_us = wake_lane(source, run);
        if (at_us > now_us && at_us < ret->wake_us)
            ret->wake_us = at_us;
        if (run->is_dirty && source->save_retry_at_us > now_us && source->save_retry_at_us < ret->wake_us)
            ret->wake_us = source->save_retry_at_us;
    }
}
