/*
 * job_done_keys.c - a finished job is found by its jid without reading the history (HIST-3).
 *
 *     chunk chunk chunk chunk | chunk chunk chunk | chunk chunk
 *     '------ keys ---------' '----- keys ------'   young: read as they are
 *
 * When some thousand records are behind the newest row of keys, the sweep writes one more: for each record 48 bits of
 * its jid's hash, and which of the row's chunks it lies in, sorted. A look-up searches every row, a few bytes a job,
 * and reads a chunk only where it finds the hash. Nothing is written for a job when it ends.
 */
#include "base/sort.h"
#include "engine/jobs_own.h"

#include <stdlib.h>

#include "store/seq.h"
#include "store/store_done.h"

#define KEYS_JOBS      4096 /* young records that make a row worth it, ... */
#define KEYS_CHUNKS    1024 /* ... or young chunks; a key has 16 bits for its chunk */
#define KEYS_BYTES_MAX ((size_t)64 << 20)
#define READ_BYTES_MAX ((size_t)8 << 20) /* of records, in one step */
#define HITS_MAX       32                /* chunks that may hold the jid; the newest of them */
#define CHUNK_BITS     0xFFFFu

_Static_assert(KEYS_CHUNKS <= CHUNK_BITS, "a chunk of a row has a number of 16 bits");

/* --- writing a row --- */

struct covering {
    struct done_keys row;
    struct buf keys;
    int chunks;
    size_t read;
};

static enum err cover_chunk(void *arg, const struct done_chunk *chunk, bool *stop)
{
    struct covering *c = arg;
    struct str records = chunk->records;
    struct done_record record;
    if (c->chunks && chunk->no - c->row.first > CHUNK_BITS) {
        *stop = true;
        return OK;
    }
    if (c->chunks++ == 0)
        c->row.first = chunk->no;
    while (done_record_next(&records, &record)) {
        uint64_t key = (record.jid_hash & ~(uint64_t)CHUNK_BITS) | (chunk->no - c->row.first);
        buf_add(&c->keys, &key, sizeof key);
    }
    c->row.last = chunk->no;
    c->row.after = chunk->before + chunk->count;
    c->read += chunk->records.n;
    *stop = c->keys.n / sizeof(uint64_t) >= KEYS_JOBS || c->chunks >= KEYS_CHUNKS || c->read >= READ_BYTES_MAX;
    return OK;
}

static int by_key(const void *a, const void *b)
{
    uint64_t left, right;
    memcpy(&left, a, sizeof left);
    memcpy(&right, b, sizeof right);
    return sort_cmp_u64(left, right);
}

static enum err cover(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t behind, bool *ret_more)
{
    struct covering c = { 0 };
    buf_init(&c.keys, KEYS_BYTES_MAX);
    enum err err = store_done_each(op, tx, behind, cover_chunk, &c);
    if (err == OK && c.keys.full)
        err = fail(op, ERR_TOO_LARGE, "keys of finished jobs need more memory than they may have");
    if (err == OK && c.chunks) {
        qsort(c.keys.p, c.keys.n / sizeof(uint64_t), sizeof(uint64_t), by_key);
        c.row.keys = (struct str){ c.keys.n ? c.keys.p : "", c.keys.n };
        jobs_touch(jobs, tx);
        err = store_done_keys_add(op, tx, &c.row);
        *ret_more = true;
    }
    buf_done(&c.keys);
    return err;
}

enum err done_keys_sweep(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more)
{
    struct done_keys newest;
    TRY(store_done_keys_newest(op, tx, &newest));
    int64_t records = (int64_t)store_seq_newest(tx, SEQ_DONE_JOB) - newest.after;
    uint64_t chunks = store_seq_newest(tx, SEQ_DONE) - newest.last;
    return records < KEYS_JOBS && chunks < KEYS_CHUNKS ? OK : cover(op, tx, jobs, newest.last, ret_more);
}

/* --- finding --- */

struct finding {
    struct op *op; /* where the record's texts go */
    uint64_t jid_hash;
    struct str jid;
    uint64_t hits[HITS_MAX]; /* newest first */
    size_t hit_count;
    struct done_record *ret;
    bool found;
};

/* The last record of a chunk is its newest. */
static enum err find_in_chunk(void *arg, const struct done_chunk *chunk, bool *stop)
{
    struct finding *f = arg;
    struct str records = chunk->records;
    struct done_record record, match = { 0 };
    bool found = false;
    (void)stop;
    while (done_record_next(&records, &record))
        if (record.jid_hash == f->jid_hash && str_eq(record.jid, f->jid)) {
            match = record;
            found = true;
        }
    if (!found)
        return OK;
    f->found = true;
    *f->ret = match;
    f->ret->jid = arena_str(f->op->arena, match.jid);
    f->ret->type = arena_str(f->op->arena, match.type);
    f->ret->worker = arena_str(f->op->arena, match.worker);
    f->ret->opts = arena_str(f->op->arena, match.opts);
    f->ret->extra = arena_str(f->op->arena, match.extra);
    f->ret->body = arena_str(f->op->arena, match.body);
    return OK;
}

static uint64_t key_at(struct str keys, size_t i)
{
    uint64_t key;
    memcpy(&key, keys.p + i * sizeof key, sizeof key);
    return key;
}

static enum err find_in_keys(void *arg, const struct done_keys *row, bool *stop)
{
    struct finding *f = arg;
    size_t count = row->keys.n / sizeof(uint64_t), low = 0, high = count;
    uint64_t end = f->jid_hash | CHUNK_BITS; /* the greatest key this hash may have */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (key_at(row->keys, middle) <= end)
            low = middle + 1;
        else
            high = middle;
    }
    while (low-- > 0 && (key_at(row->keys, low) | CHUNK_BITS) == end && f->hit_count < HITS_MAX)
        f->hits[f->hit_count++] = row->first + (key_at(row->keys, low) & CHUNK_BITS);
    *stop = f->hit_count == HITS_MAX;
    return OK;
}

static enum err find(struct op *own, struct tx *tx, const struct jobs *jobs, struct finding *f)
{
    struct done_keys newest;
    struct done_chunk unwritten = { 0 };
    bool stop = false;
    if (jobs)
        unwritten.records = (struct str){ jobs->done, jobs->done_bytes };
    TRY(find_in_chunk(f, &unwritten, &stop));
    if (f->found)
        return OK;
    TRY(store_done_keys_newest(own, tx, &newest));
    TRY(store_done_each(own, tx, newest.last, find_in_chunk, f));
    if (f->found || !newest.last)
        return OK;
    TRY(store_done_keys_each(own, tx, find_in_keys, f));
    for (size_t i = 0; i < f->hit_count && !f->found; i++) {
        struct done_chunk chunk;
        arena_reset(own->arena);
        TRY(store_done_before(own, tx, f->hits[i] + 1, &chunk));
        TRY(find_in_chunk(f, &chunk, &stop));
    }
    return OK;
}

enum err done_find(struct op *op, struct tx *tx, const struct jobs *jobs, uint64_t jid_hash, struct str jid,
                   struct done_record *ret, bool *ret_found)
{
    struct finding f = { .op = op, .jid_hash = jid_hash, .jid = jid, .ret = ret };
    struct op own;
    op_init(&own, arena_new(KEYS_BYTES_MAX), op->now_us);
    enum err err = find(&own, tx, jobs, &f);
    op_inherit(op, err, &own);
    arena_free(own.arena);
    *ret_found = f.found;
    return err;
}
