/*
 * db.h - statements, as the table families of this folder write them.
 *
 * Private to src/store. A family is a pair store_X.h, store_X.c: the header
 * speaks of things, the .c holds the SQL of both engines side by side:
 *
 *     SQL(mailing_by_id, "SELECT no, name FROM mailing WHERE id = ?1", NULL);
 *
 *     struct stmt *stmt;
 *     bool found;
 *     TRY(tx_stmt(op, tx, &mailing_by_id, &stmt));
 *     bind_str(stmt, 1, id);
 *     TRY(stmt_row(op, stmt, &found));
 *     if (!found)
 *         return fail(op, ERR_NOT_FOUND, "no mailing %.*s", STR(id));
 *     *ret_no = col_int(stmt, 0);
 *     *ret_name = col_str(op, stmt, 1);
 *     stmt_reset(stmt);
 *
 * Statements are prepared once per connection and kept. Every one is listed
 * by SQL at link time, and a test asks the engine for its plan: it must reach
 * rows by primary key or index, unless it is declared with SQL_SCAN.
 *
 * Errors: what the disk or engine cannot do is ERR_UNAVAILABLE and spoils the
 * whole transaction; a broken constraint is ERR_CONFLICT and spoils nothing -
 * on PostgreSQL only for a statement that says so (SQL_MAY_CONFLICT); better is
 * ON CONFLICT DO NOTHING and a look at stmt_changes.
 *
 * A query begins with SELECT, anything else is a change. A WITH never stands in
 * front, where it would leave that open, but behind: INSERT INTO t WITH ...
 *
 * One text serves both engines when it can; PostgreSQL gets ?1 as $1. There
 * every integer is bigint, BLOB is bytea, TEXT is text COLLATE "C", REAL is
 * double precision; a parameter has the type of the bind_ call that sets it, and
 * is cast where the text alone would not tell it (unnest(?1::bigint[])), so that
 * the test can ask for a plan.
 * Beside a text of its own, PostgreSQL has three ways to spend fewer round
 * trips: stmt_later, arrays as parameters (many rows by one statement), and
 * SQL_WALK (slices instead of all rows at once).
 */
#pragma once

#include "store/tx.h"

struct sql {
    const char *name;
    const char *sqlite;
    const char *postgres; /* NULL: the text of SQLite serves both */
    unsigned marks;
};

enum sql_mark {
    SQL_SCANS = 1,     /* reads a whole table on purpose: tiny tables, check, migrations */
    SQL_WALKS = 2,     /* returns more rows than memory should hold at once */
    SQL_CONFLICTS = 4, /* may break a constraint, and the caller lives on with ERR_CONFLICT */
    SQL_POSTGRES = 8,  /* there is no text for SQLite */
    SQL_SQLITE = 16,   /* there is no text for PostgreSQL */
    SQL_SUPPOSES = 32  /* fails unless what the group did not ask for is as supposed: it runs again, and asks */
};

