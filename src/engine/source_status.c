#include "engine/source_status.h"

#include <string.h>

#include "base/instant.h"
#include "engine/ledger.h"
#include "store/store_tenant.h"

#define COVERAGE_SHOWN 1000 /* intervals in a document; the newest */

/* Everything a document or a warning is read from. */
struct facts {
    struct timing timing;
    struct lane_row lanes[STORE_LANES];
    struct coverage maps[CLASS_COUNT];
    struct ring ring;
    struct warning_facts warnings;
};

static void facts_done(struct facts *facts)
{
    for (int i = 0; i < CLASS_COUNT; i++)
        coverage_done(&facts->maps[i]);
}

static enum err read_rows(struct op *op, struct tx *tx, const struct source_row *row, struct facts *facts)
{
    struct warning_facts *w = &facts->warnings;
    source_config_timing(op, row, &facts->timing);
    TRY(store_lane_get(op, tx, row->no, facts->lanes));
    for (int i = 0; i < CLASS_COUNT; i++) {
        struct interval *intervals;
        size_t count;
        TRY(store_coverage_get(op, tx, row->no, (unsigned)i, &intervals, &count));
        coverage_load(&facts->maps[i], intervals, count);
    }
    TRY(store_ring_get(op, tx, row->no, &facts->ring));
    struct gap_row *gaps;
    struct warning_row *noted;
    TRY(store_gap_list(op, tx, row->no, &gaps, &w->gap_count));
    TRY(store_warning_list(op, tx, row->no, &noted, &w->noted_count));
    w->gaps = gaps;
    w->noted = noted;
    TRY(store_mailing_oldest_sent(op, tx, row->tenant_no, op->now_us - WARN_KEEP_US, &w->oldest_sent_us));
    TRY(store_source_sent_count(op, tx, row->tenant_no, op->now_us - WARN_KEEP_US, op->now_us - WARN_SILENCE_US,
                                WARN_SILENCE_SENT, &w->silent_sent));
    w->is_polled = source_config_is_polled(row);
    w->lanes = facts->lanes;
    w->maps = facts->maps;
    w->timing = &facts->timing;
    w->ring = &facts->ring;
    w->first_begin_us = row->first_begin_us;
    return OK;
}

static enum err facts_read(struct op *op, struct tx *tx, const struct source_row *row, struct facts *ret)
{
    memset(ret, 0, sizeof *ret);
    enum err err = read_rows(op, tx, row, ret);
    if (err != OK)
        facts_done(ret);
    return err;
}

enum err source_warnings(struct op *op, struct tx *tx, const struct source_row *row, struct warning ret[WARN_COUNT],
                         size_t *ret_count)
{
    struct facts facts;
    TRY(facts_read(op, tx, row, &facts));
    *ret_count = warnings_find(op, &facts.warnings, ret);
    facts_done(&facts);
    return OK;
}

/* -------------------------------------------------------------------------------------------------------- keeping */

static bool is_in_force(const struct warning *warnings, size_t count, unsigned code)
{
    for (size_t i = 0; i < count; i++)
        if (warnings[i].code == code)
            return true;
    return false;
}

static bool is_noted(const struct warning_facts *facts, unsigned code)
{
    for (size_t i = 0; i < facts->noted_count; i++)
        if (facts->noted[i].code == code)
            return true;
    return false;
}

/* Rows of codes that went, except a rate limit that is only too young to warn about. */
static bool is_over(const struct warning *warnings, size_t count, unsigned code)
{
    return code != WARN_RATE_LIMITED && !is_in_force(warnings, count, code);
}

static bool is_different(const struct warning_facts *facts, const struct warning *warnings, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!is_noted(facts, warnings[i].code))
            return true;
    for (size_t i = 0; i < facts->noted_count; i++)
        if (is_over(warnings, count, facts->noted[i].code))
            return true;
    return false;
}

enum err source_warnings_look(struct op *op, struct tx *tx, uint32_t source_no, bool *ret_differ)
{
    struct source_row row;
    struct facts facts;
    struct warning warnings[WARN_COUNT];
    TRY(store_source_get_no(op, tx, source_no, &row));
    TRY(facts_read(op, tx, &row, &facts));
    size_t count = warnings_find(op, &facts.warnings, warnings);
    *ret_differ = is_different(&facts.warnings, warnings, count);
    facts_done(&facts);
    return OK;
}

