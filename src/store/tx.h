/*
 * tx.h - one transaction as engine code sees it, and the store that runs it.
 *
 * A tx is handed to commands by the writer (may write) or to reads by the
 * reader pool (a snapshot, may not write). It is never kept beyond the call.
 * What a group accumulates before it is written - counters per mailing, state
 * blocks, dedupe keys - hangs on the tx and is flushed once before COMMIT, so
 * 300 events of one mailing cost one counter update (LED-15).
 *
 * Engine code reaches rows only through the store_*.h families; each takes
 * (op, tx, ...). No SQL and no engine name appears above this folder.
 *
 * How the writer treats commands (one command = one THREAD_WRITER hop):
 *   - it runs all that wait in one transaction, and answers none before the
 *     commit is durable;
 *   - a command that returns an error before it wrote anything fails alone;
 *   - one that fails after a write takes the group's transaction back; the
 *     others run again together, then it runs once more by itself;
 *   - when the store cannot write, every command of the group gets
 *     ERR_UNAVAILABLE with op->retry_after_s, and nothing of it is stored.
 */
#pragma once

#include "base/op.h"

#define WRITER_QUEUE_MAX 65536 /* commands waiting for the writer; above it they get ERR_BUSY */
#define READER_QUEUE_MAX 16384 /* the same for the reader pool */
#define READERS_MAX      16

struct tx;
struct store;

/* Where rows that are due may lie: none before from_us, and those at until_us and behind are not looked for. */
struct due_range {
    int64_t from_us, by_us, until_us; /* due: by_us at the latest */
};

/* Where the simulation may interfere, and what it may do there. */
enum store_point {
    STORE_AT_STATEMENT, /* before a statement of the writer that changes rows */
    STORE_AT_COMMIT,    /* before the commit of a group that changed something */
    STORE_AT_READ,      /* before a statement of the writer that reads, or the next row of its answer */
    STORE_AT_COPY       /* when the copier has copied, in place of its sync */
};
enum store_fault {
    STORE_NO_FAULT,
    STORE_FAIL_IO,      /* the statement or commit reports a disk error; nothing of the group is kept */
    STORE_FAIL_FULL,    /* the same, disk full */
    STORE_CRASH_BEFORE, /* the process "dies" here: nothing of the group is kept, no post is answered */
    STORE_CRASH_AFTER   /* at a commit: it becomes durable, then the process "dies" before any answer */
};
struct store_faults {
    enum store_fault (*ask)(void *data, enum store_point point);
    void *data;
};

enum store_prepare {
    STORE_PREPARE_AUTO, /* named statements until the server does not know one: then a pooler stands between */
    STORE_PREPARE_ON,
    STORE_PREPARE_OFF
};

/* Moving a store (move.h) opens both sides in ways of their own. */
enum store_use {
    STORE_TO_USE,       /* a copy under way is refused, and a store being moved away is no longer */
    STORE_TO_MOVE_AWAY, /* the same, but it stays marked */
    STORE_TO_MOVE_HERE  /* the tables and nothing else: no state in RAM, no commands */
};

/* Monotonic time by hand, for tests and the simulation. */
struct store_clock {
    int64_t (*mono_us)(void *data);
    void *data;
};

struct store_config {
    const char *directory; /* SQLite: the data directory; posthouse.db lies in it. NULL = in memory, for tests without
                              threads: store_read then sees the writer's connection */
    const char *url;       /* PostgreSQL; NULL = SQLite */
    const char *replica;   /* another URL for what only reads; NULL = the same */
    enum store_prepare prepare;
    int64_t statement_timeout_ms; /* PostgreSQL: of one statement, waiting for the turn included; 0 = 10 s */
    int64_t idle_timeout_ms;      /* after which the server ends the transaction of a node that froze in it; 0 = 5 s */
    int readers;                  /* connections and threads of the reader pool, 1..16; 0 = 2 */
    int64_t cache_bytes;          /* SQLite: page cache of the writer's connection; 0 = 8 MiB */
    bool threads;   /* false: no threads are started; tests and tools use store_write, store_read and store_turn */
    bool read_only; /* for `check` beside a running daemon: takes no lock, changes and checkpoints nothing */
    enum store_use use;
    bool migrate;  /* PostgreSQL: carry the schema over even while nodes that know an older one are alive */
    bool op_clock; /* sim, tests: the store's clock is the op's on PostgreSQL too */
    const struct store_faults *faults; /* sim: where to fail; NULL in life */
    const struct store_clock *clock;   /* NULL in life: clock_mono_us */
};

