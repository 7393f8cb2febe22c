#include "engine/job_log.h"

#include <string.h>

#include "store/seq.h"
#include "store/store_job_log.h"

#define LOG_BYTES_MAX ((size_t)512 << 20)

/* --- writing --- */

static void word(struct jobs *jobs, uint64_t value)
{
    buf_add(&jobs->log.changes, &value, sizeof value);
}

static void text(struct jobs *jobs, struct str text)
{
    word(jobs, str_given(text) ? text.n : UINT64_MAX);
    buf_add_str(&jobs->log.changes, str_given(text) ? text : S(""));
}

/* False where nobody would read it. */
static bool entry(struct jobs *jobs, char letter)
{
    if (jobs->log.on)
        buf_add_char(&jobs->log.changes, letter);
    return jobs->log.on;
}

static void place(struct jobs *jobs, char letter, const struct ready_row *row)
{
    if (!entry(jobs, letter))
        return;
    word(jobs, (uint64_t)row->queue_no << 8 | (uint64_t)row->level);
    word(jobs, row->key);
    word(jobs, row->ord);
    word(jobs, row->job);
}

void log_ready(struct jobs *jobs, const struct ready_row *row)
{
    place(jobs, 'r', row);
}

void log_returned(struct jobs *jobs, const struct ready_row *row)
{
    place(jobs, 'R', row);
}

void log_taken(struct jobs *jobs, const struct ready_row *row)
{
    place(jobs, 't', row);
}

void log_lease(struct jobs *jobs, const struct lease *lease)
{
    if (!entry(jobs, 'l'))
        return;
    word(jobs, lease->id);
    word(jobs, lease->number);
    word(jobs, (uint64_t)lease->queue->no << 32 | lease->flags);
    word(jobs, (uint64_t)lease->level << 32 | (uint32_t)lease->attempt);
    word(jobs, lease->key);
    word(jobs, lease->mutex);
    word(jobs, lease->ord);
    word(jobs, (uint64_t)(lease->session ? lease->session->no : 0) << 32 | lease->epoch);
    word(jobs, (uint64_t)lease->started_us);
    word(jobs, (uint64_t)lease->until_us);
    word(jobs, (uint64_t)lease->hard_us);
    text(jobs, lease->jid);
    text(jobs, lease->type);
    text(jobs, lease->worker);
}

static void of_lease(struct jobs *jobs, char letter, const struct lease *lease, uint64_t value)
{
    if (!entry(jobs, letter))
        return;
    word(jobs, lease->jid_hash);
    word(jobs, lease->id);
    word(jobs, value);
}

void log_lease_end(struct jobs *jobs, const struct lease *lease)
{
    of_lease(jobs, 'e', lease, 0);
}

void log_lease_until(struct jobs *jobs, const struct lease *lease)
{
    of_lease(jobs, 'x', lease, (uint64_t)lease->until_us);
}

void log_lease_leaves(struct jobs *jobs, const struct lease *lease)
{
    of_lease(jobs, 'o', lease, 0);
}

void log_lease_aside(struct jobs *jobs, const struct lease *lease)
{
    of_lease(jobs, 'a', lease, 0);
}

void log_revoked(struct jobs *jobs, const struct lease *lease)
{
    of_lease(jobs, 'V', lease, 0);
}

void log_finished(struct jobs *jobs, const struct finished *finished, uint32_t queue_no)
{
    if (!entry(jobs, 'd'))
        return;
    word(jobs, finished->jid_hash);
    word(jobs, finished->id);
    word(jobs, (uint64_t)finished->end_us);
    word(jobs, (uint64_t)queue_no << 32 | (uint32_t)finished->outcome);
}

static void one_word(struct jobs *jobs, char letter, uint64_t value)
{
    if (entry(jobs, letter))
        word(jobs, value);
}

void log_revived(struct jobs *jobs, uint64_t jid_hash)
{
    one_word(jobs, 'v', jid_hash);
}

void log_replaced(struct jobs *jobs, uint64_t id)
{
    one_word(jobs, 'b', id);
}

void log_delivered(struct jobs *jobs, uint64_t number)
{
    one_word(jobs, 'n', number);
}

void log_timer(struct jobs *jobs, int64_t due_us)
{
    one_word(jobs, 'T', (uint64_t)due_us);
}

void log_session_end(struct jobs *jobs, uint32_t no)
{
    one_word(jobs, 'S', no);
}

void log_session(struct jobs *jobs, const struct session_row *row)
{
    if (!entry(jobs, 's'))
        return;
    word(jobs, (uint64_t)row->no << 32 | row->epoch);
    word(jobs, (uint64_t)row->state << 1 | row->http);
    word(jobs, (uint64_t)row->pid);
    word(jobs, (uint64_t)row->since_us);
    text(jobs, row->name);
    text(jobs, row->hostname);
    text(jobs, row->labels);
}

void log_seen(struct jobs *jobs, const struct session *session)
{
    if (!entry(jobs, 'g'))
        return;
    word(jobs, (uint64_t)session->no << 32 | session->epoch);
    word(jobs, (uint64_t)session->seen_us);
}

