/*
 * store_member.h - people as the application names them, per tenant.
 *
 * The row holds the name and the addresses seen; counters live in the state
 * record under the same number.
 */
#pragma once

#include "store/tx.h"

struct member {
    uint32_t no;
    uint32_t tenant_no;
    struct str id;
    int64_t address_hash; /* of the first address seen; further ones lie in a table of their own */
};

#define MEMBER_ADDRESSES_MAX 64 /* looked at for `suppressed` */

/* ERR_NOT_FOUND when the tenant has no such member. */
enum err store_member_get(struct op *op, struct tx *tx, uint32_t tenant_no, struct str id, struct member *ret);

/* The member of that name, made when there is none; remembers the address it was mailed at. */
enum err store_member_meet(struct op *op, struct tx *tx, uint32_t tenant_no, struct str id, int64_t address_hash,
                           uint32_t *ret_no);

/* Says that these members of a tenant will be met soon. On PostgreSQL they and their records are read together; else
 * nothing is done. */
enum err store_member_prefetch(struct op *op, struct tx *tx, uint32_t tenant_no, const struct str *ids, size_t count);

/* Every address hash seen for a member, at most MEMBER_ADDRESSES_MAX, in the op's arena. */
enum err store_member_addresses(struct op *op, struct tx *tx, const struct member *member, const int64_t **ret_hashes,
                                size_t *ret_count);

/* Tenants that have a member of this name, at most two numbers: a token for several tenants must say which. */
enum err store_member_tenants(struct op *op, struct tx *tx, struct str id, uint32_t ret_tenant_no[2], int *ret_count);
