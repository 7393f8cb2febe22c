/*
 * import_line.c - one line of an import, from text to fields.
 */
#include "engine/import.h"

#include <stdio.h>

#include "base/instant.h"
#include "engine/names.h"

#define TEXT_BYTES_MAX       256
#define CREATED_AT_MIN_US    946684800000000 /* 2000-01-01 */
#define CREATED_AT_AHEAD_US  86400000000     /* now + 24 h */
#define MESSAGE_ID_BYTES_MAX 1024

struct raw_line {
    struct str id, recipient, member, provider_message_id, tenant, mailing, provider, template_name, reference;
    struct str channel, key, status, created_at, sent_at, deliver;
};

struct raw_deliver {
    struct str queue, jobtype;
};

#define TEXT(name, field, max, flags)                                                                                  \
    {                                                                                                                  \
        name, JSON_FIELD_STR, offsetof(struct raw_line, field), max, flags, 1, 0                                       \
    }
#define COMMON_FIELDS                                                                                                  \
    TEXT("recipient", recipient, RECIPIENT_BYTES_MAX, JSON_REQUIRED), TEXT("id", id, NAME_BYTES_MAX, JSON_NULLABLE),   \
        TEXT("member", member, NAME_BYTES_MAX, JSON_NULLABLE),                                                         \
        TEXT("provider_message_id", provider_message_id, MESSAGE_ID_BYTES_MAX, JSON_NULLABLE),                         \
        TEXT("provider", provider, NAME_BYTES_MAX, JSON_NULLABLE),                                                     \
        TEXT("template", template_name, NAME_BYTES_MAX, JSON_NULLABLE),                                                \
        TEXT("reference", reference, TEXT_BYTES_MAX, JSON_NULLABLE), TEXT("channel", channel, 16, JSON_NULLABLE),      \
        TEXT("key", key, 16, JSON_NULLABLE), TEXT("status", status, 32, JSON_NULLABLE),                                \
        TEXT("created_at", created_at, 40, JSON_NULLABLE), TEXT("sent_at", sent_at, 40, JSON_NULLABLE),                \
    {                                                                                                                  \
        "deliver", JSON_FIELD_OBJECT, offsetof(struct raw_line, deliver), 1024, JSON_NULLABLE, 0, 0                    \
    }

static const struct json_field mailing_fields[] = { COMMON_FIELDS };
static const struct json_field message_fields[] = { COMMON_FIELDS,
                                                    TEXT("tenant", tenant, NAME_BYTES_MAX, JSON_REQUIRED),
                                                    TEXT("mailing", mailing, NAME_BYTES_MAX, JSON_NULLABLE) };
static const struct json_field deliver_fields[] = {
    { "queue", JSON_FIELD_STR, offsetof(struct raw_deliver, queue), NAME_BYTES_MAX, JSON_REQUIRED, 1, 0 },
    { "jobtype", JSON_FIELD_STR, offsetof(struct raw_deliver, jobtype), NAME_BYTES_MAX, JSON_REQUIRED, 1, 0 },
};

static enum err read_channel(struct op *op, const struct raw_line *raw, enum import_kind kind, struct import_line *line)
{
    if (str_given(raw->channel) && !channel_of(raw->channel, &line->channel))
        return fail(op, ERR_INVALID, "channel: none of email, sms, letter");
    if (!str_given(raw->channel)) {
        if (kind == IMPORT_MESSAGES && !str_given(raw->mailing))
            return fail(op, ERR_INVALID, "channel: is missing");
        line->channel = CHANNEL_EMAIL;
    }
    line->key = KEY_NORMAL;
    if (str_given(raw->key) && !message_key_of(raw->key, &line->key))
        return fail(op, ERR_INVALID, "key: none of normal, team, test");
    return OK;
}

/* A new row starts before anything a provider decides (LED-6). */
static enum err read_status(struct op *op, const struct raw_line *raw, struct import_line *line)
{
    line->status = STATUS_NONE;
    if (!str_given(raw->status))
        return OK;
    if (!status_of(raw->status, &line->status))
        return fail(op, ERR_INVALID, "status: there is no status '%.*s'", STR(raw->status));
    bool first = line->status == STATUS_CREATED || line->status == STATUS_SENDING || line->status == STATUS_PENDING ||
                 line->status == STATUS_SENT;
    bool letter = line->channel == CHANNEL_LETTER && line->status == STATUS_PENDING_VIRUS_CHECK;
    if (!first && !letter)
        return fail(op, ERR_INVALID, "status: a message cannot begin as %.*s", STR(raw->status));
    return OK;
}

static enum err read_times(struct op *op, const struct raw_line *raw, struct import_line *line)
{
    line->created_at_us = INT64_MIN;
    line->sent_at_us = 0;
    if (str_given(raw->created_at)) {
        if (!instant_parse(raw->created_at, &line->created_at_us))
            return fail(op, ERR_INVALID, "created_at: is no RFC 3339 instant");
        if (line->created_at_us < CREATED_AT_MIN_US || line->created_at_us > op->now_us + CREATED_AT_AHEAD_US)
            return fail(op, ERR_INVALID, "created_at: lies outside 2000-01-01 and now + 24 h");
    }
    if (str_given(raw->sent_at) && (!instant_parse(raw->sent_at, &line->sent_at_us) || line->sent_at_us <= 0))
        return fail(op, ERR_INVALID, "sent_at: is no RFC 3339 instant");
    return OK;
}

static enum err read_line(struct op *op, enum import_kind kind, const struct json_line *text, struct import_line *line)
{
    if (text->too_long)
        return fail(op, ERR_TOO_LARGE, "line is longer than %d bytes", JSON_LINE_BYTES_MAX);
    struct raw_line raw = { 0 };
    bool mailing = kind == IMPORT_MAILING;
    TRY(json_read_body(op, text->text, mailing ? mailing_fields : message_fields,
                       mailing ? sizeof mailing_fields / sizeof *mailing_fields
                               : sizeof message_fields / sizeof *message_fields,
                       &raw, NULL, NULL));
    if (str_trim(raw.recipient).n == 0)
        return fail(op, ERR_INVALID, "recipient: is empty");
    if (str_given(raw.deliver)) {
        struct raw_deliver deliver = { 0 };
        TRY(json_read_nested(op, raw.deliver, "/deliver", deliver_fields,
                             sizeof deliver_fields / sizeof *deliver_fields, &deliver, NULL, NULL));
        line->deliver_queue = deliver.queue;
        line->deliver_jobtype = deliver.jobtype;
    }
    line->id = raw.id;
    line->recipient = raw.recipient;
    line->member = raw.member;
    line->provider_message_id = raw.provider_message_id;
    line->tenant = raw.tenant;
    line->mailing = raw.mailing;
    line->provider = raw.provider;
    line->template_name = raw.template_name;
    line->reference = raw.reference;
    TRY(read_channel(op, &raw, kind, line));
    TRY(read_status(op, &raw, line));
    return read_times(op, &raw, line);
}

void import_line_parse(struct op *op, enum import_kind kind, const struct json_line *text, struct import_line *ret)
{
    *ret = (struct import_line){ .number = text->number };
    op->pointer[0] = '\0';
    if (read_line(op, kind, text, ret) == OK)
        return;
    ret->rejected = true;
    /* The pointer of a field reads as its name for people. */
    const char *field = op->pointer[0] == '/' ? op->pointer + 1 : op->pointer;
    bool named = field[0] && !str_starts(str_of(op->error), str_of(field));
    snprintf(ret->detail, sizeof ret->detail, "%.40s%s%.110s", named ? field : "", named ? ": " : "", op->error);
}
