#include "store/store_job.h"

#include <stdlib.h>
#include <string.h>

#include "store/ahead.h"
#include "store/families.h"
#include "store/job_rows.h"

const struct schema_step job_step = {
    "jobs",
    "CREATE TABLE job (id INTEGER PRIMARY KEY, jid TEXT NOT NULL, queue INTEGER NOT NULL, type TEXT NOT NULL,"
    " flags INTEGER NOT NULL, opts BLOB, body BLOB NOT NULL);"
    "CREATE UNIQUE INDEX job_jid ON job (jid);",
    "CREATE TABLE job (id BIGINT PRIMARY KEY, jid text COLLATE \"C\" NOT NULL, queue BIGINT NOT NULL, type text "
    "COLLATE \"C\" NOT NULL,"
    " flags BIGINT NOT NULL, opts BYTEA, body BYTEA NOT NULL);"
    "CREATE UNIQUE INDEX job_jid ON job (jid);",
};

#define JOB_COLUMNS "id, jid, queue, type, flags, opts, body"
#define COLUMNS     7
#define ROW         "(?, ?, ?, ?, ?, ?, ?)"
#define ROWS_4      ROW ", " ROW ", " ROW ", " ROW

SQL(job_insert, "INSERT INTO job (" JOB_COLUMNS ") VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO NOTHING", NULL);
SQL_MARKED(job_insert_together,
           "INSERT INTO job (" JOB_COLUMNS ") VALUES " ROWS_4 ", " ROWS_4 ", " ROWS_4 ", " ROWS_4
           " ON CONFLICT DO NOTHING",
           NULL, SQL_SQLITE | SQL_SCANS); /* scans the rows it is given */
SQL(job_by_id, "SELECT queue, flags, jid, type, opts, body FROM job WHERE id = ?1", NULL);
SQL(job_by_jid, "SELECT id FROM job WHERE jid = ?1", NULL);
SQL(job_is_there, "SELECT id FROM job WHERE id = ?1", NULL);
SQL_ONLY_POSTGRES(job_are_there, "SELECT id FROM job WHERE id = ANY (?1) ORDER BY id");
SQL(job_remove, "DELETE FROM job WHERE id = ?1", NULL);
SQL(job_behind, "SELECT id, queue, flags, jid, type, opts FROM job WHERE id > ?1 ORDER BY id LIMIT ?2", NULL);

SQL_ONLY_POSTGRES(jobs_ahead, /* what is large is read when it is asked for */
                  "SELECT id, queue, flags, jid, type, opts, body, 1 FROM job WHERE id = ANY (?1" PG_INTS ")"
                  " AND octet_length(body) <= 16384"
                  " UNION ALL SELECT id, 0, 0, jid, '', NULL, NULL, 0 FROM job WHERE jid = ANY (?2" PG_TEXTS ")");

SQL_ONLY_POSTGRES(jids_ask, "SELECT id, jid FROM job WHERE jid = ANY (?1" PG_TEXTS ")");

/* --- collected rows (job_rows.h) --- */

static enum err add_later(struct op *op, struct tx *tx, struct job_rows *rows, const struct job_row *row,
                          bool *ret_added)
{
    uint64_t old = 0;
    if (!str_is_utf8(row->jid) || !str_is_utf8(row->type) || memchr(row->jid.p, '\0', row->jid.n) ||
        memchr(row->type.p, '\0', row->type.n))
        return fail(op, ERR_INVALID, "jid and jobtype must be UTF-8 without NUL");
    if (!row->jid_is_new)
        TRY(store_job_find(op, tx, row->jid, &old));
    *ret_added = old == 0;
    if (old)
        return OK;
    job_rows_add(tx, rows, row);
    ahead_put(tx, ahead_text(tx, AHEAD_JID, 0, row->jid),
              (struct ahead_answer){ .count = 1, .value = { (int64_t)row->id } });
    return OK;
}