/* Opens (making and migrating when needed) the store. ERR_CONFLICT when a running daemon holds it for writing,
 * ERR_IO with the reason otherwise. The store owns its threads until store_close. With `threads` it installs itself as
 * the end of THREAD_WRITER and THREAD_READER posts; without, posts wait until store_turn. */
enum err store_open(struct op *op, const struct store_config *config, struct store **ret_store);

/* For demo and bench, which fill a database of their own: is there a schema posthouse behind this URL; and take it away
 * with all it holds. */
enum err store_is_there(struct op *op, const char *url, bool *ret_there);
enum err store_erase(struct op *op, const char *url);

/* A database URL as it may be shown: "postgres://host:port/name", no user, password or options. In the arena. */
struct str store_url_text(struct arena *arena, const char *url);

/* Runs what still waits, then stops the threads, checkpoints and closes. Nothing may be posted any more. */
void store_close(struct store *store);

/* Runs fn in a write transaction of its own and commits it durably, in the calling thread. For tools, tests and the
 * simulation harness; the daemon sends posts instead. Must not be mixed with a running writer thread. */
enum err store_write(struct op *op, struct store *store, enum err (*fn)(struct op *op, struct tx *tx, void *arg),
                     void *arg);

/* Runs fn over one snapshot, in the calling thread, on a connection of its own. */
enum err store_read(struct op *op, struct store *store, enum err (*fn)(struct op *op, struct tx *tx, void *arg),
                    void *arg);

/* Without threads: runs what waits for the writer as one group, then what waits for the readers, in the calling
 * thread. Returns how many posts were answered; 0 when nothing waits or the simulated process is dead. */
int store_turn(struct store *store);

/*
 * A loop may lend its thread to the writer. What it posts to the writer from then on stays with it until store_lend,
 * which it calls at the end of a turn: when nobody else is writing and the commands are few and light, they are run
 * and committed right there, with whatever else waits, and are on their way home when it returns; else they go to the
 * writer's thread. That saves both hand-overs between threads, which for ten clients cost as much as the work. For
 * loops that do nothing but wait for the writer anyway: the thread sleeps while the disk syncs. No effect on
 * PostgreSQL. All three in the lending thread; end it before the loop ends.
 */
void store_lend_begin(struct store *store);
void store_lend_end(struct store *store);

/* LEND_NOTHING when there was no command, LEND_DONE when there were; or for how many microseconds the caller should
 * look for more first, and then call again: always once, 0 when as many have come as the newest group had. */
enum { LEND_DONE = -1, LEND_NOTHING = -2 };
int64_t store_lend(struct store *store);

/* True after a simulated crash: every call fails, posts under way were dropped; close it and open it again. */
bool store_is_dead(const struct store *store);

/* False while commits fail (disk full, I/O error); true again after the first commit that succeeds. The writer tries
 * a small commit every second while it is false, so recovery needs no traffic and no restart. */
bool store_is_ready(const struct store *store);

/* Without threads: the small commit of the writer that proves the disk takes writes again. */
enum err store_probe(struct op *op, struct store *store);

/* 16 secret bytes made when the store was: key of every keyed hash (recipients, dedupe keys). */
const uint8_t *store_hash_key(const struct store *store);
const uint8_t *tx_hash_key(const struct tx *tx);
struct store *tx_store(struct tx *tx);

/* True when others may write to the store too: applications by SQL, other nodes. */
bool store_is_shared(const struct store *store);

/* Monotonic instant at which the transaction began: time that no step of the machine's clock moves. */
int64_t tx_mono_us(const struct tx *tx);

