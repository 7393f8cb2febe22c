/*
 * job_done.c - history of finished jobs, and the short memory of their jids.
 *
 * A group's records are one row (HIST-3). A record is little-endian bytes, one
 * behind the other: a fixed head, then its texts. The memory answers a re-sent
 * push of a job that has just finished (JOB-3); it is read from the newest
 * records at a start.
 */
#include "engine/job_log.h"

#include <stdlib.h>
#include <string.h>

#include "store/seq.h"
#include "store/store_done.h"

struct head {
    uint32_t bytes; /* of the whole record */
    uint32_t queue_no;
    uint64_t id, jid_hash;
    int64_t started_us, ended_us;
    uint32_t extra_bytes, body_bytes, flags;
    uint32_t attempts;
    uint16_t jid_bytes, type_bytes, worker_bytes, opts_bytes;
    uint8_t outcome, unused[7];
};
_Static_assert(sizeof(struct head) == 72, "file format");

static void room_for(struct jobs *jobs, size_t more)
{
    if (jobs->done_bytes + more <= jobs->done_room)
        return;
    while (jobs->done_room < jobs->done_bytes + more)
        jobs->done_room = jobs->done_room ? jobs->done_room * 2 : 4096;
    jobs->done = realloc(jobs->done, jobs->done_room);
    if (!jobs->done)
        abort();
}

static void append(struct jobs *jobs, const void *bytes, size_t n)
{
    if (n)
        memcpy(jobs->done + jobs->done_bytes, bytes, n);
    jobs->done_bytes += n;
}

static void finished_add(struct jobs *jobs, uint64_t jid_hash, uint64_t id, int64_t end_us, int outcome);

void done_note(struct jobs *jobs, struct tx *tx, const struct done_record *r)
{
    struct head head = {
        .bytes = (uint32_t)(sizeof head + r->jid.n + r->type.n + r->worker.n + r->opts.n + r->extra.n + r->body.n),
        .queue_no = r->queue_no,
        .id = r->id,
        .jid_hash = r->jid_hash,
        .started_us = r->started_us,
        .ended_us = r->ended_us,
        .extra_bytes = (uint32_t)r->extra.n,
        .body_bytes = (uint32_t)r->body.n,
        .flags = r->flags,
        .attempts = (uint32_t)r->attempts,
        .jid_bytes = (uint16_t)r->jid.n,
        .type_bytes = (uint16_t)r->type.n,
        .worker_bytes = (uint16_t)r->worker.n,
        .opts_bytes = (uint16_t)r->opts.n,
        .outcome = r->outcome,
    };
    room_for(jobs, head.bytes);
    append(jobs, &head, sizeof head);
    append(jobs, r->jid.p, r->jid.n);
    append(jobs, r->type.p, r->type.n);
    append(jobs, r->worker.p, r->worker.n);
    append(jobs, r->opts.p, r->opts.n);
    append(jobs, r->extra.p, r->extra.n);
    append(jobs, r->body.p, r->body.n);
    jobs->done_count++;
    struct finished finished = {
        .jid_hash = r->jid_hash, .id = r->id, .end_us = jobs_engine_us(jobs, tx), .outcome = r->outcome
    };
    finished_add(jobs, finished.jid_hash, finished.id, finished.end_us, finished.outcome);
    log_finished(jobs, &finished, r->queue_no);
}

static struct str cut(const char **p, size_t n)
{
    struct str text = { *p, n };
    *p += n;
    return text;
}

bool done_record_next(struct str *records, struct done_record *ret)
{
    struct head head;
    if (records->n < sizeof head)
        return false;
    memcpy(&head, records->p, sizeof head);
    size_t texts = (size_t)head.jid_bytes + head.type_bytes + head.worker_bytes + head.opts_bytes + head.extra_bytes +
                   head.body_bytes;
    if (head.bytes > records->n || head.bytes != sizeof head + texts)
        return false;
    const char *p = records->p + sizeof head;
    *ret = (struct done_record){
        .id = head.id,
        .jid_hash = head.jid_hash,
        .queue_no = head.queue_no,
        .outcome = head.outcome,
        .started_us = head.started_us,
        .ended_us = head.ended_us,
        .attempts = head.attempts,
        .flags = head.flags,
    };
    ret->jid = cut(&p, head.jid_bytes);
    ret->type = cut(&p, head.type_bytes);
    ret->worker = cut(&p, head.worker_bytes);
    ret->opts = cut(&p, head.opts_bytes);
    ret->extra = cut(&p, head.extra_bytes);
    ret->body = cut(&p, head.body_bytes);
    records->p += head.bytes;
    records->n -= head.bytes;
    return true;
}

