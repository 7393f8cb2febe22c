/*
 * store_audit.h - who changed what: an append-only list for operators.
 */
#pragma once

#include "store/tx.h"

#define AUDIT_LIST_MAX         200
#define AUDIT_DETAIL_BYTES_MAX 2000 /* longer ones are cut */

struct audit {
    uint64_t no;
    int64_t at_ms;
    struct str who;     /* token id, "cli", "system" */
    struct str action;  /* "token.revoke" */
    struct str subject; /* what it was done to */
    struct str detail;  /* may be not given */
};

/* Appends an entry of the op's time. */
enum err store_audit_add(struct op *op, struct tx *tx, struct str who, struct str action, struct str subject,
                         struct str detail);

/* At most max (up to AUDIT_LIST_MAX) entries before the one numbered before_no (0 = from the newest), newest first. */
enum err store_audit_list(struct op *op, struct tx *tx, uint64_t before_no, int max, struct audit **ret_entries,
                          int *ret_count);

/* Throws away entries older than before_us, at most max_rows; *ret_gone counts them. */
enum err store_audit_has_older(struct op *op, struct tx *tx, int64_t before_us, bool *ret);
enum err store_audit_expire(struct op *op, struct tx *tx, int64_t before_us, int max_rows, int *ret_gone);
