/*
 * schedule_view.c - schedules as people see them: what comes, what came, what waits.
 */
#include "engine/schedule_own.h"

#include "base/duration.h"
#include "base/instant.h"
#include "engine/schedule_builtin.h"

#define NEXT_SHOWN 5
#define RUNS_SHOWN 20
#define MISSED_MAX SCHEDULE_ALL_MAX

static const char *const overlaps[] = { "skip", "queue", "allow" };
static const char *const catch_ups[] = { "last", "none", "all" };
static const char *const states[] = { "", "waiting", "live", "done", "dead", "skipped", "missed", "held" };

static void put_instant(struct json_writer *w, int64_t us)
{
    char text[INSTANT_TEXT_BYTES];
    json_put_str(w, instant_text(us, us % 1000000 ? 3 : 0, text));
}

static void member_instant(struct json_writer *w, const char *name, int64_t us)
{
    json_put_name(w, name);
    if (us)
        put_instant(w, us);
    else
        json_put_null(w);
}

static enum err put_next(struct op *op, struct json_writer *w, const struct schedule_row *s)
{
    struct cron cron;
    const struct zone *zone;
    int64_t at_us = s->next_us;
    json_put_name(w, "next");
    json_array_begin(w);
    if (at_us < INT64_MAX && schedule_read(op, s, &cron, &zone) == OK) {
        put_instant(w, at_us);
        for (int i = 1; i < NEXT_SHOWN && cron_next(&cron, zone, s->anchor_us, at_us, &at_us); i++)
            put_instant(w, at_us);
    }
    json_array_end(w);
    return OK;
}

static enum err put_run(struct op *op, struct tx *tx, struct json_writer *w, const struct schedule_row *s,
                        const struct fired_row *row)
{
    struct str why = { 0 };
    bool pushed = row->state != FIRED_WAITS, has_parts = row->own_state != 0;
    json_object_begin(w);
    json_member_str(w, "run", run_text(op, row->run));
    member_instant(w, "at", row->nominal_us);
    json_member_str(w, "state", str_of(states[row->state]));
    json_member_str(w, "jid", row->jid);
    member_instant(w, "started_at", pushed ? row->at_us : 0);
    member_instant(w, "ended_at", row->ended_us);
    json_member_int(w, "children", has_parts ? row->children : pushed);
    json_member_int(w, "done", has_parts ? row->done : row->state == FIRED_DONE);
    json_member_int(w, "dead", has_parts ? row->dead : row->state == FIRED_DEAD);
    json_member_int(w, "held", row->held);
    if (row->row_count >= 0)
        json_member_int(w, "rows", row->row_count);
    else
        json_member_null(w, "rows");
    if (!pushed)
        TRY(schedule_waits_why(op, tx, s, row->nominal_us, &why));
    if (!pushed)
        json_member_str(w, "why", str_given(why) ? why : S("the run before has not ended"));
    json_object_end(w);
    return OK;
}

static enum err put_runs(struct op *op, struct tx *tx, struct json_writer *w, const struct schedule_row *s)
{
    struct fired_row *rows;
    int n;
    TRY(op_alloc(op, MISSED_MAX * sizeof *rows, &rows));
    TRY(store_fired_missed(op, tx, s->no, MISSED_MAX, rows, &n));
    json_put_name(w, "missed");
    json_array_begin(w);
    for (int i = n - 1; i >= 0; i--)
        put_instant(w, rows[i].nominal_us);
    json_array_end(w);
    TRY(store_fired_runs(op, tx, s->no, INT64_MAX, RUNS_SHOWN, rows, &n));
    json_put_name(w, "last");
    if (n)
        TRY(put_run(op, tx, w, s, &rows[0]));
    else
        json_put_null(w);
    json_put_name(w, "runs");
    json_array_begin(w);
    for (int i = 0; i < n; i++)
        TRY(put_run(op, tx, w, s, &rows[i]));
    json_array_end(w);
    return OK;
}

static enum err put_schedule(struct op *op, struct tx *tx, struct json_writer *w, const struct schedule_row *s)
{
    struct schedule_row other = { 0 };
    char jitter[DURATION_TEXT_BYTES];
    bool found = false;
    if (s->after)
        TRY(store_schedule_get(op, tx, s->after, &other, &found));
    json_object_begin(w);
    json_member_str(w, "id", s->id);
    json_member_str(w, "cron", s->cron);
    json_member_str(w, "timezone", s->zone);
    json_member_raw(w, "job", s->job);
    json_member_str(w, "overlap", str_of(overlaps[s->overlap]));
    json_member_str(w, "catch_up", str_of(catch_ups[s->catch_up]));
    json_put_name(w, "jitter_seconds");
    json_put_raw(w, duration_text_s(s->jitter_ms, jitter));
    json_member_str(w, "after", found ? other.id : (struct str){ 0 });
    json_member_bool(w, "builtin", schedule_builtin(s->id) != NULL);
    json_member_bool(w, "paused", s->paused);
    json_member_int(w, "skipped", s->skipped);
    TRY(put_next(op, w, s));
    TRY(put_runs(op, tx, w, s));
    json_object_end(w);
    return OK;
}

enum err schedule_view(struct op *op, struct tx *tx, struct str id, struct json_writer *w)
{
    struct schedule_row row;
    TRY(schedule_must(op, tx, id, &row));
    return put_schedule(op, tx, w, &row);
}

enum err schedule_view_list(struct op *op, struct tx *tx, struct str after, int max, struct json_writer *w,
                            struct str *ret_last, bool *ret_more)
{
    struct schedule_row *rows;
    int n;
    TRY(op_alloc(op, ((size_t)max + 1) * sizeof *rows, &rows));
    TRY(store_schedule_list(op, tx, after, max + 1, rows, &n));
    *ret_more = n > max;
    n = *ret_more ? max : n;
    for (int i = 0; i < n; i++)
        TRY(put_schedule(op, tx, w, &rows[i]));
    *ret_last = n ? rows[n - 1].id : S("");
    return OK;
}
