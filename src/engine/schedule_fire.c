/*
 * schedule_fire.c - what falls due, and what becomes of its runs.
 */
#include "engine/schedule_own.h"

#include <stdlib.h>

#include "base/id.h"
#include "base/instant.h"
#include "base/log.h"
#include "engine/job_push.h"
#include "engine/keep_run.h"
#include "engine/schedule_builtin.h"
#include "store/store_run_part.h"

#define DUE_SCHEDULES 100 /* in one transaction */
#define DUE_MAX       512 /* nominal times of one schedule looked at; older ones are missed without a row */
#define WAITING_MAX   1000
#define FIRED_KEPT    200 /* rows of runs that ended, per schedule */
#define ILL_US        (INT64_C(3600) * 1000000)

#define BLOCKED_US      (INT64_C(7200) * 1000000) /* held back for so long is told */
#define BLOCKED_LOOK_US (INT64_C(60) * 1000000)

struct str run_text(struct op *op, uint64_t run)
{
    char text[ID_TEXT_BYTES];
    struct str id = id_make(0, run, text);
    return arena_fmt(op->arena, "r-%s", id.p + id.n - 12);
}

/* --- pushing a run --- */

static bool take_custom(struct json_writer *w, struct str name, struct str value, void *data)
{
    return str_eq(name, S("jid")) || job_custom_out(w, name, value, data);
}

static bool drop_nominal(struct json_writer *w, struct str name, struct str value, void *data)
{
    (void)w;
    (void)value;
    (void)data;
    return str_eq(name, S("nominal_at"));
}

/* The job with its nominal time in custom; its jid is made anew by each push. */
static enum err write_job(struct op *op, struct str given, int64_t nominal_us, struct str *ret)
{
    struct buf buf;
    struct json_writer w;
    struct str custom = { 0 };
    char nominal[INSTANT_TEXT_BYTES];
    buf_init_arena(&buf, op->arena, SCHEDULE_JOB_MAX + 1024);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    TRY(json_copy_members(op, &w, given, take_custom, &custom));
    json_put_name(&w, "custom");
    json_object_begin(&w);
    TRY(json_copy_members(op, &w, custom, drop_nominal, NULL));
    json_member_str(&w, "nominal_at", instant_text(nominal_us, nominal_us % 1000000 ? 3 : 0, nominal));
    json_object_end(&w);
    json_object_end(&w);
    *ret = buf_str(&buf);
    return buf.full ? fail(op, ERR_TOO_LARGE, "the job of a schedule is too large") : OK;
}

/* Of a run that may go: pushed, or left out when a unique lock says so. */
static enum err push_run(struct op *op, struct tx *tx, struct jobs *jobs, const struct schedule_row *s,
                         struct fired_row *row)
{
    struct job_reader reader = { JOB_HTTP, jobs->key, JOB_BYTES_MAX, true, true }; /* it was read when it was put */
    struct job_spec spec;
    struct job_pushed pushed;
    struct str json;
    TRY(write_job(op, s->job, row->nominal_us, &json));
    TRY(job_read(op, &reader, json, &spec));
    spec.run = row->run;
    TRY(push_inside(op, tx, jobs, &spec, &pushed));
    row->at_us = op->now_us;
    row->state = pushed.result == JOB_PUSHED ? FIRED_LIVE : FIRED_SKIPPED;
    row->own_state = keep_kind(spec.jobtype) ? row->state : 0;
    row->jid = pushed.result == JOB_PUSHED ? pushed.jid : (struct str){ 0 };
    return store_fired_put(op, tx, row);
}

/* The nominal time at which a schedule comes next, also one that is paused; INT64_MAX = none. */
static int64_t comes_next_us(struct op *op, const struct schedule_row *s)
{
    struct cron cron;
    const struct zone *zone;
    int64_t at_us;
    if (!s->paused)
        return s->next_us;
    if (schedule_read(op, s, &cron, &zone) != OK || !cron_next(&cron, zone, s->anchor_us, s->last_us, &at_us))
        return INT64_MAX;
    return at_us;
}