/*
 * What a layer above keeps in RAM beside its rows, told on the writer's thread how each group ended; as struct family
 * in db.h. One per store, set before anything is posted. Each may be NULL. A command that changed such RAM says
 * tx_wrote like one that changed a row.
 */
struct store_watch {
    void *data;
    enum err (*flush)(struct op *op, struct tx *tx, void *data); /* before COMMIT, ahead of the families */
    void (*kept)(void *data); /* the group is durable, or changed nothing; no post of it has left yet */
    void (*drop)(void *data); /* rolled back: its commands run again or are refused */
    /* Others have written since: what RAM says may be old; `anew`: and cannot be made true from what they left. Ahead
     * of the families: their state is still old. */
    enum err (*foreign)(struct op *op, struct tx *tx, bool anew, void *data);
    /* Commands have said what they will ask (struct hop). `ask` sends what is true whatever others wrote in the
     * trip that begins the transaction (stmt_ask), `ahead` reads those answers and asks the rest; only where
     * tx_asks_ahead. */
    enum err (*ask)(struct op *op, struct tx *tx, void *data);
    enum err (*ahead)(struct op *op, struct tx *tx, void *data);
};
void store_watch(struct store *store, const struct store_watch *watch);
void *tx_watch(struct tx *tx);

/*
 * The fence: once set, every group asks, in the round trip that begins it, whether this node's row still has the epoch
 * of the life it was begun with and nobody called it lost (NODE-1). If not, nothing of the group is written: `begin` is
 * run in a transaction of its own, registers the node anew and says as whom, `begun` hears when that is durable, and
 * the group's commands run again. So is the first life begun. Both are called on the writer's thread.
 */
struct store_fence {
    void *data;
    enum err (*begin)(struct op *op, struct tx *tx, void *data, int64_t *ret_node, int64_t *ret_epoch);
    void (*begun)(void *data);
};
void store_fence(struct store *store, const struct store_fence *fence); /* before anything is posted */
void store_fence_end(struct store *store);                              /* the node leaves; any thread */

/* Runs fn in a transaction on a connection that nothing else uses, so that it never waits behind the writer's queue:
 * for signs of life. It changes only rows of which no family keeps anything in RAM; `in_turn`: when it is this node's
 * turn to write, else at once. An unanswered commit is ERR_UNAVAILABLE, stored or not. One thread at a time; only
 * where others write too. */
enum err store_beside(struct op *op, struct store *store, bool in_turn,
                      enum err (*fn)(struct op *op, struct tx *tx, void *arg), void *arg);

/* Says that this command changed something that so far stands only in RAM: a counter, a block, a key. */
void tx_wrote(struct tx *tx);

/* True in the writer's transaction, false in a snapshot. */
bool tx_may_write(const struct tx *tx);

/* Steps of the schema that this program knows. */
int store_steps_known(void);

/* True where a look-up costs a trip to a server: then what is asked over and over is worth being said beforehand, by
 * the prefetch calls of the families. */
bool tx_asks_ahead(const struct tx *tx);

/* For `ask` of a watch: others wrote before the newest turn of this store and will have done so again, so what RAM
 * needs to follow them is worth asking with the turn. */
bool tx_expects_news(const struct tx *tx);

/* What the store did since it was opened; a snapshot for metrics, any thread. */
struct store_figures {
    uint64_t commits;       /* that changed something */
    uint64_t commands;      /* committed in them */
    uint64_t failures;      /* groups lost to the disk */
    uint64_t reruns;        /* groups taken back because one command failed late */
    uint64_t commit_us;     /* time spent in COMMIT, sync and checkpoint included */
    uint64_t reads;         /* posts of the reader pool */
    int64_t writer_waiting; /* posts in the writer's queue now */
    int64_t reader_waiting; /* and in the readers' */
    int64_t wal_bytes;      /* size of the WAL as of the last commit */
    int64_t queued_us;      /* that threads which ran groups stood in line for a processor */
};
struct store_figures store_figures(const struct store *store);