static void bind_row(struct stmt *stmt, int at, const struct job_row *row)
{
    bind_int(stmt, at, (int64_t)row->id);
    bind_str(stmt, at + 1, row->jid);
    bind_int(stmt, at + 2, row->queue_no);
    bind_str(stmt, at + 3, row->type);
    bind_int(stmt, at + 4, row->flags);
    if (str_given(row->opts))
        bind_blob(stmt, at + 5, row->opts.p, row->opts.n);
    else
        bind_null(stmt, at + 5);
    bind_blob(stmt, at + 6, row->body.p, row->body.n);
}

enum err store_job_add(struct op *op, struct tx *tx, const struct job_row *row, bool *ret_added)
{
    struct stmt *stmt;
    struct job_rows *rows = job_rows_of(tx);
    if (rows)
        return add_later(op, tx, rows, row, ret_added);
    TRY(tx_stmt(op, tx, &job_insert, &stmt));
    bind_row(stmt, 1, row);
    TRY(stmt_done(op, stmt));
    *ret_added = stmt_changes(stmt) == 1;
    return OK;
}

bool store_job_likes_together(struct tx *tx)
{
    return !tx_is_shared(tx); /* there the group collects them anyway */
}

enum err store_job_add_together(struct op *op, struct tx *tx, const struct job_row *const *rows, bool *ret_all)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &job_insert_together, &stmt));
    for (int i = 0; i < STORE_JOBS_TOGETHER; i++)
        bind_row(stmt, 1 + i * COLUMNS, rows[i]);
    TRY(stmt_done(op, stmt));
    *ret_all = stmt_changes(stmt) == STORE_JOBS_TOGETHER;
    return OK;
}

static enum err copied(struct op *op, struct str blob, struct str *ret)
{
    *ret = (struct str){ 0 };
    if (!blob.p)
        return OK;
    char *copy = arena_alloc_raw(op->arena, blob.n ? blob.n : 1);
    if (!copy)
        return fail(op, ERR_TOO_LARGE, "the jobs of one answer need more memory than it may have");
    memcpy(copy, blob.p, blob.n);
    *ret = (struct str){ copy, blob.n };
    return OK;
}

/* A row that is known, its texts in op's arena. */
static enum err get_known(struct op *op, struct job_row *row, struct job_row *ret)
{
    *ret = *row;
    ret->jid = arena_str(op->arena, row->jid);
    ret->type = arena_str(op->arena, row->type);
    TRY(copied(op, row->opts, &ret->opts));
    return copied(op, row->body, &ret->body);
}

