/*
 * tenants.h - what a tenant and a mailing may be, and how they change.
 *
 * PUT creates or replaces and is idempotent. A mailing belongs to one tenant
 * for good, and whether its opens are tracked cannot change once it has
 * messages, since its members' rates rest on it (409).
 */
#pragma once

#include "base/json_fields.h"
#include "store/store_tenant.h"
#include "store/tally.h"

#define TENANT_CONTACTS_MAX   100
#define TENANT_LINK_HOSTS_MAX 100
#define RETENTION_DAYS_MIN    3
#define RETENTION_DAYS_MAX    3650
#define RETENTION_DAYS        7 /* default */

/* As the API reads it: raw JSON where the value is kept as given. */
struct tenant_put {
    struct str timezone;
    struct str retention;
    struct json_strs contacts;
    struct json_strs link_hosts;
};

/* Checks the values; problems name their fields (422). */
enum err tenant_check(struct op *op, const struct tenant_put *put, struct json_problems *problems);

/* Creates or replaces the tenant; a new zone counts from now on. */
enum err tenant_store(struct op *op, struct tx *tx, struct str id, const struct tenant_put *put,
                      struct tenant *ret_tenant);

/* Days a channel's messages are kept, from the tenant's retention object. */
int tenant_retention_days(const struct tenant *tenant, struct str channel);

struct mailing_put {
    struct str tenant;
    struct str subject;
    struct str sent_at; /* RFC 3339 */
    bool track_opens;
    bool track_clicks;
};

/* What a client may write of it; track_opens and track_clicks are true unless said otherwise. */
#define MAILING_PUT_FIELDS 5
extern const struct json_field mailing_put_fields[MAILING_PUT_FIELDS];

/* Creates or replaces the mailing. ERR_INVALID: unknown tenant or bad sent_at; ERR_CONFLICT: another tenant, or
 * track_opens changed although it has messages. */
enum err mailing_store(struct op *op, struct tx *tx, struct str id, const struct mailing_put *put,
                       struct mailing *ret_mailing);
