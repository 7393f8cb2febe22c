/*
 * postgres_table.h - how tables lie in PostgreSQL; words for the schema steps.
 *
 * Private to src/store. Every integer is a bigint and every text compares by
 * its bytes, so that both engines order and find the same. What differs from
 * table to table is how its rows change, and with that when they are vacuumed:
 *
 *     PG_GROWS    rows are only added        the defaults, and vacuumed for its visibility map now and then
 *     PG_CHANGES  rows are updated in place  room beside each row, so that an update touches no index; vacuumed early
 *     PG_PASSES   rows are added, and gone   vacuumed by number of dead rows, without pausing, and never cut short at
 *                 within seconds             the end: that takes a lock readers and writer would wait for
 *
 * docs/adr/0005-postgres-tables.md has the reasons and what grows how fast while an old snapshot is held.
 */
#pragma once

#define PG_TEXT "text COLLATE \"C\""

#define PG_GROWS " WITH (autovacuum_vacuum_insert_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05)"

#define PG_CHANGES                                                                                                     \
    " WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500,"                \
    " autovacuum_vacuum_cost_delay = 0, vacuum_truncate = off)"

#define PG_PASSES                                                                                                      \
    " WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0," \
    " autovacuum_vacuum_insert_threshold = -1, vacuum_truncate = off)"

/* The same for a table whose bytes are too large for a page and lie beside it. */
#define PG_PASSES_LARGE                                                                                                \
    " WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_cost_delay = 0," \
    " autovacuum_vacuum_insert_threshold = -1, vacuum_truncate = off, toast.autovacuum_vacuum_scale_factor = 0,"       \
    " toast.autovacuum_vacuum_threshold = 5000, toast.autovacuum_vacuum_cost_delay = 0,"                               \
    " toast.autovacuum_vacuum_insert_threshold = -1, toast.vacuum_truncate = off)"

/* Bytes are never compressed: they are hashes, numbers and filters. PLAIN keeps them in the row. */
#define PG_PLAIN(table, column)    "ALTER TABLE " table " ALTER COLUMN " column " SET STORAGE PLAIN;"
#define PG_EXTERNAL(table, column) "ALTER TABLE " table " ALTER COLUMN " column " SET STORAGE EXTERNAL;"
