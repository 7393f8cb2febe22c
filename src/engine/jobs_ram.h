/*
 * jobs_ram.h - what the job machine holds in RAM. Private to it, see jobs_own.h.
 *
 * All of it can be read from the rows again (jobs.h says when that happens), but
 * for the fetches that wait, what doors told, and what the group under way has
 * still to write. A struct here belongs to the file of its name in the list of
 * jobs_own.h; others look, and change only what that file's calls change.
 *
 * Thread: the writer's. What other threads touch has its lock or is atomic.
 */
#pragma once

#include "base/buf.h"
#include "base/heap.h"
#include "base/post.h"
#include "base/random.h"
#include "base/siphash.h"
#include "engine/job_delivered.h"
#include "engine/job_end.h"
#include "engine/job_fetch.h"
#include "engine/job_first.h"
#include "engine/job_handler.h"
#include "engine/job_lanes.h"
#include "engine/job_lease.h"
#include "engine/job_opts.h"
#include "engine/job_policy.h"
#include "engine/job_queue.h"
#include "engine/job_read.h"
#include "engine/jobs.h"
#include "engine/meter.h"
#include "engine/own_pace.h"
#include "store/store_aside.h"
#include "store/store_job.h"
#include "store/store_lease.h"
#include "store/store_queue.h"
#include "store/store_ready.h"

#include <pthread.h>
#include <stdatomic.h>

#define LEASES_MAX     1000000 /* jobs under way at once; above it fetches find nothing */
#define NEVER_US       INT64_MAX
#define FINISHED_US    (INT64_C(120) * 1000000) /* a finished jid counts as live for so long (JOB-3) */
#define PARTED_MAX     256                      /* sessions that are gone and did not hear of leases taken back */
#define FINISHED_MAX   1000000
#define BATCH_SLOTS    256
#define PROGRESS_SLOTS 1024

/* Copies a text into the memory behind a struct, and moves on. */
static inline struct str tail_str(char **tail, struct str text)
{
    struct str copy = { *tail, text.n };
    if (!text.p)
        return text;
    memcpy(*tail, text.p, text.n);
    *tail += text.n;
    return copy;
}

/* What a fairness key has under way; only for queues with limits per key. */
struct key_use {
    struct key_use *next;
    uint64_t key;
    int64_t leased, tat_ns;
    int64_t open_us; /* when its rate allows again; NEVER_US = not waiting for that */
};

struct budget {
    struct budget *next;
    struct str id, text;
    struct budget_policy policy;
    int64_t used, tat_ns;
    int64_t open_us;
    uint32_t turn; /* queue that had the newest unit */
    bool tat_moved;
};

/* A held fetch stands in the list of each queue it asks for. */
struct fetch_wait {
    struct job_fetch *fetch;
    struct queue *queue;
    struct fetch_wait *next, **link;
};

struct queue {
    struct queue *hash_next, *dirty_next, *wanted_next;
    uint32_t no; /* 0: nothing but waiting fetches knows it */
    struct str name;
    int64_t version;
    bool paused, draining, gone;
    bool own; /* of Posthouse itself: nobody else pushes to it or fetches from it */
    uint64_t cut;
    struct str text; /* policy */
    struct queue_policy policy;
    struct arena *memory; /* of name, text and policy */
    struct queue_counts counts;
    int64_t leased_here; /* of counts.leased, those that this node handed out */
    bool dirty;          /* in the list of those whose counters moved */
    struct lanes *lanes;
    struct budget *budget;
    int64_t credit; /* of its turn in the budget */
    struct key_use **keys;
    size_t key_slots, key_count;
    int64_t keys_open_us; /* the first of them may start again */
    struct fetch_wait *waits, **waits_end;
    int64_t wait_count;
    int64_t open_us; /* when its rate allows again */
    struct meter in, out;
    struct ready_row sweep; /* how far rows below the cut were removed */
    bool sweeping;
    bool wanted;        /* in the list of those to serve when the command is through */
    uint64_t logged_no; /* newest row of the log that has its counters */
    struct queue *wish_next;
    int64_t wished;        /* jobs that the group's fetches will ask for */
    int64_t down_until_us; /* its handler is not asked before (HAND-3), wall; 0 = it is up */
};

struct session {
    struct session *hash_next, *all_next, *touched_next;
    uint32_t no, epoch;
    enum session_state state;
    bool http, suspect, touched, listed;
    int sockets, sockets_group;                      /* sockets_group: change of the group under way */
    int64_t told_us;                                 /* seen_us as other nodes know it */
    int64_t pid, rss_kb, since_us, seen_us, left_us; /* left: last socket closed; NEVER_US = not */
    struct str name, hostname, labels;
    struct lease *leases;
    int64_t lease_count;
    struct str *revoked; /* tokens to tell with the next beat */
    size_t revoked_count;
};