enum err schedule_run_before(struct op *op, struct tx *tx, const struct schedule_row *s, int64_t nominal_us,
                             struct fired_row *ret, bool *ret_found)
{
    int n = 0;
    if (s->after)
        TRY(store_fired_runs(op, tx, s->after, INT64_MAX, 1, ret, &n));
    if (n && !ret->manual && ret->nominal_us > nominal_us)
        TRY(store_fired_runs(op, tx, s->after, nominal_us, 1, ret, &n));
    *ret_found = n > 0;
    return OK;
}

const struct keep_kind *schedule_kind(struct op *op, const struct schedule_row *s)
{
    struct str type = S("");
    json_find(op->arena, s->job, JSON_STRICT, S("jobtype"), &type);
    return type.n > 2 ? keep_kind((struct str){ type.p + 1, type.n - 2 }) : NULL; /* without its quotes */
}

/* A run whose parts all ended, some of them not well, stands in the way of their namesakes alone. */
static bool lets_go(struct op *op, const struct schedule_row *s, const struct fired_row *before)
{
    const struct keep_kind *kind = schedule_kind(op, s);
    bool is_settled = before->own_state == FIRED_DONE && before->state != FIRED_LIVE;
    return before->state == FIRED_DONE || (kind && kind->is_narrow && is_settled);
}

enum err schedule_waits_why(struct op *op, struct tx *tx, const struct schedule_row *s, int64_t nominal_us,
                            struct str *ret_why)
{
    struct schedule_row other;
    struct fired_row run;
    bool found = false, ran;
    *ret_why = (struct str){ 0 };
    if (s->after)
        TRY(store_schedule_get(op, tx, s->after, &other, &found));
    if (!found)
        return OK; /* nobody to wait for */
    TRY(schedule_run_before(op, tx, s, nominal_us, &run, &ran));
    int64_t owed_us = comes_next_us(op, &other);
    if (owed_us <= nominal_us && (!ran || run.nominal_us < owed_us))
        *ret_why = arena_fmt(op->arena, "%.*s %s", STR(other.id), other.paused ? "is paused" : "has not begun yet");
    else if (ran && !lets_go(op, s, &run))
        *ret_why = arena_fmt(op->arena, "run %.*s of %.*s %s", STR(run_text(op, run.run)), STR(other.id),
                             run.state == FIRED_DEAD   ? "is dead"
                             : run.state == FIRED_HELD ? "is held back itself"
                                                       : "has not ended");
    return OK;
}

static enum err fire(struct op *op, struct tx *tx, struct jobs *jobs, struct schedule_row *s, int64_t nominal_us,
                     bool by_hand, uint64_t *ret_run)
{
    uint64_t run = jobs_stamp(jobs, tx);
    struct fired_row row = { .run = run,
                             .schedule = s->no,
                             .nominal_us = nominal_us,
                             .manual = by_hand ? run : 0,
                             .state = FIRED_LIVE,
                             .at_us = op->now_us,
                             .row_count = -1 };
    int waiting, live;
    bool added;
    struct str why;
    TRY(store_fired_open(op, tx, s->no, &waiting, &live));
    TRY(schedule_waits_why(op, tx, s, nominal_us, &why));
    bool busy = s->overlap != OVERLAP_ALLOW && waiting + live > 0;
    if (busy && (s->overlap == OVERLAP_SKIP || waiting > 0))
        row.state = FIRED_SKIPPED;
    else if (busy || str_given(why))
        row.state = FIRED_WAITS;
    jobs_touch(jobs, tx);
    TRY(store_fired_add(op, tx, &row, &added));
    *ret_run = run;
    if (!added)
        return OK; /* this nominal time was met before (SCHED-3) */
    s->skipped += row.state == FIRED_SKIPPED;
    return row.state == FIRED_LIVE ? push_run(op, tx, jobs, s, &row) : OK;
}

/* --- nominal times that are due --- */

struct due {
    int64_t at_us[DUE_MAX]; /* the newest, ascending */
    size_t count;
};

