/*
 * jobs_own.h - the inside of the job machine, shared by its files; doors see jobs.h.
 *
 * What it holds in RAM is in jobs_ram.h; here is what its files call of each other.
 *
 *     jobs.c            opens, reads the rows, what the end of a group means
 *     job_queues.c      queues in RAM; job_lanes.c what waits in one, job_slots.c what it may start now
 *     job_budget.c      budgets that queues share; meter.c what came and went lately
 *     job_place.c       where a waiting job lies: ready, timer, gate; job_first.c from where its first is looked for
 *     job_push.c        takes jobs in; job_unique.c locks of unique jobs
 *     job_fetch.c       hands them out; job_wait.c fetches that wait
 *     job_lease.c       attempts under way; job_token.c their names at the HTTP door
 *     job_delivered.c   which leases have left by a socket
 *     job_ahead.c       what a group will ask, asked together
 *     job_log.c         what a group changed, told to other nodes; job_follow.c lays it over RAM
 *     job_end.c         ack, extend, stale; job_fail.c failures, dead, lost
 *     job_done.c        history, the memory of what finished; job_done_keys.c finds in it
 *     job_tick.c        what time brings; job_sweep.c rows nobody needs any more
 *     job_act.c         an operator's moves; job_mutate.c of whole sets, job_bulk.c of many, job_flush.c of all
 *     job_read*.c       JSON into a job, job_opts.c what of it is kept, job_write.c back, job_canonical.c compared
 *     job_walk.c        along the rows of a state
 *     job_view.c        what people see of jobs, job_queue.c of queues, job_metrics.c, schedule_view.c
 *     job_handler.c     who works on them beside workers; job_own.c our own work,
 *                       own_pace.c how much of it at once
 *     job_news.c        what the log of events hears of them
 *     job_progress.c    what jobs say of themselves
 *     session.c         workers; session_table.c in RAM
 *     job_batch.c       batches, see job_batch_own.h
 *     schedule.c        jobs by the clock, see schedule_own.h
 */
#pragma once

#include "engine/job_queue.h"
#include "engine/job_read.h"
#include "engine/jobs_ram.h"

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

enum err jobs_clock_check(struct op *op, struct tx *tx, struct jobs *jobs);
uint64_t jobs_hash(const struct jobs *jobs, struct str text);

/* --- job_queues.c --- */

/* NULL: there is none, not even one that only waiting fetches know. */
struct queue *queue_find(struct jobs *jobs, struct str name);
struct queue *queue_by_no(struct jobs *jobs, uint32_t no);

/* The queue, made when it is new; ERR_BUSY above QUEUES_MAX. */
enum err queue_make(struct op *op, struct tx *tx, struct jobs *jobs, struct str name, struct queue **ret);

/* A queue that only waiting fetches know; NULL when there are too many. It ends with the last of them. */
struct queue *queue_ghost(struct jobs *jobs, struct str name);
void queue_ghost_end(struct jobs *jobs, struct queue *queue);

/* Its counters moved: they are written with the group. */
void queue_changed(struct jobs *jobs, struct tx *tx, struct queue *queue);

/* Writes its row: what the RAM says of it beside the counters. */
enum err queue_write(struct op *op, struct tx *tx, struct queue *queue);

/* Is the text a policy for the queue of this name, with a budget that is there; then the queue goes by it, in RAM. */
enum err queue_policy_check(struct op *op, struct jobs *jobs, struct str name, struct str text,
                            struct json_problems *problems);
enum err queue_set_policy(struct op *op, struct jobs *jobs, struct queue *queue, struct str text);

/* All of them: out of the rows, out of RAM, counters that moved into the rows, and as other nodes left the rows. */
enum err queues_load(struct op *op, struct tx *tx, struct jobs *jobs);
void queues_unload(struct jobs *jobs);
enum err queues_flush(struct op *op, struct tx *tx, struct jobs *jobs);
enum err queues_follow(struct op *op, struct tx *tx, struct jobs *jobs);

/* --- job_slots.c --- */

/* What the key has under way; NULL when nothing is known of it, unless `make`. */
struct key_use *queue_key_use(struct queue *queue, uint64_t key, bool make);

/* Forgets keys that have nothing under way and wait for nothing; or all of them. */
void queue_keys_sweep(struct queue *queue, int64_t now_us);
void queue_keys_free(struct queue *queue);

/* Does its policy limit keys. */
bool queue_counts_keys(const struct queue *queue);

/* Its lanes, made when they are first asked for. */
struct lanes *queue_lanes(struct jobs *jobs, struct queue *queue);

/* Is a slot free, of the queue's own and of those it has at this node. */
bool queue_has_slot(const struct queue *queue);

/* May the queue start a job for this session now (engine time), its keys aside. Notes when to look again. */
bool queue_may_start(struct jobs *jobs, struct queue *queue, const struct session *session, int64_t now_us);

/* A start takes from rates and slots; an end gives slots back. */
enum err queue_started(struct op *op, struct tx *tx, struct jobs *jobs, struct queue *queue, uint64_t key,
                       int64_t now_us);
void queue_ended(struct queue *queue, uint64_t key);

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
void finished_follow(struct jobs *jobs, uint64_t jid_hash, uint64_t id, int64_t end_us, int outcome);
void session_follow(struct jobs *jobs, struct tx *tx, const struct session_row *row);
void session_follow_end(struct jobs *jobs, uint32_t no);
void session_follow_seen(struct jobs *jobs, struct session_id id, int64_t seen_us);

/* --- job_end.c --- */

/* The lease that is named, NULL with its reason when it is not the current one. A sign of life of its worker. */
enum err lease_of_ref(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_ref *ref, struct lease **ret,
                      enum job_stale *ret_stale);

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
/* A run of ours waits for another schedule since then (KEEP-10). */
enum err news_held(struct op *op, struct tx *tx, struct jobs *jobs, struct str schedule, struct str run, struct str why,
                   int64_t since_us);
enum err news_handler(struct op *op, struct tx *tx, struct jobs *jobs, const struct handler_word *word);
enum err news_flush(struct op *op, struct tx *tx, struct jobs *jobs);
void news_drop(struct jobs *jobs);
void news_free(struct jobs *jobs);
