#include "engine/job_progress.h"

#include <stdlib.h>
#include <string.h>

#include "engine/jobs_own.h"
#include "store/store_progress.h"

#define PROGRESS_EVERY_US INT64_C(1000000)
#define PROGRESS_KEPT_US  (INT64_C(30) * 60 * 1000000)
#define PROGRESS_MAX      100000 /* jobs that spoke within the last second; those above are written at once */

enum { END_NONE, END_SUCCESS, END_FAILED }; /* of a row; file format */

/* What a job said and is perhaps not written yet. */
struct progress {
    struct progress *next, *grouped_next;
    uint64_t hash;
    int64_t written_us;  /* engine time */
    bool dirty, grouped; /* grouped: written by the group under way */
    struct progress_row row;
    char jid[JOB_JID_BYTES_MAX], desc[PROGRESS_DESC_MAX];
    size_t jid_bytes;
};

static struct progress **slot_of(struct jobs *jobs, uint64_t hash)
{
    return &jobs->progress[hash % PROGRESS_SLOTS];
}

static struct progress *progress_find(struct jobs *jobs, struct str jid)
{
    uint64_t hash = jobs_hash(jobs, jid);
    struct progress *p = *slot_of(jobs, hash);
    while (p && p->hash != hash)
        p = p->next;
    return p;
}

static void set_desc(struct progress *p, struct str desc)
{
    desc = str_clip(desc, PROGRESS_DESC_MAX);
    if (desc.n)
        memmove(p->desc, desc.p, desc.n);
    p->row.desc = (struct str){ p->desc, desc.n };
}

/* With what was said before; only what this life of the job said counts. */
static enum err progress_make(struct op *op, struct tx *tx, struct jobs *jobs, struct str jid, uint64_t id,
                              struct progress **ret)
{
    struct progress_row row;
    bool found;
    TRY(store_progress_get(op, tx, jid, &row, &found));
    struct progress *p = calloc(1, sizeof *p);
    if (!p)
        abort();
    p->hash = jobs_hash(jobs, jid);
    p->row.percent = -1;
    p->jid_bytes = jid.n;
    memcpy(p->jid, jid.p, jid.n);
    if (found && row.changed_us >= jobs_wall_us(jobs, (int64_t)id)) {
        p->row.percent = row.percent;
        if (str_given(row.desc))
            set_desc(p, row.desc);
    }
    struct progress **slot = slot_of(jobs, p->hash);
    p->next = *slot;
    *slot = p;
    jobs->progress_count++;
    *ret = p;
    return OK;
}

static enum err progress_write(struct op *op, struct tx *tx, struct jobs *jobs, struct progress *p)
{
    jobs_touch(jobs, tx);
    p->dirty = false;
    if (!p->grouped) {
        p->grouped_next = jobs->grouped_progress;
        jobs->grouped_progress = p;
    }
    p->grouped = true;
    p->written_us = jobs_engine_us(jobs, tx);
    return store_progress_put(op, tx, (struct str){ p->jid, p->jid_bytes }, &p->row);
}

static enum err say(struct op *op, struct tx *tx, struct jobs *jobs, struct str jid, uint64_t id,
                    const struct job_said *said)
{
    struct progress *p = progress_find(jobs, jid);
    int64_t now_us = jobs_engine_us(jobs, tx);
    if (!p)
        TRY(progress_make(op, tx, jobs, jid, id, &p));
    if (said->percent >= 0)
        p->row.percent = said->percent;
    if (str_given(said->desc))
        set_desc(p, said->desc);
    p->row.changed_us = op->now_us;
    p->row.kept_us = now_us;
    if (!p->written_us || now_us - p->written_us >= PROGRESS_EVERY_US || jobs->progress_count > PROGRESS_MAX)
        return progress_write(op, tx, jobs, p);
    p->dirty = true;
    jobs_due(jobs, p->written_us + PROGRESS_EVERY_US);
    return OK;
}

/* --- what the machine calls --- */

enum err progress_tick(struct op *op, struct tx *tx, struct jobs *jobs, int64_t now_us)
{
    for (size_t i = 0; i < PROGRESS_SLOTS && jobs->progress_count; i++)
        for (struct progress **link = &jobs->progress[i], *p; (p = *link);) {
            if (p->written_us + PROGRESS_EVERY_US > now_us) {
                jobs_due(jobs, p->written_us + PROGRESS_EVERY_US);
                link = &p->next;
            } else if (p->dirty) {
                TRY(progress_write(op, tx, jobs, p));
                link = &p->next;
            } else {
                *link = p->next;
                free(p);
                jobs->progress_count--;
            }
        }
    return OK;
}

/* How a group ended: what it wrote is on disk, or is still to be written. */
void progress_group(struct jobs *jobs, bool kept)
{
    for (struct progress *p; (p = jobs->grouped_progress);) {
        jobs->grouped_progress = p->grouped_next;
        p->grouped = false;
        p->dirty |= !kept;
        p->written_us = kept ? p->written_us : 0;
    }
}

void progress_free(struct jobs *jobs)
{
    for (size_t i = 0; i < PROGRESS_SLOTS; i++)
        while (jobs->progress[i]) {
            struct progress *p = jobs->progress[i];
            jobs->progress[i] = p->next;
            free(p);
        }
    jobs->grouped_progress = NULL;
    jobs->progress_count = 0;
}