void log_budget(struct jobs *jobs, const struct budget *budget)
{
    if (!entry(jobs, 'B'))
        return;
    text(jobs, budget->id);
    word(jobs, (uint64_t)budget->tat_ns);
}

void log_key_rate(struct jobs *jobs, const struct queue *queue, const struct key_use *use)
{
    if (!entry(jobs, 'k'))
        return;
    word(jobs, queue->no);
    word(jobs, use->key);
    word(jobs, (uint64_t)use->tat_ns);
}

void log_queues(struct jobs *jobs)
{
    jobs->log.marks |= MARK_QUEUES;
}

void log_all(struct jobs *jobs)
{
    jobs->log.marks |= MARK_ALL;
}

/* --- the row of a group --- */

void log_open(struct jobs *jobs, bool shared)
{
    jobs->log.on = shared;
    buf_init(&jobs->log.changes, LOG_BYTES_MAX);
    buf_init(&jobs->log.counts, LOG_BYTES_MAX);
}

void log_close(struct jobs *jobs)
{
    buf_done(&jobs->log.changes);
    buf_done(&jobs->log.counts);
}

void log_counts(struct jobs *jobs, struct queue *queue)
{
    struct queue_counts_entry entry = { queue->no, queue->counts };
    buf_add(&jobs->log.counts, &entry, sizeof entry);
    queue->logged_no = jobs->log.no + 1;
}

/* Which leases are not over, for whoever comes when the rows that say so of the others are gone. */
static void log_open_numbers(struct jobs *jobs, uint64_t newest)
{
    uint64_t count = 0;
    if (!entry(jobs, 'U'))
        return;
    word(jobs, newest);
    size_t at = jobs->log.changes.n;
    word(jobs, 0);
    for (uint64_t n = jobs->undelivered.first + 1; n <= newest; n++)
        if (!lease_number_is_over(jobs, n)) {
            word(jobs, n);
            count++;
        }
    if (!jobs->log.changes.full)
        memcpy(jobs->log.changes.p + at, &count, sizeof count);
}

/* Counters that moved since the last fold are written where they last: the rows of the log that have them will go. */
static enum err fold(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t no)
{
    for (size_t i = 0; i < jobs->by_no_room; i++) {
        const struct queue *queue = jobs->by_no[i];
        if (queue && queue->logged_no + JOB_LOG_FOLD > no)
            TRY(store_queue_count(op, tx, queue->no, &queue->counts));
    }
    if (no <= JOB_LOG_KEPT)
        return OK;
    uint64_t upto = no - JOB_LOG_KEPT;
    TRY(store_job_log_clear(op, tx, jobs->log.cleared, upto));
    jobs->log.clearing = upto;
    return OK;
}

enum err log_flush(struct op *op, struct tx *tx, struct jobs *jobs)
{
    struct job_log *log = &jobs->log;
    if (!log->on || (log->changes.n == 0 && log->counts.n == 0 && !log->marks))
        return OK;
    uint64_t marks = log->marks, no = store_seq_next(tx, SEQ_JOB_LOG);
    if (no % JOB_LOG_FOLD == 0)
        log_open_numbers(jobs, store_seq_newest(tx, SEQ_LEASE));
    buf_add_char(&log->changes, 'm');
    word(jobs, marks);
    struct job_log_row row = {
        .no = no,
        .at_us = jobs_engine_us(jobs, tx),
        .counts = { log->counts.p ? log->counts.p : "", log->counts.n },
        .changes = buf_str(&log->changes),
    };
    if (log->changes.full)
        return fail(op, ERR_TOO_LARGE, "a group of jobs changed more than one row can tell");
    log->flushed = row.no;
    TRY(store_job_log_add(op, tx, &row));
    return row.no % JOB_LOG_FOLD == 0 ? fold(op, tx, jobs, row.no) : OK;
}

static void log_reset(struct job_log *log)
{
    buf_reset(&log->changes);
    buf_reset(&log->counts);
    log->marks = 0;
    log->flushed = log->clearing = 0;
}

void log_know(struct jobs *jobs, uint64_t no)
{
    jobs->log.no = no;
    atomic_store(&jobs->log_seen, no);
}

void log_kept(struct jobs *jobs)
{
    if (jobs->log.flushed)
        log_know(jobs, jobs->log.flushed);
    if (jobs->log.clearing)
        jobs->log.cleared = jobs->log.clearing;
    log_reset(&jobs->log);
}

void log_drop(struct jobs *jobs)
{
    log_reset(&jobs->log);
}

void log_loaded(struct tx *tx, struct jobs *jobs)
{
    log_know(jobs, store_seq_newest(tx, SEQ_JOB_LOG));
    /* nobody knows which counters the log has alone: the next fold writes all */
    for (size_t i = 0; i < jobs->by_no_room; i++)
        if (jobs->by_no[i])
            jobs->by_no[i]->logged_no = jobs->log.no;
}
