#include "engine/source_commit.h"

#include <string.h>

#include "base/mask.h"
#include "base/siphash.h"
#include "engine/provider.h"
#include "store/store_tenant.h"

#define REASONS_MAX 16 /* different ones of one page */

/* --------------------------------------------------------------------------------------------------------- events */

/* What the events of one page or webhook add up to. */
struct intake {
    uint32_t source_no, tenant_no;
    struct str source_id;
    struct ring ring;
    struct {
        const char *reason;
        int64_t count;
    } reasons[REASONS_MAX];
    int reason_count;
    int64_t malformed_left; /* malformed items still to come, to keep only the newest */
    bool is_hook;           /* posted, not polled */
    int64_t now_us;         /* what events are dated is held against this */
};

static void intake_reason(struct intake *intake, const char *reason)
{
    for (int i = 0; i < intake->reason_count; i++)
        if (strcmp(intake->reasons[i].reason, reason) == 0) {
            intake->reasons[i].count++;
            return;
        }
    int last = intake->reason_count < REASONS_MAX ? intake->reason_count++ : REASONS_MAX - 1;
    if (intake->reasons[last].count == 0)
        intake->reasons[last].reason = reason;
    intake->reasons[last].count++;
}

/* The newest few are kept raw, for whoever has to find out what the provider means. */
static enum err intake_malformed(struct op *op, struct tx *tx, struct intake *intake,
                                 const struct provider_event *event)
{
    const char *reason = event->reason ? event->reason : "unknown";
    intake_reason(intake, reason);
    if (--intake->malformed_left >= STORE_SAMPLES_MAX)
        return OK;
    struct sample_row row = { .at_us = op->now_us, .reason = str_of(reason) };
    if (str_given(event->raw)) {
        row.raw = mask_text(op->arena, str_clip(event->raw, STORE_SAMPLE_BYTES));
        row.raw = str_clip(row.raw, STORE_SAMPLE_BYTES);
    }
    return store_sample_add(op, tx, intake->source_no, &row);
}

/* SRC-16: what is dated in the future will be read when its time has come. A source that is not polled will not say it
 * again: its word is taken now, as of now. */
static enum err intake_future(struct op *op, struct tx *tx, struct intake *intake, struct provider_event *event,
                              bool *ret_left)
{
    struct source_row row;
    *ret_left = true;
    if (!intake->is_hook)
        return OK;
    TRY(store_source_get_no(op, tx, intake->source_no, &row));
    *ret_left = source_config_is_polled(&row);
    event->at_us = op->now_us;
    return OK;
}

static enum err intake_event(struct op *op, struct tx *tx, struct intake *intake, const struct provider_event *event,
                             struct source_result *result)
{
    enum event_result word;
    struct provider_event now;
    bool is_left = false;
    if (event->kind != EVENT_MALFORMED && event->at_us > intake->now_us + SOURCE_FUTURE_US) {
        now = *event;
        TRY(intake_future(op, tx, intake, &now, &is_left));
        event = &now;
        result->future_count++;
    }
    if (is_left) {
        result->left_count++;
        return OK;
    }
    if (event->kind == EVENT_MALFORMED) {
        word = RESULT_MALFORMED;
        TRY(intake_malformed(op, tx, intake, event));
    } else if (event->kind == EVENT_UNHANDLED) {
        word = RESULT_UNHANDLED;
    } else {
        TRY(ledger_apply(op, tx, intake->source_id, intake->source_no, intake->tenant_no, event, &word));
    }
    result->count[word]++;
    ring_add(&intake->ring, word == RESULT_PARKED, word == RESULT_MALFORMED);
    if (word != RESULT_MALFORMED && event->at_us > result->last_event_us)
        result->last_event_us = event->at_us;
    return OK;
}

static enum err intake_run(struct op *op, struct tx *tx, struct intake *intake, const struct provider_event *events,
                           size_t count, struct source_result *result)
{
    *result = (struct source_result){ .last_event_us = STORE_NO_INSTANT };
    if (count == 0)
        return OK;
    TRY(store_ring_get(op, tx, intake->source_no, &intake->ring));
    TRY(ledger_prefetch(op, tx, events, count));
    for (size_t i = 0; i < count; i++)
        intake->malformed_left += events[i].kind == EVENT_MALFORMED;
    for (size_t i = 0; i < count; i++)
        TRY(intake_event(op, tx, intake, &events[i], result));
    for (int i = 0; i < intake->reason_count; i++)
        TRY(store_reason_count(op, tx, intake->source_no, str_of(intake->reasons[i].reason), intake->reasons[i].count));
    return store_ring_put(op, tx, intake->source_no, &intake->ring);
}

static void count_into(struct lane_row *row, const struct source_result *result)
{
    for (int i = 0; i < RESULT_COUNT; i++)
        row->count[i] += result->count[i];
    if (result->last_event_us > row->last_event_at_us)
        row->last_event_at_us = result->last_event_us;
}

/* ------------------------------------------------------------------------------------------------------- warnings */