/* What a session that is gone was not told: the next one of its name hears it. */
struct parted {
    struct str name;
    struct str *revoked;
    size_t revoked_count;
};

struct finished {
    uint64_t jid_hash, id;
    int64_t end_us;
    int32_t hash_next; /* index + 1 */
    int32_t outcome;
};

/* What the group's commands will ask the store. */
struct job_wishes {
    struct str *jids;
    uint64_t *ids;
    size_t jid_count, jid_room, id_count, id_room;
    struct queue *queues;
};

struct batch;
struct event_row;
struct progress;

struct job_log {
    bool on;                    /* other nodes may read it */
    struct buf changes, counts; /* of the group under way */
    uint64_t marks;
    uint64_t no;                /* newest row that RAM knows */
    uint64_t flushed, clearing; /* by the group under way; 0 = not */
    uint64_t cleared;           /* rows up to here are gone */
};

/* A part of a run (keep_run.h). */
struct held_place {
    uint64_t run;
    size_t n;
    char name[512];
};

struct jobs {
    struct jobs_config config;
    struct siphash_key key;
    uint64_t node; /* hash of this node's name; 0 = nobody else is there, every lease is its own */
    struct rng rng;
    bool loaded, touched, stopping;
    bool ticking;    /* the ticker is told when the tick ends */
    int64_t base_us; /* engine time = monotonic time + base */
    int64_t lag_us;  /* wall time = engine time + lag */
    int64_t stored_lag_us;
    bool based;
    struct arena *arena; /* of op texts while reading */

    struct queue **queues;
    size_t queue_slots, queue_count;
    struct queue **by_no;
    size_t by_no_room;
    struct queue *dirty, *wanted;
    struct budget *budgets;
    struct lease **leases;
    size_t lease_slots, lease_count;
    int64_t next_lease_us; /* no lease ends before */
    struct session **sessions;
    size_t session_slots, session_count;
    struct session *all_sessions, *touched_sessions;
    struct session **session_by_no;
    struct parted parted[PARTED_MAX]; /* a ring */
    size_t parted_next;
    size_t session_no_room;
    int64_t loading_us;
    int64_t ids; /* places in all lanes */

    struct ready_row *pending; /* rows of `ready` this group will write, in order of ord; queue_no 0 = taken again */
    size_t pending_count, pending_room;
    char *done; /* records of jobs that finished in this group */
    size_t done_bytes, done_room;
    int64_t done_count;

    struct finished *finished; /* ring */
    int32_t *finished_slots;
    size_t finished_first, finished_count, finished_room, finished_slot_count;
    uint64_t done_gone; /* chunks of finished jobs up to this one were dropped */

    struct job_fetch *held, *held_new, *released; /* lists by fetch->next */
    struct heap ends;                             /* of held ones by until_us */
    uint64_t turns;
    atomic_int_fast64_t held_count;
    atomic_uint_fast64_t log_seen; /* log.no, for looks of other threads */

    struct job_wishes wishes;
    struct job_first first;
    struct job_log log;
    struct undelivered undelivered;
    struct job_totals totals;
    int64_t shown_us, swept_us, recounted_us, sessions_us, boot_us, ticked_us;
    int64_t heard_us; /* since when this process hears, without a gap, what was delivered (LEASE-5) */
    struct own_pace sweep_pace;
    int64_t sweep_rest_us; /* from one slice of a sweep to the next */
    bool sweeps_on;        /* the newest tick swept, and there is more */
    bool sweep_blocked;
    atomic_bool disk_low;
    struct blocked_row blocked_cursor;
    uint8_t uniq_cursor[16];
    struct key_rate_row key_rate_cursor;

    struct batch *batches[BATCH_SLOTS]; /* that this group looked at */
    struct batch *all_batches, *batches_wanting;
    int64_t batches_due_us, batches_swept_us;
    uint64_t batch_cursor, batch_job_cursor;
    int64_t schedules_next_us; /* wall: no schedule fires before */
    bool runs_look;            /* a run that waits may go now */
    int64_t blocked_looked_us; /* wall: when runs that wait for too long were looked for */
    int64_t keep_blocked;      /* and how many of ours there were */
    struct held_place held_at; /* how far parts that are held back were looked at */
    struct progress *progress[PROGRESS_SLOTS], *grouped_progress;
    int64_t progress_count;

    pthread_mutex_t ears_lock; /* held while they are told, so that whoever has left is told nothing any more */
    void (*on_suspect)(void *data, struct session_id id);
    void *on_suspect_data;
    void (*on_handlers)(void *data);
    void *on_handlers_data;
    const struct job_commands *_Atomic commands; /* that the configuration declares */
    atomic_int_fast64_t next_us;                 /* engine time of the next useful tick */

    struct arena *news_arena; /* what this group tells the log of events; NULL: it never told anything */
    struct event_row *news;
    size_t news_count;
};
