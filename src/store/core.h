/*
 * core.h - the inside of the store, shared by the files below and the
 * engines; families see db.h only.
 *
 *     store.c      opens, owns everything, closes it
 *     store_call.c calls in the calling thread, for tools
 *     tx.c         what stores and transactions say of themselves
 *     group.c      many commands, one transaction
 *     families.c   what families hold in RAM, at the steps of a group
 *     checkpoint.c the WAL into the file; a commit that tries the disk
 *     copier.h     the same beside the writer
 *     writer.c     the thread that runs groups, probes and checkpoints
 *     readers.c    the threads that run snapshots
 *     schema.c     the list of steps and families
 *     conn.c       one connection of either engine: what both do alike
 *     db.c         its statements
 *     sqlite.c     the engine for one machine: statements, errors, transactions
 *     postgres.h   the engine for many nodes, in several files
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "base/metric.h"
#include "base/post.h"
#include "store/db.h"

#define FAMILIES_MAX       32
#define RETRY_AFTER_S      2    /* what clients are told when the store cannot write; it is probed every second */
#define CHECKPOINT_PAGES   1000 /* of WAL before the writer moves them into the file; up to */
#define CHECKPOINT_BULK    8000 /* while groups write much: then the same page comes again and again */
#define CHECKPOINT_RARE    3000 /* while groups are so small that these are ... */
#define CHECKPOINT_GROUPS  250  /* ... of them (docs/adr/0026) */
#define PROBE_INTERVAL_US  1000000
#define WRITER_CACHE_BYTES (4LL * 1024 * 1024)
#define READER_CACHE_BYTES (2LL * 1024 * 1024)
#define DOOR_CACHE_BYTES   (1LL * 1024 * 1024) /* what a redirect asks for is remembered by who asks */

struct engine;
struct writer;
struct readers;
struct copier;

#define STMT_SLOTS 1024 /* a power of two above the number of statements in the program */

/* DOOR reads for redirects: like READER, but never from a replica that may lag, and with little patience and memory. */
enum conn_role { CONN_WRITER, CONN_READER, CONN_DOOR, CONN_BESIDE, CONN_COPIER };

/* One connection; each engine's own struct begins with it. */
struct conn {
    const struct engine *engine;
    struct store *store;
    enum conn_role role;
    struct tx *tx;                  /* under way, NULL between */
    uint64_t snapshot;              /* counts transactions */
    uint64_t trips;                 /* times a server was asked and waited for */
    struct stmt *slots[STMT_SLOTS]; /* by address of their sql */
    int used;
    struct stmt *active; /* holding rows, newest first */
    struct block_view *view;
};

/* One statement prepared on one connection; each engine's own struct begins with it. */
struct stmt {
    struct conn *conn;
    const struct sql *sql;
    struct stmt *next_active;
    bool active;  /* stands on a row */
    bool reads;   /* changes nothing */
    bool stepped; /* since the newest reset */
    bool asked;   /* sent, and its rows are kept until somebody wants them */
    int64_t changes;
};

/* What an engine can do. conn.c and db.c call it and keep what is common: the cache of statements, who stands on a row,
 * the faults of the simulation. An engine that fails in a way that spoils the transaction says so with conn_broke. */
struct engine {
    const char *name;      /* "sqlite", as spoken of in logs */
    const char *scan_word; /* in a plan that reads a whole table */
    bool shared;           /* other nodes write too */
    enum err (*open)(struct op *op, struct store *store, const char *path, enum conn_role role, struct conn **ret_conn);
    void (*close)(struct conn *conn); /* after its statements */
    enum err (*exec)(struct op *op, struct conn *conn, const char *text);
    enum err (*get_int)(struct op *op, struct conn *conn, const char *text, int64_t *ret_value);
    enum err (*version)(struct op *op, struct conn *conn, int64_t *ret_steps);
    enum err (*step)(struct op *op, struct conn *conn, const struct schema_step *step, int no);
    enum err (*know)(struct op *op, struct tx *tx); /* see conn_know */
    enum err (*begin)(struct op *op, struct tx *tx);
    enum err (*confirm)(struct op *op, struct tx *tx); /* see conn_confirm; NULL: nothing is supposed */
    enum err (*commit)(struct op *op, struct tx *tx);
    void (*rollback)(struct tx *tx);
    void (*pause)(struct conn *conn); /* before a broken group is tried again */
    uint64_t (*changes)(const struct conn *conn);
    int64_t (*wal_pages)(const struct conn *conn);
    enum err (*checkpoint)(struct op *op, struct conn *conn, bool truncate);
    enum err (*copy_wal)(struct op *op, struct conn *conn); /* NULL: there is no copier */
    enum err (*plan)(struct op *op, struct conn *conn, const char *text, struct str *ret_plan);