static enum err note_warning(struct op *op, struct tx *tx, uint32_t source_no, const struct warning_note *note)
{
    if (!note->on)
        return store_warning_delete(op, tx, source_no, note->code);
    struct warning_row *rows;
    size_t count;
    TRY(store_warning_list(op, tx, source_no, &rows, &count));
    struct warning_row row = {
        .code = (uint8_t)note->code,
        .since_us = op->now_us,
        .seen_us = op->now_us,
        .number = note->number,
        .detail = note->detail,
    };
    for (size_t i = 0; i < count; i++)
        if (rows[i].code == note->code)
            row.since_us = rows[i].since_us;
    return store_warning_put(op, tx, source_no, &row);
}

static enum err note_future(struct op *op, struct tx *tx, uint32_t source_no, int64_t future_count)
{
    if (future_count == 0)
        return OK;
    struct warning_note note = { WARN_CLOCK_SKEW, true, future_count, S("events are dated in the future") };
    return note_warning(op, tx, source_no, &note);
}

/* ------------------------------------------------------------------------------------------------------- coverage */

static enum err put_map(struct op *op, struct tx *tx, const struct source_save *save, int class,
                        struct coverage maps[CLASS_COUNT], struct interval *before, size_t before_count)
{
    coverage_age(&maps[class], &save->timing.plan, op->now_us - SOURCE_COVERAGE_KEEP_US);
    return store_coverage_put(op, tx, save->source_no, (unsigned)class, before, before_count, maps[class].at,
                              maps[class].count);
}

static void note_behind(struct op *op, const struct source_save *save, const struct coverage maps[CLASS_COUNT],
                        struct lane_row *row)
{
    if (save->lane != LANE_OPENS && save->lane != LANE_OTHERS)
        return;
    struct lane_view view = { maps, &save->timing, save->first_begin_us, op->now_us };
    if (lane_lag(&view, save->lane) <= WARN_LAG_US)
        row->behind_since_us = STORE_NO_INSTANT;
    else if (row->behind_since_us == STORE_NO_INSTANT)
        row->behind_since_us = op->now_us;
}

static enum err apply_marks(struct op *op, struct tx *tx, const struct source_save *save,
                            struct coverage maps[CLASS_COUNT], struct lane_row *row)
{
    struct interval *before[CLASS_COUNT];
    size_t count[CLASS_COUNT];
    for (int i = 0; i < CLASS_COUNT; i++) {
        TRY(store_coverage_get(op, tx, save->source_no, (unsigned)i, &before[i], &count[i]));
        coverage_load(&maps[i], before[i], count[i]);
    }
    coverage_apply(maps, &save->timing.plan, save->marks, save->mark_count);
    for (int i = 0; i < CLASS_COUNT; i++)
        TRY(put_map(op, tx, save, i, maps, before[i], count[i]));
    note_behind(op, save, maps, row);
    return OK;
}

static enum err save_coverage(struct op *op, struct tx *tx, const struct source_save *save, struct lane_row *row)
{
    if (save->mark_count == 0)
        return OK;
    struct coverage maps[CLASS_COUNT];
    for (int i = 0; i < CLASS_COUNT; i++)
        coverage_init(&maps[i]);
    enum err err = apply_marks(op, tx, save, maps, row);
    for (int i = 0; i < CLASS_COUNT; i++)
        coverage_done(&maps[i]);
    TRY(err);
    for (int i = 0; i < save->mark_count; i++) {
        const struct coverage_mark *mark = &save->marks[i];
        struct gap_row gap = { mark->begin_us, mark->end_us, op->now_us };
        if (mark->kind == MARK_GAP)
            TRY(store_gap_add(op, tx, save->source_no, &gap));
    }
    return OK;
}

/* ---------------------------------------------------------------------------------------------------------- lane */

/* A cancelled or replaced backfill: the page still counts, the row is not the page's any more. */
static bool is_cancelled(const struct source_save *save, const struct lane_row *row)
{
    return save->lane == LANE_BACKFILL && save->has_lane &&
           (row->window_begin_us != save->read_begin_us || row->window_end_us != save->read_end_us);
}

static void fill_lane(struct lane_row *row, const struct source_save *save)
{
    row->state = (uint8_t)save->state;
    row->window_begin_us = save->window_begin_us;
    row->window_end_us = save->window_end_us;
    row->position_us = save->position_us;
    row->next_run_at_us = save->next_run_at_us;
    row->last_error = save->last_error;
}

enum err source_commit(struct op *op, struct tx *tx, const struct source_save *save, struct source_result *ret)
{
    struct lane_row row;
    TRY(store_lane_get_one(op, tx, save->source_no, save->lane, &row));
    if (save->epoch)
        TRY(source_lease_go_on(op, tx, &save->node, save->epoch, &row));

    struct intake intake = { .source_no = save->source_no,
                             .tenant_no = save->tenant_no,
                             .source_id = save->source_id,
                             .now_us = save->dated_us ? save->dated_us : op->now_us };
    struct source_result result;
    TRY(intake_run(op, tx, &intake, save->events, save->event_count, &result));
    TRY(save_coverage(op, tx, save, &row));
    for (int i = 0; i < save->note_count; i++)
        TRY(note_warning(op, tx, save->source_no, &save->notes[i]));
    TRY(note_future(op, tx, save->source_no, result.future_count));

