#include "engine/job_end.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/hex.h"
#include "engine/job_log.h"
#include "store/seq.h"
#include "store/store_work.h"

const char *job_stale_name(enum job_stale stale)
{
    static const char *const names[] = {
        [STALE_NOT] = "",
        [STALE_EXPIRED] = "expired",
        [STALE_REASSIGNED] = "reassigned",
        [STALE_FINISHED] = "finished",
        [STALE_CANCELLED] = "cancelled",
        [STALE_UNKNOWN] = "unknown",
    };
    return names[stale];
}

/* --- tokens --- */

struct str job_token(const struct job_lease *lease, char ret_text[LEASE_TOKEN_BYTES])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    uint64_t words[3] = { lease->id, lease->number, lease->jid_hash };
    size_t n = 0;
    for (int w = 0; w < 3; w++)
        for (int i = 0; i < 11; i++)
            ret_text[n++] = digits[words[w] >> (6 * i) & 63];
    ret_text[n] = '\0';
    return (struct str){ ret_text, n };
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 36;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool job_token_parse(struct str text, struct job_lease *ret)
{
    uint64_t words[3] = { 0 };
    if (text.n != 33)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        int digit = digit_of(text.p[i]);
        if (digit < 0)
            return false;
        words[i / 11] |= (uint64_t)digit << (6 * (i % 11));
    }
    *ret = (struct job_lease){ words[0], words[1], words[2] };
    return true;
}

struct job_lease job_lease_of(struct tx *tx, const struct job_out *job)
{
    return (struct job_lease){ job->id, job->lease, jobs_hash(jobs_of(tx), job->jid) };
}

/* --- leases in RAM --- */

static void slots_grow(struct jobs *jobs)
{
    size_t n = jobs->lease_slots;
    struct lease **old = jobs->leases;
    jobs->lease_slots = n ? n * 2 : 256;
    jobs->leases = calloc(jobs->lease_slots, sizeof(struct lease *));
    if (!jobs->leases)
        abort();
    for (size_t i = 0; i < n; i++)
        for (struct lease *lease = old[i], *next; lease; lease = next) {
            next = lease->hash_next;
            lease->hash_next = jobs->leases[lease->jid_hash & (jobs->lease_slots - 1)];
            jobs->leases[lease->jid_hash & (jobs->lease_slots - 1)] = lease;
        }
    free(old);
}

struct lease *lease_find(struct jobs *jobs, uint64_t jid_hash)
{
    struct lease *lease = jobs->lease_slots ? jobs->leases[jid_hash & (jobs->lease_slots - 1)] : NULL;
    while (lease && lease->jid_hash != jid_hash)
        lease = lease->hash_next;
    return lease;
}

struct lease *lease_new(struct jobs *jobs, const struct lease_row *row, const struct job_row *job,
                        const struct job_opts *opts)
{
    struct lease *lease = malloc(sizeof *lease + job->jid.n + job->type.n + row->worker.n);
    if (!lease)
        abort();
    char *tail = (char *)(lease + 1);
    *lease = (struct lease){
        .id = row->id,
        .number = row->number,
        .jid_hash = jobs_hash(jobs, job->jid),
        .queue = queue_by_no(jobs, job->queue_no),
        .session = session_of(jobs, (struct session_id){ row->session_no, row->session_epoch }),
        .epoch = row->session_epoch,
        .flags = job->flags,
        .level = opts->level,
        .attempt = row->attempt,
        .key = opts->key,
        .mutex = opts->mutex,
        .ord = row->ord,
        .started_us = row->started_us,
        .until_us = row->until_us,
        .hard_us = row->hard_us,
        .aside = row->ord != 0,
        .here = !jobs->node || row->node == jobs->node,
        .jid = tail_str(&tail, job->jid),
        .type = tail_str(&tail, job->type),
        .worker = tail_str(&tail, row->worker),
    };
    lease->queue->leased_here += lease->here;
    if (jobs->lease_count++ >= jobs->lease_slots)
        slots_grow(jobs);
    struct lease **slot = &jobs->leases[lease->jid_hash & (jobs->lease_slots - 1)];
    lease->hash_next = *slot;
    *slot = lease;
    if (lease->session) {
        lease->next = lease->session->leases;
        lease->link = &lease->session->leases;
        if (lease->next)
            lease->next->link = &lease->next;
        lease->session->leases = lease;
        lease->session->lease_count++;
    }
    int64_t due_us = lease_due_us(jobs, lease);
    if (due_us < jobs->next_lease_us) {
        jobs->next_lease_us = due_us;
        jobs_due(jobs, due_us);
    }
    return lease;
}

