/*
 * store_tenant.h - rows of tenants and their mailings.
 *
 * Names chosen by callers are interned: a tenant and a mailing have a number
 * that every other table uses. Numbers are never reused.
 */
#pragma once

#include "base/zone.h"
#include "store/tx.h"

struct tenant {
    uint32_t no; /* 0 = not stored yet */
    struct str id;
    struct str timezone;   /* IANA name */
    struct str retention;  /* JSON object as given, e.g. {"email":"7d"} */
    struct str contacts;   /* JSON array */
    struct str link_hosts; /* JSON array */
    int64_t created_at_ms;
    int64_t zone_since_ms; /* when the present zone came into force */
};

struct mailing {
    uint32_t no; /* 0 = not stored yet */
    uint32_t tenant_no;
    struct str id;
    struct str subject;
    int64_t sent_at_us; /* INT64_MIN = not given */
    bool track_opens;
    bool track_clicks;
    int64_t created_at_ms;
};

/* ERR_NOT_FOUND when there is none. Texts live in the op's arena. */
enum err store_tenant_get(struct op *op, struct tx *tx, struct str id, struct tenant *ret);
enum err store_tenant_get_no(struct op *op, struct tx *tx, uint32_t no, struct tenant *ret);

/* Inserts (no == 0: gives it a number) or updates by number. */
enum err store_tenant_put(struct op *op, struct tx *tx, struct tenant *tenant);

/* The zone of a tenant, UTC for number 0. Remembered between transactions, so it costs nothing per event. */
enum err store_tenant_zone(struct op *op, struct tx *tx, uint32_t no, const struct zone **ret_zone);

/* Notes that a tenant's zone changed at an instant (LED section 1: rows keep the day they were given). */
enum err store_tenant_zone_note(struct op *op, struct tx *tx, uint32_t tenant_no, struct str timezone, int64_t at_ms);

enum err store_mailing_get(struct op *op, struct tx *tx, struct str id, struct mailing *ret);
enum err store_mailing_get_no(struct op *op, struct tx *tx, uint32_t no, struct mailing *ret);
enum err store_mailing_put(struct op *op, struct tx *tx, struct mailing *mailing);

/* What every event asks of a mailing, remembered between transactions. */
struct mailing_brief {
    uint32_t no;
    uint32_t tenant_no;
    bool track_opens;
};
enum err store_mailing_brief(struct op *op, struct tx *tx, uint32_t no, struct mailing_brief *ret);

/* The number behind a mailing's id; 0 when there is none. Remembered likewise. */
enum err store_mailing_no(struct op *op, struct tx *tx, struct str id, uint32_t *ret_no);

/* True when the mailing has at least one message. */
enum err store_mailing_has_messages(struct op *op, struct tx *tx, uint32_t no, bool *ret_has);

/* sent_at of the tenant's oldest mailing that was sent at or after since_us; INT64_MIN when there is none (SRC-7).
 * tenant_no 0 asks for all tenants. */
enum err store_mailing_oldest_sent(struct op *op, struct tx *tx, uint32_t tenant_no, int64_t since_us,
                                   int64_t *ret_sent_at_us);

/* The newest sent_at of any mailing of the tenant (0: of all), INT64_MIN when none: decides the poll pause. */
enum err store_mailing_newest_sent(struct op *op, struct tx *tx, uint32_t tenant_no, int64_t *ret_sent_at_us);

/* Calls fn for mailings with a number above after_no, in order of number, until it fails or `max` were given. */
enum err store_mailing_each(struct op *op, struct tx *tx, uint32_t after_no, size_t max,
                            enum err (*fn)(struct op *op, struct tx *tx, const struct mailing *mailing, void *arg),
                            void *arg);

/* The same for at most max mailings that were registered last, newest first. */
enum err store_mailing_newest(struct op *op, struct tx *tx, size_t max,
                              enum err (*fn)(struct op *op, struct tx *tx, const struct mailing *mailing, void *arg),
                              void *arg);