    enum err (*stmt_new)(struct op *op, struct conn *conn, const struct sql *sql, struct stmt **ret_stmt);
    void (*stmt_free)(struct stmt *stmt);
    void (*clear)(struct stmt *stmt); /* forgets an error of the binds of before */
    enum err (*step_row)(struct op *op, struct stmt *stmt, bool *ret_has_row);
    enum err (*done)(struct op *op, struct stmt *stmt); /* sets changes */
    enum err (*later)(struct op *op, struct stmt *stmt);
    enum err (*ask)(struct op *op, struct stmt *stmt); /* NULL: no server is asked */
    void (*reset)(struct stmt *stmt);                  /* only when stepped */

    void (*bind_int)(struct stmt *stmt, int i, int64_t value);
    void (*bind_real)(struct stmt *stmt, int i, double value);
    void (*bind_str)(struct stmt *stmt, int i, struct str value);
    void (*bind_blob)(struct stmt *stmt, int i, struct str value);
    void (*bind_null)(struct stmt *stmt, int i);
    void (*bind_ints)(struct stmt *stmt, int i, const int64_t *values, size_t n);
    void (*bind_reals)(struct stmt *stmt, int i, const double *values, size_t n);
    void (*bind_strs)(struct stmt *stmt, int i, const struct str *values, size_t n);
    void (*bind_blobs)(struct stmt *stmt, int i, const struct str *values, size_t n);

    int64_t (*col_int)(struct stmt *stmt, int i);
    double (*col_real)(struct stmt *stmt, int i);
    bool (*col_is_null)(struct stmt *stmt, int i);
    struct str (*col_str)(struct stmt *stmt, int i);
    struct str (*col_blob)(struct stmt *stmt, int i);
};

extern const struct engine sqlite_engine, postgres_engine;

struct tx {
    struct store *store;
    struct conn *conn;
    bool writing;
    int64_t mono_us;                 /* when it began */
    bool broken;                     /* the engine failed: nothing of this transaction can be kept */
    bool full;                       /* RAM holds enough: commit after this command */
    bool arena_full;                 /* a column did not fit into the command's arena: its result must not stand */
    bool foreign;                    /* others have written since this store's last group */
    bool anew;                       /* and what RAM knows cannot be made true from what they left */
    bool expects_news;               /* they had before the last one, and will have done so again */
    bool again;                      /* broken, but surely not stored: a moment later it may do better */
    bool spoilt;                     /* broken by one command's own fault */
    bool careful;                    /* asks before it begins; else it may suppose */
    bool supposes;                   /* begun without asking whether others have written */
    bool mistaken;                   /* broken, because what it supposed was wrong */
    bool in_turn;                    /* of a transaction beside the writer: others wait for it */
    bool over;                       /* begins in vain: others called this store's node lost */
    struct str seqs_newest, seqs;    /* see tx_seqs */
    uint64_t wrote;                  /* marks of changes that stand in RAM */
    char reason[OP_ERROR_BYTES_MAX]; /* sentence of what broke it */
};