static void lease_forget(struct jobs *jobs, struct lease *lease)
{
    struct lease **link = &jobs->leases[lease->jid_hash & (jobs->lease_slots - 1)];
    while (*link != lease)
        link = &(*link)->hash_next;
    *link = lease->hash_next;
    jobs->lease_count--;
    lease->queue->leased_here -= lease->here;
    if (lease->session) {
        *lease->link = lease->next;
        if (lease->next)
            lease->next->link = lease->link;
        lease->session->lease_count--;
    }
    free(lease);
}

void leases_unload(struct jobs *jobs)
{
    for (size_t i = 0; i < jobs->lease_slots; i++)
        for (struct lease *lease = jobs->leases[i], *next; lease; lease = next) {
            next = lease->hash_next;
            free(lease);
        }
    free(jobs->leases);
    jobs->leases = NULL;
    jobs->lease_slots = jobs->lease_count = 0;
}

void lease_follow(struct jobs *jobs, struct lease *lease)
{
    struct queue *queue = lease->queue;
    if (queue->budget)
        queue->budget->used += queue->policy.budget_cost;
    if (lease->key && queue_counts_keys(queue))
        queue_key_use(queue, lease->key, true)->leased++;
    lease_number_begun(jobs, lease->number);
}

void lease_follow_end(struct jobs *jobs, struct lease *lease)
{
    struct queue *queue = lease->queue;
    queue_ended(jobs, queue, lease->key);
    queue_wants(jobs, queue);
    if (queue->budget)
        budget_freed(jobs, queue->budget);
    lease_number_ended(jobs, lease->number);
    lease_forget(jobs, lease);
}

enum err lease_end(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease, bool keep_gate)
{
    struct queue *queue = lease->queue;
    uint64_t mutex = lease->mutex, id = lease->id;
    jobs_touch(jobs, tx);
    TRY(store_lease_delete(op, tx, lease->id));
    queue_ended(jobs, queue, lease->key);
    queue_changed(jobs, tx, queue);
    queue_wants(jobs, queue);
    if (queue->budget)
        budget_freed(jobs, queue->budget);
    lease_number_ended(jobs, lease->number);
    log_lease_end(jobs, lease);
    lease_forget(jobs, lease);
    if (mutex && keep_gate) {
        struct gate_row gate = { .holder = id };
        return store_gate_put(op, tx, mutex, &gate);
    }
    return gate_leave(op, tx, jobs, mutex, id);
}

/* LEASE-5. A job deleted with its queue meanwhile has no place there any more: it comes back as a new one. */
enum err lease_return(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job)
{
    struct lease *lease = job->lease;
    struct queue *queue = lease->queue;
    uint64_t ord = lease->ord ? lease->ord : lease->id;
    if (ord < queue->cut) {
        TRY(lease_end(op, tx, jobs, lease, false));
        return job_put(op, tx, jobs, queue, job, 0, JOB_SCHEDULED, false);
    }
    struct ready_row row = { queue->no, lease->level, lease->key, ord, lease->ord ? lease->id : 0 };
    TRY(lease_end(op, tx, jobs, lease, true));
    job->lease = NULL;
    TRY(store_ready_add(op, tx, &row));
    log_returned(jobs, &row);
    lanes_return(queue_lanes(jobs, queue), row.level, row.key, &(struct lane_place){ row.ord, row.job });
    queue->counts.ready++;
    queue->counts.ready_bytes += (int64_t)job_bytes(&job->row);
    job_move(job, JOB_READY);
    queue_wants(jobs, queue);
    return OK;
}

