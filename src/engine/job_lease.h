/*
 * job_lease.h - one attempt under way: who has which job until when.
 *
 * Private to the job machine. Every lease is a row and stands in RAM, found by
 * its job's jid and in the list of the session that holds it. A lease is made
 * by a fetch, or by what another node did, and ends once: what it took from its
 * queue, its key and its budget is given back, and its gate passes on.
 */
#pragma once

#include "base/op.h"
#include "store/tx.h"

struct aside_row;
struct job_known;
struct job_opts;
struct job_row;
struct jobs;
struct lease_row;
struct queue;
struct session;

struct lease {
    struct lease *hash_next, *next, **link; /* next: of its session */
    uint64_t id, number, jid_hash;
    struct queue *queue;
    struct session *session;
    uint32_t epoch;
    uint32_t flags; /* OPT_* */
    int level, attempt;
    uint64_t key, mutex, ord;              /* ord 0 = id */
    int64_t started_us, until_us, hard_us; /* engine time; hard_us 0 = none */
    bool aside;                            /* it has a row aside */
    bool here;                             /* handed out by this node */
    struct str jid, type, worker;          /* behind the struct */
};

/* NULL: the job is not leased. */
struct lease *lease_find(struct jobs *jobs, uint64_t jid_hash);

/* Into RAM as the rows say. */
struct lease *lease_new(struct jobs *jobs, const struct lease_row *row, const struct job_row *job,
                        const struct job_opts *opts);
void leases_unload(struct jobs *jobs);

/* Everything known of the leased job; one without a row is a bug of ours. */
enum err lease_know(struct op *op, struct tx *tx, struct jobs *jobs, const struct lease *lease, struct job_known *ret);

/* The lease is over: its row, slots and gate. The job is nowhere until the caller puts it. The lease is freed. */
enum err lease_end(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease, bool keep_gate);

/* Its job has a row aside from now on: *ret, which the caller changes and writes. */
enum err lease_put_aside(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease, struct aside_row *ret);

/* Never delivered: back to the place it had (LEASE-5). The lease is freed. */
enum err lease_return(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job);

/* The session that holds the lease is gone: the job was lost with it (LEASE-7), or goes back where it was when it is
 * our own work, which goes on at its bookmark. */
enum err lease_lost(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease);

/* The lease lives on and belongs to nobody. In RAM only. */
void lease_leave_session(struct lease *lease);

/* What another node did, laid over RAM; no row is touched: the lease has just been made; got a row aside; or it ended,
 * and is freed. */
void lease_follow(struct jobs *jobs, struct lease *lease);
void lease_follow_aside(struct lease *lease);
void lease_follow_end(struct jobs *jobs, struct lease *lease);
