/*
 * links.h - making tracked links and changing where they lead.
 *
 * A link belongs to one tenant and one mailing (or none) for good; only its
 * destination may change. A new destination is a new version: the link's
 * figures begin again, those of the mailing do not move (LNK-4). Codes that we
 * make are 58 random bits in base 58, so nobody finds links by counting.
 */
#pragma once

#include "base/json_fields.h"
#include "engine/link_url.h"
#include "store/store_link.h"

#define LINK_CODE_BYTES 10 /* of a code we make */
#define LINK_DRAWS_MAX  5  /* codes tried before giving up */

/* As the API reads it. */
struct link_put {
    struct str url;
    struct str tenant;
    struct str mailing; /* not given: none */
    bool honeypot;
};

#define LINK_FIELDS 4
extern const struct json_field link_fields[LINK_FIELDS];

/* Normalises put->url into *ret_url; ERR_INVALID names the field. Needs no store: the edge calls it first. */
enum err link_check(struct op *op, const struct link_put *put, struct str *ret_url);

/* The link of this code, made when there is none; *ret_made says so. put->url must be normalised. tenant_only: the
 * number of the only tenant the caller may write for, 0 = any. ERR_INVALID: unknown tenant or mailing, a host the
 * tenant does not allow. ERR_CONFLICT: tenant, mailing or honeypot differ from what stands. ERR_FORBIDDEN: a tenant
 * that is not the caller's. */
enum err link_store(struct op *op, struct tx *tx, struct str code, const struct link_put *put, uint32_t tenant_only,
                    struct link *ret_link, bool *ret_made);

/* The same with a code of our own. seed 0: a random one. Else the code follows from the seed and what is put, so that
 * the same line of a request that is sent again finds the link it made before. */
enum err link_make(struct op *op, struct tx *tx, const struct link_put *put, uint32_t tenant_only, uint64_t seed,
                   struct link *ret_link, bool *ret_made);

/* Base 58 of 58 random bits; the text is NUL-terminated. */
struct str link_code_text(uint64_t bits, char ret_text[LINK_CODE_BYTES + 1]);
