#include "store/store_audit.h"

#include <assert.h>

#include "store/families.h"
#include "store/postgres_table.h"
#include "store/seq.h"

const struct schema_step audit_step = {
    "audit",
    "CREATE TABLE audit (no INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, who TEXT NOT NULL, action TEXT NOT NULL,"
    " subject TEXT NOT NULL, detail TEXT);",
    "CREATE TABLE audit (no bigint PRIMARY KEY, at_ms bigint NOT NULL, who " PG_TEXT " NOT NULL,"
    " action " PG_TEXT " NOT NULL, subject " PG_TEXT " NOT NULL, detail " PG_TEXT ")" PG_GROWS ";",
};

SQL(audit_insert, "INSERT INTO audit (no, at_ms, who, action, subject, detail) VALUES (?1, ?2, ?3, ?4, ?5, ?6)", NULL);
SQL(audit_page, "SELECT no, at_ms, who, action, subject, detail FROM audit WHERE no < ?1 ORDER BY no DESC LIMIT ?2",
    NULL);
/* Numbers grow with time, so the oldest entries are the first. */
SQL_SCAN(audit_oldest, "SELECT no, at_ms FROM audit ORDER BY no LIMIT ?1", NULL);
SQL(audit_delete, "DELETE FROM audit WHERE no <= ?1", NULL);

enum err store_audit_add(struct op *op, struct tx *tx, struct str who, struct str action, struct str subject,
                         struct str detail)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &audit_insert, &stmt));
    bind_int(stmt, 1, (int64_t)store_seq_next(tx, SEQ_AUDIT));
    bind_int(stmt, 2, op_now_ms(op));
    bind_str(stmt, 3, who);
    bind_str(stmt, 4, action);
    bind_str(stmt, 5, subject);
    bind_str(stmt, 6, str_given(detail) ? str_clip(detail, AUDIT_DETAIL_BYTES_MAX) : detail);
    return stmt_later(op, stmt);
}

enum err store_audit_list(struct op *op, struct tx *tx, uint64_t before_no, int max, struct audit **ret_entries,
                          int *ret_count)
{
    assert(max >= 1 && max <= AUDIT_LIST_MAX);
    struct audit *entries;
    struct stmt *stmt;
    int n = 0;
    TRY(op_alloc(op, (size_t)max * sizeof *entries, &entries));
    TRY(tx_stmt(op, tx, &audit_page, &stmt));
    bind_int(stmt, 1, before_no ? (int64_t)before_no : INT64_MAX);
    bind_int(stmt, 2, max);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (!more)
            break;
        entries[n++] = (struct audit){
            .no = (uint64_t)col_int(stmt, 0),
            .at_ms = col_int(stmt, 1),
            .who = col_str(op, stmt, 2),
            .action = col_str(op, stmt, 3),
            .subject = col_str(op, stmt, 4),
            .detail = col_str(op, stmt, 5),
        };
    }
    *ret_entries = entries;
    *ret_count = n;
    return OK;
}

enum err store_audit_has_older(struct op *op, struct tx *tx, int64_t before_us, bool *ret)
{
    return stmt_has_older(op, tx, &audit_oldest, before_us / 1000, ret);
}

enum err store_audit_expire(struct op *op, struct tx *tx, int64_t before_us, int max_rows, int *ret_gone)
{
    struct stmt *stmt;
    int64_t last = 0;
    bool more = true, young = false;
    TRY(tx_stmt(op, tx, &audit_oldest, &stmt));
    bind_int(stmt, 1, max_rows);
    while (more && !young) {
        TRY(stmt_row(op, stmt, &more));
        young = more && col_int(stmt, 1) >= before_us / 1000;
        if (more && !young)
            last = col_int(stmt, 0);
    }
    stmt_reset(stmt);
    TRY(tx_stmt(op, tx, &audit_delete, &stmt));
    bind_int(stmt, 1, last);
    TRY(stmt_done(op, stmt));
    *ret_gone = (int)stmt_changes(stmt);
    return OK;
}
