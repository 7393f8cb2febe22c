#include "store/sizes.h"

#include "store/db.h"

SQL_MARKED(tables_by_size, NULL,
           "SELECT relname::text, pg_total_relation_size(oid) FROM pg_class WHERE relkind = 'r'"
           " AND relnamespace = to_regnamespace('posthouse') ORDER BY 2 DESC, 1 LIMIT ?1",
           SQL_POSTGRES | SQL_SCANS);

enum err store_sizes(struct op *op, struct tx *tx, struct store_size *ret, size_t max, size_t *ret_count)
{
    struct stmt *stmt;
    TRY(tx_stmt(op, tx, &tables_by_size, &stmt));
    bind_int(stmt, 1, (int64_t)max);
    *ret_count = 0;
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            ret[(*ret_count)++] = (struct store_size){ col_str(op, stmt, 0), col_int(stmt, 1) };
    }
    return OK;
}
