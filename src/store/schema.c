/*
 * schema.c - what the store is made of: the steps of the schema and the
 * families with state in RAM, each in order.
 *
 * A new table is a struct schema_step in the .c of its family and one line at
 * the end of the first list; the number of steps done is in the file.
 */
#include "store/core.h"

#include <stdio.h>

/* One line each, so that two branches can both append. */
#define STEPS(X)                                                                                                       \
    X(meta_step)                                                                                                       \
    X(block_step)                                                                                                      \
    X(block_log_step)                                                                                                  \
    X(seq_step)                                                                                                        \
    X(tally_step)                                                                                                      \
    X(tenant_step)                                                                                                     \
    X(cohort_step)                                                                                                     \
    X(message_step)                                                                                                    \
    X(member_step)                                                                                                     \
    X(log_step)                                                                                                        \
    X(outcome_step)                                                                                                    \
    X(suppression_step)                                                                                                \
    X(parked_step)                                                                                                     \
    X(client_key_step)                                                                                                 \
    X(dedupe_step)                                                                                                     \
    X(token_step)                                                                                                      \
    X(audit_step)                                                                                                      \
    X(idempotency_step)                                                                                                \
    X(task_step)                                                                                                       \
    X(source_step)                                                                                                     \
    X(coverage_step)                                                                                                   \
    X(source_log_step)                                                                                                 \
    X(hook_token_step)                                                                                                 \
    X(delta_step)                                                                                                      \
    X(inbox_step)                                                                                                      \
    X(group_log_step)                                                                                                  \
    X(move_step)                                                                                                       \
    X(job_step)                                                                                                        \
    X(ready_step)                                                                                                      \
    X(lease_step)                                                                                                      \
    X(aside_step)                                                                                                      \
    X(uniq_step)                                                                                                       \
    X(queue_step)                                                                                                      \
    X(done_step)                                                                                                       \
    X(node_step)                                                                                                       \
    X(touch_step)                                                                                                      \
    X(link_step)                                                                                                       \
    X(click_step)                                                                                                      \
    X(message_member_step)                                                                                             \
    X(secret_step)                                                                                                     \
    X(batch_step)                                                                                                      \
    X(progress_step)                                                                                                   \
    X(inbox_jobs_step)                                                                                                 \
    X(work_step)                                                                                                       \
    X(event_step)                                                                                                      \
    X(inbox_events_step)                                                                                               \
    X(schedule_step)                                                                                                   \
    X(link_change_step)                                                                                                \
    X(job_log_step)                                                                                                    \
    X(source_delta_step)                                                                                               \
    X(done_keys_step)                                                                                                  \
    X(lease_node_step)                                                                                                 \
    X(schedule_pause_step)                                                                                             \
    X(work_eta_step)                                                                                                   \
    X(message_of_member_step)                                                                                          \
    X(fired_parts_step)                                                                                                \
    X(run_part_step)                                                                                                   \
    X(fired_told_step)

/* Flushed in this order before COMMIT; numbers last, because the others may take some while they flush, and
 * compare them with those of before when other nodes have written. */
#define FAMILIES(X)                                                                                                    \
    X(ahead_family)                                                                                                    \
    X(block_family)                                                                                                    \
    X(tally_family)                                                                                                    \
    X(dedupe_family)                                                                                                   \
    X(tenant_family)                                                                                                   \
    X(cohort_family)                                                                                                   \
    X(member_family)                                                                                                   \
    X(seen_family)                                                                                                     \
    X(message_family)                                                                                                  \
    X(history_family)                                                                                                  \
    X(touch_family)                                                                                                    \
    X(link_family)                                                                                                     \
    X(outcome_family)                                                                                                  \
    X(suppression_family)                                                                                              \
    X(parked_family)                                                                                                   \
    X(client_key_family)                                                                                               \
    X(delta_family)                                                                                                    \
    X(click_family)                                                                                                    \
    X(visitor_family)                                                                                                  \
    X(job_rows_family)                                                                                                 \
    X(aside_rows_family)                                                                                               \
    X(seq_family)

#define DECLARE_STEP(name)   extern const struct schema_step name;
#define DECLARE_FAMILY(name) extern const struct family name;
#define ADDRESS(name)        &name,

STEPS(DECLARE_STEP)
FAMILIES(DECLARE_FAMILY)

const struct schema_step *const schema_steps[] = { STEPS(ADDRESS) NULL };
const struct family *const store_families[] = { FAMILIES(ADDRESS) NULL };

