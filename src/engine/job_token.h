/*
 * job_token.h - the name of one attempt, as the HTTP door says it.
 *
 * A token tells the job, the number of its lease and the hash of its jid, so
 * that whoever ends it is recognised without a row of its own, even when the
 * job is gone (LEASE-2). Opaque to clients.
 */
#pragma once

#include "engine/job.h"
#include "store/tx.h"

#define LEASE_TOKEN_BYTES 48 /* text of a token with its NUL */

struct job_lease {
    uint64_t id;
    uint64_t number;
    uint64_t jid_hash; /* finds the job's end when the job is gone */
};

/* Of a job that was just fetched. In the writer. */
struct job_lease job_lease_of(struct tx *tx, const struct job_out *job);

/* The text lies in ret_text. */
struct str job_token(const struct job_lease *lease, char ret_text[LEASE_TOKEN_BYTES]);

/* False: no token of ours. */
bool job_token_parse(struct str text, struct job_lease *ret);