struct store {
    struct store_config config; /* directory points to an own copy */
    const struct engine *engine;
    char *path;  /* of the database file; NULL = in memory, or on a server */
    int lock_fd; /* -1 without */
    uint8_t hash_key[16];
    struct conn *conn;   /* the writer's */
    struct conn *reader; /* of store_read */
    pthread_mutex_t reader_lock;
    void *state[FAMILIES_MAX];
    struct store_watch watch;
    struct writer *writer;
    struct readers *readers;
    struct readers *door;      /* THREAD_DOOR: one connection that nothing else uses */
    struct copier *copier;     /* NULL: the writer moves all of the WAL */
    struct post *waiting_read; /* without threads: posts for the readers, newest first */
    atomic_bool keeps_wal;     /* for the next start, which copies all of it again */
    atomic_bool ready;
    atomic_bool dead;
    atomic_bool stopping;
    int64_t node, epoch; /* on PostgreSQL: who wrote a group */
    struct store_fence fence;
    atomic_bool is_fenced; /* groups are kept only while the node's life lasts */
    bool has_life;         /* one was begun: node and epoch are its */
    bool begins;           /* the group under way begins one; all three the writer's */
    struct conn *beside;   /* of store_beside */
    atomic_uint_fast64_t commits, commands, failures, reruns, commit_us, reads;
    atomic_int_fast64_t wal_bytes, queued_us;
    int64_t group_pages; /* what large groups wrote lately; the writer's */
    int64_t usual_pages; /* what a group writes on average, in 1/1024 */
    struct metric_cell *commit_times, *turn_times, *group_sizes, *checkpoint_times; /* histograms */
};

/* The lists of schema.c; each ends with an entry without name. */
extern const struct schema_step *const schema_steps[];
extern const struct family *const store_families[];

/* Brings the file to the newest step, or to step `upto` when that is not 0 (tests of older files). ERR_CONFLICT for a
 * file of a newer program. */
enum err schema_migrate(struct op *op, struct conn *conn, int upto);

/* PostgreSQL, for a step that older programs may not write beside, in its transaction and under the turn: every node
 * that does not know it is called lost, and none of its kind begins a life any more. ERR_CONFLICT while one is alive.
 */
enum err schema_stand_alone(struct op *op, struct conn *conn, const struct schema_step *step, int no);

/* Whether this program may begin a life here. ERR_CONFLICT when a newer one has made a step that stands alone. */
enum err schema_may_live(struct op *op, struct tx *tx);

/* Opens one connection; path NULL = in memory. */
enum err conn_open(struct op *op, struct store *store, const char *path, enum conn_role role, struct conn **ret_conn);

/* Closes it; never checkpoints. */
void conn_close(struct conn *conn);

/* Runs a text of statements without parameters. */
enum err conn_exec(struct op *op, struct conn *conn, const char *text);

/* First column of the first row of the text; ERR_NOT_FOUND without one. */
enum err conn_int(struct op *op, struct conn *conn, const char *text, int64_t *ret_value);

/* A transaction on tx->conn; the tx must have store, conn and writing set. */
enum err conn_begin(struct op *op, struct tx *tx);
enum err conn_commit(struct op *op, struct tx *tx);
void conn_rollback(struct tx *tx);

/* Waits until it is known that what the transaction supposed is so: before something is answered that nothing was
 * written for. */
enum err conn_confirm(struct op *op, struct tx *tx);

/* Gives up what was asked and not looked at: answers are of the begin, and the transaction goes on. */
void conn_forget_answers(struct conn *conn);

/* Remembers that RAM is what this transaction sees: said when families have read it or brought it up to date. */
enum err conn_know(struct op *op, struct tx *tx);

/* Waits a little before a group that could not be stored is tried again. */
void conn_pause(struct conn *conn);

/* Rows changed since the connection was opened. */
uint64_t conn_changes(const struct conn *conn);

/* Counts the transactions of the connection; what was read in another one may be old. */
uint64_t conn_snapshot(const struct conn *conn);

/* Pages in the WAL after the newest commit of this connection. */
int64_t conn_wal_pages(const struct conn *conn);

/* Moves the WAL into the file; only for the writer's connection. `truncate`: and empties it if no reader needs it. */
enum err conn_checkpoint(struct op *op, struct conn *conn, bool truncate);

/* Copies what the WAL holds now into the file, and syncs it; only for the copier's connection. An error when pages
 * count as copied that may not be on the disk: the WAL must be kept. */
enum err conn_copy_wal(struct op *op, struct conn *conn);