enum err progress_ended(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job,
                        enum job_outcome outcome)
{
    if (!(job->opts.flags & OPT_TRACK))
        return OK;
    struct progress *p = progress_find(jobs, job->row.jid);
    if (!p)
        TRY(progress_make(op, tx, jobs, job->row.jid, job->row.id, &p));
    p->row.end = outcome == JOB_SUCCEEDED ? END_SUCCESS : END_FAILED;
    p->row.changed_us = op->now_us;
    p->row.kept_us = jobs_engine_us(jobs, tx);
    return progress_write(op, tx, jobs, p);
}

enum err progress_sweep(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more)
{
    int64_t gone;
    TRY(store_progress_sweep(op, tx, jobs_engine_us(jobs, tx) - PROGRESS_KEPT_US, 500, &gone));
    if (gone)
        jobs_touch(jobs, tx);
    *ret_more |= gone == 500;
    return OK;
}

enum err progress_forget(struct op *op, struct tx *tx, struct jobs *jobs)
{
    int64_t gone = 1;
    progress_free(jobs);
    while (gone)
        TRY(store_progress_sweep(op, tx, INT64_MAX, 10000, &gone));
    return OK;
}

/* --- saying --- */

enum err job_progress_set(struct op *op, struct tx *tx, const struct job_ref *ref, const struct job_said *said,
                          enum job_stale *ret_stale)
{
    struct jobs *jobs;
    struct lease *lease;
    uint64_t id;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(lease_of_ref(op, tx, jobs, ref, &lease, ret_stale));
    if (lease && *ret_stale == STALE_NOT)
        return say(op, tx, jobs, lease->jid, lease->id, said);
    if (!ref->by_jid)
        return OK;
    TRY(store_job_find(op, tx, ref->jid, &id));
    return id ? say(op, tx, jobs, ref->jid, id, said) : OK;
}

enum err job_track_set(struct op *op, struct tx *tx, const struct job_ref *ref, const struct job_said *said,
                       int64_t until_us)
{
    enum job_stale stale;
    int64_t ends_us;
    TRY(job_progress_set(op, tx, ref, said, &stale));
    if (until_us <= op->now_us || stale != STALE_NOT)
        return OK;
    enum err err = job_extend(op, tx, ref, until_us - op->now_us, &stale, &ends_us);
    return err == ERR_CONFLICT ? OK : err; /* beyond the job's timeout: it ends when that does */
}

/* --- asking --- */

static enum err newest_end(struct op *op, struct tx *tx, uint64_t id, int64_t *ret_us)
{
    struct attempt_row rows[ATTEMPTS_KEPT];
    int n;
    TRY(store_attempt_list(op, tx, id, rows, &n));
    if (n)
        *ret_us = rows[n - 1].ended_us;
    return OK;
}

static enum err live_state(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job,
                           struct job_track *ret)
{
    ret->state = "enqueued";
    ret->updated_us = jobs_wall_us(jobs, (int64_t)job->row.id);
    switch (job->state) {
    case JOB_READY:
    case JOB_BLOCKED:
        ret->updated_us = jobs_wall_us(jobs, (int64_t)job->ord);
        return OK;
    case JOB_SCHEDULED:
        return job->aside.attempts ? newest_end(op, tx, job->row.id, &ret->updated_us) : OK;
    case JOB_LEASED:
        ret->state = "working";
        ret->updated_us = jobs_wall_us(jobs, job->lease->started_us);
        return OK;
    case JOB_RETRY:
        ret->state = "failed";
        return newest_end(op, tx, job->row.id, &ret->updated_us);
    case JOB_DEAD:
        ret->state = "dead";
        ret->updated_us = job->aside.at;
        return OK;
    case JOB_NONE:
    case JOB_DONE:
        break;
    }
    ret->state = "unknown";
    ret->updated_us = 0;
    return OK;
}

static enum err said_of(struct op *op, struct tx *tx, struct jobs *jobs, struct str jid, struct progress_row *ret,
                        bool *ret_found)
{
    const struct progress *p = progress_find(jobs, jid);
    *ret_found = p != NULL;
    if (!p)
        return store_progress_get(op, tx, jid, ret, ret_found);
    *ret = p->row;
    ret->desc = arena_str(op->arena, p->row.desc);
    return OK;
}

enum err job_track_get(struct op *op, struct tx *tx, struct str jid, struct job_track *ret)
{
    struct jobs *jobs;
    struct job_known job = { .state = JOB_NONE };
    struct progress_row row;
    uint64_t id;
    bool live = false, said;
    *ret = (struct job_track){ .state = "unknown", .said = { .percent = -1 } };
    TRY(jobs_begin(op, tx, &jobs));
    TRY(store_job_find(op, tx, jid, &id));
    if (id)
        TRY(job_know(op, tx, jobs, id, &job, &live));
    live = live && job.state != JOB_NONE;
    TRY(said_of(op, tx, jobs, jid, &row, &said));
    if (live && !(job.opts.flags & OPT_TRACK))
        return OK;
    if (live)
        TRY(live_state(op, tx, jobs, &job, ret));
    if (!said || (live ? row.changed_us < jobs_wall_us(jobs, (int64_t)id) : row.end == END_NONE))
        return OK;
    ret->said = (struct job_said){ row.percent, row.desc };
    if (row.changed_us > ret->updated_us)
        ret->updated_us = row.changed_us;
    if (!live)
        ret->state = row.end == END_SUCCESS ? "success" : "failed";
    return OK;
}
