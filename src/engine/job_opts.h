/*
 * job_opts.h - what the engine must know of a job later on, in few bytes.
 *
 * Most jobs say nothing beyond their args, or only `retry`. Flags in the job's
 * row tell which options it has; those alone are in its `opts` bytes, in the
 * order of the flags. These bytes are file format.
 */
#pragma once

#include "engine/job.h"

#define OPT_HAS_CREATED 0x001u /* JOB_HAS_* of the body */
#define OPT_HAS_RETRY   0x002u
#define OPT_RETRY       0x004u
#define OPT_LEASE       0x008u
#define OPT_TIMEOUT     0x010u
#define OPT_EXPIRES     0x020u
#define OPT_LEVEL       0x040u
#define OPT_KEY         0x080u
#define OPT_MUTEX       0x100u
#define OPT_UNIQUE      0x200u
#define OPT_BATCH       0x400u
#define OPT_TRACK       0x800u
#define OPT_CALLBACK    0x1000u /* of its batch, not a member */
#define OPT_RUN         0x2000u /* of a schedule */

#define JOB_OPTS_BYTES_MAX (12 * 8 + 16 + 1 + JOB_JID_BYTES_MAX)

struct job_opts {
    uint32_t flags;
    int32_t retry;
    int level; /* 0 = none, else priority 1..9 */
    int64_t lease_us, timeout_us, expires_at_us;
    uint64_t key, mutex;
    struct job_unique unique;
    struct str batch;
    uint8_t callback;
    uint64_t run;
};

static inline bool job_is_member(const struct job_opts *opts)
{
    return (opts->flags & (OPT_BATCH | OPT_CALLBACK)) == OPT_BATCH;
}

void job_opts_of(const struct job_spec *spec, struct job_opts *ret);

/* Writes the bytes; not given when there are none. */
struct str job_opts_pack(const struct job_opts *opts, char ret_bytes[JOB_OPTS_BYTES_MAX]);

/* Reads them again; texts point into `bytes`. Damaged bytes give ERR_IO. */
enum err job_opts_read(struct op *op, uint32_t flags, struct str bytes, struct job_opts *ret);