/* Notes in the transaction under way, if any, that the engine failed and nothing of it can be kept. */
void conn_broke(struct conn *conn, const struct op *op);

/* What the simulation wants to happen at this point, as the engine would report it: an error, or that the process dies
 * when `what` has been done. */
enum err conn_fault(struct op *op, struct conn *conn, enum store_point point, const char *what, bool *ret_then_die);

/* Where block.c keeps what this connection read; freed with it. */
struct block_view **conn_block_view(struct conn *conn);
void block_view_free(struct block_view *view);

/* The steps of the schema the database has had. */
enum err conn_version(struct op *op, struct conn *conn, int64_t *ret_steps);

/* The plan of a statement as one line. */
enum err conn_plan(struct op *op, struct conn *conn, const char *text, struct str *ret_plan);

/* Monotonic time, or what the simulation says it is. */
int64_t store_mono_us(const struct store *store);

/* Asks the simulation's plan; notes a crash. Returns what is to happen. */
enum store_fault store_ask(struct store *store, enum store_point point);

/* Runs the hops of posts[0..n-1] in one transaction (or, after late failures, several) and commits. Every post leaves
 * with its result and its next hop; the caller sends it on. Returns how many were run, from the front: fewer than n
 * when the time of a group is over. After a simulated crash the posts must not be sent. */
#define GROUP_MAX 512
int group_run(struct store *store, struct op *op, struct post **posts, int n);

/* Moves the WAL into the file when it has grown, or, when nobody waits, is worth it: the copier begins, and what it has
 * left is moved here. After the answers have left. */
void group_checkpoint(struct store *store, bool idle);

/* Begins what the copier does; true when something is left for group_checkpoint, busy as the store is. */
bool group_wants_checkpoint(struct store *store);

/* Pages of WAL that are worth a checkpoint, by those that large groups wrote lately, and a group does on average in
 * 1/1024. Small and often keeps answers quick. One that costs about as much as a few of the groups under way does not
 * make them slower, and writes a page once that several of them changed. And where groups are small it is so rare that
 * far fewer than one command in a hundred waits for it. */
int64_t checkpoint_pages(int64_t large, int64_t usual);

/* A small commit that changes one row: does the disk take writes. */
enum err group_probe(struct op *op, struct store *store);

/* True once the store is being closed: nobody should wait for a database to come back. */
bool store_is_stopping(const struct store *store);

/* Skips the post's hop with this error; the caller sends it on. */
void post_refuse(struct post *post, enum err err, const char *sentence, int64_t retry_after_s);

/* What the commands of the group will ask in any case. */
enum err store_ask_watch(struct op *op, struct tx *tx);

/* The writer: its queue always, its thread when start is called. */
enum err writer_new(struct op *op, struct store *store, struct writer **ret_writer);
enum err writer_start(struct op *op, struct writer *writer);
void writer_stop(struct writer *writer); /* the thread runs what waits and ends */
void writer_free(struct writer *writer);
void writer_deliver(void *writer, struct post *post);
int64_t writer_waiting(const struct writer *writer);
int writer_turn(struct writer *writer);       /* one group in the calling thread */
void writer_borrow(struct writer *writer);    /* store_lend_begin */
int64_t writer_lent(struct writer *writer);   /* store_lend */
void writer_give_back(struct writer *writer); /* store_lend_end */

/* The reader pool. */
enum err readers_start(struct op *op, struct store *store, enum conn_role role, int threads,
                       struct readers **ret_readers);
void readers_stop(struct readers *readers); /* the threads run what waits and end; what comes later waits for: */
int readers_turn(struct readers *readers, struct conn *conn); /* in the calling thread, all that waits */
void readers_free(struct readers *readers);
void readers_deliver(void *readers, struct post *post);
int64_t readers_waiting(struct readers *readers);
int readers_resting(struct readers *readers); /* threads that have nothing to do */

/* Without threads: all reads that wait, in the calling thread. */
int store_reads_turn(struct store *store);

/* Runs one post over a snapshot of conn. */
void snapshot_run(struct store *store, struct conn *conn, struct post *post);
