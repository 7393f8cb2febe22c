#include "engine/schedule_builtin.h"
#include "engine/schedule_own.h"

#include <stdio.h>

#include "base/duration.h"
#include "base/log.h"
#include "base/zone_names.h"
#include "store/seq.h"

static const char *const overlaps[] = { "skip", "queue", "allow", NULL };
static const char *const catch_ups[] = { "last", "none", "all", NULL };

#define AT(member) offsetof(struct schedule_put, member)

const struct json_field schedule_put_fields[SCHEDULE_PUT_FIELDS] = {
    { "cron", JSON_FIELD_STR, AT(cron), CRON_BYTES_MAX, JSON_REQUIRED, 1, 0 },
    { "timezone", JSON_FIELD_STR, AT(timezone), ZONE_NAME_BYTES_MAX, JSON_NULLABLE, 1, 0 },
    { "job", JSON_FIELD_OBJECT, AT(job), SCHEDULE_JOB_MAX, JSON_NULLABLE, 0, 0 },
    { "overlap", JSON_FIELD_STR, AT(overlap), 16, JSON_NULLABLE, 1, 0 },
    { "catch_up", JSON_FIELD_STR, AT(catch_up), 16, JSON_NULLABLE, 1, 0 },
    { "jitter", JSON_FIELD_STR, AT(jitter), 32, JSON_NULLABLE, 1, 0 },
    { "after", JSON_FIELD_STR, AT(after), 128, JSON_NULLABLE, 1, 0 },
    { "paused", JSON_FIELD_BOOL, AT(paused), 0, JSON_NULLABLE, 0, 0 },
};

/* --- reading a PUT --- */

/* -1 when it is none of the words; the first one when nothing was said. */
static int word_of(const char *const *words, struct str word)
{
    if (!str_given(word))
        return 0;
    for (int i = 0; words[i]; i++)
        if (str_eq(word, str_of(words[i])))
            return i;
    return -1;
}

static void check_zone(struct op *op, const struct schedule_put *put, struct json_problems *problems,
                       const struct zone **ret_zone)
{
    struct str near;
    *ret_zone = zone_utc();
    if (!str_given(put->timezone) || zone_get(op, put->timezone, ret_zone) == OK)
        return;
    near = zone_names_near(op, put->timezone);
    json_problem(op, problems, "/timezone", "'%.*s' is no IANA time zone%s%.*s", STR(put->timezone),
                 near.n ? "; near it: " : " (names such as Europe/London)", STR(near));
}

static void check_cron(struct op *op, const struct schedule_put *put, const struct zone *zone,
                       struct json_problems *problems)
{
    struct cron cron;
    char sentence[OP_ERROR_BYTES_MAX];
    int64_t next_us;
    if (cron_parse(op, put->cron, &cron) != OK) {
        snprintf(sentence, sizeof sentence, "%s", op->error);
        json_problem(op, problems, "/cron", "%s", sentence);
    } else if (!cron_next(&cron, zone, op->now_us, op->now_us, &next_us)) {
        json_problem(op, problems, "/cron", "'%.*s' is not due within %d years", STR(put->cron), CRON_YEARS_MAX);
    }
}

static void check_job(struct op *op, const struct job_reader *reader, const struct schedule_put *put,
                      struct json_problems *problems, struct str *ret_queue)
{
    struct job_reader own = *reader;
    struct job_spec spec;
    char sentence[OP_ERROR_BYTES_MAX], pointer[OP_POINTER_BYTES_MAX];
    own.callback = true; /* each run gets a jid of its own */
    own.builtin = put->builtin;
    if (!str_given(put->job)) {
        json_problem(op, problems, "/job", "is required");
        return;
    }
    if (job_read(op, &own, put->job, &spec) == OK) {
        if (ret_queue)
            *ret_queue = spec.queue;
        return;
    }
    snprintf(sentence, sizeof sentence, "%s", op->error);
    snprintf(pointer, sizeof pointer, "/job%.*s", (int)sizeof pointer - 5, op->pointer);
    json_problem(op, problems, pointer, "%s", sentence);
}

enum err schedule_check(struct op *op, const struct job_reader *reader, const struct schedule_put *put,
                        struct json_problems *problems, struct str *ret_queue)
{
    struct json_problems own = { 0 };
    const struct zone *zone;
    int64_t jitter_ms;
    problems = problems ? problems : &own;
    size_t before = problems->count;
    check_zone(op, put, problems, &zone);
    check_cron(op, put, zone, problems);
    check_job(op, reader, put, problems, ret_queue);
    if (word_of(overlaps, put->overlap) < 0)
        json_problem(op, problems, "/overlap", "overlap is none of skip, queue, allow");
    if (word_of(catch_ups, put->catch_up) < 0)
        json_problem(op, problems, "/catch_up", "catch_up is none of last, none, all");
    if (str_given(put->jitter) && (!duration_parse(put->jitter, &jitter_ms) || jitter_ms > SCHEDULE_JITTER_MAX))
        json_problem(op, problems, "/jitter", "jitter must be a duration of at most 24h");
    if (problems->count == before)
        return OK;
    struct str first = arena_str(op->arena, problems->items[before].detail);
    return fail_at(op, ERR_INVALID, arena_str(op->arena, problems->items[before].pointer).p, "%.*s", STR(first));
}

/* --- storing --- */

enum err schedule_read(struct op *op, const struct schedule_row *row, struct cron *ret_cron,
                       const struct zone **ret_zone)
{
    TRY(cron_parse(op, row->cron, ret_cron));
    return zone_get(op, row->zone, ret_zone);
}