enum err store_job_get(struct op *op, struct tx *tx, uint64_t id, struct job_row *ret, bool *ret_found)
{
    struct stmt *stmt;
    struct job_rows *rows = job_rows_of(tx);
    struct job_row known;
    bool gone = false;
    if (rows && job_rows_find(rows, id, &known, &gone)) {
        *ret_found = true;
        return get_known(op, &known, ret);
    }
    *ret_found = false;
    if (gone)
        return OK;
    TRY(tx_stmt(op, tx, &job_by_id, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    TRY(stmt_row(op, stmt, ret_found));
    if (!*ret_found)
        return OK;
    ret->id = id;
    ret->queue_no = (uint32_t)col_int(stmt, 0);
    ret->flags = (uint32_t)col_int(stmt, 1);
    ret->jid = col_str(op, stmt, 2);
    ret->type = col_str(op, stmt, 3);
    TRY(copied(op, col_blob_borrowed(stmt, 4), &ret->opts));
    TRY(copied(op, col_blob_borrowed(stmt, 5), &ret->body));
    stmt_reset(stmt);
    return OK;
}

enum err store_job_find(struct op *op, struct tx *tx, struct str jid, uint64_t *ret_id)
{
    struct stmt *stmt;
    struct ahead_answer answer;
    bool found;
    const struct job_rows *rows = job_rows_of(tx);
    if (rows && ahead_find(tx, ahead_text(tx, AHEAD_JID, 0, jid), &answer)) {
        *ret_id = answer.count ? (uint64_t)answer.value[0] : 0;
        if (*ret_id == 0 && job_rows_supposes(rows, tx))
            tx_wrote(tx); /* what is answered by it waits for the end of the group, which finds out */
        return OK;
    }
    TRY(tx_stmt(op, tx, &job_by_jid, &stmt));
    bind_str(stmt, 1, jid);
    TRY(stmt_row(op, stmt, &found));
    *ret_id = found ? (uint64_t)col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    return OK;
}

struct there {
    uint64_t *ids;
    size_t count;
};

static enum err note_there(struct op *op, struct stmt *stmt, void *arg)
{
    struct there *there = arg;
    (void)op;
    there->ids[there->count++] = (uint64_t)col_int(stmt, 0);
    return OK;
}

enum err store_job_there(struct op *op, struct tx *tx, const uint64_t *ids, size_t n, uint64_t *ret, size_t *ret_count)
{
    struct there there = { ret, 0 };
    TRY(job_rows_write(op, tx));
    TRY(stmt_each_of(op, tx, &job_is_there, &job_are_there, ids, n, note_there, &there));
    *ret_count = there.count;
    return OK;
}

enum err store_job_delete(struct op *op, struct tx *tx, uint64_t id, struct str jid)
{
    struct stmt *stmt;
    struct job_rows *rows = job_rows_of(tx);
    if (rows) {
        struct ahead_answer answer;
        bool is_known = ahead_find(tx, ahead_text(tx, AHEAD_JID, 0, jid), &answer);
        if (is_known && answer.count && (uint64_t)answer.value[0] != id && job_rows_supposes(rows, tx))
            return tx_supposed_wrongly(op, tx); /* one of the same jid was added, though this one was there */
        job_rows_delete(tx, rows, id);
        ahead_put(tx, ahead_text(tx, AHEAD_JID, 0, jid), (struct ahead_answer){ 0 });
        return OK;
    }
    TRY(tx_stmt(op, tx, &job_remove, &stmt));
    bind_int(stmt, 1, (int64_t)id);
    return stmt_done(op, stmt);
}

/* --- asked together --- */

/* What PostgreSQL can be asked for. */
static bool jid_is_text(struct str jid)
{
    return str_is_utf8(jid) && !memchr(jid.p, '\0', jid.n);
}

static enum err jids_send(struct op *op, struct tx *tx, const struct str *texts, size_t count)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &jids_ask, &stmt));
    bind_strs(stmt, 1, texts, count);
    return stmt_ask(op, stmt);
}

enum err store_job_ask(struct op *op, struct tx *tx, const struct str *jids, size_t count)
{
    const struct job_rows *rows = job_rows_of(tx);
    if (!rows || job_rows_supposes(rows, tx))
        return OK;
    struct str *texts = malloc((count + 1) * sizeof *texts);
    size_t n = 0;
    if (!texts)
        abort();
    for (size_t i = 0; i < count; i++)
        if (jid_is_text(jids[i]))
            texts[n++] = jids[i];
    enum err err = n > 0 ? jids_send(op, tx, texts, n) : OK;
    free(texts);
    return err;
}

/* A row with a jid that somebody asked for. */
static void jid_found(struct tx *tx, struct job_rows *rows, struct str jid, int64_t id)
{
    ahead_put(tx, ahead_text(tx, AHEAD_JID, 0, jid), (struct ahead_answer){ .count = 1, .value = { id } });
    job_rows_taken(rows);
}

/* What was asked with the turn, if it was: nobody has the others. */
static enum err jids_answered(struct op *op, struct tx *tx, struct job_rows *rows, const struct str *jids, size_t count)
{
    struct stmt *stmt;
    bool more = tx_answer(tx, &jids_ask, &stmt);
    for (size_t i = 0; more && i < count; i++)
        if (jid_is_text(jids[i]))
            ahead_put(tx, ahead_text(tx, AHEAD_JID, 0, jids[i]), (struct ahead_answer){ 0 });
    while (more) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            jid_found(tx, rows, col_str_borrowed(stmt, 1), col_int(stmt, 0));
    }
    return OK;
}

static void jids_suppose(struct tx *tx, struct job_rows *rows, const struct str *jids, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (jid_is_text(jids[i]))
            job_rows_suppose(tx, rows, jids[i]);
}