    count_into(&row, &result);
    result.is_stopped = is_cancelled(save, &row);
    if (save->has_lane && !result.is_stopped)
        fill_lane(&row, save);
    TRY(store_lane_put(op, tx, &row));
    *ret = result;
    return OK;
}

/* ------------------------------------------------------------------------------------------------------- webhooks */

static enum err take_token(struct op *op, struct tx *tx, const struct source_hook_save *save,
                           enum hook_outcome *ret_outcome)
{
    *ret_outcome = HOOK_TAKEN;
    if (!str_given(save->replay_token))
        return OK;
    uint8_t known[STORE_BODY_HASH_BYTES];
    bool found;
    struct hash128 hash = siphash128(siphash_key_from(tx_hash_key(tx)), save->replay_token.p, save->replay_token.n);
    uint8_t token[STORE_TOKEN_HASH_BYTES];
    static_assert(sizeof token == sizeof hash, "a token is kept as its hash");
    memcpy(token, &hash, sizeof token);
    TRY(store_hook_token_get(op, tx, save->source_no, token, &found, known));
    if (!found)
        return store_hook_token_put(op, tx, save->source_no, token, save->body_hash, save->replay_until_us, op->now_us);
    *ret_outcome = memcmp(known, save->body_hash, sizeof known) == 0 ? HOOK_REPEAT : HOOK_REPLAYED;
    return OK;
}

enum err source_hook_commit(struct op *op, struct tx *tx, const struct source_hook_save *save,
                            enum hook_outcome *ret_outcome, struct source_result *ret)
{
    enum hook_outcome outcome;
    TRY(take_token(op, tx, save, &outcome));
    struct source_result result = { .last_event_us = STORE_NO_INSTANT };
    if (outcome == HOOK_TAKEN) {
        struct intake intake = { .source_no = save->source_no,
                                 .tenant_no = save->tenant_no,
                                 .source_id = save->source_id,
                                 .is_hook = true,
                                 .now_us = op->now_us };
        struct lane_row row;
        TRY(intake_run(op, tx, &intake, save->events, save->event_count, &result));
        TRY(note_future(op, tx, save->source_no, result.future_count));
        TRY(store_lane_get_one(op, tx, save->source_no, LANE_HOOK, &row));
        count_into(&row, &result);
        TRY(store_lane_put(op, tx, &row));
    }
    if (outcome == HOOK_REPLAYED)
        TRY(source_hook_refused(op, tx, save->source_no, 1));
    *ret_outcome = outcome;
    *ret = result;
    return OK;
}

enum err source_hook_refused(struct op *op, struct tx *tx, uint32_t source_no, int64_t count)
{
    struct warning_row *rows;
    size_t n;
    TRY(store_warning_list(op, tx, source_no, &rows, &n));
    struct warning_row row = { .code = WARN_HOOK_REFUSED, .since_us = op->now_us };
    for (size_t i = 0; i < n; i++)
        if (rows[i].code == WARN_HOOK_REFUSED && op->now_us - rows[i].seen_us < WARN_HOOK_US)
            row = rows[i];
    row.seen_us = op->now_us;
    row.number += count;
    return store_warning_put(op, tx, source_no, &row);
}

/* ------------------------------------------------------------------------------------------------------- backfill */

enum err source_backfill_start(struct op *op, struct tx *tx, struct str source_id, int64_t begin_us, int64_t end_us)
{
    struct source_row source;
    struct lane_row row;
    struct timing timing;
    TRY(store_source_get(op, tx, source_id, &source));
    if (!source_config_is_polled(&source))
        return fail(op, ERR_CONFLICT, "source %.*s is not polled: it has nothing to read back", STR(source_id));
    source_config_timing(op, &source, &timing);
    TRY(lane_backfill_window(op, &timing, begin_us, end_us, op->now_us, &end_us));
    TRY(store_lane_get_one(op, tx, source.no, LANE_BACKFILL, &row));
    if (row.window_begin_us != STORE_NO_INSTANT)
        return fail(op, ERR_CONFLICT, "a backfill of source %.*s is under way", STR(source_id));
    row.window_begin_us = row.position_us = begin_us;
    row.window_end_us = end_us;
    row.state = LANE_RUNNING;
    row.next_run_at_us = STORE_NO_INSTANT;
    TRY(store_lane_put(op, tx, &row));
    return store_source_touch(op, tx, source.no);
}

enum err source_backfill_stop(struct op *op, struct tx *tx, struct str source_id)
{
    struct source_row source;
    struct lane_row row;
    TRY(store_source_get(op, tx, source_id, &source));
    TRY(store_lane_get_one(op, tx, source.no, LANE_BACKFILL, &row));
    if (row.window_begin_us == STORE_NO_INSTANT)
        return OK;
    row.window_begin_us = row.window_end_us = STORE_NO_INSTANT;
    row.state = LANE_IDLE;
    row.last_error = (struct str){ NULL, 0 };
    TRY(store_lane_put(op, tx, &row));
    return store_source_touch(op, tx, source.no);
}