/* Those in (after, upto], the newest DUE_MAX of them. True when there were more. */
static bool walk(const struct schedule_row *s, const struct cron *cron, const struct zone *zone, int64_t after_us,
                 int64_t upto_us, struct due *ret)
{
    size_t n = 0;
    int64_t ring[DUE_MAX];
    for (int64_t at_us; cron_next(cron, zone, s->anchor_us, after_us, &at_us) && at_us <= upto_us; after_us = at_us)
        ring[n++ % DUE_MAX] = at_us;
    ret->count = n < DUE_MAX ? n : DUE_MAX;
    for (size_t i = 0; i < ret->count; i++)
        ret->at_us[i] = ring[(n - ret->count + i) % DUE_MAX];
    return n > DUE_MAX;
}

/* A window that ends now doubles until it holds enough: whatever the time that was missed, few steps are walked. */
static void find_due(const struct schedule_row *s, const struct cron *cron, const struct zone *zone, int64_t now_us,
                     struct due *ret)
{
    int64_t window_us = INT64_C(600) * 1000000;
    for (;; window_us *= 2) {
        int64_t from_us = now_us - s->last_us > window_us ? now_us - window_us : s->last_us;
        bool more = walk(s, cron, zone, from_us, now_us, ret);
        if (more || ret->count == DUE_MAX || from_us == s->last_us)
            break;
    }
    size_t due = 0;
    while (due < ret->count &&
           ret->at_us[due] + cron_jitter_ms(s->id, ret->at_us[due] / 1000, s->jitter_ms) * 1000 <= now_us)
        due++;
    ret->count = due; /* the others wait for their jitter */
}

/* Fell due while nobody was there, or too long ago to be called late (SCHED-5). */
static bool was_missed(const struct schedule_row *s, int64_t nominal_us, int64_t boot_us, int64_t now_us)
{
    int64_t due_us = nominal_us + cron_jitter_ms(s->id, nominal_us / 1000, s->jitter_ms) * 1000;
    return due_us < boot_us || now_us - due_us > SCHEDULE_LATE_US;
}

/* How many of the missed ones, from the newest, run. */
static size_t runs_of(const struct schedule_row *s, size_t missed, size_t count)
{
    if (s->catch_up == CATCH_ALL)
        return missed < SCHEDULE_ALL_MAX ? missed : SCHEDULE_ALL_MAX;
    return s->catch_up == CATCH_LAST && missed == count && missed > 0;
}

static enum err note_missed(struct op *op, struct tx *tx, struct jobs *jobs, const struct schedule_row *s,
                            int64_t nominal_us)
{
    struct fired_row row = { .run = jobs_stamp(jobs, tx),
                             .schedule = s->no,
                             .nominal_us = nominal_us,
                             .state = FIRED_MISSED,
                             .at_us = op->now_us,
                             .row_count = -1 };
    bool added;
    return store_fired_add(op, tx, &row, &added);
}

static enum err fire_due(struct op *op, struct tx *tx, struct jobs *jobs, struct schedule_row *s)
{
    struct cron cron;
    const struct zone *zone;
    struct due due;
    size_t missed = 0;
    uint64_t run;
    int64_t boot_us = jobs_wall_us(jobs, jobs->boot_us);
    TRY(schedule_read(op, s, &cron, &zone));
    find_due(s, &cron, zone, op->now_us, &due);
    while (missed < due.count && was_missed(s, due.at_us[missed], boot_us, op->now_us))
        missed++;
    size_t left_out = missed - runs_of(s, missed, due.count);
    for (size_t i = left_out > SCHEDULE_ALL_MAX ? left_out - SCHEDULE_ALL_MAX : 0; i < left_out; i++)
        TRY(note_missed(op, tx, jobs, s, due.at_us[i]));
    for (size_t i = left_out; i < due.count; i++)
        TRY(fire(op, tx, jobs, s, due.at_us[i], false, &run));
    if (due.count)
        s->last_us = due.at_us[due.count - 1];
    schedule_aim(s, &cron, zone, s->last_us);
    TRY(store_schedule_move(op, tx, s));
    return store_fired_trim(op, tx, s->no, FIRED_KEPT);
}

