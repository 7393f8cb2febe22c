#include "store/seq.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "store/db.h"

extern const struct schema_step seq_step;
extern const struct family seq_family;

/* All sequences are one row of one page, because a group takes from several. */
const struct schema_step seq_step = {
    "seq",
    "CREATE TABLE seq (no INTEGER PRIMARY KEY, newest BLOB NOT NULL);"
    "INSERT INTO seq (no, newest) VALUES (1, zeroblob(512));",
    "", /* they travel in the row every group leaves */
};

SQL_ONLY_SQLITE(seq_get, "SELECT newest FROM seq WHERE no = 1");
SQL_ONLY_SQLITE(seq_put, "UPDATE seq SET newest = ?1 WHERE no = 1");

struct seqs {
    uint64_t newest[SEQS_MAX]; /* little-endian in the row, as in memory */
    uint64_t durable[SEQS_MAX];
    bool changed;
};

/* Takes the newest numbers from bytes; none at all before the first group of a database. */
static enum err seqs_take(struct op *op, struct seqs *seqs, struct str bytes)
{
    if (bytes.n != sizeof seqs->newest)
        return fail(op, ERR_IO, "the row of sequences is damaged");
    memcpy(seqs->newest, bytes.p, bytes.n);
    memcpy(seqs->durable, bytes.p, bytes.n);
    return OK;
}

static enum err seqs_read(struct op *op, struct tx *tx, struct seqs *seqs)
{
    struct stmt *stmt;
    bool found;
    if (tx_is_shared(tx))
        return str_given(tx_seqs(tx)) ? seqs_take(op, seqs, tx_seqs(tx)) : OK;
    TRY(tx_stmt(op, tx, &seq_get, &stmt));
    TRY(stmt_row(op, stmt, &found));
    enum err err = seqs_take(op, seqs, found ? col_blob_borrowed(stmt, 0) : (struct str){ NULL, 0 });
    stmt_reset(stmt);
    return err;
}

static enum err seq_open(struct op *op, struct tx *tx, void **ret_state)
{
    struct seqs *seqs = calloc(1, sizeof *seqs);
    if (!seqs)
        abort();
    enum err err = seqs_read(op, tx, seqs);
    if (err != OK)
        free(seqs);
    else
        *ret_state = seqs;
    return err;
}

static enum err seq_foreign(struct op *op, struct tx *tx, void *state)
{
    return seqs_read(op, tx, state);
}

static enum err seq_flush(struct op *op, struct tx *tx, void *state)
{
    struct seqs *seqs = state;
    struct stmt *stmt;
    if (tx_is_shared(tx))
        tx_seqs_put(tx, (struct str){ (const char *)seqs->newest, sizeof seqs->newest });
    if (tx_is_shared(tx) || !seqs->changed)
        return OK;
    TRY(tx_stmt(op, tx, &seq_put, &stmt));
    bind_blob(stmt, 1, seqs->newest, sizeof seqs->newest);
    return stmt_done(op, stmt);
}

static void seq_kept(void *state)
{
    struct seqs *seqs = state;
    if (seqs->changed)
        memcpy(seqs->durable, seqs->newest, sizeof seqs->newest);
    seqs->changed = false;
}

static void seq_drop(void *state)
{
    struct seqs *seqs = state;
    if (seqs->changed)
        memcpy(seqs->newest, seqs->durable, sizeof seqs->newest);
    seqs->changed = false;
}

const struct family seq_family = {
    .name = "seq",
    .open = seq_open,
    .close = free,
    .flush = seq_flush,
    .kept = seq_kept,
    .drop = seq_drop,
    .foreign = seq_foreign,
};

uint64_t store_seq_take(struct tx *tx, enum seq seq, uint64_t n)
{
    struct seqs *seqs = tx_state(tx, &seq_family);
    assert(tx_may_write(tx) && seq < SEQS_MAX);
    uint64_t first = seqs->newest[seq] + 1;
    seqs->newest[seq] += n;
    seqs->changed = true;
    return first;
}

uint64_t store_seq_next(struct tx *tx, enum seq seq)
{
    return store_seq_take(tx, seq, 1);
}

void store_seq_reach(struct tx *tx, enum seq seq, uint64_t value)
{
    struct seqs *seqs = tx_state(tx, &seq_family);
    assert(tx_may_write(tx) && seq < SEQS_MAX);
    if (value <= seqs->newest[seq])
        return;
    seqs->newest[seq] = value;
    seqs->changed = true;
}

uint64_t store_seq_newest(struct tx *tx, enum seq seq)
{
    struct seqs *seqs = tx_state(tx, &seq_family);
    assert(tx_may_write(tx) && seq < SEQS_MAX);
    return seqs->newest[seq];
}

/* This family is the last of the list: its numbers are still those of before when others ask. */
bool store_seq_moved(struct tx *tx, enum seq seq)
{
    const struct seqs *seqs = tx_state(tx, &seq_family);
    struct str newest = tx_seqs(tx);
    assert(tx_may_write(tx) && seq < SEQS_MAX);
    uint64_t theirs;
    if (newest.n != sizeof seqs->newest)
        return true;
    memcpy(&theirs, newest.p + seq * sizeof theirs, sizeof theirs);
    return theirs != seqs->newest[seq];
}