void lease_leave_session(struct lease *lease)
{
    if (!lease->session)
        return;
    *lease->link = lease->next;
    if (lease->next)
        lease->next->link = lease->link;
    lease->session->lease_count--;
    lease->session = NULL;
    lease->next = NULL;
}

enum err lease_lost(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease)
{
    struct job_known job;
    bool found;
    if (!lease->queue->own)
        return lease_fail(op, tx, jobs, lease, NULL, FAULT_LOST);
    TRY(job_know(op, tx, jobs, lease->id, &job, &found));
    return found ? lease_return(op, tx, jobs, &job) : fail(op, ERR_BUG, "leased job %.*s has no row", STR(lease->jid));
}

/* --- ends of jobs --- */

enum err job_forget(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job)
{
    jobs_touch(jobs, tx);
    TRY(unique_release(op, tx, &job->opts, job->row.id));
    TRY(store_job_delete(op, tx, job->row.id, job->row.jid));
    if (job->queue->own)
        TRY(store_work_delete(op, tx, job->row.id));
    if (!job->aside.state)
        return OK;
    TRY(store_aside_delete(op, tx, job->row.id));
    return job->aside.attempts ? store_attempt_delete(op, tx, job->row.id) : OK;
}

enum err job_finish(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job, enum job_outcome outcome,
                    int64_t started_us, struct str worker)
{
    struct done_record record = {
        .id = job->row.id,
        .jid_hash = jobs_hash(jobs, job->row.jid),
        .queue_no = job->queue->no,
        .outcome = (uint8_t)outcome,
        .started_us = started_us ? jobs_wall_us(jobs, started_us) : 0,
        .ended_us = op->now_us,
        .attempts = job->aside.attempts + (outcome == JOB_SUCCEEDED),
        .jid = job->row.jid,
        .type = job->row.type,
        .worker = worker,
        .body = outcome != JOB_SUCCEEDED ? job->row.body
                : str_given(job->result) ? arena_fmt(op->arena, "\"result\":%.*s", STR(job->result))
                                         : (struct str){ 0 },
        .opts = outcome != JOB_SUCCEEDED ? job->row.opts : (struct str){ 0 },
        .flags = job->row.flags,
    };
    jobs_touch(jobs, tx);
    if (job->aside.attempts)
        TRY(attempts_json(op, tx, job->row.id, &record.extra));
    TRY(job_forget(op, tx, jobs, job));
    done_note(jobs, tx, &record);
    meter_add(&job->queue->out, jobs_engine_us(jobs, tx), 1);
    queue_changed(jobs, tx, job->queue);
    job_move(job, JOB_DONE);
    TRY(progress_ended(op, tx, jobs, job, outcome));
    return job_left(op, tx, jobs, job, outcome);
}

enum err job_kill(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job, enum job_death death)
{
    struct dead_row row = { op->now_us, job->row.id, (int)death };
    jobs_touch(jobs, tx);
    TRY(run_moves(op, tx, jobs, job, JOB_DEAD));
    TRY(batch_failed(op, tx, jobs, job)); /* one that was killed before its first attempt had its chance, too */
    TRY(unique_release(op, tx, &job->opts, job->row.id));
    TRY(store_dead_add(op, tx, &row));
    job->aside.id = job->row.id;
    job->aside.state = JOB_DEAD;
    job->aside.at = op->now_us;
    TRY(store_aside_put(op, tx, &job->aside));
    job->queue->counts.dead++;
    queue_changed(jobs, tx, job->queue);
    job_move(job, JOB_DEAD);
    if (death == DEATH_POISON)
        jobs->totals.poisoned++;
    return news_died(op, tx, jobs, job, death);
}

/* --- whose lease is it --- */