/* Jids of which nothing is known yet, each as if nobody had it until a row says otherwise. */
static size_t jids_unknown(struct tx *tx, const struct str *jids, size_t count, struct str *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct ahead_key key = ahead_text(tx, AHEAD_JID, 0, jids[i]);
        struct ahead_answer answer;
        if (!jid_is_text(jids[i]) || ahead_find(tx, key, &answer))
            continue;
        ahead_put(tx, key, (struct ahead_answer){ 0 });
        ret[n++] = jids[i];
    }
    return n;
}

static size_t ids_unknown(const struct job_rows *rows, const uint64_t *ids, size_t count, int64_t *ret)
{
    size_t n = 0;
    for (size_t i = 0; i < count; i++)
        if (!job_rows_kept(rows, ids[i]))
            ret[n++] = (int64_t)ids[i];
    return n;
}

static enum err read_ahead(struct op *op, struct tx *tx, struct job_rows *rows, struct stmt *stmt)
{
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        struct job_row row = {
            .id = (uint64_t)col_int(stmt, 0),
            .queue_no = (uint32_t)col_int(stmt, 1),
            .flags = (uint32_t)col_int(stmt, 2),
            .jid = col_str_borrowed(stmt, 3),
            .type = col_str_borrowed(stmt, 4),
            .opts = col_blob_borrowed(stmt, 5),
            .body = col_blob_borrowed(stmt, 6),
        };
        if (col_int(stmt, 7))
            job_rows_keep(rows, &row, true);
        else
            jid_found(tx, rows, row.jid, (int64_t)row.id);
    }
    return OK;
}

enum err store_job_ahead(struct op *op, struct tx *tx, const struct str *jids, size_t jid_count, const uint64_t *ids,
                         size_t id_count)
{
    struct job_rows *rows = job_rows_of(tx);
    struct stmt *stmt;
    if (!rows)
        return OK;
    if (job_rows_supposes(rows, tx))
        jids_suppose(tx, rows, jids, jid_count);
    TRY(jids_answered(op, tx, rows, jids, jid_count));
    struct str *unknown_jids = malloc((jid_count + 1) * sizeof *unknown_jids);
    int64_t *unknown_ids = malloc((id_count + 1) * sizeof *unknown_ids);
    if (!unknown_jids || !unknown_ids)
        abort();
    jid_count = jids_unknown(tx, jids, jid_count, unknown_jids);
    id_count = ids_unknown(rows, ids, id_count, unknown_ids);
    enum err err = OK;
    if (jid_count + id_count > 0)
        err = tx_stmt(op, tx, &jobs_ahead, &stmt);
    if (err == OK && jid_count + id_count > 0) {
        bind_ints(stmt, 1, unknown_ids, id_count);
        bind_strs(stmt, 2, unknown_jids, jid_count);
        err = read_ahead(op, tx, rows, stmt);
    }
    free(unknown_jids);
    free(unknown_ids);
    return err;
}

bool store_job_is_ahead(struct tx *tx, uint64_t id)
{
    const struct job_rows *rows = job_rows_of(tx);
    return !rows || job_rows_kept(rows, id);
}

void store_job_forget(struct tx *tx, uint64_t id)
{
    struct job_rows *rows = job_rows_of(tx);
    if (rows)
        job_rows_forget(rows, id);
}

enum err store_job_walk(struct op *op, struct tx *tx, uint64_t after, int max, struct job_row **ret, size_t *ret_count)
{
    struct job_row *rows;
    struct stmt *stmt;
    size_t n = 0;
    TRY(job_rows_write(op, tx));
    TRY(op_alloc(op, (size_t)max * sizeof *rows, &rows));
    TRY(tx_stmt(op, tx, &job_behind, &stmt));
    bind_int(stmt, 1, (int64_t)after);
    bind_int(stmt, 2, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        struct job_row *row = &rows[n++];
        row->id = (uint64_t)col_int(stmt, 0);
        row->queue_no = (uint32_t)col_int(stmt, 1);
        row->flags = (uint32_t)col_int(stmt, 2);
        row->jid = col_str(op, stmt, 3);
        row->type = col_str(op, stmt, 4);
        TRY(copied(op, col_blob_borrowed(stmt, 5), &row->opts));
    }
    *ret = rows;
    *ret_count = n;
    return OK;
}