enum err done_flush(struct op *op, struct tx *tx, struct jobs *jobs)
{
    if (jobs->done_count == 0)
        return OK;
    struct done_chunk chunk = {
        .no = store_seq_next(tx, SEQ_DONE),
        .at_us = jobs_engine_us(jobs, tx),
        .count = jobs->done_count,
        .before = (int64_t)store_seq_take(tx, SEQ_DONE_JOB, (uint64_t)jobs->done_count) - 1,
        .records = { jobs->done, jobs->done_bytes },
    };
    done_drop(jobs);
    return store_done_add(op, tx, &chunk);
}

void done_drop(struct jobs *jobs)
{
    jobs->done_bytes = 0;
    jobs->done_count = 0;
}

/* --- the memory --- */

static int32_t *finished_slot(const struct jobs *jobs, uint64_t jid_hash)
{
    return &jobs->finished_slots[jid_hash & (jobs->finished_slot_count - 1)];
}

static struct finished *finished_at(const struct jobs *jobs, size_t i)
{
    return &jobs->finished[(jobs->finished_first + i) % jobs->finished_room];
}

static void finished_forget_oldest(struct jobs *jobs)
{
    struct finished *oldest = finished_at(jobs, 0);
    int32_t index = (int32_t)(oldest - jobs->finished) + 1, *link = finished_slot(jobs, oldest->jid_hash);
    while (*link != index)
        link = &jobs->finished[*link - 1].hash_next;
    *link = oldest->hash_next;
    jobs->finished_first = (jobs->finished_first + 1) % jobs->finished_room;
    jobs->finished_count--;
}

static void finished_link(struct jobs *jobs, struct finished *entry)
{
    int32_t *slot = finished_slot(jobs, entry->jid_hash);
    entry->hash_next = *slot;
    *slot = (int32_t)(entry - jobs->finished) + 1;
}

static void finished_grow(struct jobs *jobs)
{
    size_t room = jobs->finished_room ? jobs->finished_room * 2 : 1024;
    if (room > FINISHED_MAX)
        room = FINISHED_MAX;
    struct finished *entries = malloc(room * sizeof *entries);
    size_t slots = 1024;
    while (slots < room)
        slots *= 2;
    int32_t *heads = calloc(slots, sizeof *heads);
    if (!entries || !heads)
        abort();
    for (size_t i = 0; i < jobs->finished_count; i++)
        entries[i] = *finished_at(jobs, i);
    free(jobs->finished);
    free(jobs->finished_slots);
    jobs->finished = entries;
    jobs->finished_slots = heads;
    jobs->finished_room = room;
    jobs->finished_slot_count = slots;
    jobs->finished_first = 0;
    for (size_t i = 0; i < jobs->finished_count; i++)
        finished_link(jobs, &entries[i]);
}

static void finished_add(struct jobs *jobs, uint64_t jid_hash, uint64_t id, int64_t end_us, int outcome)
{
    while (jobs->finished_count && finished_at(jobs, 0)->end_us + FINISHED_US <= end_us)
        finished_forget_oldest(jobs);
    if (jobs->finished_count == jobs->finished_room) {
        if (jobs->finished_room < FINISHED_MAX)
            finished_grow(jobs);
        else
            finished_forget_oldest(jobs);
    }
    struct finished *entry = finished_at(jobs, jobs->finished_count++);
    *entry = (struct finished){ .jid_hash = jid_hash, .id = id, .end_us = end_us, .outcome = outcome };
    finished_link(jobs, entry);
}

void finished_follow(struct jobs *jobs, uint64_t jid_hash, uint64_t id, int64_t end_us, int outcome)
{
    finished_add(jobs, jid_hash, id, end_us, outcome);
}

const struct finished *finished_find(const struct jobs *jobs, uint64_t jid_hash, int64_t now_us)
{
    if (jobs->finished_count == 0)
        return NULL;
    for (int32_t i = *finished_slot(jobs, jid_hash); i; i = jobs->finished[i - 1].hash_next) {
        const struct finished *entry = &jobs->finished[i - 1];
        if (entry->jid_hash == jid_hash && entry->outcome >= 0 && entry->end_us + FINISHED_US > now_us)
            return entry;
    }
    return NULL;
}

