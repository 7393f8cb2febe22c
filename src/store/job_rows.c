#include "store/job_rows.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/ahead.h"

#define KEPT_MAX       8192
#define KEPT_ROW_MAX   65536          /* bytes of a row worth keeping */
#define KEPT_BYTES_MAX (16u << 20)    /* of all */
#define GROUP_BYTES    (16u << 20)    /* of rows that wait: then the group ends */
#define SLOTS          (2 * KEPT_MAX) /* of the hash of kept rows */
#define TAKEN_GROUPS   64             /* that ask for jids after one that was taken */

extern const struct family job_rows_family;

/* A kept row with its texts behind it. */
struct kept {
    struct kept *next;          /* of its slot */
    struct kept *older, *newer; /* in order of keeping */
    size_t bytes;
    struct job_row row;
};

struct job_rows {
    struct changes jobs, leases, ready;
    struct rows ready_gone; /* queue, level, key, ord */
    struct kept **slots, *oldest, *newest;
    size_t kept, kept_bytes;
    bool keeps_new;       /* rows of the group under way are kept */
    struct rows supposed; /* jids that nobody was supposed to have */
    int asking;           /* groups to come that ask for theirs */
};

SQL_MARKED(job_rows_insert, NULL,
           "INSERT INTO job (id, jid, queue, type, flags, opts, body) SELECT * FROM unnest(?1" PG_INTS ", ?2" PG_TEXTS
           ", ?3" PG_INTS ", ?4" PG_TEXTS ", ?5" PG_INTS ", ?6" PG_BLOBS ", ?7" PG_BLOBS ")",
           SQL_POSTGRES | SQL_SUPPOSES);
SQL_MARKED(jids_supposed, NULL, /* divides by nothing when there is one */
           "SELECT 1 / (NOT EXISTS (SELECT FROM job WHERE jid = ANY (?1" PG_TEXTS ")))::int",
           SQL_POSTGRES | SQL_SUPPOSES);
SQL_ONLY_POSTGRES(job_rows_remove, "DELETE FROM job WHERE id = ANY (?1" PG_INTS ")");
SQL_ONLY_POSTGRES(
    lease_rows_insert,
    "INSERT INTO lease (id, number, session, epoch, started_us, until_us, hard_us, ord, attempt, node, worker)"
    " SELECT * FROM unnest(?1" PG_INTS ", ?2" PG_INTS ", ?3" PG_INTS ", ?4" PG_INTS ", ?5" PG_INTS ", ?6" PG_INTS
    ", ?7" PG_INTS ", ?8" PG_INTS ", ?9" PG_INTS ", ?10" PG_INTS ", ?11" PG_TEXTS ")");
SQL_ONLY_POSTGRES(lease_rows_remove, "DELETE FROM lease WHERE id = ANY (?1" PG_INTS ")");
SQL_ONLY_POSTGRES(ready_rows_insert, "INSERT INTO ready (ord, queue, level, key, job) SELECT * FROM unnest(?1" PG_INTS
                                     ", ?2" PG_INTS ", ?3" PG_INTS ", ?4" PG_INTS ", ?5" PG_INTS ")");
SQL_ONLY_POSTGRES(
    ready_rows_remove, /* the range, or a plan made while there was one page reads the lane from its start */
    "DELETE FROM ready WHERE queue = ?1 AND level = ?2 AND key = ?3 AND ord = ANY (?4" PG_INTS ")"
    " AND ord >= ?5 AND ord <= ?6");

/* --- rows that are kept --- */

static struct kept **slot_of(const struct job_rows *rows, uint64_t id)
{
    return &rows->slots[(size_t)(id * 0x9E3779B97F4A7C15u >> 20) & (SLOTS - 1)];
}

static struct kept *kept_find(const struct job_rows *rows, uint64_t id)
{
    struct kept *kept = *slot_of(rows, id);
    while (kept && kept->row.id != id)
        kept = kept->next;
    return kept;
}

static void kept_drop(struct job_rows *rows, struct kept *kept)
{
    struct kept **link = slot_of(rows, kept->row.id);
    while (*link != kept)
        link = &(*link)->next;
    *link = kept->next;
    *(kept->older ? &kept->older->newer : &rows->oldest) = kept->newer;
    *(kept->newer ? &kept->newer->older : &rows->newest) = kept->older;
    rows->kept--;
    rows->kept_bytes -= kept->bytes;
    free(kept);
}

