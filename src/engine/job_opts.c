#include "engine/job_opts.h"

#include <assert.h>

void job_opts_of(const struct job_spec *spec, struct job_opts *ret)
{
    *ret = (struct job_opts){
        .flags = (spec->has & JOB_HAS_CREATED ? OPT_HAS_CREATED : 0) | (spec->has & JOB_HAS_RETRY ? OPT_HAS_RETRY : 0) |
                 (spec->retry != JOB_NO_RETRY ? OPT_RETRY : 0) | (spec->lease_us ? OPT_LEASE : 0) |
                 (spec->timeout_us ? OPT_TIMEOUT : 0) | (spec->expires_at_us ? OPT_EXPIRES : 0) |
                 (spec->priority ? OPT_LEVEL : 0) | (spec->key ? OPT_KEY : 0) | (spec->mutex ? OPT_MUTEX : 0) |
                 (spec->unique.for_us ? OPT_UNIQUE : 0) | (str_given(spec->batch) ? OPT_BATCH : 0) |
                 (spec->track ? OPT_TRACK : 0) | (spec->callback ? OPT_CALLBACK : 0) | (spec->run ? OPT_RUN : 0),
        .retry = spec->retry,
        .level = spec->priority,
        .lease_us = spec->lease_us,
        .timeout_us = spec->timeout_us,
        .expires_at_us = spec->expires_at_us,
        .key = spec->key,
        .mutex = spec->mutex,
        .unique = spec->unique,
        .batch = spec->batch,
        .callback = spec->callback,
        .run = spec->run,
    };
}

struct pen {
    char *p;
    size_t n;
};

static void add(struct pen *pen, bool wanted, const void *bytes, size_t n)
{
    if (!wanted)
        return;
    memcpy(pen->p + pen->n, bytes, n);
    pen->n += n;
}

struct str job_opts_pack(const struct job_opts *opts, char ret_bytes[JOB_OPTS_BYTES_MAX])
{
    struct pen pen = { ret_bytes, 0 };
    uint8_t batch = (uint8_t)opts->batch.n, level = (uint8_t)opts->level;
    uint32_t f = opts->flags;
    assert(opts->batch.n <= JOB_JID_BYTES_MAX);
    add(&pen, f & OPT_RETRY, &opts->retry, 4);
    add(&pen, f & OPT_LEASE, &opts->lease_us, 8);
    add(&pen, f & OPT_TIMEOUT, &opts->timeout_us, 8);
    add(&pen, f & OPT_EXPIRES, &opts->expires_at_us, 8);
    add(&pen, f & OPT_LEVEL, &level, 1);
    add(&pen, f & OPT_KEY, &opts->key, 8);
    add(&pen, f & OPT_MUTEX, &opts->mutex, 8);
    add(&pen, f & OPT_UNIQUE, &opts->unique.for_us, 8);
    add(&pen, f & OPT_UNIQUE, opts->unique.key, 16);
    add(&pen, f & OPT_UNIQUE, &opts->unique.until, 1);
    add(&pen, f & OPT_UNIQUE, &opts->unique.conflict, 1);
    add(&pen, f & OPT_UNIQUE, &opts->unique.states, 1);
    add(&pen, f & OPT_BATCH, &batch, 1);
    add(&pen, f & OPT_BATCH, opts->batch.p, opts->batch.n);
    add(&pen, f & OPT_CALLBACK, &opts->callback, 1);
    add(&pen, f & OPT_RUN, &opts->run, 8);
    return pen.n ? (struct str){ ret_bytes, pen.n } : (struct str){ 0 };
}

static void take(struct str *bytes, bool there, void *ret, size_t n)
{
    if (!there)
        return;
    if (bytes->n < n) {
        bytes->p = NULL; /* damaged */
        bytes->n = 0;
        return;
    }
    memcpy(ret, bytes->p, n);
    bytes->p += n;
    bytes->n -= n;
}

enum err job_opts_read(struct op *op, uint32_t flags, struct str bytes, struct job_opts *ret)
{
    uint8_t batch = 0, level = 0;
    uint32_t f = flags;
    *ret = (struct job_opts){ .flags = flags, .retry = JOB_NO_RETRY };
    if (!bytes.p)
        bytes = S("");
    take(&bytes, f & OPT_RETRY, &ret->retry, 4);
    take(&bytes, f & OPT_LEASE, &ret->lease_us, 8);
    take(&bytes, f & OPT_TIMEOUT, &ret->timeout_us, 8);
    take(&bytes, f & OPT_EXPIRES, &ret->expires_at_us, 8);
    take(&bytes, f & OPT_LEVEL, &level, 1);
    take(&bytes, f & OPT_KEY, &ret->key, 8);
    take(&bytes, f & OPT_MUTEX, &ret->mutex, 8);
    take(&bytes, f & OPT_UNIQUE, &ret->unique.for_us, 8);
    take(&bytes, f & OPT_UNIQUE, ret->unique.key, 16);
    take(&bytes, f & OPT_UNIQUE, &ret->unique.until, 1);
    take(&bytes, f & OPT_UNIQUE, &ret->unique.conflict, 1);
    take(&bytes, f & OPT_UNIQUE, &ret->unique.states, 1);
    take(&bytes, f & OPT_BATCH, &batch, 1);
    ret->level = level;
    if (batch && bytes.n >= batch) {
        ret->batch = (struct str){ bytes.p, batch };
        bytes.p += batch;
        bytes.n -= batch;
    }
    take(&bytes, f & OPT_CALLBACK, &ret->callback, 1);
    take(&bytes, f & OPT_RUN, &ret->run, 8);
    if (!bytes.p || bytes.n != 0)
        return fail(op, ERR_IO, "the options of a job are damaged");
    return OK;
}