void finished_revive(struct jobs *jobs, uint64_t jid_hash)
{
    for (int32_t i = jobs->finished_count ? *finished_slot(jobs, jid_hash) : 0; i; i = jobs->finished[i - 1].hash_next)
        if (jobs->finished[i - 1].jid_hash == jid_hash)
            jobs->finished[i - 1].outcome = -1;
}

void finished_unload(struct jobs *jobs)
{
    free(jobs->finished);
    free(jobs->finished_slots);
    jobs->finished = NULL;
    jobs->finished_slots = NULL;
    jobs->done_gone = 0;
    jobs->finished_first = jobs->finished_count = jobs->finished_room = jobs->finished_slot_count = 0;
}

/* The newest records, as if no time had passed since the last thing that happened: downtime does not count. */
enum err finished_load(struct op *op, struct tx *tx, struct jobs *jobs)
{
    int64_t now_us = jobs_engine_us(jobs, tx), shift_us = -1, seen = 0;
    uint64_t newest_no = 0, oldest_no = 0;
    struct done_chunk chunk;
    struct op own;
    op_init(&own, arena_new(64 << 20), op->now_us);
    enum err err = OK;
    for (uint64_t no = 0; err == OK && seen < FINISHED_MAX; no = chunk.no) {
        arena_reset(own.arena);
        err = store_done_before(&own, tx, no, &chunk);
        if (err != OK || !chunk.no)
            break;
        if (shift_us < 0) {
            int64_t last_us = (int64_t)store_seq_newest(tx, SEQ_JOB);
            last_us = chunk.at_us > last_us ? chunk.at_us : last_us;
            shift_us = now_us > last_us ? now_us - last_us : 0;
            newest_no = chunk.no;
        }
        if (chunk.at_us + shift_us + FINISHED_US <= now_us)
            break;
        oldest_no = chunk.no;
        seen += chunk.count;
    }
    for (uint64_t no = oldest_no; err == OK && oldest_no && no <= newest_no; no++) {
        struct done_record record;
        arena_reset(own.arena);
        err = store_done_before(&own, tx, no + 1, &chunk);
        if (err == OK && chunk.no == no)
            while (done_record_next(&chunk.records, &record))
                finished_add(jobs, record.jid_hash, record.id, chunk.at_us + shift_us, record.outcome);
    }
    op_inherit(op, err, &own);
    arena_free(own.arena);
    return err;
}

/* --- what is kept how long --- */

/* The longest of all queues decides, for chunks hold jobs of many; lists leave out what its own queue keeps shorter. */
static void retention(const struct jobs *jobs, int64_t *ret_us, int64_t *ret_max)
{
    *ret_us = FINISHED_US;
    *ret_max = 1;
    for (size_t i = 0; i < jobs->queue_slots; i++)
        for (const struct queue *queue = jobs->queues[i]; queue; queue = queue->hash_next) {
            if (!queue->no)
                continue;
            if (queue->policy.retain_done_us > *ret_us)
                *ret_us = queue->policy.retain_done_us;
            if (queue->policy.retain_done_max > *ret_max)
                *ret_max = queue->policy.retain_done_max;
        }
}

#define DROP_MAX 100

enum err done_sweep(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more)
{
    int64_t now_us = jobs_engine_us(jobs, tx), keep_us, keep_max;
    int64_t total = (int64_t)store_seq_newest(tx, SEQ_DONE_JOB);
    uint64_t dropped = 0;
    int count = 0;
    retention(jobs, &keep_us, &keep_max);
    for (; count < DROP_MAX; count++) {
        struct done_chunk oldest;
        TRY(store_done_oldest(op, tx, count ? dropped : jobs->done_gone, &oldest));
        if (oldest.no && count == 0)
            jobs->done_gone = oldest.no - 1; /* whatever becomes of this group */
        if (!oldest.no || oldest.at_us + FINISHED_US > now_us)
            break;
        if (oldest.at_us + keep_us > now_us && oldest.before + oldest.count > total - keep_max)
            break;
        jobs_touch(jobs, tx);
        TRY(store_done_drop(op, tx, oldest.no));
        dropped = oldest.no;
    }
    *ret_more = count == DROP_MAX;
    return dropped ? store_done_keys_drop(op, tx, dropped + 1) : OK;
}
