#include "engine/keep_run.h"

#include <string.h>

#include "base/instant.h"
#include "engine/job_push.h"
#include "engine/keep_log.h"
#include "engine/keep_parked.h"
#include "engine/schedule_own.h"
#include "store/store_run_part.h"

_Static_assert(sizeof((struct held_place *)0)->name == KEEP_NAME_MAX, "a name has its place");

#define PART_JSON_MAX 2048 /* the members of a child: its name is of at most a tenant, a channel and a day */

static const struct keep_kind kinds[] = {
    { KEEP_LOG_TYPE, keep_log_find, keep_log_chunk },
    { KEEP_PARKED_TYPE, keep_parked_find, keep_parked_chunk },
    { KEEP_KEYS_TYPE, keep_keys_find, keep_keys_chunk },
};

const struct keep_kind *keep_kinds_more;

const struct keep_kind *keep_kind(struct str jobtype)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (str_eq(jobtype, str_of(kinds[i].jobtype)))
            return &kinds[i];
    for (const struct keep_kind *kind = keep_kinds_more; kind && kind->jobtype; kind++)
        if (str_eq(jobtype, str_of(kind->jobtype)))
            return kind;
    return NULL;
}

bool keep_page_add(struct keep_page *page, struct str name, int64_t cutoff_us)
{
    if (page->count == page->max)
        return false;
    page->parts[page->count++] = (struct keep_part){ name, cutoff_us };
    return true;
}

/* --- children --- */

/* True for the args of a child. */
static bool read_part(struct op *op, struct str args, struct keep_part *ret)
{
    struct json j;
    json_init(&j, op->arena, args, JSON_STRICT);
    return json_enter_array(&j) && json_next_item(&j) && json_string(&j, &ret->name) && json_next_item(&j) &&
           json_int(&j, INT64_MIN, INT64_MAX, &ret->cutoff_us);
}

static struct str child_body(struct op *op, const struct part_row *part, int64_t nominal_us)
{
    struct buf buf;
    struct json_writer w;
    char nominal[INSTANT_TEXT_BYTES];
    buf_init_arena(&buf, op->arena, PART_JSON_MAX);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_put_name(&w, "args");
    json_array_begin(&w);
    json_put_str(&w, part->name);
    json_put_int(&w, part->cutoff_us);
    json_array_end(&w);
    json_put_name(&w, "custom");
    json_object_begin(&w);
    json_member_str(&w, "nominal_at", instant_text(nominal_us, nominal_us % 1000000 ? 3 : 0, nominal));
    json_object_end(&w);
    json_object_end(&w);
    if (buf.full)
        return (struct str){ 0 };
    struct str object = buf_str(&buf);
    return (struct str){ object.p + 1, object.n - 2 }; /* its members */
}

static enum err child_push(struct op *op, struct tx *tx, struct jobs *jobs, struct str jobtype,
                           const struct fired_row *run, struct part_row *part)
{
    struct job_pushed pushed;
    struct job_spec spec = {
        .queue = S(KEEP_QUEUE),
        .jobtype = jobtype,
        .body = child_body(op, part, run->nominal_us),
        .retry = JOB_NO_RETRY,
        .run = run->run,
    };
    if (!str_given(spec.body) || part->name.n > KEEP_NAME_MAX)
        return fail(op, ERR_BUG, "the name of a part is too long: %.*s", STR(part->name));
    TRY(push_inside(op, tx, jobs, &spec, &pushed));
    if (pushed.result != JOB_PUSHED)
        return fail(op, ERR_BUG, "own work was not taken: %.*s", STR(pushed.detail));
    part->jid = pushed.jid;
    part->state = FIRED_LIVE;
    part->since_us = op->now_us;
    return store_part_put(op, tx, part);
}

static enum err chunk_step(struct op *op, struct tx *tx, const struct keep_kind *kind, struct own_work *work,
                           const struct keep_part *part)
{
    struct keep_chunk chunk = { .part = *part, .rows = work->rows };
    TRY(kind->chunk(op, tx, &chunk));
    work->at.done += chunk.gone;
    work->at.bookmark = S(""); /* what is left says where to go on */
    work->is_over = !chunk.more;
    if (work->is_over)
        work->result = arena_fmt(op->arena, "{\"rows\":%lld}", (long long)work->at.done);
    return OK;
}

/* --- parts that wait for their namesakes --- */

/* Does the part's namesake in the run before stand in its way. */
static enum err is_held(struct op *op, struct tx *tx, const struct keep_kind *kind, const struct fired_row *run,
                        struct str name, bool *ret)
{
    struct schedule_row schedule;
    struct fired_row before;
    struct part_row namesake;
    bool found;
    *ret = false;
    if (!kind->is_narrow)
        return OK;
    TRY(store_schedule_get(op, tx, run->schedule, &schedule, &found));
    if (found)
        TRY(schedule_run_before(op, tx, &schedule, run->nominal_us, &before, &found));
    if (!found)
        return OK;
    *ret = before.own_state == FIRED_LIVE;
    return *ret ? OK : store_part_get(op, tx, before.run, name, &namesake, ret);
}

static enum err child_begin(struct op *op, struct tx *tx, struct jobs *jobs, const struct keep_kind *kind,
                            struct fired_row *run, struct part_row *part)
{
    bool held;
    run->children++;
    TRY(is_held(op, tx, kind, run, part->name, &held));
    if (!held)
        return child_push(op, tx, jobs, str_of(kind->jobtype), run, part);
    run->held++;
    part->state = FIRED_WAITS;
    part->since_us = op->now_us;
    return store_part_put(op, tx, part);
}