void schedule_aim(struct schedule_row *row, const struct cron *cron, const struct zone *zone, int64_t after_us)
{
    row->next_us = row->due_us = INT64_MAX;
    if (!row->paused && cron_next(cron, zone, row->anchor_us, after_us, &row->next_us))
        row->due_us = row->next_us + cron_jitter_ms(row->id, row->next_us / 1000, row->jitter_ms) * 1000;
}

enum err schedule_must(struct op *op, struct tx *tx, struct str id, struct schedule_row *ret)
{
    bool found;
    TRY(store_schedule_find(op, tx, id, ret, &found));
    return found ? OK : fail(op, ERR_NOT_FOUND, "no schedule %.*s", STR(id));
}

enum err schedule_is_there(struct op *op, struct tx *tx, struct str id, bool *ret_there)
{
    struct schedule_row row;
    return store_schedule_find(op, tx, id, &row, ret_there);
}

/* The tick looks at schedules by this wall time at the latest. */
static void schedules_wake(struct jobs *jobs, int64_t due_us)
{
    if (due_us < jobs->schedules_next_us)
        jobs->schedules_next_us = due_us;
    if (due_us < INT64_MAX)
        jobs_due(jobs, due_us - jobs->lag_us);
}

/* SCHED-7: nobody waits for himself, by however many others. */
static enum err read_after(struct op *op, struct tx *tx, struct str id, struct str after, uint32_t *ret)
{
    struct schedule_row other;
    bool found;
    *ret = 0;
    if (!str_given(after))
        return OK;
    TRY(store_schedule_find(op, tx, after, &other, &found));
    if (!found && !str_eq(after, id))
        return fail_at(op, ERR_INVALID, "/after", "there is no schedule %.*s", STR(after));
    for (int i = 0; found && i <= SCHEDULES_MAX && !str_eq(other.id, id); i++) {
        if (i == 0)
            *ret = other.no;
        if (!other.after)
            return OK;
        TRY(store_schedule_get(op, tx, other.after, &other, &found));
    }
    return fail_at(op, ERR_INVALID, "/after", "%.*s would wait for itself", STR(id));
}

static enum err new_number(struct op *op, struct tx *tx, struct schedule_row *row)
{
    int64_t count;
    TRY(store_schedule_count(op, tx, &count));
    if (count >= SCHEDULES_MAX)
        return fail(op, ERR_BUSY, "there are %d schedules, and no room for more", SCHEDULES_MAX);
    row->no = (uint32_t)store_seq_next(tx, SEQ_SCHEDULE);
    row->anchor_us = row->last_us = op->now_us;
    return OK;
}

enum err schedule_store(struct op *op, struct tx *tx, struct str id, const struct schedule_put *put)
{
    struct jobs *jobs;
    struct schedule_row old, row;
    struct cron cron;
    const struct zone *zone;
    bool found;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(store_schedule_find(op, tx, id, &old, &found));
    row = found ? old : (struct schedule_row){ .id = id };
    TRY(read_after(op, tx, id, put->after, &row.after));
    row.cron = put->cron;
    row.zone = str_given(put->timezone) ? put->timezone : S("UTC");
    row.job = put->job;
    row.overlap = word_of(overlaps, put->overlap);
    row.catch_up = word_of(catch_ups, put->catch_up);
    row.paused = put->paused;
    row.jitter_ms = 0;
    if (str_given(put->jitter))
        duration_parse(put->jitter, &row.jitter_ms);
    TRY(schedule_read(op, &row, &cron, &zone));
    if (!found)
        TRY(new_number(op, tx, &row));
    bool same = found && str_eq(old.cron, row.cron) && str_eq(old.zone, row.zone) && old.jitter_ms == row.jitter_ms &&
                old.paused == row.paused;
    if (!same && op->now_us > row.last_us)
        row.last_us = op->now_us; /* nothing in the past fires because of it */
    if (!same)
        schedule_aim(&row, &cron, zone, row.last_us);
    jobs_touch(jobs, tx);
    TRY(store_schedule_put(op, tx, &row));
    schedules_wake(jobs, row.due_us);
    jobs->runs_look = true;
    return OK;
}

enum err schedule_delete(struct op *op, struct tx *tx, struct str id)
{
    struct schedule_row row, other;
    uint32_t behind;
    bool found;
    TRY(schedule_must(op, tx, id, &row));
    if (schedule_builtin(id))
        return fail(op, ERR_CONFLICT, "schedule %.*s is built in: it can be paused", STR(id));
    TRY(store_schedule_behind(op, tx, row.no, &behind));
    if (behind) {
        TRY(store_schedule_get(op, tx, behind, &other, &found));
        return fail(op, ERR_CONFLICT, "schedule %.*s waits for it", STR(other.id));
    }
    return store_schedule_delete(op, tx, row.no);
}

enum err schedules_rezone(struct op *op, struct tx *tx)
{
    struct jobs *jobs;
    struct schedule_row *rows;
    struct str after = S("");
    TRY(jobs_begin(op, tx, &jobs));
    TRY(op_alloc(op, 100 * sizeof *rows, &rows));
    for (int n = 100; n == 100;) {
        TRY(store_schedule_list(op, tx, after, 100, rows, &n));
        for (int i = 0; i < n; i++) {
            struct cron cron;
            const struct zone *zone;
            int64_t next_us = rows[i].next_us;
            after = rows[i].id;
            if (schedule_read(op, &rows[i], &cron, &zone) != OK) {
                log_warn("a schedule's zone is not known any more", LOG_STR("schedule", rows[i].id), LOG_ERROR_OF(op));
                continue;
            }
            schedule_aim(&rows[i], &cron, zone, rows[i].last_us);
            if (rows[i].next_us == next_us)
                continue;
            jobs_touch(jobs, tx);
            TRY(store_schedule_move(op, tx, &rows[i]));
            schedules_wake(jobs, rows[i].due_us);
        }
    }
    return OK;
}
