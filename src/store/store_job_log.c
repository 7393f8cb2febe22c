#include "store/store_job_log.h"

#include "store/families.h"
#include "store/postgres_table.h"

#define ASKED      64 /* rows that come with the turn; who missed more asks for the rest */
#define ASKED_TEXT "64"

/* Rows of jobs under way pass within seconds (PG-2). */
#define PASSES                                                                                                         \
    " SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0,"  \
    " autovacuum_vacuum_insert_threshold = -1, vacuum_truncate = off);"

const struct schema_step job_log_step = {
    "log of jobs",
    "",
    "CREATE TABLE job_log (no bigint PRIMARY KEY, at_us bigint NOT NULL, counts bytea NOT NULL,"
    " changes bytea NOT NULL)" PG_PASSES_LARGE ";" PG_EXTERNAL("job_log", "counts")
        PG_EXTERNAL("job_log", "changes") "ALTER TABLE job" PASSES "ALTER TABLE ready" PASSES "ALTER TABLE lease" PASSES
                                          "ALTER TABLE timer" PASSES "ALTER TABLE blocked" PASSES
                                          "ALTER TABLE job_aside" PASSES "ALTER TABLE uniq" PASSES
                                          "ALTER TABLE gate" PASSES "ALTER TABLE queue_count" PASSES,
    "they tell nobody what they do with jobs",
};

SQL_ONLY_POSTGRES(job_log_insert, "INSERT INTO job_log (no, at_us, counts, changes) VALUES (?1, ?2, ?3, ?4)");
SQL_MARKED(job_log_behind, NULL, "SELECT no, at_us, counts, changes FROM job_log WHERE no > ?1 ORDER BY no",
           SQL_POSTGRES | SQL_WALKS);
SQL_ONLY_POSTGRES(job_log_next,
                  "SELECT no, at_us, counts, changes FROM job_log WHERE no > ?1 ORDER BY no LIMIT " ASKED_TEXT);
SQL_MARKED(job_log_counts, NULL, "SELECT counts FROM job_log ORDER BY no", SQL_POSTGRES | SQL_SCANS | SQL_WALKS);
SQL_ONLY_POSTGRES(job_log_newest, "SELECT no FROM job_log ORDER BY no DESC LIMIT 1");
SQL_ONLY_POSTGRES(job_log_remove, "DELETE FROM job_log WHERE no > ?1 AND no <= ?2");

enum err store_job_log_add(struct op *op, struct tx *tx, const struct job_log_row *row)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &job_log_insert, &stmt));
    bind_int(stmt, 1, (int64_t)row->no);
    bind_int(stmt, 2, row->at_us);
    bind_blob(stmt, 3, row->counts.p, row->counts.n);
    bind_blob(stmt, 4, row->changes.p, row->changes.n);
    return stmt_later(op, stmt);
}

enum err store_job_log_ask(struct op *op, struct tx *tx, uint64_t after)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &job_log_next, &stmt));
    bind_int(stmt, 1, (int64_t)after);
    return stmt_ask(op, stmt);
}

/* The rows of one statement; counts them, and says the number of the last. */
static enum err rows_each(struct op *op, struct stmt *stmt, enum err (*fn)(void *arg, const struct job_log_row *row),
                          void *arg, uint64_t *last, int *ret_count)
{
    *ret_count = 0;
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        struct job_log_row row = {
            .no = (uint64_t)col_int(stmt, 0),
            .at_us = col_int(stmt, 1),
            .counts = col_blob_borrowed(stmt, 2),
            .changes = col_blob_borrowed(stmt, 3),
        };
        TRY(fn(arg, &row));
        *last = row.no;
        ++*ret_count;
    }
    return OK;
}

enum err store_job_log_each(struct op *op, struct tx *tx, uint64_t after,
                            enum err (*fn)(void *arg, const struct job_log_row *row), void *arg)
{
    struct stmt *stmt;
    int count = ASKED;
    if (tx_answer(tx, &job_log_next, &stmt))
        TRY(rows_each(op, stmt, fn, arg, &after, &count));
    if (count < ASKED)
        return OK;
    TRY(tx_stmt(op, tx, &job_log_behind, &stmt));
    bind_int(stmt, 1, (int64_t)after);
    return rows_each(op, stmt, fn, arg, &after, &count);
}

enum err store_job_log_counts(struct op *op, struct tx *tx, void (*fn)(void *arg, struct str counts), void *arg)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &job_log_counts, &stmt));
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            fn(arg, col_blob_borrowed(stmt, 0));
    }
    return OK;
}

enum err store_job_log_newest(struct op *op, struct tx *tx, uint64_t *ret_no)
{
    struct stmt *stmt;
    bool found;
    *ret_no = 0;
    if (!tx_is_shared(tx))
        return OK;
    TRY(tx_stmt(op, tx, &job_log_newest, &stmt));
    TRY(stmt_row(op, stmt, &found));
    if (found)
        *ret_no = (uint64_t)col_int(stmt, 0);
    stmt_reset(stmt);
    return OK;
}

enum err store_job_log_clear(struct op *op, struct tx *tx, uint64_t after, uint64_t upto)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &job_log_remove, &stmt));
    bind_int(stmt, 1, (int64_t)after);
    bind_int(stmt, 2, (int64_t)upto);
    return stmt_later(op, stmt);
}
