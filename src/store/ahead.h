/*
 * ahead.h - answers of look-ups, read together before they are asked one by one.
 *
 * Private to src/store. On PostgreSQL a look-up costs a round trip. A page of
 * events or a chunk of an import knows beforehand what it will ask; so the
 * families that are asked have a prefetch call, which asks by one statement
 * with arrays and leaves what it learned here, "there is none" included. Whoever
 * changes what an answer says must put the new one here, or forget it. Nothing
 * outlives the group, and nothing is kept on SQLite.
 */
#pragma once

#include "store/db.h"

#define AHEAD_MAX 65536 /* answers kept; what does not fit is asked when it is needed */

enum ahead_kind {
    AHEAD_NOTHING,
    AHEAD_RECIPIENT,   /* message number by mailing number, recipient hash */
    AHEAD_PROVIDER_TO, /* up to two message numbers, newest first, by provider's id and recipient hash */
    AHEAD_PROVIDER,    /* up to two by provider's id alone */
    AHEAD_ID,          /* message number by ahead_text of its id */
    AHEAD_MEMBER,      /* number and address hash by ahead_text of tenant and id */
    AHEAD_SUPPRESSION, /* whether an address hash has any */
    AHEAD_PARKED,      /* whether anything is parked under a reference */
    AHEAD_VISITOR,     /* number by hash and tenant number */
    AHEAD_JID,         /* id of a job by ahead_text of its jid */
    AHEAD_ASIDE,       /* row aside of a job by its id: a struct aside_row * in memory of who asked */
    AHEAD_ATTEMPT      /* when the newest attempt of a job ended, by its id */
};

struct ahead_key {
    enum ahead_kind kind;
    int64_t a, b;
};

struct ahead_answer {
    int count; /* of values; 0 = there is none */
    int64_t value[2];
};

/* The key of a text (of a tenant, or 0). */
struct ahead_key ahead_text(const struct tx *tx, enum ahead_kind kind, uint32_t tenant_no, struct str text);

/* False when it was not asked. */
bool ahead_find(struct tx *tx, struct ahead_key key, struct ahead_answer *ret_answer);
void ahead_put(struct tx *tx, struct ahead_key key, struct ahead_answer answer);
void ahead_forget(struct tx *tx, struct ahead_key key);