#define SQL_MARKED(name_, sqlite_, postgres_, marks_)                                                                  \
    static const struct sql name_ = { #name_, sqlite_, postgres_, marks_ };                                            \
    static const struct sql *const name_##_listed __attribute__((section("store_sql"), used)) = &name_

/* SQL(name, sqlite text, postgres text or NULL when it is the same): one statement, found in the list of all. */
#define SQL(name_, sqlite_, postgres_) SQL_MARKED(name_, sqlite_, postgres_, 0)

/* The same for a statement that may scan its table. */
#define SQL_SCAN(name_, sqlite_, postgres_) SQL_MARKED(name_, sqlite_, postgres_, SQL_SCANS)

/* The same for a query without a limit: PostgreSQL reads it in slices by a cursor. A walk left early is reset. */
#define SQL_WALK(name_, sqlite_, postgres_) SQL_MARKED(name_, sqlite_, postgres_, SQL_WALKS)

/* The same for a change whose ERR_CONFLICT is an answer, not a defect: PostgreSQL runs it inside a savepoint. */
#define SQL_MAY_CONFLICT(name_, sqlite_, postgres_) SQL_MARKED(name_, sqlite_, postgres_, SQL_CONFLICTS)

/* A statement that only PostgreSQL has: batches, node rows. */
#define SQL_ONLY_POSTGRES(name_, postgres_) SQL_MARKED(name_, NULL, postgres_, SQL_POSTGRES)

/* A statement that only SQLite has. */
#define SQL_ONLY_SQLITE(name_, sqlite_) SQL_MARKED(name_, sqlite_, NULL, SQL_SQLITE)

struct stmt;

/* The prepared statement of sql on the tx's connection, reset; every parameter must be bound anew. A statement is used
 * by one caller at a time: a caller may not hold rows of it while it calls something that uses the same one. */
enum err tx_stmt(struct op *op, struct tx *tx, const struct sql *sql, struct stmt **ret_stmt);

/* Parameters count from 1. The bytes of str and blob must live until the statement is reset; a str that is not given
 * becomes NULL, as does an integer equal to `null`. */
void bind_int(struct stmt *stmt, int i, int64_t value);
void bind_int_null(struct stmt *stmt, int i, int64_t value, int64_t null);
void bind_real(struct stmt *stmt, int i, double value);
void bind_str(struct stmt *stmt, int i, struct str value);
void bind_blob(struct stmt *stmt, int i, const void *bytes, size_t n);
void bind_null(struct stmt *stmt, int i);

/* PostgreSQL only: an array as parameter, for `unnest(?1, ?2)` and `= ANY (?1)`: bigint[], double precision[], text[]
 * and bytea[]. A str that is not given becomes NULL. The values are copied before the call returns. */
void bind_ints(struct stmt *stmt, int i, const int64_t *values, size_t n);

/* The same of the numbers of rows, which stay below 2^63. */
static inline void bind_numbers(struct stmt *stmt, int i, const uint64_t *numbers, size_t n)
{
    bind_ints(stmt, i, (const int64_t *)numbers, n);
}

void bind_reals(struct stmt *stmt, int i, const double *values, size_t n);
void bind_strs(struct stmt *stmt, int i, const struct str *values, size_t n);
void bind_blobs(struct stmt *stmt, int i, const struct str *values, size_t n);

/* Steps to the next row. Without one the statement is reset. */
enum err stmt_row(struct op *op, struct stmt *stmt, bool *ret_has_row);

/* Runs fn for each row of a query; it reads columns and must not reset. An error of it ends the query and is returned.
 */
enum err stmt_each(struct op *op, struct stmt *stmt, enum err (*fn)(struct op *op, struct stmt *stmt, void *arg),
                   void *arg);

/* The same for those of the rows `numbers` (which ascend) that are there, in order. Where a look-up costs a trip they
 * are asked by `together`, "... WHERE no = ANY (?1) ORDER BY no"; else each by `alone`, "... WHERE no = ?1". */
enum err stmt_each_of(struct op *op, struct tx *tx, const struct sql *alone, const struct sql *together,
                      const uint64_t *numbers, size_t count,
                      enum err (*fn)(struct op *op, struct stmt *stmt, void *arg), void *arg);

/* Runs a change to its end and resets it. */
enum err stmt_done(struct op *op, struct stmt *stmt);

/* Runs a change of which nobody asks for the outcome, and resets it; stmt_changes is not known. PostgreSQL sends it
 * with the next statement that waits or with COMMIT, so an error is reported there (naming this statement) and spoils
 * the group; the same as stmt_done on SQLite. The values bound may be given up when it returns. */
enum err stmt_later(struct op *op, struct stmt *stmt);

/* Is the first row older: "SELECT no, at FROM ... ORDER BY no LIMIT ?1", whose `at` grows with `no`. */
enum err stmt_has_older(struct op *op, struct tx *tx, const struct sql *sql, int64_t before, bool *ret);

/* A change whose only parameter is the number of a row, as the removal of one; run by stmt_later. */
enum err stmt_by_no(struct op *op, struct tx *tx, const struct sql *sql, uint64_t no);

/*
 * Numbers of rows that are due, the longest due first, at most max; *ret_next_us is when the next of the others is, or
 * range->until_us. The statement says number and instant: "... WHERE due_us >= ?1 AND due_us < ?2 ORDER BY due_us
 * LIMIT ?3".
 */
enum err stmt_due(struct op *op, struct tx *tx, const struct sql *sql, const struct due_range *range, int max,
                  uint64_t *ret, int *ret_count, int64_t *ret_next_us);

/* Sends a query whose rows come with the answer that is waited for next; tx_answer finds them in this transaction. Only
 * on PostgreSQL: in the ask hook of a family. */
enum err stmt_ask(struct op *op, struct stmt *stmt);

/* The statement, its rows ready for stmt_row, when it was asked; false, and nothing is done, when it was not. */
bool tx_answer(struct tx *tx, const struct sql *sql, struct stmt **ret_stmt);

/* Leaves a query before its last row. Forgotten resets are made up for when the tx ends. */
void stmt_reset(struct stmt *stmt);

/* Rows changed by the newest stmt_done. */
int64_t stmt_changes(const struct stmt *stmt);

/* Columns count from 0 and stand until the next step or reset. */
int64_t col_int(struct stmt *stmt, int i); /* 0 for NULL */
double col_real(struct stmt *stmt, int i);
int64_t col_int_null(struct stmt *stmt, int i, int64_t null); /* `null` for NULL */
bool col_is_null(struct stmt *stmt, int i);

/* A copy in the op's arena, or borrowed until the next step. A copy that does not fit there fails the whole command
 * with ERR_TOO_LARGE when it returns. */
struct str col_str(struct op *op, struct stmt *stmt, int i);
struct str col_str_borrowed(struct stmt *stmt, int i);
struct str col_blob_borrowed(struct stmt *stmt, int i);

/* Says that RAM holds as much of this transaction as it may: the group is committed after the command under way. */
void tx_full(struct tx *tx);

/* True on PostgreSQL: other nodes write too, and a round trip costs more than a row. For texts that differ in their
 * parameters (arrays), prefetches, and state in RAM that must not outlive the turn. */
bool tx_is_shared(const struct tx *tx);

/* The group supposes that RAM is right, and finds out with the first answer it waits for (PostgreSQL, as long as nobody
 * else writes). What a statement marked SQL_SUPPOSES would find out need not be asked then. */
bool tx_supposes(const struct tx *tx);

/* It was not so: nothing of the transaction is kept, and the group runs again. ERR_UNAVAILABLE. */
enum err tx_supposed_wrongly(struct op *op, struct tx *tx);

/* True when the engine has a clock that all nodes go by; else the op's is the only one. */
bool tx_has_clock(const struct tx *tx);

/* Monotonic time now, for work that ends when it has taken long enough; tx_mono_us is that of the begin. */
int64_t tx_mono_now_us(const struct tx *tx);

/* PostgreSQL: the numbers of seq.c travel in the row every group leaves (group_log). In a writing transaction: where
 * the newest group of any node left them, { NULL, 0 } before the first; stands until the transaction ends. */
struct str tx_seqs(const struct tx *tx);

/* What this group's row says of them; borrowed until the transaction ends. The flush of seq.c, the last family, calls
 * it in every group. */
void tx_seqs_put(struct tx *tx, struct str seqs);

/* One step of the schema: its number is its place in the list of schema.c. A released step is never edited and never
 * moves; a change is a new step at the end. The text may hold several statements; on PostgreSQL they run with
 * search_path = posthouse, where the tables are made. */
struct schema_step {
    const char *name; /* "blocks" */
    const char *sqlite;
    const char *postgres;
    const char *alone; /* PostgreSQL: what nodes of an older program would do wrong beside it, so that none may be
                          alive; NULL: they may go on */
};

/* What a family keeps in RAM beside its rows. The hooks run on the writer's thread, in the order of the list in
 * schema.c; each may be NULL. The state is the store's, one for the process. */
struct family {
    const char *name;
    enum err (*open)(struct op *op, struct tx *tx, void **ret_state); /* in a read transaction, after migrations */
    void (*close)(void *state);
    enum err (*flush)(struct op *op, struct tx *tx, void *state); /* before COMMIT: write what is pending */
    enum err (*trim)(struct op *op, struct tx *tx, void *state);  /* between commands: keep below the
                                                                   maximum, or tx_full */
    void (*kept)(void *state);                                    /* the group is durable */
    void (*drop)(void *state);                                    /* the group was rolled back */
    /* PostgreSQL: other nodes (or an earlier life of this one) have committed groups since this store's last. Called
     * when this store's turn begins, before its first command, nothing pending; makes what is kept in RAM equal to what
     * the transaction sees, or forgets it. NULL: drop, and nothing else - right for a family that keeps nothing but
     * what a group has pending. */
    enum err (*foreign)(struct op *op, struct tx *tx, void *state);
    /* PostgreSQL: sends (stmt_ask) what foreign will read, with the very trip that takes the turn. Called only where
     * nodes take turns with others, and in vain when nobody has written. NULL: nothing to ask. */
    enum err (*ask)(struct op *op, struct tx *tx, void *state);
};

/* The RAM state of a family of this store. In a snapshot of a reader thread it belongs to the writer: do not touch. */
void *tx_state(struct tx *tx, const struct family *family);

/* For tests: a sentence naming each statement whose plan scans a table though it may not, "" when all are well.
 * Joined in op's arena. */
enum err store_plan(struct op *op, struct store *store, struct str *ret_scans);

/* For tests: the plan of the statement of that name. ERR_NOT_FOUND. */
enum err store_plan_named(struct op *op, struct store *store, const char *name, struct str *ret_plan);

/* For tests: the plan of one text. */
enum err store_plan_of(struct op *op, struct store *store, const char *sql, struct str *ret_plan);