int store_steps_known(void)
{
    return (int)(sizeof schema_steps / sizeof *schema_steps) - 1;
}

static enum err step_run(struct op *op, struct conn *conn, const struct schema_step *step, int no)
{
    enum err err = conn->engine->step(op, conn, step, no);
    if (err == OK)
        return OK;
    char reason[OP_ERROR_BYTES_MAX];
    snprintf(reason, sizeof reason, "%s", op->error);
    return fail(op, err, "schema step %d (%s): %s", no, step->name, reason);
}

/* Nodes that beat within the last minute and whose program does not know this step; the clock is the database's. */
static enum err older_nodes(struct op *op, struct conn *conn, int no, int64_t *ret_alive)
{
    char text[256];
    int64_t made;
    *ret_alive = 0;
    TRY(conn_int(op, conn, "SELECT (to_regclass('posthouse.node') IS NOT NULL)::int", &made));
    if (!made)
        return OK;
    snprintf(text, sizeof text,
             "SELECT count(*) FROM posthouse.node WHERE lost = 0 AND steps < %d"
             " AND beat_at_us > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 60000000",
             no);
    return conn_int(op, conn, text, ret_alive);
}

static enum err refuse_beside(struct op *op, const struct schema_step *step, int no, int64_t alive)
{
    return fail(op, ERR_CONFLICT,
                "schema step %d (%s) cannot be made while %d node%s of an older posthouse run%s, --migrate or not: %s. "
                "Stop them first",
                no, step->name, (int)alive, alive == 1 ? "" : "s", alive == 1 ? "s" : "", step->alone);
}

/* NODE-6: nodes of an older program may not understand what a step makes of their tables. Nothing is done when one of
 * the steps that are missing must be refused; the step itself asks again, under the turn. */
static enum err check_older(struct op *op, struct conn *conn, int done, int known)
{
    int64_t alive;
    if (!conn->engine->shared || done == 0 || done == known)
        return OK;
    TRY(older_nodes(op, conn, known, &alive));
    if (alive == 0)
        return OK;
    for (int i = done; i < known; i++)
        if (schema_steps[i]->alone)
            return refuse_beside(op, schema_steps[i], i + 1, alive);
    if (conn->store->config.migrate)
        return OK;
    return fail(
        op, ERR_CONFLICT,
        "this posthouse brings schema %d, and %d node%s of the database run%s with schema %d: stop them first, or "
        "start one node with --migrate to carry it over while they run",
        known, (int)alive, alive == 1 ? "" : "s", alive == 1 ? "s" : "", done);
}

enum err schema_stand_alone(struct op *op, struct conn *conn, const struct schema_step *step, int no)
{
    char text[256];
    int64_t alive;
    TRY(older_nodes(op, conn, no, &alive));
    if (alive > 0)
        return refuse_beside(op, step, no, alive);
    snprintf(
        text, sizeof text,
        "UPDATE posthouse.node SET lost = 1 WHERE lost = 0 AND steps < %d;"
        "INSERT INTO posthouse.schema_version VALUES (2, %d) ON CONFLICT (one) DO UPDATE SET steps = excluded.steps",
        no, no);
    return conn_exec(op, conn, text);
}

SQL_ONLY_POSTGRES(alone_get, "SELECT steps FROM schema_version WHERE one = 2");

enum err schema_may_live(struct op *op, struct tx *tx)
{
    struct stmt *stmt;
    bool found;
    if (!tx_is_shared(tx))
        return OK;
    TRY(tx_stmt(op, tx, &alone_get, &stmt));
    TRY(stmt_row(op, stmt, &found));
    int64_t alone = found ? col_int(stmt, 0) : 0;
    stmt_reset(stmt);
    if (alone <= store_steps_known())
        return OK;
    return fail(op, ERR_CONFLICT,
                "the database was carried over to schema %d, and this posthouse, which knows %d, may not write beside "
                "it: start the newer one here, too",
                (int)alone, store_steps_known());
}

enum err schema_migrate(struct op *op, struct conn *conn, int upto)
{
    int64_t done;
    TRY(conn_version(op, conn, &done));
    int known = store_steps_known();
    if (done > known)
        return fail(op, ERR_CONFLICT, "the database was written by a newer posthouse (schema %d, this one knows %d)",
                    (int)done, known);
    TRY(check_older(op, conn, (int)done, known));
    for (int i = (int)done; i < known && (upto == 0 || i < upto); i++)
        TRY(step_run(op, conn, schema_steps[i], i + 1));
    return OK;
}
