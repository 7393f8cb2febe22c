#include "store/source_delta.h"

#include "store/families.h"
#include "store/postgres_table.h"
#include "store/seq.h"

const struct schema_step source_delta_step = {
    "states of sources that wait to be folded",
    "",
    "CREATE TABLE lane_delta (no bigint PRIMARY KEY, source_no bigint NOT NULL, lane bigint NOT NULL,"
    " state bigint NOT NULL, window_begin_us bigint, window_end_us bigint, position_us bigint, next_run_at_us bigint,"
    " last_event_at_us bigint, behind_since_us bigint, last_error " PG_TEXT ", count0 bigint NOT NULL,"
    " count1 bigint NOT NULL, count2 bigint NOT NULL, count3 bigint NOT NULL, count4 bigint NOT NULL,"
    " count5 bigint NOT NULL, lease_node " PG_TEXT ", lease_epoch bigint NOT NULL,"
    " lease_until_us bigint NOT NULL)" PG_PASSES ";"
    "CREATE INDEX lane_delta_newest ON lane_delta (source_no, lane, (-no));"
    "CREATE TABLE coverage_delta (no bigint PRIMARY KEY, source_no bigint NOT NULL, class bigint NOT NULL,"
    " begin_us bigint[] NOT NULL, end_us bigint[] NOT NULL, passes bigint[] NOT NULL, looks bigint[] NOT NULL,"
    " tried bigint[] NOT NULL, again_us bigint[] NOT NULL)" PG_PASSES_LARGE ";"
    "CREATE INDEX coverage_delta_newest ON coverage_delta (source_no, class, (-no));"
    "CREATE TABLE source_ring_delta (no bigint PRIMARY KEY, source_no bigint NOT NULL, ring bytea NOT NULL)" PG_PASSES
    ";"
    "CREATE INDEX source_ring_delta_newest ON source_ring_delta (source_no, (-no));",
    "they do not see how far the others have read a source",
};

#define BETWEEN " WHERE no > ?1 AND no <= ?2"

#define LANE_STATE                                                                                                     \
    "state, window_begin_us, window_end_us, position_us, next_run_at_us, last_event_at_us, behind_since_us,"           \
    " last_error, count0, count1, count2, count3, count4, count5, lease_node, lease_epoch, lease_until_us"
SQL_ONLY_POSTGRES(lane_fold, "INSERT INTO lane (source_no, lane, " LANE_STATE
                             ") SELECT DISTINCT ON (source_no, lane) source_no, lane, " LANE_STATE
                             " FROM lane_delta" BETWEEN " ORDER BY source_no, lane, no DESC"
                             " ON CONFLICT (source_no, lane) DO UPDATE SET (" LANE_STATE
                             ") = (SELECT excluded.state, excluded.window_begin_us, excluded.window_end_us,"
                             " excluded.position_us, excluded.next_run_at_us, excluded.last_event_at_us,"
                             " excluded.behind_since_us, excluded.last_error, excluded.count0, excluded.count1,"
                             " excluded.count2, excluded.count3, excluded.count4, excluded.count5,"
                             " excluded.lease_node, excluded.lease_epoch, excluded.lease_until_us)");
SQL_ONLY_POSTGRES(lane_folded, "DELETE FROM lane_delta" BETWEEN);

/* Intervals that are gone, then those that are new or other than they were. */
#define NEWEST_COVERAGE                                                                                                \
    "(SELECT DISTINCT ON (source_no, class) * FROM coverage_delta" BETWEEN " ORDER BY source_no, class, no DESC) AS d"
SQL_ONLY_POSTGRES(coverage_gone, "DELETE FROM coverage AS c USING " NEWEST_COVERAGE
                                 " WHERE c.source_no = d.source_no AND c.class = d.class"
                                 " AND c.begin_us <> ALL (d.begin_us)");
SQL_ONLY_POSTGRES(coverage_fold,
                  "INSERT INTO coverage AS c (source_no, class, begin_us, end_us, passes, looks, tried, again_us)"
                  " SELECT d.source_no, d.class, u.* FROM " NEWEST_COVERAGE
                  " CROSS JOIN LATERAL unnest(d.begin_us, d.end_us, d.passes, d.looks, d.tried, d.again_us) AS u"
                  " ON CONFLICT (source_no, class, begin_us) DO UPDATE SET end_us = excluded.end_us,"
                  " passes = excluded.passes, looks = excluded.looks, tried = excluded.tried,"
                  " again_us = excluded.again_us WHERE (c.end_us, c.passes, c.looks, c.tried, c.again_us) <>"
                  " (excluded.end_us, excluded.passes, excluded.looks, excluded.tried, excluded.again_us)");
SQL_ONLY_POSTGRES(coverage_folded, "DELETE FROM coverage_delta" BETWEEN);

SQL_ONLY_POSTGRES(ring_fold, "INSERT INTO source_ring (source_no, ring) SELECT DISTINCT ON (source_no) source_no, ring"
                             " FROM source_ring_delta" BETWEEN " ORDER BY source_no, no DESC"
                             " ON CONFLICT (source_no) DO UPDATE SET ring = excluded.ring");
SQL_ONLY_POSTGRES(ring_folded, "DELETE FROM source_ring_delta" BETWEEN);

void source_delta_bind_no(struct tx *tx, struct stmt *stmt, int i)
{
    bind_int(stmt, i, (int64_t)store_seq_next(tx, SEQ_DELTA));
}

enum err source_delta_fold(struct op *op, struct tx *tx, int64_t from, int64_t to)
{
    static const struct sql *const steps[] = { &lane_fold,       &lane_folded, &coverage_gone, &coverage_fold,
                                               &coverage_folded, &ring_fold,   &ring_folded };
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        struct stmt *stmt;
        TRY(tx_stmt(op, tx, steps[i], &stmt));
        bind_int(stmt, 1, from);
        bind_int(stmt, 2, to);
        TRY(stmt_later(op, stmt));
    }
    return OK;
}