static enum err keep_rows(struct op *op, struct tx *tx, uint32_t source_no, const struct warning_facts *facts)
{
    struct warning warnings[WARN_COUNT];
    size_t count = warnings_find(op, facts, warnings);
    for (size_t i = 0; i < count; i++) {
        struct warning_row row = { .code = (uint8_t)warnings[i].code,
                                   .since_us = warnings[i].since_us,
                                   .seen_us = op->now_us };
        if (!is_noted(facts, warnings[i].code))
            TRY(store_warning_put(op, tx, source_no, &row));
    }
    for (size_t i = 0; i < facts->noted_count; i++)
        if (is_over(warnings, count, facts->noted[i].code))
            TRY(store_warning_delete(op, tx, source_no, facts->noted[i].code));
    return OK;
}

enum err source_warnings_keep(struct op *op, struct tx *tx, uint32_t source_no)
{
    struct source_row row;
    struct facts facts;
    TRY(store_source_get_no(op, tx, source_no, &row));
    TRY(facts_read(op, tx, &row, &facts));
    enum err err = keep_rows(op, tx, source_no, &facts.warnings);
    facts_done(&facts);
    return err;
}

/* --------------------------------------------------------------------------------------------------- the document */

static void put_instant(struct json_writer *w, const char *name, int64_t us)
{
    char text[INSTANT_TEXT_BYTES];
    if (us == STORE_NO_INSTANT)
        json_member_null(w, name);
    else
        json_member_str(w, name, instant_text(us, 6, text));
}

static void put_seconds(struct json_writer *w, const char *name, int64_t us)
{
    json_put_name(w, name);
    json_put_decimal(w, us / 1000, 3);
}

static int64_t items_of(const struct lane_row *row)
{
    int64_t sum = 0;
    for (int i = 0; i < STORE_RESULTS; i++)
        sum += row->count[i];
    return sum;
}

static void put_counts(struct json_writer *w, const struct lane_row *row)
{
    json_member_int(w, "events", items_of(row));
    json_put_name(w, "results");
    json_object_begin(w);
    for (int i = 0; i < RESULT_COUNT; i++)
        json_member_int(w, event_result_name((enum event_result)i), row->count[i]);
    json_object_end(w);
    put_instant(w, "last_event_at", row->last_event_at_us);
}

static void put_window(struct json_writer *w, const struct lane_row *row)
{
    if (row->window_begin_us == STORE_NO_INSTANT) {
        json_member_null(w, "window");
        return;
    }
    json_put_name(w, "window");
    json_object_begin(w);
    put_instant(w, "begin", row->window_begin_us);
    put_instant(w, "end", row->window_end_us);
    json_object_end(w);
}

/* fetched_through and lag_seconds (SRC-23). */
static void put_progress(struct json_writer *w, const struct facts *facts, enum lane lane, int64_t now_us)
{
    struct lane_view view = { facts->maps, &facts->timing, facts->warnings.first_begin_us, now_us };
    bool is_started = facts->warnings.first_begin_us != STORE_NO_INSTANT;
    bool is_live = lane == LANE_OPENS || lane == LANE_OTHERS;
    int64_t through_us = facts->lanes[lane].position_us;
    if (is_live)
        through_us = is_started ? lane_through(&view, lane) : STORE_NO_INSTANT;
    put_instant(w, "fetched_through", through_us);
    if (lane == LANE_BACKFILL || !is_started)
        json_member_null(w, "lag_seconds");
    else
        put_seconds(w, "lag_seconds", lane_lag(&view, lane));
}

static void put_lane(struct json_writer *w, const struct facts *facts, enum lane lane, int64_t now_us)
{
    const struct lane_row *row = &facts->lanes[lane];
    json_object_begin(w);
    json_member_str(w, "lane", str_of(lane_name(lane)));
    json_member_str(w, "state", str_of(lane_state_name((enum lane_state)row->state)));
    put_window(w, row);
    put_progress(w, facts, lane, now_us);
    put_counts(w, row);
    json_member_str(w, "last_error", row->last_error);
    put_instant(w, "next_run_at", row->next_run_at_us);
    json_object_end(w);
}

