/*
 * jobs_own.h - the inside of the job machine, shared by its files; doors see jobs.h.
 *
 *     jobs.c        opens, reads the rows, what the end of a group means
 *     job_queues.c  queues in RAM, their counters and limits
 *     job_place.c   where a waiting job lies: ready, timer, gate
 *     job_push.c    takes jobs in        job_unique.c  locks of unique jobs
 *     job_fetch.c   hands them out       job_wait.c    fetches that wait
 *     job_ahead.c   what a group will ask, asked together
 *     job_log.h     what a group changed, told to other nodes; job_follow.c lays it over RAM
 *     job_end.c     ack, extend, stale   job_fail.c    failures, dead, lost
 *     job_done.c    history, the memory of what finished     job_done_keys.c  finds in it
 *     job_act.c     an operator's moves  job_tick.c    what time brings
 *     job_mutate.c  whole sets of jobs   job_bulk.c    one action on many     job_flush.c  all of them
 *     job_read.c    JSON into a job, job_opts.c what of it is kept, job_write.c back, job_canonical.c compared
 *     job_view.c    what people see of jobs, job_queue.c of queues, job_metrics.c, schedule_view.c
 *     job_handler.c who works on them beside workers          job_own.c    our own work
 *     job_sweep.c   rows nobody needs any more
 *     job_news.c    what the log of events hears of them
 *     session.c     workers              session_table.c  in RAM
 *     job_budget.c  budgets
 *     job_batch.c   batches, see job_batch_own.h
 *     job_progress.c  what jobs say of themselves
 *     schedule.c    jobs by the clock, see schedule_own.h
 */
#pragma once

#include "base/buf.h"
#include "base/post.h"
#include "base/random.h"
#include "base/siphash.h"
#include "engine/job_end.h"
#include "engine/job_fetch.h"
#include "engine/job_handler.h"
#include "engine/job_opts.h"
#include "engine/job_policy.h"
#include "engine/job_queue.h"
#include "engine/job_read.h"
#include "engine/jobs.h"
#include "engine/lane.h"
#include "store/store_aside.h"
#include "store/store_job.h"
#include "store/store_lease.h"
#include "store/store_queue.h"
#include "store/store_ready.h"

#include <pthread.h>
#include <stdatomic.h>

#define LEASES_MAX     1000000 /* jobs under way at once; above it fetches find nothing */
#define NEVER_US       INT64_MAX
#define MINUTE_SLOTS   60
#define FINISHED_US    (INT64_C(120) * 1000000) /* a finished jid counts as live for so long (JOB-3) */
#define FINISHED_MAX   1000000
#define UNDELIVERED_US (INT64_C(60) * 1000000) /* LEASE-5 */
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

/* Jobs that came and went in each of the last seconds. */
struct meter {
    int64_t second;
    uint32_t counts[MINUTE_SLOTS];
};

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
    bool dirty, tat_moved;
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

struct lease {
    struct lease *hash_next, *next, **link; /* next: of its session */
    uint64_t id, number, jid_hash;
    struct queue *queue;
    struct session *session;
    uint32_t epoch;
    uint32_t flags; /* OPT_* */
    int level, attempt;
    uint64_t key, mutex, ord; /* ord 0 = id */
    int64_t started_us, until_us, hard_us;
    bool aside; /* it has a row aside */
    bool here;  /* handed out by this node */
    struct str jid, type, worker;
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

struct finished {
    uint64_t jid_hash, id;
    int64_t end_us;
    int32_t hash_next; /* index + 1 */
    int32_t outcome;
};

struct undelivered {
    pthread_mutex_t lock;
    uint64_t *told; /* numbers told by doors since the last group */
    size_t told_count, told_room;
    uint8_t *bits;                /* one per lease from first on: not yet delivered */
    uint64_t first, newest, boot; /* boot: newest at the start of this run */
    size_t room;
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

    struct job_fetch *held, *held_new, *released; /* lists by fetch->next */
    struct job_fetch **heap;                      /* held ones by until_us */
    size_t heap_count, heap_room;
    uint64_t turns;
    atomic_int_fast64_t held_count;
    atomic_uint_fast64_t log_seen; /* log.no, for looks of other threads */

