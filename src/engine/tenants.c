#include "engine/tenants.h"

#include "base/duration.h"
#include "base/instant.h"
#include "base/json_write.h"
#include "base/zone.h"

#define DAY_MS 86400000

static bool retention_days(struct str text, int64_t *ret_days)
{
    int64_t ms;
    if (!duration_parse(text, &ms) || ms % DAY_MS != 0)
        return false;
    int64_t days = ms / DAY_MS;
    if (days < RETENTION_DAYS_MIN || days > RETENTION_DAYS_MAX)
        return false;
    *ret_days = days;
    return true;
}

struct retention {
    struct str email, sms, letter;
};

static const struct json_field retention_fields[] = {
    { "email", JSON_FIELD_STR, offsetof(struct retention, email), 16, 0, 1, 0 },
    { "sms", JSON_FIELD_STR, offsetof(struct retention, sms), 16, 0, 1, 0 },
    { "letter", JSON_FIELD_STR, offsetof(struct retention, letter), 16, 0, 1, 0 },
};

static enum err retention_check(struct op *op, struct str text, struct json_problems *problems)
{
    struct retention given = { 0 };
    TRY(json_read_nested(op, text, "/retention", retention_fields, sizeof retention_fields / sizeof *retention_fields,
                         &given, NULL, problems));
    const struct {
        struct str text;
        const char *pointer;
    } all[] = { { given.email, "/retention/email" },
                { given.sms, "/retention/sms" },
                { given.letter, "/retention/letter" } };
    enum err err = OK;
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int64_t days;
        if (str_given(all[i].text) && !retention_days(all[i].text, &days))
            err = json_problem(op, problems, all[i].pointer, "must be whole days from %dd to %dd", RETENTION_DAYS_MIN,
                               RETENTION_DAYS_MAX);
    }
    return err;
}

enum err tenant_check(struct op *op, const struct tenant_put *put, struct json_problems *problems)
{
    enum err err = OK;
    const struct zone *zone;
    if (str_given(put->timezone) && zone_get(op, put->timezone, &zone) != OK) {
        op->error[0] = op->pointer[0] = '\0';
        err = json_problem(op, problems, "/timezone", "'%.*s' is no IANA time zone", STR(put->timezone));
    }
    if (str_given(put->retention)) {
        enum err retention = retention_check(op, put->retention, problems);
        err = retention == OK ? err : retention;
    }
    return err;
}

int tenant_retention_days(const struct tenant *tenant, struct str channel)
{
    struct json j;
    struct str name, text;
    int64_t days = RETENTION_DAYS;
    json_init(&j, NULL, str_given(tenant->retention) ? tenant->retention : S("{}"), JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            if (str_eq(name, channel) && json_string(&j, &text))
                (void)retention_days(text, &days);
    return (int)days;
}

static struct str strs_json(struct op *op, struct json_strs strs)
{
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, op->arena, 65536);
    json_write_init(&w, &buf);
    json_array_begin(&w);
    for (size_t i = 0; i < strs.count; i++)
        json_put_str(&w, strs.items[i]);
    json_array_end(&w);
    return buf_str(&buf);
}

enum err tenant_store(struct op *op, struct tx *tx, struct str id, const struct tenant_put *put,
                      struct tenant *ret_tenant)
{
    struct tenant tenant;
    struct str timezone = str_given(put->timezone) ? put->timezone : S("UTC");
    int64_t now_ms = op_now_ms(op);
    enum err err = store_tenant_get(op, tx, id, &tenant);
    if (err == ERR_NOT_FOUND)
        tenant = (struct tenant){ .id = id, .timezone = timezone, .created_at_ms = now_ms, .zone_since_ms = now_ms };
    else if (err != OK)
        return err;
    bool zone_moves = tenant.no == 0 || !str_eq(tenant.timezone, timezone);
    if (zone_moves)
        tenant.zone_since_ms = now_ms;
    tenant.timezone = timezone;
    tenant.retention = str_given(put->retention) ? put->retention : S("{}");
    tenant.contacts = strs_json(op, put->contacts);
    tenant.link_hosts = strs_json(op, put->link_hosts);
    TRY(store_tenant_put(op, tx, &tenant));
    if (zone_moves)
        TRY(store_tenant_zone_note(op, tx, tenant.no, timezone, now_ms));
    *ret_tenant = tenant;
    return OK;
}

const struct json_field mailing_put_fields[MAILING_PUT_FIELDS] = {
    { "tenant", JSON_FIELD_STR, offsetof(struct mailing_put, tenant), 128, JSON_REQUIRED, 1, 0 },
    { "subject", JSON_FIELD_STR, offsetof(struct mailing_put, subject), 1000, JSON_NULLABLE, 0, 0 },
    { "sent_at", JSON_FIELD_STR, offsetof(struct mailing_put, sent_at), 40, JSON_NULLABLE, 1, 0 },
    { "track_opens", JSON_FIELD_BOOL, offsetof(struct mailing_put, track_opens), 0, 0, 0, 0 },
    { "track_clicks", JSON_FIELD_BOOL, offsetof(struct mailing_put, track_clicks), 0, 0, 0, 0 },
};

static enum err mailing_may_change(struct op *op, struct tx *tx, const struct mailing *stands,
                                   const struct tenant *tenant, const struct mailing_put *put)
{
    if (stands->tenant_no != tenant->no)
        return fail(op, ERR_CONFLICT, "mailing %.*s belongs to another tenant for good", STR(stands->id));
    if (stands->track_opens == put->track_opens)
        return OK;
    bool used;
    TRY(store_mailing_has_messages(op, tx, stands->no, &used));
    if (used)
        return fail(op, ERR_CONFLICT,
                    "mailing %.*s has messages: track_opens cannot change any more, its members' rates rest on it",
                    STR(stands->id));
    return OK;
}

enum err mailing_store(struct op *op, struct tx *tx, struct str id, const struct mailing_put *put,
                       struct mailing *ret_mailing)
{
    int64_t sent_at_us = INT64_MIN;
    if (str_given(put->sent_at) && !instant_parse(put->sent_at, &sent_at_us))
        return fail_at(op, ERR_INVALID, "/sent_at", "must be an RFC 3339 instant, e.g. 2026-11-21T19:00:00Z");
    struct tenant tenant;
    enum err err = store_tenant_get(op, tx, put->tenant, &tenant);
    if (err == ERR_NOT_FOUND)
        return fail_at(op, ERR_INVALID, "/tenant", "there is no tenant '%.*s'; PUT /v1/tenants/{id} makes one",
                       STR(put->tenant));
    TRY(err);
    struct mailing mailing;
    err = store_mailing_get(op, tx, id, &mailing);
    if (err == OK)
        TRY(mailing_may_change(op, tx, &mailing, &tenant, put));
    else if (err != ERR_NOT_FOUND)
        return err;
    else
        mailing = (struct mailing){ .id = id, .tenant_no = tenant.no, .created_at_ms = op_now_ms(op) };
    mailing.subject = put->subject;
    mailing.sent_at_us = sent_at_us;
    mailing.track_opens = put->track_opens;
    mailing.track_clicks = put->track_clicks;
    TRY(store_mailing_put(op, tx, &mailing));
    *ret_mailing = mailing;
    return OK;
}