static enum err release(struct op *op, struct tx *tx, struct jobs *jobs, struct part_row *part)
{
    struct fired_row run;
    struct schedule_row schedule;
    bool found, held;
    TRY(store_fired_get(op, tx, part->run, &run, &found));
    if (found)
        TRY(store_schedule_get(op, tx, run.schedule, &schedule, &found));
    const struct keep_kind *kind = found ? schedule_kind(op, &schedule) : NULL;
    if (!kind)
        return OK;
    TRY(is_held(op, tx, kind, &run, part->name, &held));
    if (held)
        return OK;
    jobs_touch(jobs, tx);
    TRY(child_push(op, tx, jobs, str_of(kind->jobtype), &run, part));
    run.held--;
    run.state = FIRED_LIVE;
    run.ended_us = 0;
    return store_fired_put(op, tx, &run);
}

enum err keep_held_tick(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more)
{
    struct part_row *parts;
    struct held_place *at = &jobs->held_at;
    int n;
    TRY(op_alloc(op, KEEP_PAGE * sizeof *parts, &parts));
    TRY(store_part_held(op, tx, at->run, (struct str){ at->name, at->n }, KEEP_PAGE, parts, &n));
    for (int i = 0; i < n; i++)
        TRY(release(op, tx, jobs, &parts[i]));
    *ret_more = n == KEEP_PAGE;
    *at = (struct held_place){ 0 };
    if (!*ret_more)
        return OK;
    at->run = parts[n - 1].run;
    at->n = parts[n - 1].name.n;
    memcpy(at->name, parts[n - 1].name.p, at->n);
    return OK;
}

/* --- the parent --- */

/* The run that a job is of. */
static enum err run_of(struct op *op, struct tx *tx, uint64_t id, struct fired_row *ret)
{
    struct job_row job;
    struct job_opts opts = { 0 };
    bool found;
    TRY(store_job_get(op, tx, id, &job, &found));
    if (found)
        TRY(job_opts_read(op, job.flags, job.opts, &opts));
    if (found)
        TRY(store_fired_get(op, tx, opts.run, ret, &found));
    return found ? OK : fail(op, ERR_BUG, "a job of housekeeping is of no run");
}

static enum err page_step(struct op *op, struct tx *tx, const struct keep_kind *kind, struct own_work *work)
{
    struct jobs *jobs;
    struct fired_row run;
    struct keep_page *page;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(run_of(op, tx, work->id, &run));
    TRY(op_alloc(op, sizeof *page, &page));
    page->nominal_us = run.nominal_us;
    page->after = str_given(work->at.bookmark) ? work->at.bookmark : S("");
    page->max = work->rows < KEEP_PAGE ? work->rows : KEEP_PAGE;
    page->count = 0;
    TRY(kind->find(op, tx, page));
    for (int i = 0; i < page->count; i++) {
        struct part_row part = { .run = run.run, .name = page->parts[i].name, .cutoff_us = page->parts[i].cutoff_us };
        TRY(child_begin(op, tx, jobs, kind, &run, &part));
    }
    work->is_over = page->count < page->max;
    work->at.done += page->count;
    work->at.bookmark = page->count ? page->parts[page->count - 1].name : page->after;
    if (page->count == 0)
        return OK;
    TRY(store_fired_put(op, tx, &run));
    return jobs_serve(op, tx, jobs);
}

enum err keep_run_step(struct op *op, struct tx *tx, struct own_work *work)
{
    const struct keep_kind *kind = keep_kind(work->jobtype);
    struct keep_part part;
    if (read_part(op, work->args, &part))
        return chunk_step(op, tx, kind, work, &part);
    return page_step(op, tx, kind, work);
}

/* --- what became of them --- */

static void count_part(struct fired_row *run, int state, int n)
{
    run->done += state == FIRED_DONE ? n : 0;
    run->dead += state == FIRED_DEAD ? n : 0;
    run->held += state == FIRED_WAITS ? n : 0;
}

static int state_of(const struct fired_row *run)
{
    if (run->own_state == FIRED_LIVE || run->children > run->done + run->dead + run->held)
        return FIRED_LIVE;
    if (run->own_state == FIRED_DEAD || run->dead)
        return FIRED_DEAD;
    return run->held ? FIRED_HELD : FIRED_DONE;
}

static enum err part_moves(struct op *op, struct tx *tx, const struct job_known *job, const struct keep_part *part,
                           struct fired_row *run, int to)
{
    struct part_row row;
    bool found;
    TRY(store_part_get(op, tx, run->run, part->name, &row, &found));
    count_part(run, found ? row.state : FIRED_DONE, -1); /* one that ended well has no row */
    count_part(run, to, 1);
    if (to == FIRED_DONE)
        return found ? store_part_delete(op, tx, run->run, part->name) : OK;
    row = (struct part_row){ run->run, part->name, part->cutoff_us, to, job->row.jid, op->now_us };
    return store_part_put(op, tx, &row);
}

enum err keep_run_moves(struct op *op, struct tx *tx, const struct job_known *job, struct fired_row *run, int to,
                        int64_t rows)
{
    struct keep_part part;
    struct str args = S("[]");
    json_find(op->arena, arena_fmt(op->arena, "{%.*s}", STR(job->row.body)), JSON_STRICT, S("args"), &args);
    if (read_part(op, args, &part))
        TRY(part_moves(op, tx, job, &part, run, to));
    else
        run->own_state = to;
    run->state = state_of(run);
    run->row_count = (run->row_count > 0 ? run->row_count : 0) + (rows > 0 ? rows : 0);
    return OK;
}
