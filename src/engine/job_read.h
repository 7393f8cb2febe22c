/*
 * job_read.h - reads a job object and writes one.
 *
 * The members the engine needs are taken out; all others are kept as the bytes
 * that came, so that 12345678901234567890, 1.0 and "\u003c" come back as they
 * went in (JOB-2). Both doors read the same words: HTTP as members of the job,
 * the worker door from `custom.posthouse` (and unique_for, unique_until,
 * expires_at, expires_in, bid and track from `custom`).
 *
 * Thread: any; nothing here touches the store, so doors read before they post.
 */
#pragma once

#include "base/buf.h"
#include "base/json_write.h"
#include "base/siphash.h"
#include "engine/job.h"

enum job_door { JOB_HTTP, JOB_WORKER };

struct job_reader {
    enum job_door door;
    struct siphash_key key; /* of fairness keys and mutexes: siphash_key_from(store_hash_key(store)) */
    size_t bytes_max;       /* max_job_bytes */
    bool builtin;           /* types that begin with "posthouse." are allowed (JOB-4): our own pushes */
    bool callback;          /* of a batch: on the worker door, too, a jid is made when there is none */
};

/* Number of a fairness key ('k') or mutex ('m'); never 0. */
uint64_t job_key_hash(struct siphash_key key, struct str text, char what);

/*
 * Reads the object in `json`. The bytes must stay until the job is pushed.
 *
 * ERR_MALFORMED: no JSON, or no object ("invalid JSON: ..."). ERR_INVALID: a value is not allowed; op->pointer names
 * it. ERR_TOO_LARGE: "job too big: N bytes". The sentences are those of the worker protocol where it has one, so the
 * worker door writes them behind "-ERR " as they are. ret->jid is set even then, when the object had one, so that
 * a bulk answer can name the job.
 */
enum err job_read(struct op *op, const struct job_reader *reader, struct str json, struct job_spec *ret);

/*
 * Writes the job object as a worker gets it: jid, queue, jobtype, args, created_at, enqueued_at, retry, and all else
 * that came with it; failure when there was one. On one line; the bytes of args and custom are those of the push.
 * `extra` (may be empty) is more members, without braces: the HTTP door adds "lease".
 */
void job_write(struct buf *buf, const struct job_out *job, struct str extra);

/*
 * For json_copy_members: takes `custom` out of a job that is written again with members of ours in it. Its text lands
 * in *data, a struct str, when it is an object; a null is only left out.
 */
bool job_custom_out(struct json_writer *w, struct str name, struct str value, void *data);

/* A job's args in the canonical form of UNI-1, appended to buf: no blanks, members sorted by bytes, shortest escapes,
 * numbers by their exact decimal value. `json` must be valid. */
enum err job_canonical(struct op *op, struct str json, struct buf *buf);
