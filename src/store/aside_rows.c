#include "store/aside_rows.h"

#include <stdlib.h>

#include "store/families.h"

#define GROUP_BYTES (16u << 20) /* of texts that wait: then the group ends */

extern const struct family aside_rows_family;

/* Of a table whose key is more than the job's number: rows that the table has are deleted by the whole key. A job has
 * one row in each at a time. */
struct placed {
    struct changes here; /* by job */
    struct rows gone;    /* keys */
};

struct aside_rows {
    struct changes asides;
    struct placed dead, timers;
    struct rows attempts, attempts_gone; /* those that go are deleted first */
};

SQL_ONLY_POSTGRES(aside_rows_insert,
                  "INSERT INTO job_aside (id, " ASIDE_COLUMNS ") SELECT * FROM unnest(?1" PG_INTS ", ?2" PG_INTS
                  ", ?3" PG_INTS ", ?4" PG_INTS ", ?5" PG_INTS ", ?6" PG_INTS ", ?7" PG_INTS ", ?8" PG_INTS
                  ", ?9" PG_INTS ", ?10" PG_INTS ", ?11" PG_TEXTS ")" ASIDE_REPLACES);
SQL_ONLY_POSTGRES(aside_rows_remove, "DELETE FROM job_aside WHERE id = ANY (?1" PG_INTS ")");
SQL_ONLY_POSTGRES(attempt_rows_insert, "INSERT INTO attempt (id, " ATTEMPT_COLUMNS ") SELECT * FROM unnest(?1" PG_INTS
                                       ", ?2" PG_INTS ", ?3" PG_INTS ", ?4" PG_INTS ", ?5" PG_INTS ", ?6" PG_TEXTS
                                       ", ?7" PG_TEXTS ", ?8" PG_TEXTS ", ?9" PG_TEXTS ")");
SQL_ONLY_POSTGRES(attempt_rows_remove, "DELETE FROM attempt WHERE id = ANY (?1" PG_INTS ")");
SQL_ONLY_POSTGRES(dead_rows_insert, "INSERT INTO dead (id, at_us, reason) SELECT * FROM unnest(?1" PG_INTS
                                    ", ?2" PG_INTS ", ?3" PG_INTS ")");
SQL_ONLY_POSTGRES(timer_rows_insert, "INSERT INTO timer (id, kind, due_us) SELECT * FROM unnest(?1" PG_INTS
                                     ", ?2" PG_INTS ", ?3" PG_INTS ")");
/* One look at the index for each key: OFFSET 0 keeps the planner from joining the whole table. */
SQL_ONLY_POSTGRES(dead_rows_remove, "DELETE FROM dead WHERE ctid = ANY (ARRAY(SELECT d.ctid FROM unnest(?1" PG_INTS
                                    ", ?2" PG_INTS ") AS k(at_us, id) CROSS JOIN LATERAL"
                                    " (SELECT ctid FROM dead WHERE at_us = k.at_us AND id = k.id OFFSET 0) AS d))");
SQL_ONLY_POSTGRES(timer_rows_remove,
                  "DELETE FROM timer WHERE ctid = ANY (ARRAY(SELECT t.ctid FROM unnest(?1" PG_INTS ", ?2" PG_INTS
                  ", ?3" PG_INTS ") AS k(kind, due_us, id) CROSS JOIN LATERAL"
                  " (SELECT ctid FROM timer WHERE kind = k.kind AND due_us = k.due_us AND id = k.id OFFSET 0) AS t))");

static struct aside_rows *rows_of(struct tx *tx)
{
    return tx_may_write(tx) && tx_is_shared(tx) ? tx_state(tx, &aside_rows_family) : NULL;
}

static void collected(struct tx *tx, const struct rows *rows)
{
    tx_wrote(tx);
    if (rows->count >= ROWS_FULL || rows->bytes.n > GROUP_BYTES)
        tx_full(tx);
}

/* --- job_aside --- */

/* What was put here is not written. */
static void aside_drop(struct aside_rows *rows, uint64_t id)
{
    size_t at;
    if (changes_find(&rows->asides, (int64_t)id, &at) == CHANGE_ADDED)
        changes_delete(&rows->asides, (int64_t)id);
}