static void put_lanes(struct json_writer *w, const struct facts *facts, int64_t now_us)
{
    json_put_name(w, "lanes");
    json_array_begin(w);
    for (int i = 0; facts->warnings.is_polled && i < LANE_COUNT; i++)
        put_lane(w, facts, (enum lane)i, now_us);
    json_array_end(w);

    const struct lane_row *hook = &facts->lanes[LANE_HOOK];
    json_put_name(w, "webhook");
    json_object_begin(w);
    put_counts(w, hook);
    json_object_end(w);
}

static enum err put_coverage(struct op *op, struct json_writer *w, const struct facts *facts)
{
    struct interval *merged;
    TRY(op_alloc(op, COVERAGE_SHOWN * sizeof *merged, &merged));
    size_t count = coverage_merge(facts->maps, merged, COVERAGE_SHOWN);
    json_put_name(w, "coverage");
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        json_object_begin(w);
        put_instant(w, "begin", merged[i].begin_us);
        put_instant(w, "end", merged[i].end_us);
        json_member_int(w, "passes", merged[i].passes);
        json_member_bool(w, "settled", coverage_is_settled(&merged[i], &facts->timing.plan));
        json_object_end(w);
    }
    json_array_end(w);
    return OK;
}

static void put_gaps(struct json_writer *w, const struct facts *facts)
{
    json_put_name(w, "gaps");
    json_array_begin(w);
    for (size_t i = 0; i < facts->warnings.gap_count; i++) {
        const struct gap_row *gap = &facts->warnings.gaps[i];
        json_object_begin(w);
        json_member_str(w, "kind", S("unread"));
        put_instant(w, "begin", gap->begin_us);
        put_instant(w, "end", gap->end_us);
        put_instant(w, "at", gap->at_us);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_warnings(struct op *op, struct json_writer *w, const struct facts *facts)
{
    struct warning warnings[WARN_COUNT];
    size_t count = warnings_find(op, &facts->warnings, warnings);
    json_put_name(w, "warnings");
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        json_object_begin(w);
        json_member_str(w, "code", str_of(warning_name(warnings[i].code)));
        put_instant(w, "since", warnings[i].since_us);
        json_member_str(w, "detail", warnings[i].detail);
        json_object_end(w);
    }
    json_array_end(w);
}

static enum err put_malformed(struct op *op, struct tx *tx, struct json_writer *w, uint32_t source_no)
{
    struct reason_row *reasons;
    struct sample_row *samples;
    size_t count;
    TRY(store_reason_list(op, tx, source_no, &reasons, &count));
    json_put_name(w, "malformed");
    json_object_begin(w);
    json_put_name(w, "reasons");
    json_object_begin(w);
    for (size_t i = 0; i < count; i++) {
        json_put_name_str(w, reasons[i].reason);
        json_put_int(w, reasons[i].count);
    }
    json_object_end(w);

    TRY(store_sample_list(op, tx, source_no, &samples, &count));
    json_put_name(w, "newest");
    json_array_begin(w);
    for (size_t i = 0; i < count; i++) {
        json_object_begin(w);
        put_instant(w, "at", samples[i].at_us);
        json_member_str(w, "reason", samples[i].reason);
        json_member_str(w, "raw", samples[i].raw);
        json_object_end(w);
    }
    json_array_end(w);
    json_object_end(w);
    return OK;
}

static enum err put_document(struct op *op, struct tx *tx, const struct source_row *row, const struct facts *facts,
                             struct json_writer *w)
{
    struct tenant tenant = { 0 };
    if (row->tenant_no)
        TRY(store_tenant_get_no(op, tx, row->tenant_no, &tenant));
    bool is_obs = str_eq(row->type, S("obs"));
    json_object_begin(w);
    source_config_write(w, row, tenant.id);
    put_instant(w, "created_at", row->created_at_us);
    put_lanes(w, facts, op->now_us);
    if (is_obs)
        json_member_null(w, "coverage");
    else
        TRY(put_coverage(op, w, facts));
    put_gaps(w, facts);
    put_warnings(op, w, facts);
    TRY(put_malformed(op, tx, w, row->no));
    json_object_end(w);
    return OK;
}

enum err source_status_write(struct op *op, struct tx *tx, const struct source_row *row, struct json_writer *w)
{
    struct facts facts;
    TRY(facts_read(op, tx, row, &facts));
    enum err err = put_document(op, tx, row, &facts, w);
    facts_done(&facts);
    return err;
}