static void kept_clear(struct job_rows *rows)
{
    for (struct kept *kept = rows->oldest, *newer; kept; kept = newer) {
        newer = kept->newer;
        free(kept);
    }
    memset(rows->slots, 0, sizeof *rows->slots * SLOTS);
    rows->oldest = rows->newest = NULL;
    rows->kept = 0;
    rows->kept_bytes = 0;
}

static struct str tail_str(char **tail, struct str text)
{
    struct str copy = { *tail, text.n };
    if (!text.p)
        return text;
    memcpy(*tail, text.p, text.n);
    *tail += text.n;
    return copy;
}

void job_rows_keep(struct job_rows *rows, const struct job_row *row, bool old)
{
    size_t bytes = row->jid.n + row->type.n + row->opts.n + row->body.n;
    job_rows_forget(rows, row->id);
    if (bytes > KEPT_ROW_MAX)
        return;
    if (!old && (rows->kept >= KEPT_MAX / 2 || rows->kept_bytes + bytes > KEPT_BYTES_MAX / 2))
        return; /* the newest are wanted last */
    while (rows->kept == KEPT_MAX || rows->kept_bytes + bytes > KEPT_BYTES_MAX)
        kept_drop(rows, rows->oldest);
    struct kept *kept = malloc(sizeof *kept + bytes);
    if (!kept)
        abort();
    char *tail = (char *)(kept + 1);
    struct kept **slot = slot_of(rows, row->id);
    *kept = (struct kept){ .next = *slot, .older = rows->newest, .bytes = bytes, .row = *row };
    kept->row.jid = tail_str(&tail, row->jid);
    kept->row.type = tail_str(&tail, row->type);
    kept->row.opts = tail_str(&tail, row->opts);
    kept->row.body = tail_str(&tail, row->body);
    *slot = kept;
    *(rows->newest ? &rows->newest->newer : &rows->oldest) = kept;
    rows->newest = kept;
    rows->kept++;
    rows->kept_bytes += bytes;
}

bool job_rows_kept(const struct job_rows *rows, uint64_t id)
{
    size_t row;
    return kept_find(rows, id) || changes_find(&rows->jobs, (int64_t)id, &row) != CHANGE_NONE;
}

void job_rows_forget(struct job_rows *rows, uint64_t id)
{
    struct kept *kept = kept_find(rows, id);
    if (kept)
        kept_drop(rows, kept);
}

/* --- jids that were not asked for --- */

bool job_rows_supposes(const struct job_rows *rows, const struct tx *tx)
{
    return tx_supposes(tx) && rows->asking == 0;
}

void job_rows_suppose(struct tx *tx, struct job_rows *rows, struct str jid)
{
    struct ahead_key key = ahead_text(tx, AHEAD_JID, 0, jid);
    struct ahead_answer answer;
    if (ahead_find(tx, key, &answer))
        return;
    ahead_put(tx, key, (struct ahead_answer){ 0 });
    rows_begin(&rows->supposed);
    rows_str(&rows->supposed, jid);
}

void job_rows_taken(struct job_rows *rows)
{
    rows->asking = TAKEN_GROUPS;
}

/* Of those whose row is inserted the index says it. */
static enum err supposed_check(struct op *op, struct tx *tx, struct job_rows *rows)
{
    struct stmt *stmt;
    size_t n = 0;
    if (rows->supposed.count == 0)
        return OK;
    struct str *jids = calloc(rows->supposed.count, sizeof *jids);
    if (!jids)
        abort();
    for (size_t i = 0; i < rows->supposed.count; i++) {
        struct str jid = rows_str_at(&rows->supposed, i, 0);
        struct ahead_answer answer;
        if (!ahead_find(tx, ahead_text(tx, AHEAD_JID, 0, jid), &answer) || answer.count == 0)
            jids[n++] = jid;
    }
    enum err err = n > 0 ? tx_stmt(op, tx, &jids_supposed, &stmt) : OK;
    if (err == OK && n > 0) {
        bind_strs(stmt, 1, jids, n);
        err = stmt_later(op, stmt);
    }
    free(jids);
    rows_clear(&rows->supposed);
    return err;
}

/* --- what a group changes --- */

static void full_check(struct tx *tx, const struct changes *changes)
{
    if (changes->added.count >= ROWS_FULL || changes->added.bytes.n > GROUP_BYTES)
        tx_full(tx);
}

