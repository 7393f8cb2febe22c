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
    X(source_delta_step)

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
    X(message_family)                                                                                                  \
    X(log_family)                                                                                                      \
    X(link_family)                                                                                                     \
    X(outcome_family)                                                                                                  \
    X(suppression_family)                                                                                              \
    X(parked_family)                                                                                                   \
    X(client_key_family)                                                                                               \
    X(delta_family)                                                                                                    \
    X(click_family)                                                                                                    \
    X(job_rows_family)                                                                                                 \
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

/* Nodes that beat within the last minute; the clock is the database's. Their own schema is older: a newer one would
 * not be carried over to by us. */
static const char living_nodes[] =
    "SELECT count(*) FROM posthouse.node WHERE lost = 0"
    " AND beat_at_us > (extract(epoch FROM clock_timestamp()) * 1000000)::bigint - 60000000";

/* Nodes of an older program may not understand what a step makes of their tables. */
static enum err check_older(struct op *op, struct conn *conn, int done, int known)
{
    int64_t made, alive = 0;
    if (!conn->engine->shared || conn->store->config.migrate || done == 0 || done == known)
        return OK;
    TRY(conn_int(op, conn, "SELECT (to_regclass('posthouse.node') IS NOT NULL)::int", &made));
    if (made)
        TRY(conn_int(op, conn, living_nodes, &alive));
    if (alive == 0)
        return OK;
    return fail(
        op, ERR_CONFLICT,
        "this posthouse brings schema %d, and %d node%s of the database run%s with schema %d: stop them first, or "
        "start one node with --migrate to carry it over while they run",
        known, (int)alive, alive == 1 ? "" : "s", alive == 1 ? "s" : "", done);
}

enum err schema_migrate(struct op *op, struct conn *conn, int upto)
{
    int64_t done;
    TRY(conn_version(op, conn, &done));
    int known = 0;
    while (schema_steps[known])
        known++;
    if (done > known)
        return fail(op, ERR_CONFLICT, "the database was written by a newer posthouse (schema %d, this one knows %d)",
                    (int)done, known);
    TRY(check_older(op, conn, (int)done, known));
    for (int i = (int)done; i < known && (upto == 0 || i < upto); i++)
        TRY(step_run(op, conn, schema_steps[i], i + 1));
    return OK;
}
