#include "store/store_source_leases.h"

#include "store/source_delta.h"

SQL(source_leases,
    "SELECT s.no, s.id, l.lease_node, l.lease_until_us FROM source s LEFT JOIN lane l ON l.source_no = s.no AND l.lane "
    "= 0"
    " WHERE s.no > ?1 ORDER BY s.no LIMIT ?2",
    "SELECT s.no, s.id, l.lease_node, l.lease_until_us FROM source s LEFT JOIN LATERAL (SELECT lease_node,"
    " lease_until_us FROM ((SELECT no, lease_node, lease_until_us FROM lane_delta WHERE source_no = s.no AND lane = "
    "0" DELTA_NEWEST ") UNION ALL (SELECT 0, lease_node, lease_until_us FROM lane WHERE source_no = s.no AND lane = 0))"
    " AS both_ ORDER BY no DESC LIMIT 1) AS l ON true WHERE s.no > ?1 ORDER BY s.no LIMIT ?2");

enum err store_source_leases(struct op *op, struct tx *tx, uint32_t after, int limit, struct source_lease **ret,
                             size_t *ret_count)
{
    struct source_lease *leases;
    struct stmt *stmt;
    size_t n = 0;
    TRY(op_alloc(op, (size_t)limit * sizeof *leases, &leases));
    TRY(tx_stmt(op, tx, &source_leases, &stmt));
    bind_int(stmt, 1, after);
    bind_int(stmt, 2, limit);
    for (bool more = true; more;) {
        TRY(stmt_row(op, stmt, &more));
        if (more)
            leases[n++] = (struct source_lease){ (uint32_t)col_int(stmt, 0), col_str(op, stmt, 1), col_str(op, stmt, 2),
                                                 col_int(stmt, 3) };
    }
    *ret = leases;
    *ret_count = n;
    return OK;
}