/* One whose zone is gone from the system stops nobody else. */
static enum err fire_or_rest(struct op *op, struct tx *tx, struct jobs *jobs, uint32_t no)
{
    struct schedule_row s;
    struct cron cron;
    const struct zone *zone;
    bool found;
    TRY(store_schedule_get(op, tx, no, &s, &found));
    if (!found)
        return OK;
    jobs_touch(jobs, tx);
    jobs->runs_look = true; /* somebody may wait for what comes next (SCHED-7) */
    if (schedule_read(op, &s, &cron, &zone) == OK)
        return fire_due(op, tx, jobs, &s);
    log_warn("a schedule rests: it cannot be read", LOG_STR("schedule", s.id), LOG_ERROR_OF(op));
    s.due_us = op->now_us + ILL_US;
    return store_schedule_move(op, tx, &s);
}

/* --- runs that wait --- */

static enum err start_waiting(struct op *op, struct tx *tx, struct jobs *jobs, struct fired_row *row)
{
    struct schedule_row s;
    struct str why;
    int waiting, live;
    bool found;
    TRY(store_schedule_get(op, tx, row->schedule, &s, &found));
    if (!found)
        return OK;
    TRY(store_fired_open(op, tx, s.no, &waiting, &live));
    TRY(schedule_waits_why(op, tx, &s, row->nominal_us, &why));
    if (str_given(why) || (live > 0 && s.overlap != OVERLAP_ALLOW))
        return OK;
    jobs_touch(jobs, tx);
    return push_run(op, tx, jobs, &s, row);
}

static enum err waiting_tick(struct op *op, struct tx *tx, struct jobs *jobs)
{
    struct fired_row *rows;
    int n;
    jobs->runs_look = false;
    TRY(op_alloc(op, WAITING_MAX * sizeof *rows, &rows));
    TRY(store_fired_waiting(op, tx, 0, WAITING_MAX, rows, &n));
    for (int i = 0; i < n; i++)
        TRY(start_waiting(op, tx, jobs, &rows[i]));
    return keep_held_tick(op, tx, jobs, &jobs->runs_look);
}

/* --- runs that wait for too long (KEEP-10) --- */

/* Only what is ours is told: others see theirs wait. */
static enum err look_at_held(struct op *op, struct tx *tx, struct jobs *jobs, struct fired_row *row)
{
    struct schedule_row s;
    struct str why;
    bool found;
    if (op->now_us - row->at_us < BLOCKED_US)
        return OK;
    TRY(store_schedule_get(op, tx, row->schedule, &s, &found));
    if (!found || !schedule_builtin(s.id))
        return OK;
    TRY(schedule_waits_why(op, tx, &s, row->nominal_us, &why));
    if (!str_given(why))
        return OK;
    jobs->keep_blocked++;
    if (row->told)
        return OK;
    row->told = true;
    jobs_touch(jobs, tx);
    TRY(news_held(op, tx, jobs, s.id, run_text(op, row->run), why, row->at_us));
    return store_fired_put(op, tx, row);
}

/* The same of parts of runs that began. */
static enum err look_at_parts(struct op *op, struct tx *tx, struct jobs *jobs, const struct held_count *held)
{
    struct fired_row run;
    struct schedule_row s, other = { 0 };
    bool found;
    jobs->keep_blocked += held->parts;
    TRY(store_fired_get(op, tx, held->run, &run, &found));
    if (!found || run.told)
        return OK;
    TRY(store_schedule_get(op, tx, run.schedule, &s, &found));
    if (found)
        TRY(store_schedule_get(op, tx, s.after, &other, &found));
    if (!found)
        return OK;
    run.told = true;
    jobs_touch(jobs, tx);
    TRY(news_held(op, tx, jobs, s.id, run_text(op, run.run),
                  arena_fmt(op->arena, "%lld of its parts wait for their namesakes of %.*s", (long long)held->parts,
                            STR(other.id)),
                  held->since_us));
    return store_fired_put(op, tx, &run);
}

