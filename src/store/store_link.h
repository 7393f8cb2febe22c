/*
 * store_link.h - tracked links: short codes and where they lead.
 *
 * The row holds what changes rarely; what every click moves is the link's
 * record (struct link_state) under the same number. Numbers are shared with
 * the links that providers report (store_outcome.h), so a touch names either.
 */
#pragma once

#include "store/records.h"
#include "store/tx.h"

struct link {
    uint32_t no; /* 0 = not stored yet */
    uint32_t tenant_no;
    uint32_t mailing_no; /* 0 = none */
    uint32_t version;    /* of the destination, from 1 */
    struct str code;
    struct str url; /* normalised */
    bool honeypot;
    int64_t changed_at_ms;
    int64_t created_at_ms;
};

/* ERR_NOT_FOUND when there is none. Texts live in the op's arena. */
enum err store_link_by_code(struct op *op, struct tx *tx, struct str code, struct link *ret);

/* Inserts and gives it a number; the code must be free, else ERR_CONFLICT and nothing is stored. */
enum err store_link_add(struct op *op, struct tx *tx, struct link *link);

/* Stores url, version and changed_at_ms of an existing link. */
enum err store_link_change(struct op *op, struct tx *tx, const struct link *link);

/* The next links of a mailing (0: of all) behind after_no in order of number, at most limit; fn may end it. */
enum err store_link_each(struct op *op, struct tx *tx, uint32_t mailing_no, uint32_t after_no, int limit,
                         enum err (*fn)(struct op *op, struct tx *tx, const struct link *link, void *arg), void *arg);

/* Where several nodes write: what other nodes must hear of (LNK-20). Walks links whose destination was changed behind
 * the change number *after, which moves forward, and says whether older changes than those were forgotten: then
 * whatever was known of links may be wrong. At most LINK_CHANGES_MAX a call; for snapshots. */
#define LINK_CHANGES_MAX  1000
#define LINK_CHANGES_KEPT 10000
enum err store_link_changes(struct op *op, struct tx *tx, int64_t *after, bool *ret_forgotten,
                            enum err (*fn)(struct op *op, struct tx *tx, const struct link *link, void *arg),
                            void *arg);

/* The newest change's number; 0 = none. */
enum err store_link_change_newest(struct op *op, struct tx *tx, int64_t *ret_no);

/* Its figures; ERR_NOT_FOUND when there is no such link. */
enum err store_link_state(struct op *op, struct tx *tx, uint32_t no, const struct link_state **ret);