void job_rows_add(struct tx *tx, struct job_rows *rows, const struct job_row *row)
{
    struct rows *added = changes_add(&rows->jobs, (int64_t)row->id);
    rows_str(added, row->jid);
    rows_int(added, row->queue_no);
    rows_str(added, row->type);
    rows_int(added, row->flags);
    rows_str(added, row->opts);
    rows_str(added, row->body.p ? row->body : S(""));
    job_rows_keep(rows, row, false);
    rows->keeps_new = true;
    tx_wrote(tx);
    full_check(tx, &rows->jobs);
}

void job_rows_delete(struct tx *tx, struct job_rows *rows, uint64_t id)
{
    changes_delete(&rows->jobs, (int64_t)id);
    job_rows_forget(rows, id);
    tx_wrote(tx);
}

bool job_rows_find(struct job_rows *rows, uint64_t id, struct job_row *ret, bool *ret_gone)
{
    const struct rows *added = &rows->jobs.added;
    size_t at;
    enum change_state state = changes_find(&rows->jobs, (int64_t)id, &at);
    const struct kept *kept = state == CHANGE_GONE ? NULL : kept_find(rows, id);
    *ret_gone = state == CHANGE_GONE;
    if (kept) {
        *ret = kept->row;
    } else if (state == CHANGE_ADDED) {
        *ret = (struct job_row){
            .id = id,
            .jid = rows_str_at(added, at, 1),
            .queue_no = (uint32_t)rows_int_at(added, at, 2),
            .type = rows_str_at(added, at, 3),
            .flags = (uint32_t)rows_int_at(added, at, 4),
            .opts = rows_str_at(added, at, 5),
            .body = rows_str_at(added, at, 6),
        };
    }
    return kept || state == CHANGE_ADDED;
}

void job_rows_ready_add(struct tx *tx, struct job_rows *rows, const struct ready_row *row)
{
    struct rows *added = changes_add(&rows->ready, (int64_t)row->ord);
    rows_int(added, row->queue_no);
    rows_int(added, row->level);
    rows_int(added, (int64_t)row->key);
    rows_int(added, (int64_t)row->job);
    tx_wrote(tx);
    full_check(tx, &rows->ready);
}

void job_rows_ready_delete(struct tx *tx, struct job_rows *rows, const struct ready_row *row)
{
    size_t at;
    bool written = changes_find(&rows->ready, (int64_t)row->ord, &at) == CHANGE_NONE;
    changes_delete(&rows->ready, (int64_t)row->ord);
    tx_wrote(tx);
    if (!written)
        return;
    rows_begin(&rows->ready_gone);
    rows_int(&rows->ready_gone, row->queue_no);
    rows_int(&rows->ready_gone, row->level);
    rows_int(&rows->ready_gone, (int64_t)row->key);
    rows_int(&rows->ready_gone, (int64_t)row->ord);
}

void job_rows_lease_add(struct tx *tx, struct job_rows *rows, const struct lease_row *row)
{
    struct rows *added = changes_add(&rows->leases, (int64_t)row->id);
    rows_int(added, (int64_t)row->number);
    rows_int(added, row->session_no);
    rows_int(added, row->session_epoch);
    rows_int(added, row->started_us);
    rows_int(added, row->until_us);
    rows_int(added, row->hard_us);
    rows_int(added, (int64_t)row->ord);
    rows_int(added, row->attempt);
    rows_int(added, (int64_t)row->node);
    rows_str(added, row->worker);
    tx_wrote(tx);
    full_check(tx, &rows->leases);
}

void job_rows_lease_delete(struct tx *tx, struct job_rows *rows, uint64_t id)
{
    changes_delete(&rows->leases, (int64_t)id);
    tx_wrote(tx);
}

/* --- writing --- */

static int by_lane(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    for (int i = 0; i < 4; i++)
        if (x[i] != y[i])
            return x[i] < y[i] ? -1 : 1;
    return 0;
}

/* One lane's rows by one statement, whose plan can only be the index. */
static enum err lane_remove(struct op *op, struct tx *tx, const int64_t (*gone)[4], size_t count, int64_t *ords)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &ready_rows_remove, &stmt));
    for (int i = 0; i < 3; i++)
        bind_int(stmt, i + 1, gone[0][i]);
    for (size_t i = 0; i < count; i++)
        ords[i] = gone[i][3];
    bind_ints(stmt, 4, ords, count);
    bind_int(stmt, 5, ords[0]);
    bind_int(stmt, 6, ords[count - 1]);
    return stmt_later(op, stmt);
}

