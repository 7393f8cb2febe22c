/*
 * schema.c - what the store is made of: the steps of the schema and the
 * families with state in RAM, each in order.
 *
 * A new table is a struct schema_step in the .c of its family and one line at
 * the end of the first list; the number of steps done is in the file.
 */
#include "store/core.h"

#include <stdio.h>

#include "store/families.h"

extern const struct schema_step meta_step, block_step, seq_step, tally_step;
extern const struct family block_family, seq_family, tally_family;

const struct schema_step *const schema_steps[] = {
    &meta_step,   &block_step, &seq_step,     &tally_step,       &tenant_step, &cohort_step,     &message_step,
    &member_step, &log_step,   &outcome_step, &suppression_step, &parked_step, &client_key_step, NULL,
};

/* Flushed in this order before COMMIT; numbers last, because the others may take some while they flush. */
const struct family *const store_families[] = {
    &block_family,  &tally_family,      &tenant_family, &cohort_family, &link_family,
    &parked_family, &client_key_family, &seq_family,    NULL,
};

static enum err step_run(struct op *op, struct conn *conn, const struct schema_step *step, int no)
{
    char version[64];
    snprintf(version, sizeof version, "PRAGMA user_version = %d", no);
    TRY(conn_exec(op, conn, "BEGIN IMMEDIATE"));
    enum err err = conn_exec(op, conn, step->sqlite);
    if (err == OK)
        err = conn_exec(op, conn, version);
    if (err == OK)
        err = conn_exec(op, conn, "COMMIT");
    if (err == OK)
        return OK;
    char reason[OP_ERROR_BYTES_MAX];
    snprintf(reason, sizeof reason, "%s", op->error);
    struct op aside = { .arena = op->arena };
    conn_exec(&aside, conn, "ROLLBACK"); /* fails when the error has rolled back by itself */
    return fail(op, err, "schema step %d (%s): %s", no, step->name, reason);
}

enum err schema_migrate(struct op *op, struct conn *conn, int upto)
{
    int64_t done;
    TRY(conn_int(op, conn, "PRAGMA user_version", &done));
    int known = 0;
    while (schema_steps[known])
        known++;
    if (done > known)
        return fail(op, ERR_CONFLICT, "the database was written by a newer posthouse (schema %d, this one knows %d)",
                    (int)done, known);
    for (int i = (int)done; i < known && (upto == 0 || i < upto); i++)
        TRY(step_run(op, conn, schema_steps[i], i + 1));
    return OK;
}
