/*
 * job_end.h - how an attempt ends: ack, fail, snooze; and how a lease is kept.
 *
 * A job is named either by a lease (HTTP: the token) or by its jid alone (the
 * worker door). A lease that is not the job's current one changes nothing and
 * is reported with its reason (LEASE-2). By jid the wid of the connection
 * decides (LEASE-3).
 *
 * Everything that follows an end happens in the same transaction: the history
 * record or the attempt's row, the unique lock, the gate with its first waiter,
 * the batch, the counters, and the next job for whoever waits for the slot.
 */
#pragma once

#include "engine/job_token.h"
#include "engine/session.h"

enum job_stale {
    STALE_NOT, /* applied */
    STALE_EXPIRED,
    STALE_REASSIGNED,
    STALE_FINISHED,
    STALE_CANCELLED,
    STALE_UNKNOWN
};
const char *job_stale_name(enum job_stale stale); /* "expired" */

/* Who ends what: by lease when `by_jid` is false. */
struct job_ref {
    bool by_jid;
    struct job_lease lease;
    struct str jid;
    struct session_id session; /* by_jid: of the connection; { 0 } = none */
    struct str result;         /* JSON kept with the history of a job that is acked; not given = none */
    struct str queues;         /* names with commas between: leases of other queues are unknown; not given = all */
};

/*
 * Done. *ret_stale = STALE_NOT when it was applied.
 * By jid (LEASE-3): another wid's ack is noted as late and changes nothing (STALE_REASSIGNED); a late ack of a job
 * whose attempt ended by expiry or loss and that was not fetched again takes it out of retry and is STALE_NOT; an
 * unknown jid is STALE_UNKNOWN or STALE_FINISHED. The worker door answers +OK to all of them.
 */
enum err job_ack(struct op *op, struct tx *tx, const struct job_ref *ref, enum job_stale *ret_stale);

struct job_failure {
    struct str errtype; /* not given or empty: "unknown"; cut to its maximum */
    struct str message;
    const struct str *backtrace;
    size_t backtrace_lines;
    int64_t retry_in_us; /* 0 = by the policy */
    int64_t snooze_us;   /* 1 s..7 d: no failure, SCHEDULED for so long (RETRY-3); 0 = none */
    bool final;          /* DEAD now */
    bool gone;           /* with final: its handler is gone for good, which is the reason told (HAND-2) */
    bool crash;          /* its process died of it: counted as a crash too (LEASE-8) */
};

/* Failed, or put off. By jid a job that is not leased (to this wid) is STALE_*: "-ERR Job not found <jid>". */
enum err job_fail(struct op *op, struct tx *tx, const struct job_ref *ref, const struct job_failure *failure,
                  enum job_stale *ret_stale);

/*
 * The lease lives until now + for_us, never shorter than it does, at most 24 h ahead and not beyond the job's timeout:
 * ERR_CONFLICT with the reason (LEASE-7). *ret_until_us is wall time.
 */
enum err job_extend(struct op *op, struct tx *tx, const struct job_ref *ref, int64_t for_us, enum job_stale *ret_stale,
                    int64_t *ret_until_us);
