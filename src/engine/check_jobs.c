/*
 * check_jobs.c - jobs against the rows that say where they lie.
 *
 * In one snapshot: every job has exactly the narrow row its state asks for, the
 * figures of queues are the numbers of these rows, leases, locks and gates
 * belong to jobs that are there. The hourly count of a running daemon leaves
 * out stores with more than CHECK_JOBS_MAX jobs, since a snapshot held for long
 * keeps the log from being emptied; `check` counts them all.
 */
#include "engine/check_part.h"
#include "engine/jobs_own.h"
#include "store/store_uniq.h"

#define PAGE           1000
#define CHECK_JOBS_MAX 200000

struct counted {
    struct str name;
    uint64_t cut;
    bool known;
    struct queue_counts counts, rows;
};

struct counting {
    struct op *op;
    struct tx *tx;
    struct check *check;
    struct counted *queues;
    size_t count;
};

static enum err note_queue(void *arg, const struct queue_row *row, const struct queue_counts *counts)
{
    struct counting *c = arg;
    if (row->no >= c->count)
        return OK;
    c->queues[row->no] = (struct counted){ arena_str(c->op->arena, row->name), row->cut, true, *counts, { 0 } };
    return OK;
}

static enum err row_is_there(struct counting *c, const struct job_row *job, const struct job_opts *opts,
                             const struct aside_row *aside, enum job_state state, uint64_t ord, bool *ret)
{
    int n = 0;
    if (state == JOB_SCHEDULED || state == JOB_RETRY) {
        struct timer_row from = { aside->at, job->id - 1 }, row;
        TRY(store_timer_walk(c->op, c->tx, state == JOB_RETRY ? TIMER_RETRY : TIMER_SCHEDULED, &from, aside->at, 1,
                             &row, &n));
        *ret = n == 1 && row.id == job->id;
    } else if (state == JOB_READY) {
        struct ready_row lane = { .queue_no = job->queue_no, .level = opts->level, .key = opts->key }, row;
        TRY(store_ready_lane(c->op, c->tx, &lane, ord - 1, 1, &row, &n));
        *ret = n == 1 && row.ord == ord && (row.job ? row.job : row.ord) == job->id;
    } else if (state == JOB_BLOCKED) {
        struct blocked_row from = { .gate = opts->mutex, .ord = ord - 1 }, row;
        TRY(store_blocked_walk(c->op, c->tx, &from, true, 1, &row, &n));
        *ret = n == 1 && row.id == job->id;
    } else if (state == JOB_DEAD) {
        int reason;
        TRY(store_dead_reason(c->op, c->tx, aside->at, job->id, &reason));
        *ret = reason >= 0;
    } else {
        *ret = state == JOB_LEASED;
    }
    return OK;
}

/* Who has a mutex and is ready or leased holds its gate; so two leases of one mutex are seen here (MTX-1). */
static enum err holds_its_gate(struct counting *c, const struct job_row *job, uint64_t mutex, uint64_t lease)
{
    struct gate_row gate;
    TRY(store_gate_get(c->op, c->tx, mutex, &gate));
    check_claim(c->check, gate.holder == job->id && gate.lease == lease, "job %.*s goes on without its mutex",
                STR(job->jid));
    return OK;
}

static void add(struct queue_counts *rows, enum job_state state)
{
    rows->ready += state == JOB_READY;
    rows->leased += state == JOB_LEASED;
    rows->scheduled += state == JOB_SCHEDULED;
    rows->retry += state == JOB_RETRY;
    rows->blocked += state == JOB_BLOCKED;
    rows->dead += state == JOB_DEAD;
}

static enum err count_job(struct counting *c, const struct job_row *row)
{
    struct job_opts opts;
    struct aside_row aside;
    struct lease_row lease;
    bool there;
    TRY(job_opts_read(c->op, row->flags, row->opts, &opts));
    TRY(store_lease_get(c->op, c->tx, row->id, &lease));
    TRY(store_aside_get(c->op, c->tx, row->id, &aside));
    enum job_state state = lease.number ? JOB_LEASED : aside.state ? (enum job_state)aside.state : JOB_READY;
    uint64_t ord = aside.state ? (uint64_t)aside.at : row->id;
    if (row->queue_no >= c->count || !c->queues[row->queue_no].known) {
        check_claim(c->check, false, "job %.*s is in a queue that is not there", STR(row->jid));
        return OK;
    }
    struct counted *queue = &c->queues[row->queue_no];
    if ((state == JOB_READY || state == JOB_BLOCKED) && ord < queue->cut)
        return OK; /* deleted with its queue, about to be swept */
    add(&queue->rows, state);
    TRY(row_is_there(c, row, &opts, &aside, state, ord, &there));
    check_claim(c->check, there, "job %.*s is %s and has no row there", STR(row->jid), job_state_name(state));
    if (opts.mutex && (state == JOB_READY || state == JOB_LEASED))
        return holds_its_gate(c, row, opts.mutex, lease.number);
    return OK;
}