    struct job_wishes wishes;
    struct job_log log;
    struct undelivered undelivered;
    struct job_totals totals;
    int64_t shown_us, swept_us, recounted_us, sessions_us, boot_us, ticked_us;
    int64_t heard_us; /* since when this process hears, without a gap, what was delivered (LEASE-5) */
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

/* --- jobs.c --- */

/* The machine with its RAM read from the rows if need be; every command begins with it. */
enum err jobs_begin(struct op *op, struct tx *tx, struct jobs **ret);

/* Before RAM that follows the rows is changed: a failure from here on takes the group back. */
void jobs_touch(struct jobs *jobs, struct tx *tx);
int64_t jobs_engine_us(const struct jobs *jobs, struct tx *tx);
int64_t jobs_wall_us(const struct jobs *jobs, int64_t engine_us);

/* An instant for a new id or place: engine time, made unique. */
uint64_t jobs_stamp(struct jobs *jobs, struct tx *tx);

/* Asks for a tick at this engine time at the latest. */
void jobs_due(struct jobs *jobs, int64_t engine_us);

/* Other nodes have not heard yet of some lease that it was delivered: the next group says it. */
bool jobs_has_untold(struct jobs *jobs);
enum err jobs_clock_check(struct op *op, struct tx *tx, struct jobs *jobs);
uint64_t jobs_hash(const struct jobs *jobs, struct str text);

/* --- job_queues.c --- */
struct queue *queue_find(struct jobs *jobs, struct str name);
struct queue *queue_by_no(struct jobs *jobs, uint32_t no);

/* The queue, made when it is new; ERR_BUSY above QUEUES_MAX. */
enum err queue_make(struct op *op, struct tx *tx, struct jobs *jobs, struct str name, struct queue **ret);

/* A queue that only waiting fetches know; NULL when there are too many. */
struct queue *queue_ghost(struct jobs *jobs, struct str name);
void queue_ghost_end(struct jobs *jobs, struct queue *queue);
void queue_changed(struct jobs *jobs, struct tx *tx, struct queue *queue);
enum err queue_write(struct op *op, struct tx *tx, struct queue *queue);
enum err queues_load(struct op *op, struct tx *tx, struct jobs *jobs);
void queues_unload(struct jobs *jobs);
enum err queues_flush(struct op *op, struct tx *tx, struct jobs *jobs);
/* Is the text a policy for the queue of this name, with a budget that is there. */
enum err queue_policy_check(struct op *op, struct jobs *jobs, struct str name, struct str text);
enum err queue_set_policy(struct op *op, struct jobs *jobs, struct queue *queue, struct str text);
void meter_add(struct meter *meter, int64_t now_us, int64_t n);
int64_t meter_sum(const struct meter *meter, int64_t now_us);
struct key_use *queue_key_use(struct queue *queue, uint64_t key, bool make);

/* Forgets keys that have nothing under way and wait for nothing. */
void queue_keys_sweep(struct queue *queue, int64_t now_us);
bool queue_counts_keys(const struct queue *queue);

/* Is a slot free, of the queue's own and of those it has at this node. */
bool queue_has_slot(const struct queue *queue);

/* May the queue start a job for this session now, its keys aside. Notes when to look again. */
bool queue_may_start(struct jobs *jobs, struct queue *queue, const struct session *session, int64_t now_us);

/* A start takes from rates and slots; an end gives slots back. */
enum err queue_started(struct op *op, struct tx *tx, struct jobs *jobs, struct queue *queue, uint64_t key,
                       int64_t now_us);
void queue_ended(struct jobs *jobs, struct queue *queue, uint64_t key);
struct lanes *queue_lanes(struct jobs *jobs, struct queue *queue);

/* --- job_place.c --- */

/* Everything known of a job off its lease. */
struct job_known {
    struct job_row row;
    struct job_opts opts;
    struct aside_row aside;
    struct queue *queue;
    enum job_state state; /* JOB_NONE: deleted with its queue, rows not yet swept */
    uint64_t ord;         /* its place when ready or blocked */
    struct lease *lease;  /* when leased */
    struct str result;    /* JSON, when it is done well and said something; not given = none */
};
enum err job_know(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t id, struct job_known *ret, bool *ret_found);

/* Puts a job where it waits: at due in the future, else through its gate, else ready. `aside` is its row aside (state
 * and at are set and written unless the job is new and ready, `fresh`). Returns the state. */
enum err job_put(struct op *op, struct tx *tx, struct jobs *jobs, struct queue *queue, struct job_known *job,
                 int64_t due_us, enum job_state timed, bool fresh);

/* Takes a waiting job's narrow row away, with its gate and counters. */
enum err job_lift(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job);

/* The holder leaves its gate: the first waiter becomes ready. */
enum err gate_leave(struct op *op, struct tx *tx, struct jobs *jobs, uint64_t gate, uint64_t holder);
enum err ready_write(struct op *op, struct tx *tx, struct jobs *jobs);
enum err ready_take(struct op *op, struct tx *tx, struct jobs *jobs, const struct ready_row *row);
size_t job_bytes(const struct job_row *row);

/* The one place where a state changes: a move outside the table of job.h is a bug of ours (JOB-1). */
void job_move(struct job_known *job, enum job_state to);

/* --- job_unique.c --- */
struct job_pushed;
enum err unique_take(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_spec *spec, uint64_t id,
                     struct job_pushed *ret, bool *ret_taken);
enum err unique_release(struct op *op, struct tx *tx, const struct job_opts *opts, uint64_t id);

/* --- job_fetch.c, job_wait.c --- */
enum err fetch_fill(struct op *op, struct tx *tx, struct jobs *jobs, struct job_fetch *fetch);

/* Something of the queue may start now: jobs_serve, at the end of the command, gives it to those who wait for it. */
void queue_wants(struct jobs *jobs, struct queue *queue);
void queue_wants_first(struct jobs *jobs, struct queue *queue);
enum err jobs_serve(struct op *op, struct tx *tx, struct jobs *jobs);
enum err fetch_hold(struct tx *tx, struct jobs *jobs, struct job_fetch *fetch);
void fetch_release(struct tx *tx, struct jobs *jobs, struct job_fetch *fetch);
void waits_kept(struct jobs *jobs);
void waits_drop(struct jobs *jobs);
void waits_reattach(struct jobs *jobs);
void waits_over(struct tx *tx, struct jobs *jobs, int64_t now_us);
void waits_all(struct tx *tx, struct jobs *jobs);

/* --- job_ahead.c --- */

/* The queue's next jobs will be asked for; how many of `wanted` it has. */
int64_t queue_wish(struct jobs *jobs, struct queue *queue, int64_t wanted);

/* Jids of a push of many that its hop did not say. */
enum err push_ask(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_spec *specs, size_t n);

/* Sends, with what begins the transaction, what can be asked before RAM is made true; then asks the rest of what was
 * wished, and forgets the wishes. */
enum err wishes_send(struct op *op, struct tx *tx, struct jobs *jobs);
enum err wishes_ask(struct op *op, struct tx *tx, struct jobs *jobs);
void wishes_clear(struct jobs *jobs);
void wishes_free(struct jobs *jobs);

/* --- job_log.c and job_follow.c; what is written there: job_log.h --- */
void log_open(struct jobs *jobs, bool shared);
void log_close(struct jobs *jobs);
void log_counts(struct jobs *jobs, struct queue *queue);

/* What other nodes did, laid over RAM: no row is touched. */
void lease_follow(struct jobs *jobs, struct lease *lease);     /* it has just been made */
void lease_follow_end(struct jobs *jobs, struct lease *lease); /* and is freed */
void finished_follow(struct jobs *jobs, uint64_t jid_hash, uint64_t id, int64_t end_us, int outcome);
void number_delivered(struct jobs *jobs, uint64_t number);

/* Of the numbers up to `newest` those in the list are not over, in order; all others are. */
void numbers_settle(struct jobs *jobs, uint64_t newest, const uint64_t *open, size_t count);
void session_follow(struct jobs *jobs, struct tx *tx, const struct session_row *row);
void session_follow_end(struct jobs *jobs, uint32_t no);
void session_follow_seen(struct jobs *jobs, struct session_id id, int64_t seen_us);
enum err queues_follow(struct op *op, struct tx *tx, struct jobs *jobs);

/* --- job_end.c --- */
struct lease *lease_find(struct jobs *jobs, uint64_t jid_hash);
struct lease *lease_new(struct jobs *jobs, const struct lease_row *row, const struct job_row *job,
                        const struct job_opts *opts);
void leases_unload(struct jobs *jobs);
void lease_number_ended(struct jobs *jobs, uint64_t number);
void lease_number_begun(struct jobs *jobs, uint64_t number);

/* Written to a socket, or ended. */
bool lease_number_is_over(const struct jobs *jobs, uint64_t number);

/* When something becomes of the lease if nobody says anything: it ends, or its job goes back (LEASE-5). */
int64_t lease_due_us(const struct jobs *jobs, const struct lease *lease);

/* The lease that is named, NULL with its reason when it is not the current one. A sign of life of its worker. */
enum err lease_of_ref(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_ref *ref, struct lease **ret,
                      enum job_stale *ret_stale);

/* The lease is over: its row, slots and gate. The job is nowhere until the caller puts it. The lease is freed. */
enum err lease_end(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease, bool keep_gate);

/* The session that holds the lease is gone: the job was lost with it (LEASE-7), or goes back where it was when it is
 * our own work, which goes on at its bookmark. */
enum err lease_lost(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease);

/* The lease lives on and belongs to nobody. In RAM only. */
void lease_leave_session(struct lease *lease);

/* Never delivered: back to the place it had (LEASE-5). */
enum err lease_return(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job);

/* The job is done: its rows go, its record is written. Its narrow row was taken away before. */
enum err job_finish(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job, enum job_outcome outcome,
                    int64_t started_us, struct str worker);
/* Its rows go without a trace: deleted with its queue, or a dead one whose jid begins a new life. */
enum err job_forget(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job);
enum err job_kill(struct op *op, struct tx *tx, struct jobs *jobs, struct job_known *job, enum job_death death);

/* --- job_fail.c --- */
enum fault { FAULT_FAILED, FAULT_EXPIRED, FAULT_LOST, FAULT_TIMEOUT };
enum err lease_fail(struct op *op, struct tx *tx, struct jobs *jobs, struct lease *lease,
                    const struct job_failure *failure, enum fault fault);
enum err attempt_note(struct op *op, struct tx *tx, struct jobs *jobs, struct aside_row *aside,
                      const struct lease *lease, enum job_outcome outcome, const struct job_failure *failure);

/* Earlier attempts as a JSON array. */
void attempt_write(struct json_writer *w, const struct attempt_row *row);
enum err attempts_json(struct op *op, struct tx *tx, uint64_t id, struct str *ret);

/* --- job_done.c --- */
struct done_record {
    uint64_t id, jid_hash;
    uint32_t queue_no;
    uint8_t outcome;
    int64_t started_us, ended_us; /* wall */
    int64_t attempts;
    struct str jid, type, worker;
    struct str extra; /* JSON array of earlier attempts; not given = none */
    struct str body;  /* kept when the job may come back, with its options; not given = not */
    struct str opts;
    uint32_t flags;
};
void done_note(struct jobs *jobs, struct tx *tx, const struct done_record *record);
enum err done_flush(struct op *op, struct tx *tx, struct jobs *jobs);
void done_drop(struct jobs *jobs);
bool done_record_next(struct str *records, struct done_record *ret);
const struct finished *finished_find(const struct jobs *jobs, uint64_t jid_hash, int64_t now_us);
void finished_revive(struct jobs *jobs, uint64_t jid_hash);
enum err finished_load(struct op *op, struct tx *tx, struct jobs *jobs);
void finished_unload(struct jobs *jobs);
enum err done_sweep(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more);

/* --- job_done_keys.c --- */

/* The newest record of this jid that is still kept, with its texts in op's arena; *ret_found false: none. What ended in
 * the group under way has no row yet and is found through `jobs`; NULL in a snapshot. */
enum err done_find(struct op *op, struct tx *tx, const struct jobs *jobs, uint64_t jid_hash, struct str jid,
                   struct done_record *ret, bool *ret_found);

/* Writes keys of young records when they have become many. */
enum err done_keys_sweep(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more);

/* --- session_table.c --- */
enum err sessions_load(struct op *op, struct tx *tx, struct jobs *jobs);
void sessions_unload(struct jobs *jobs);
void sessions_free(struct jobs *jobs);
void sessions_kept(struct jobs *jobs);
void sessions_drop(struct jobs *jobs);

/* NULL when nobody has this name, or this number in this life. */
struct session *session_find(struct jobs *jobs, struct str name);
struct session *session_of(struct jobs *jobs, struct session_id id);

/* In RAM as the row says, without sockets; out of it, and of every list. */
struct session *session_new(struct jobs *jobs, const struct session_row *row);
void session_free(struct jobs *jobs, struct session *session);

void session_count_socket(struct jobs *jobs, struct session *session, int change);
void session_forget_revoked(struct session *session);

/* --- session.c --- */
void session_sign(struct jobs *jobs, struct tx *tx, struct session *session);
void session_revoked(struct jobs *jobs, struct session *session, const struct lease *lease);

/* Ends what lost workers hold, a slice of it; *ret_more: there is more of that. */
enum err sessions_tick(struct op *op, struct tx *tx, struct jobs *jobs, int64_t now_us, bool *ret_more);

/* --- job_handler.c --- */
void handlers_changed(struct jobs *jobs);

/* Is the command declared that the policy names. */
enum err handler_check(struct op *op, const struct jobs *jobs, const struct queue_policy *policy);

/* --- job_budget.c --- */
enum err budgets_load(struct op *op, struct tx *tx, struct jobs *jobs);
void budgets_unload(struct jobs *jobs);
struct budget *budget_find(struct jobs *jobs, struct str id);
bool budget_may_start(struct jobs *jobs, const struct queue *queue, int64_t now_us);
void budget_freed(struct jobs *jobs, struct budget *budget);
void budgets_recount(struct jobs *jobs);
void queue_recount_keys(struct jobs *jobs, struct queue *queue);

/* --- job_tick.c, job_sweep.c --- */
enum err slots_recount(struct op *op, struct tx *tx, struct jobs *jobs);
void jobs_metrics(struct jobs *jobs, struct tx *tx); /* job_metrics.c */
enum err jobs_sweep(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more);

/* --- job_batch.c, job_batch_life.c: nothing is looked up for a job without a batch --- */

/* A push names a batch: is there one. Then, in the same transaction, the job joins it. */
enum err batch_knows(struct op *op, struct tx *tx, struct jobs *jobs, struct str bid, bool *ret);
enum err batch_join(struct op *op, struct tx *tx, struct jobs *jobs, struct str bid, uint64_t id);

/* A cancelled member is retried. */
enum err batch_rejoin(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job);

/* An attempt failed; the job ended, or is gone for good though it did not succeed (JOB_DISCARDED). */
enum err batch_failed(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job);
enum err batch_ended(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job,
                     enum job_outcome outcome);

/* schedule_fire.c: the job of a run ended, died, or lives again. */
enum err run_moves(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job, enum job_state state);
enum err schedules_tick(struct op *op, struct tx *tx, struct jobs *jobs);

/* A job is gone for good: nobody else waits for what was neither a member nor a run. */
static inline enum err job_left(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job,
                                enum job_outcome outcome)
{
    if (!(job->opts.flags & (OPT_BATCH | OPT_RUN)))
        return OK;
    TRY(run_moves(op, tx, jobs, job, JOB_DONE));
    return batch_ended(op, tx, jobs, job, outcome);
}

/* Callbacks that became due by this command. jobs_serve calls it. */
enum err batches_settle(struct op *op, struct tx *tx, struct jobs *jobs);
enum err batches_write(struct op *op, struct tx *tx, struct jobs *jobs);
void batches_drop(struct jobs *jobs);
enum err batches_tick(struct op *op, struct tx *tx, struct jobs *jobs, int64_t now_us);
enum err batches_sweep(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more);
enum err batches_forget(struct op *op, struct tx *tx, struct jobs *jobs);

/* --- job_progress.c --- */
enum err progress_ended(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job,
                        enum job_outcome outcome);
enum err progress_tick(struct op *op, struct tx *tx, struct jobs *jobs, int64_t now_us);
enum err progress_sweep(struct op *op, struct tx *tx, struct jobs *jobs, bool *ret_more);
void progress_group(struct jobs *jobs, bool kept);
void progress_free(struct jobs *jobs);
enum err progress_forget(struct op *op, struct tx *tx, struct jobs *jobs);

/* --- job_push.c --- */

/* A push of ours inside another command, which serves later. */
enum err push_inside(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_spec *spec,
                     struct job_pushed *ret);

/* --- job_news.c: events of ours (EVT-8), recorded with the group --- */

/* Any job died; once per death. */
enum err news_died(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job, enum job_death death);
enum err news_batch_expired(struct op *op, struct tx *tx, struct jobs *jobs, struct str bid, struct str description,
                            int64_t total, int64_t pending);
enum err news_handler(struct op *op, struct tx *tx, struct jobs *jobs, const struct handler_word *word);
enum err news_flush(struct op *op, struct tx *tx, struct jobs *jobs);
void news_drop(struct jobs *jobs);
void news_free(struct jobs *jobs);
