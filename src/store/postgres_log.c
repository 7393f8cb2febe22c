/*
 * postgres_log.c - old rows of group_log go, in slices.
 *
 * What is old is told by numbers: every few seconds the number of a group is
 * noted with the time, and once a note is ten minutes old everything up to it
 * may go. A look for old instants would read all that is younger, some hundred
 * thousand rows on a busy day; and a slice begins where the last one ended, or
 * it would walk over rows that are gone and, while somebody holds an old
 * snapshot, still there.
 */
#include <string.h>

#include "base/clock.h"
#include "store/postgres.h"

#define KEEP_GROUPS 1000 /* rows that stay however old */
#define KEEP_US     INT64_C(600000000)
#define NOTE_US     INT64_C(10000000)
#define CLEAR_EVERY 128 /* groups between two looks */
#define CLEAR_SLICE 500

SQL_ONLY_POSTGRES(group_oldest, "SELECT no FROM group_log ORDER BY no LIMIT 1");
SQL_ONLY_POSTGRES(group_clear, "DELETE FROM group_log WHERE no > ?1 AND no <= ?2");

/* Notes the group, and forgets notes that newer ones have taken the place of. */
static void note(struct pg_log *log, int64_t no, int64_t now_us)
{
    while (log->count > 1 && now_us - log->notes[1].at_us >= KEEP_US)
        memmove(log->notes, log->notes + 1, (size_t)--log->count * sizeof *log->notes);
    bool due = log->count == 0 || now_us - log->notes[log->count - 1].at_us >= NOTE_US;
    if (due && log->count < PG_NOTES)
        log->notes[log->count++] = (struct pg_note){ no, now_us };
}

/* The newest number that may go; 0 = none. */
static int64_t old_no(const struct pg_log *log, int64_t no, int64_t now_us)
{
    if (log->count == 0 || now_us - log->notes[0].at_us < KEEP_US)
        return 0;
    return log->notes[0].no < no - KEEP_GROUPS ? log->notes[0].no : no - KEEP_GROUPS;
}

/* Where the first slice of this link begins: others, or this node before a start, have cleared so far. */
static enum err log_begin(struct op *op, struct tx *tx, struct pg_log *log)
{
    struct stmt *stmt;
    bool found = false;
    TRY(tx_stmt(op, tx, &group_oldest, &stmt));
    TRY(stmt_row(op, stmt, &found));
    log->cleared = found ? col_int(stmt, 0) - 1 : 0;
    stmt_reset(stmt);
    log->begun = true;
    return OK;
}

enum err pg_log_clear(struct op *op, struct tx *tx, int64_t no)
{
    struct pg_conn *conn = pg_of(tx->conn);
    struct pg_log *log = &conn->log;
    struct stmt *stmt;
    log->clearing = 0;
    if (no % CLEAR_EVERY != 0)
        return OK;
    int64_t now_us = clock_mono_us(), upto;
    note(log, no, now_us);
    upto = old_no(log, no, now_us);
    if (upto > 0 && !log->begun)
        TRY(log_begin(op, tx, log));
    if (upto <= log->cleared)
        return OK;
    log->clearing = upto < log->cleared + CLEAR_SLICE ? upto : log->cleared + CLEAR_SLICE;
    TRY(tx_stmt(op, tx, &group_clear, &stmt));
    pg_bind_int(stmt, 1, log->cleared);
    pg_bind_int(stmt, 2, log->clearing);
    return pg_send(op, conn, pg_stmt_of(stmt));
}

void pg_log_cleared(struct pg_conn *conn)
{
    if (conn->log.clearing)
        conn->log.cleared = conn->log.clearing;
    conn->log.clearing = 0;
}
