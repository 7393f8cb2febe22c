/*
 * store_suppression.h - addresses that must not be mailed (ledger rules, section 5).
 */
#pragma once

#include "store/tx.h"

struct suppression {
    uint64_t no;
    uint32_t tenant_no;
    int64_t address_hash;
    struct str address; /* as given first */
    uint8_t reason;     /* enum suppression_reason */
    struct str scope;   /* "all", "mailings", "report:ID" */
    int64_t since_us;
    int64_t last_at_us;
    uint64_t message_no; /* 0 = none */
    struct str source;
};

/* The suppression of (tenant, address, reason, scope) (LED-21); ERR_NOT_FOUND. */
enum err store_suppression_get(struct op *op, struct tx *tx, uint32_t tenant_no, int64_t address_hash, uint8_t reason,
                               struct str scope, struct suppression *ret);

/* Says that these addresses will be asked for soon. On PostgreSQL their suppressions are read together; else nothing is
 * done. */
enum err store_suppression_prefetch(struct op *op, struct tx *tx, const int64_t *address_hashes, size_t count);

/* Inserts (no == 0) or updates since_us and last_at_us. */
enum err store_suppression_put(struct op *op, struct tx *tx, struct suppression *row);
enum err store_suppression_delete(struct op *op, struct tx *tx, uint64_t no);

/* In force for an address (by_address) or all, of a tenant (0 = any), behind number after_no; at most limit. */
enum err store_suppression_list(struct op *op, struct tx *tx, uint32_t tenant_no, bool by_address, int64_t address_hash,
                                uint64_t after_no, int limit,
                                enum err (*fn)(struct op *op, struct tx *tx, const struct suppression *row, void *arg),
                                void *arg, bool *ret_more);