bool aside_rows_put(struct tx *tx, const struct aside_row *row)
{
    struct aside_rows *rows = rows_of(tx);
    if (!rows)
        return false;
    aside_drop(rows, row->id);
    struct rows *added = changes_add(&rows->asides, (int64_t)row->id);
    rows_int(added, row->state);
    rows_int(added, row->at);
    rows_int(added, row->failures);
    rows_int(added, row->crashes);
    rows_int(added, row->crashed_us);
    rows_int(added, row->snoozes);
    rows_int(added, row->snoozed_us);
    rows_int(added, row->attempts);
    rows_int(added, row->late);
    rows_str(added, row->failure);
    collected(tx, added);
    return true;
}

bool aside_rows_delete(struct tx *tx, uint64_t id)
{
    struct aside_rows *rows = rows_of(tx);
    if (!rows)
        return false;
    aside_drop(rows, id);
    changes_delete(&rows->asides, (int64_t)id); /* the table may have one that was to be replaced */
    tx_wrote(tx);
    return true;
}

bool aside_rows_find(struct op *op, struct tx *tx, uint64_t id, struct aside_row *ret)
{
    size_t at;
    const struct aside_rows *rows = rows_of(tx);
    enum change_state state = rows ? changes_find(&rows->asides, (int64_t)id, &at) : CHANGE_NONE;
    *ret = (struct aside_row){ .id = id };
    if (state != CHANGE_ADDED)
        return state == CHANGE_GONE;
    const struct rows *added = &rows->asides.added;
    ret->state = (int)rows_int_at(added, at, 1);
    ret->at = rows_int_at(added, at, 2);
    ret->failures = rows_int_at(added, at, 3);
    ret->crashes = rows_int_at(added, at, 4);
    ret->crashed_us = rows_int_at(added, at, 5);
    ret->snoozes = rows_int_at(added, at, 6);
    ret->snoozed_us = rows_int_at(added, at, 7);
    ret->attempts = rows_int_at(added, at, 8);
    ret->late = rows_int_at(added, at, 9);
    struct str failure = rows_str_at(added, at, 10);
    if (str_given(failure))
        ret->failure = arena_str(op->arena, failure);
    return true;
}

/* --- attempt --- */

bool aside_rows_attempt_add(struct tx *tx, uint64_t id, const struct attempt_row *row)
{
    struct aside_rows *rows = rows_of(tx);
    if (!rows)
        return false;
    rows_begin(&rows->attempts);
    rows_int(&rows->attempts, (int64_t)id);
    rows_int(&rows->attempts, row->n);
    rows_int(&rows->attempts, row->outcome);
    rows_int(&rows->attempts, row->started_us);
    rows_int(&rows->attempts, row->ended_us);
    rows_str(&rows->attempts, row->worker);
    rows_str(&rows->attempts, row->errtype);
    rows_str(&rows->attempts, row->message);
    rows_str(&rows->attempts, row->backtrace);
    collected(tx, &rows->attempts);
    return true;
}

static enum err attempts_write(struct op *op, struct tx *tx, struct aside_rows *rows)
{
    TRY(rows_write(op, tx, &rows->attempts_gone, &attempt_rows_remove));
    return rows_write(op, tx, &rows->attempts, &attempt_rows_insert);
}

enum err aside_rows_attempts_delete(struct op *op, struct tx *tx, uint64_t id, bool *ret_taken)
{
    struct aside_rows *rows = rows_of(tx);
    *ret_taken = rows != NULL;
    if (!rows)
        return OK;
    if (rows->attempts.count > 0)
        TRY(attempts_write(op, tx, rows)); /* some may be the job's */
    rows_begin(&rows->attempts_gone);
    rows_int(&rows->attempts_gone, (int64_t)id);
    collected(tx, &rows->attempts_gone);
    return OK;
}

/* --- dead, timer --- */

/* False when the row was added here, and is no more; else its key is to follow in `gone`. */
static bool placed_leaves(struct tx *tx, struct placed *placed, uint64_t id)
{
    size_t at;
    bool is_written = changes_find(&placed->here, (int64_t)id, &at) != CHANGE_ADDED;
    if (is_written)
        rows_begin(&placed->gone);
    else
        changes_delete(&placed->here, (int64_t)id);
    tx_wrote(tx);
    return is_written;
}