static enum err lanes_remove_all(struct op *op, struct tx *tx, int64_t (*gone)[4], size_t count, int64_t *ords)
{
    for (size_t i = 0, n; i < count; i += n) {
        for (n = 1; i + n < count && memcmp(gone[i], gone[i + n], 3 * sizeof gone[0][0]) == 0;)
            n++;
        TRY(lane_remove(op, tx, (const int64_t(*)[4])gone + i, n, ords));
    }
    return OK;
}

static enum err ready_remove_gone(struct op *op, struct tx *tx, struct job_rows *rows)
{
    size_t count = rows->ready_gone.count;
    if (count == 0)
        return OK;
    int64_t(*gone)[4] = malloc(count * sizeof *gone), *ords = malloc(count * sizeof *ords);
    if (!gone || !ords)
        abort();
    for (size_t i = 0; i < count; i++)
        for (int column = 0; column < 4; column++)
            gone[i][column] = rows_int_at(&rows->ready_gone, i, column);
    qsort(gone, count, sizeof *gone, by_lane);
    enum err err = lanes_remove_all(op, tx, gone, count, ords);
    free(gone);
    free(ords);
    rows_clear(&rows->ready_gone);
    return err;
}

static enum err rows_flush(struct op *op, struct tx *tx, void *state)
{
    struct job_rows *rows = state;
    TRY(changes_write(op, tx, &rows->jobs, &job_rows_remove, &job_rows_insert));
    TRY(supposed_check(op, tx, rows));
    TRY(ready_remove_gone(op, tx, rows));
    TRY(changes_write(op, tx, &rows->ready, NULL, &ready_rows_insert));
    return changes_write(op, tx, &rows->leases, &lease_rows_remove, &lease_rows_insert);
}

enum err job_rows_write(struct op *op, struct tx *tx)
{
    struct job_rows *rows = job_rows_of(tx);
    return rows ? rows_flush(op, tx, rows) : OK;
}

/* --- the family --- */

static enum err rows_open(struct op *op, struct tx *tx, void **ret_state)
{
    (void)op;
    (void)tx;
    struct job_rows *rows = calloc(1, sizeof *rows);
    if (!rows)
        abort();
    changes_init(&rows->jobs, "ititibb");
    changes_init(&rows->leases, "iiiiiiiiiit");
    changes_init(&rows->ready, "iiiii");
    rows_init(&rows->ready_gone, "iiii");
    rows_init(&rows->supposed, "t");
    rows->slots = calloc(SLOTS, sizeof(struct kept *));
    if (!rows->slots)
        abort();
    *ret_state = rows;
    return OK;
}

static void rows_close(void *state)
{
    struct job_rows *rows = state;
    kept_clear(rows);
    changes_done(&rows->jobs);
    changes_done(&rows->leases);
    changes_done(&rows->ready);
    rows_done(&rows->ready_gone);
    rows_done(&rows->supposed);
    free(rows->slots);
    free(rows);
}

static void rows_kept(void *state)
{
    struct job_rows *rows = state;
    rows->keeps_new = false;
    rows->asking -= rows->asking > 0;
    rows_clear(&rows->supposed);
}

/* Numbers of a lost group are given again: nothing that was kept by it may stay. */
static void rows_drop(void *state)
{
    struct job_rows *rows = state;
    changes_clear(&rows->jobs);
    changes_clear(&rows->leases);
    changes_clear(&rows->ready);
    rows_clear(&rows->ready_gone);
    rows_clear(&rows->supposed);
    if (rows->keeps_new)
        kept_clear(rows);
    rows->keeps_new = false;
}

/* What others replaced is told by the engine, which hears of it (store_job_forget). */
static enum err rows_foreign(struct op *op, struct tx *tx, void *state)
{
    (void)op;
    (void)tx;
    (void)state;
    return OK;
}

const struct family job_rows_family = {
    .name = "rows of jobs",
    .open = rows_open,
    .close = rows_close,
    .flush = rows_flush,
    .kept = rows_kept,
    .drop = rows_drop,
    .foreign = rows_foreign,
};

struct job_rows *job_rows_of(struct tx *tx)
{
    return tx_may_write(tx) && tx_is_shared(tx) ? tx_state(tx, &job_rows_family) : NULL;
}