static enum err count_jobs(struct counting *c)
{
    struct arena *outer = c->op->arena, *memory = arena_new(64 << 20);
    enum err err = OK;
    uint64_t after = 0;
    c->op->arena = memory;
    for (size_t n = PAGE; err == OK && n == PAGE;) {
        struct job_row *rows;
        arena_reset(memory);
        err = store_job_walk(c->op, c->tx, after, PAGE, &rows, &n);
        for (size_t i = 0; err == OK && i < n; i++) {
            err = count_job(c, &rows[i]);
            after = rows[i].id;
        }
    }
    c->op->arena = outer;
    arena_free(memory);
    return err;
}

static void compare(struct counting *c)
{
    for (size_t i = 0; i < c->count; i++) {
        const struct counted *queue = &c->queues[i];
        if (!queue->known)
            continue;
        check_fact(c->check, queue->counts.ready, queue->rows.ready, "queue %.*s ready", STR(queue->name));
        check_fact(c->check, queue->counts.leased, queue->rows.leased, "queue %.*s leased", STR(queue->name));
        check_fact(c->check, queue->counts.scheduled, queue->rows.scheduled, "queue %.*s scheduled", STR(queue->name));
        check_fact(c->check, queue->counts.retry, queue->rows.retry, "queue %.*s retry", STR(queue->name));
        check_fact(c->check, queue->counts.blocked, queue->rows.blocked, "queue %.*s blocked", STR(queue->name));
        check_fact(c->check, queue->counts.dead, queue->rows.dead, "queue %.*s dead", STR(queue->name));
    }
}

/* Every lease is one of a job that is there: what a queue and its budget count as taken is leases (QUE-2, BUD-1). */
static enum err check_leases(struct counting *c)
{
    size_t n = PAGE;
    for (uint64_t after = 0; n == PAGE;) {
        struct lease_row *rows;
        TRY(store_lease_walk(c->op, c->tx, after, PAGE, &rows, &n));
        for (size_t i = 0; i < n; i++) {
            struct job_row job;
            bool found;
            after = rows[i].id;
            TRY(store_job_get(c->op, c->tx, rows[i].id, &job, &found));
            check_claim(c->check, found, "lease %llu is of a job that is gone", (unsigned long long)rows[i].number);
        }
    }
    return OK;
}

/* A gate is held by one job, which is ready or leased under the lease it names (MTX-2). */
static enum err check_gates(struct counting *c)
{
    uint64_t gates[PAGE];
    struct gate_row rows[PAGE];
    int n = PAGE;
    for (int64_t after = -1; n == PAGE;) {
        TRY(store_gate_walk(c->op, c->tx, after, PAGE, gates, rows, &n));
        for (int i = 0; i < n; i++) {
            struct lease_row lease;
            struct job_row job;
            bool found;
            after = (int64_t)gates[i];
            TRY(store_job_get(c->op, c->tx, rows[i].holder, &job, &found));
            TRY(store_lease_get(c->op, c->tx, rows[i].holder, &lease));
            check_claim(c->check, found, "a mutex is held by a job that is gone");
            check_claim(c->check, lease.number == rows[i].lease, "a mutex names lease %llu, its job has %llu",
                        (unsigned long long)rows[i].lease, (unsigned long long)lease.number);
        }
    }
    return OK;
}

/* Locks of jobs that are gone, unless they last by time (UNI-3). */
static enum err check_locks(struct counting *c)
{
    uint8_t(*keys)[16], last[16] = { 0 };
    struct uniq_row *rows;
    int n = PAGE;
    TRY(op_alloc(c->op, PAGE * sizeof *keys, &keys));
    TRY(op_alloc(c->op, PAGE * sizeof *rows, &rows));
    while (n == PAGE) {
        TRY(store_uniq_walk(c->op, c->tx, last, PAGE, keys, rows, &n));
        for (int i = 0; i < n; i++) {
            struct job_row job;
            bool found;
            memcpy(last, keys[i], 16);
            TRY(store_job_get(c->op, c->tx, rows[i].id, &job, &found));
            check_claim(c->check, found || (rows[i].rule & 3) == UNIQUE_EXPIRY,
                        "a unique lock is held by a job that is gone");
        }
    }
    return OK;
}

static enum err jobs_read(struct op *op, struct tx *tx, void *arg)
{
    struct counting c = { .op = op, .tx = tx, .check = arg, .count = QUEUES_MAX + 1 };
    TRY(op_alloc(op, c.count * sizeof *c.queues, &c.queues));
    TRY(store_queue_each(op, tx, note_queue, &c));
    int64_t waiting = 0;
    for (size_t i = 0; i < c.count; i++)
        waiting += c.queues[i].counts.ready + c.queues[i].counts.dead + c.queues[i].counts.scheduled;
    if (c.check->by_slices && waiting > CHECK_JOBS_MAX)
        return OK;
    TRY(count_jobs(&c));
    compare(&c);
    TRY(check_leases(&c));
    TRY(check_gates(&c));
    TRY(check_locks(&c));
    TRY(check_runs(op, tx, c.check));
    return check_batches(op, tx, c.check);
}

enum err check_jobs(struct op *op, struct check *check)
{
    struct op own;
    op_init(&own, arena_new(64 << 20), op->now_us);
    enum err err = store_read(&own, check->store, jobs_read, check);
    op_inherit(op, err, &own);
    arena_free(own.arena);
    return err;
}