static enum job_stale gone_reason(struct jobs *jobs, struct tx *tx, uint64_t jid_hash)
{
    const struct finished *finished = finished_find(jobs, jid_hash, jobs_engine_us(jobs, tx));
    if (!finished)
        return STALE_UNKNOWN;
    return finished->outcome == JOB_CANCELLED ? STALE_CANCELLED : STALE_FINISHED;
}

static enum err by_token(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_lease *wanted,
                         struct lease **ret, enum job_stale *ret_stale)
{
    struct lease *lease = lease_find(jobs, wanted->jid_hash);
    struct job_row row;
    bool found;
    *ret_stale = STALE_NOT;
    *ret = lease;
    if (lease && lease->id == wanted->id && lease->number == wanted->number)
        return OK;
    *ret = NULL;
    *ret_stale = STALE_REASSIGNED;
    if (lease && lease->id == wanted->id)
        return OK;
    *ret_stale = gone_reason(jobs, tx, wanted->jid_hash);
    if (*ret_stale != STALE_UNKNOWN)
        return OK;
    TRY(store_job_get(op, tx, wanted->id, &row, &found));
    if (found)
        *ret_stale = STALE_EXPIRED;
    else if (wanted->number && wanted->number <= store_seq_newest(tx, SEQ_LEASE) &&
             wanted->id <= store_seq_newest(tx, SEQ_JOB))
        *ret_stale = STALE_FINISHED; /* longer ago than is remembered */
    return OK;
}

/* LEASE-3. */
static enum err by_jid(struct tx *tx, struct jobs *jobs, const struct job_ref *ref, struct lease **ret,
                       enum job_stale *ret_stale)
{
    uint64_t hash = jobs_hash(jobs, ref->jid);
    struct lease *lease = lease_find(jobs, hash);
    const struct session *session = session_of(jobs, ref->session);
    *ret_stale = STALE_NOT;
    *ret = lease;
    if (!lease)
        *ret_stale = gone_reason(jobs, tx, hash);
    else if (lease->session && session && lease->session != session)
        *ret_stale = STALE_REASSIGNED;
    return OK;
}

static bool is_among(struct str names, struct str name)
{
    if (!str_given(names))
        return true;
    while (str_given(names))
        if (str_eq(str_cut(&names, ','), name))
            return true;
    return false;
}

enum err lease_of_ref(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_ref *ref, struct lease **ret,
                      enum job_stale *ret_stale)
{
    session_sign(jobs, tx, session_of(jobs, ref->session));
    if (ref->by_jid)
        return by_jid(tx, jobs, ref, ret, ret_stale);
    TRY(by_token(op, tx, jobs, &ref->lease, ret, ret_stale));
    if (*ret && !is_among(ref->queues, (*ret)->queue->name)) {
        *ret = NULL;
        *ret_stale = STALE_UNKNOWN;
    }
    if (*ret)
        session_sign(jobs, tx, (*ret)->session);
    return OK;
}

/* --- ack --- */

/* What ack must know; a job without options costs no read. */
static enum err know_leased(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease, struct job_known *ret)
{
    bool found;
    if (lease->flags & (OPT_UNIQUE | OPT_BATCH | OPT_RUN)) {
        TRY(job_know(op, tx, jobs, lease->id, ret, &found));
        return found ? OK : fail(op, ERR_BUG, "leased job %.*s has no row", STR(lease->jid));
    }
    *ret = (struct job_known){
        .row = { .id = lease->id,
                 .queue_no = lease->queue->no,
                 .flags = lease->flags,
                 .jid = lease->jid,
                 .type = lease->type },
        .opts = { .flags = lease->flags, .mutex = lease->mutex },
        .queue = lease->queue,
        .state = JOB_LEASED,
        .lease = lease,
    };
    return lease->aside ? store_aside_get(op, tx, lease->id, &ret->aside) : OK;
}

static enum err ack_lease(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease, struct str result)
{
    struct job_known job;
    TRY(know_leased(op, tx, jobs, lease, &job));
    job.result = result;
    lease->queue->counts.processed++;
    TRY(job_finish(op, tx, jobs, &job, JOB_SUCCEEDED, lease->started_us, lease->worker));
    return lease_end(op, tx, jobs, lease, false);
}