static enum err blocked_tick(struct op *op, struct tx *tx, struct jobs *jobs)
{
    struct fired_row *rows;
    struct held_count *parts;
    int n;
    if (llabs(op->now_us - jobs->blocked_looked_us) < BLOCKED_LOOK_US)
        return OK;
    jobs->blocked_looked_us = op->now_us;
    jobs->keep_blocked = 0;
    TRY(op_alloc(op, WAITING_MAX * sizeof *rows, &rows));
    TRY(store_fired_waiting(op, tx, 0, WAITING_MAX, rows, &n));
    for (int i = 0; i < n; i++)
        TRY(look_at_held(op, tx, jobs, &rows[i]));
    TRY(op_alloc(op, WAITING_MAX * sizeof *parts, &parts));
    TRY(store_part_held_since(op, tx, op->now_us - BLOCKED_US, WAITING_MAX, parts, &n));
    for (int i = 0; i < n; i++)
        TRY(look_at_parts(op, tx, jobs, &parts[i]));
    return OK;
}

enum err schedules_tick(struct op *op, struct tx *tx, struct jobs *jobs)
{
    uint64_t due[DUE_SCHEDULES];
    int n = 0;
    int64_t next_us = jobs->schedules_next_us;
    if (op->now_us >= next_us) {
        TRY(store_schedule_due(op, tx, op->now_us, DUE_SCHEDULES, due, &n, &next_us));
        for (int i = 0; i < n; i++)
            TRY(fire_or_rest(op, tx, jobs, (uint32_t)due[i]));
        if (n) /* what they aim at now is found by the next look */
            next_us = op->now_us;
        jobs->schedules_next_us = next_us;
    }
    if (jobs->runs_look)
        TRY(waiting_tick(op, tx, jobs));
    TRY(blocked_tick(op, tx, jobs));
    if (next_us < INT64_MAX)
        jobs_due(jobs, next_us - jobs->lag_us);
    return OK;
}

/* --- ends --- */

/* Work of our own says in its result how much it did. */
static int64_t rows_of(struct op *op, const struct job_known *job)
{
    struct json j;
    struct str name;
    int64_t rows = -1;
    json_init(&j, op->arena, job->queue->own && str_given(job->result) ? job->result : S("{}"), JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            if (str_eq(name, S("rows")))
                (void)json_int(&j, 0, INT64_MAX, &rows);
    return rows;
}

enum err run_moves(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job, enum job_state state)
{
    struct fired_row row;
    bool found;
    if (!(job->opts.flags & OPT_RUN))
        return OK;
    TRY(store_fired_get(op, tx, job->opts.run, &row, &found));
    if (!found)
        return OK; /* its schedule was deleted */
    int to = state == JOB_DONE ? FIRED_DONE : state == JOB_DEAD ? FIRED_DEAD : FIRED_LIVE;
    int64_t count = to == FIRED_DONE ? rows_of(op, job) : -1;
    if (row.own_state) {
        TRY(keep_run_moves(op, tx, job, &row, to, count));
    } else {
        row.state = to;
        row.row_count = count;
    }
    row.ended_us = row.state == FIRED_LIVE ? 0 : op->now_us;
    jobs_touch(jobs, tx);
    jobs->runs_look = true;
    jobs_due(jobs, jobs_engine_us(jobs, tx));
    return store_fired_put(op, tx, &row);
}

/* --- by hand --- */

enum err schedule_run(struct op *op, struct tx *tx, struct str id, int64_t at_us, struct str *ret_run)
{
    struct jobs *jobs;
    struct schedule_row s;
    uint64_t run;
    int64_t skipped;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(schedule_must(op, tx, id, &s));
    skipped = s.skipped;
    TRY(fire(op, tx, jobs, &s, at_us ? at_us : op->now_us, true, &run));
    if (s.skipped != skipped)
        TRY(store_schedule_move(op, tx, &s));
    *ret_run = run_text(op, run);
    return jobs_serve(op, tx, jobs);
}