static enum err placed_write(struct op *op, struct tx *tx, struct placed *placed, const struct sql *remove,
                             const struct sql *insert)
{
    TRY(rows_write(op, tx, &placed->gone, remove));
    return changes_write(op, tx, &placed->here, NULL, insert);
}

bool aside_rows_dead_add(struct tx *tx, const struct dead_row *row)
{
    struct aside_rows *rows = rows_of(tx);
    if (!rows)
        return false;
    struct rows *added = changes_add(&rows->dead.here, (int64_t)row->id);
    rows_int(added, row->at_us);
    rows_int(added, row->reason);
    collected(tx, added);
    return true;
}

bool aside_rows_dead_delete(struct tx *tx, int64_t at_us, uint64_t id)
{
    struct aside_rows *rows = rows_of(tx);
    if (rows && placed_leaves(tx, &rows->dead, id)) {
        rows_int(&rows->dead.gone, at_us);
        rows_int(&rows->dead.gone, (int64_t)id);
    }
    return rows != NULL;
}

bool aside_rows_timer_add(struct tx *tx, enum timer_kind kind, int64_t due_us, uint64_t id)
{
    struct aside_rows *rows = rows_of(tx);
    if (!rows)
        return false;
    struct rows *added = changes_add(&rows->timers.here, (int64_t)id);
    rows_int(added, kind);
    rows_int(added, due_us);
    collected(tx, added);
    return true;
}

bool aside_rows_timer_delete(struct tx *tx, enum timer_kind kind, int64_t due_us, uint64_t id)
{
    struct aside_rows *rows = rows_of(tx);
    if (rows && placed_leaves(tx, &rows->timers, id)) {
        rows_int(&rows->timers.gone, kind);
        rows_int(&rows->timers.gone, due_us);
        rows_int(&rows->timers.gone, (int64_t)id);
    }
    return rows != NULL;
}

/* --- the family --- */

static enum err rows_flush(struct op *op, struct tx *tx, void *state)
{
    struct aside_rows *rows = state;
    TRY(changes_write(op, tx, &rows->asides, &aside_rows_remove, &aside_rows_insert));
    TRY(placed_write(op, tx, &rows->timers, &timer_rows_remove, &timer_rows_insert));
    TRY(placed_write(op, tx, &rows->dead, &dead_rows_remove, &dead_rows_insert));
    return attempts_write(op, tx, rows);
}

enum err aside_rows_write(struct op *op, struct tx *tx)
{
    struct aside_rows *rows = rows_of(tx);
    return rows ? rows_flush(op, tx, rows) : OK;
}

enum err aside_rows_attempts_write(struct op *op, struct tx *tx)
{
    struct aside_rows *rows = rows_of(tx);
    return rows ? attempts_write(op, tx, rows) : OK;
}

static void placed_init(struct placed *placed, const char *types, const char *key_types)
{
    changes_init(&placed->here, types);
    rows_init(&placed->gone, key_types);
}

static void placed_done(struct placed *placed)
{
    changes_done(&placed->here);
    rows_done(&placed->gone);
}

static void placed_clear(struct placed *placed)
{
    changes_clear(&placed->here);
    rows_clear(&placed->gone);
}

static enum err rows_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)op;
    (void)tx;
    struct aside_rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        abort();
    changes_init(&rows->asides, "iiiiiiiiiit");
    placed_init(&rows->dead, "iii", "ii");
    placed_init(&rows->timers, "iii", "iii");
    rows_init(&rows->attempts, "iiiiitttt");
    rows_init(&rows->attempts_gone, "i");
    *ret_state = rows;
    return OK;
}

static void rows_close(void *state)
{
    struct aside_rows *rows = state;
    changes_done(&rows->asides);
    placed_done(&rows->dead);
    placed_done(&rows->timers);
    rows_done(&rows->attempts);
    rows_done(&rows->attempts_gone);
    free(rows);
}

static void rows_drop(void *state)
{
    struct aside_rows *rows = state;
    changes_clear(&rows->asides);
    placed_clear(&rows->dead);
    placed_clear(&rows->timers);
    rows_clear(&rows->attempts);
    rows_clear(&rows->attempts_gone);
}

const struct family aside_rows_family = {
    .name = "rows of jobs aside",
    .open = rows_open,
    .close = rows_close,
    .flush = rows_flush,
    .drop = rows_drop,
};