/* An ack from one who does not hold the lease: seen in the attempts, counted, nothing else. */
static enum err note_late(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease)
{
    struct aside_row aside;
    TRY(store_aside_get(op, tx, lease->id, &aside));
    jobs_touch(jobs, tx);
    jobs->totals.late_acks++;
    if (!lease->aside)
        return OK; /* a job on the happy path gets no row aside for it */
    TRY(attempt_note(op, tx, jobs, &aside, lease, JOB_LATE, NULL));
    return store_aside_put(op, tx, &aside);
}

/* The work was done after all: the job waits for another attempt that nobody began (LEASE-3). */
static enum err ack_late(struct op *op, struct tx *tx, struct jobs *jobs, struct str jid, enum job_stale *ret_stale)
{
    struct job_known job;
    uint64_t id;
    bool found;
    TRY(store_job_find(op, tx, jid, &id));
    if (!id)
        return OK;
    TRY(job_know(op, tx, jobs, id, &job, &found));
    *ret_stale = STALE_EXPIRED;
    if (!found || !job.aside.late || (job.state != JOB_RETRY && job.state != JOB_READY && job.state != JOB_BLOCKED))
        return OK;
    TRY(job_lift(op, tx, jobs, &job));
    *ret_stale = STALE_NOT;
    return job_finish(op, tx, jobs, &job, JOB_SUCCEEDED, 0, (struct str){ 0 });
}

enum err job_ack(struct op *op, struct tx *tx, const struct job_ref *ref, enum job_stale *ret_stale)
{
    struct jobs *jobs;
    struct lease *lease;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(lease_of_ref(op, tx, jobs, ref, &lease, ret_stale));
    if (lease && *ret_stale == STALE_NOT)
        TRY(ack_lease(op, tx, jobs, lease, ref->result));
    else if (lease)
        TRY(note_late(op, tx, jobs, lease));
    else if (ref->by_jid && *ret_stale == STALE_UNKNOWN)
        TRY(ack_late(op, tx, jobs, ref->jid, ret_stale));
    return jobs_serve(op, tx, jobs);
}

enum err job_fail(struct op *op, struct tx *tx, const struct job_ref *ref, const struct job_failure *failure,
                  enum job_stale *ret_stale)
{
    struct jobs *jobs;
    struct lease *lease;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(lease_of_ref(op, tx, jobs, ref, &lease, ret_stale));
    if (!lease || *ret_stale != STALE_NOT)
        return OK;
    TRY(lease_fail(op, tx, jobs, lease, failure, FAULT_FAILED));
    return jobs_serve(op, tx, jobs);
}

/* --- extend --- */

enum err job_extend(struct op *op, struct tx *tx, const struct job_ref *ref, int64_t for_us, enum job_stale *ret_stale,
                    int64_t *ret_until_us)
{
    struct jobs *jobs;
    struct lease *lease;
    TRY(jobs_begin(op, tx, &jobs));
    TRY(lease_of_ref(op, tx, jobs, ref, &lease, ret_stale));
    if (!lease || *ret_stale != STALE_NOT)
        return OK;
    int64_t now_us = jobs_engine_us(jobs, tx);
    int64_t until_us = now_us + (for_us < JOB_LEASE_US_MAX ? for_us : JOB_LEASE_US_MAX);
    if (lease->hard_us && until_us > lease->hard_us)
        return fail(op, ERR_CONFLICT, "the job's timeout ends %lld s from now, before the extended lease would",
                    (long long)((lease->hard_us - now_us) / 1000000));
    if (until_us > lease->until_us) {
        jobs_touch(jobs, tx);
        TRY(store_lease_extend(op, tx, lease->id, until_us));
        lease->until_us = until_us;
        log_lease_until(jobs, lease);
    }
    *ret_until_us = jobs_wall_us(jobs, lease->until_us);
    return OK;
}
