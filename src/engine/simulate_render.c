#include "engine/simulate_fact.h"
#include "engine/simulate_pen.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/crypto.h"
#include "base/hex.h"
#include "base/instant.h"

static void put_uint(struct pen *pen, uint64_t value, int digits_min)
{
    char digits[24];
    int n = 0;
    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value || n < digits_min);
    while (n)
        *pen->p++ = digits[--n];
}

static void put_hex(struct pen *pen, uint32_t value)
{
    static const char hex[] = "0123456789abcdef";
    int shift = 28;
    while (shift > 0 && value >> shift == 0)
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        *pen->p++ = hex[value >> shift & 15];
}

void put_escaped(struct pen *pen, struct str s)
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '"' || c == '\\') {
            *pen->p++ = '\\';
            *pen->p++ = c;
        } else if (c == '\n') {
            PUT(pen, "\\n");
        } else if ((unsigned char)c < 0x20 || c == '<' || c == '>' || c == '&') {
            PUT(pen, "\\u00");
            *pen->p++ = hex[(unsigned char)c >> 4];
            *pen->p++ = hex[c & 15];
        } else {
            *pen->p++ = c;
        }
    }
}

void put_quoted(struct pen *pen, const char *name, struct str s)
{
    put(pen, name, strlen(name));
    *pen->p++ = '"';
    put_escaped(pen, s);
    *pen->p++ = '"';
}

static void item_init(struct item *item, const struct sim *sim, const struct sim_event *event, enum sim_style style)
{
    item->sim = sim;
    item->event = event;
    item->style = style;
    item->posting = sim_posting_of(sim, event->no);
    sim_recipient(sim, event->no, &item->who);
    item->recipient = sim_spelled(event, item->who.address, item->recipient_text);
}

static struct str after_at(struct str address)
{
    size_t at = str_find(address, '@');
    return at < address.n ? (struct str){ address.p + at + 1, address.n - at - 1 } : address;
}

void put_time(struct pen *pen, const struct item *item)
{
    char text[INSTANT_TEXT_BYTES];
    int64_t at_us = item->event->at_us;
    if (item->style == SIM_STYLE_LOGS) {
        PUT(pen, ",\"@timestamp\":\"");
        put_str(pen, instant_text(at_us, 3, text));
        PUT(pen, "\"");
        return;
    }
    bool as_text = item->event->twist == TWIST_TIME_AS_TEXT;
    PUT(pen, ",\"timestamp\":");
    if (as_text)
        PUT(pen, "\"");
    put_uint(pen, (uint64_t)at_us / 1000000, 1);
    PUT(pen, ".");
    put_uint(pen, (uint64_t)at_us % 1000000, 6);
    if (item->event->twist == TWIST_SEVEN_DECIMALS) /* cut off by whoever reads it (SRC-16) */
        PUT(pen, "9");
    if (as_text)
        PUT(pen, "\"");
}

/* The variables as an object: of a posted message what was posted, else the mailing's name. */
static void put_own_variables(struct pen *pen, const struct item *item)
{
    switch (sim_reference(item->sim, item->event->no)) {
    case SIM_BY_MESSAGE_ID:
        PUT(pen, "{}");
        break;
    case SIM_BY_EMAIL_ID:
        PUT(pen, "{\"email-id\":\"");
        put_str(pen, item->sim->config.mailing);
        PUT(pen, "\",\"more\":{\"list\":[1,2.5,null]}}");
        break;
    case SIM_BY_MAILING:
        PUT(pen, "{\"posthouse-mailing\":\"");
        put_str(pen, item->sim->config.mailing);
        PUT(pen, "\"}");
        break;
    }
}

static void put_variables(struct pen *pen, const struct item *item)
{
    PUT(pen, ",\"user-variables\":");
    if (item->event->twist == TWIST_VARIABLES_SENTENCE) {
        PUT(pen, "\"Could not load user-variables. They were either truncated or invalid JSON\"");
        return;
    }
    bool as_text = item->style == SIM_STYLE_LOGS;
    char own[SIM_MAILING_MAX + 128];
    struct pen object = { own };
    struct str variables = { own, 0 };
    if (item->posting) {
        variables = sim_posted_to(item->sim, item->event->no)->variables;
    } else {
        put_own_variables(&object, item);
        variables.n = (size_t)(object.p - own);
    }
    if (as_text)
        put_quoted(pen, "", variables);
    else
        put_str(pen, variables);
}

static void put_message(struct pen *pen, const struct item *item, bool full)
{
    if (item->event->twist == TWIST_NO_MESSAGE) {
        PUT(pen, ",\"message\":null");
        return;
    }
    PUT(pen, ",\"message\":{\"headers\":{");
    if (full) {
        bool rejected = item->event->type == SIM_REJECTED;
        PUT(pen, "\"to\":\"");
        if (rejected)
            PUT(pen, "A Reader \\u003c");
        put_escaped(pen, item->recipient);
        if (rejected)
            PUT(pen, "\\u003e");
        PUT(pen, "\"");
        put_quoted(pen,
                   ",\"from\":", item->posting ? item->posting->from : S("The Simulated Times <news@sim.example>"));
        put_quoted(pen, ",\"subject\":",
                   item->posting ? item->posting->subject : S("Issue 47: nothing happened \xE2\x80\x93 twice"));
        PUT(pen, ",");
    }
    put_quoted(pen, "\"message-id\":", item->who.provider_message_id);
    PUT(pen, "}");
    if (full)
        PUT(pen, ",\"attachments\":[],\"size\":48121");
    PUT(pen, "}");
}

static void put_address(struct pen *pen, enum sim_address kind, uint32_t no)
{
    PUT(pen, ",\"ip\":\"");
    switch (kind) {
    case SIM_HOME: /* networks for benchmarks and documentation (RFC 2544, 5737, 3849) */
        PUT(pen, "198.18.");
        put_uint(pen, no >> 8 & 255, 1);
        PUT(pen, ".");
        put_uint(pen, no & 255, 1);
        break;
    case SIM_HOME_V6:
        PUT(pen, "2001:db8:1:");
        put_hex(pen, no >> 8 & 0xFFFF);
        PUT(pen, "::");
        put_hex(pen, (no & 255) + 1);
        break;
    case SIM_GATEWAY:
        PUT(pen, "203.0.113.");
        put_uint(pen, no % 254 + 1, 1);
        break;
    case SIM_GATEWAY_V6:
        PUT(pen, "2001:db8:ffff::");
        put_hex(pen, no % 0xFFFF + 1);
        break;
    case SIM_BROKEN:
        PUT(pen, "123.123.123.321");
        break;
    case SIM_PROXY:
        PUT(pen, "192.0.2.");
        put_uint(pen, no % 254 + 1, 1);
        break;
    }
    PUT(pen, "\"");
}

static void put_client(struct pen *pen, const struct item *item)
{
    const struct sim_client *client = &sim_clients[item->event->client];
    put_address(pen, (enum sim_address)client->address, item->event->no);
    PUT(pen, ",\"geolocation\":{\"country\":\"DE\",\"region\":\"Unknown\",\"city\":\"Unknown\"}");
    if (!client->agent)
        return;
    put_quoted(pen, ",\"client-info\":{\"client-name\":", str_of(client->name));
    put_quoted(pen, ",\"client-type\":", str_of(client->type));
    put_quoted(pen, ",\"client-os\":", str_of(client->os));
    put_quoted(pen, ",\"device-type\":", str_of(client->device));
    put_quoted(pen, ",\"user-agent\":", str_of(client->agent));
    put_quoted(pen, ",\"bot\":", str_of(client->bot));
    PUT(pen, "}");
}

static void put_status_delivered(struct pen *pen, const struct item *item)
{
    if (item->event->twist == TWIST_NULL_STATUS) {
        PUT(pen, ",\"delivery-status\":null");
        return;
    }
    PUT(pen, ",\"delivery-status\":{\"tls\":true,\"mx-host\":\"mx.");
    put_escaped(pen, after_at(item->who.address));
    PUT(pen, "\",\"code\":250,\"description\":\"\",\"session-seconds\":0.4367079734802246,\"utf8\":true,"
             "\"attempt-no\":1,\"message\":\"OK\",\"certificate-verified\":true}");
}

static void put_status_failed(struct pen *pen, const struct item *item, const struct sim_failure *failure)
{
    bool late = item->event->detail / 64 == SIM_LATE_BOUNCE / 64;
    PUT(pen, ",\"delivery-status\":{\"code\":");
    put_str(pen, str_of(failure->code));
    if (failure->message)
        put_quoted(pen, ",\"message\":", str_of(failure->message));
    else
        PUT(pen, ",\"message\":null");
    if (failure->description)
        put_quoted(pen, ",\"description\":", str_of(failure->description));
    if (failure->enhanced)
        put_quoted(pen, ",\"enhanced-code\":", str_of(failure->enhanced));
    if (failure->bounce_code)
        put_quoted(pen, ",\"bounce-code\":", str_of(failure->bounce_code));
    if (!late) {
        PUT(pen, ",\"mx-host\":\"mx.");
        put_escaped(pen, after_at(item->who.address));
        PUT(pen, "\",\"attempt-no\":");
        put_uint(pen, item->event->attempt ? item->event->attempt : 1u, 1);
        PUT(pen, ",\"tls\":true,\"session-seconds\":0.7517080307006836,\"utf8\":true,\"certificate-verified\":true");
    }
    if (item->event->type == SIM_DELAYED)
        PUT(pen, ",\"retry-seconds\":600");
    PUT(pen, "}");
}

static void put_failure(struct pen *pen, const struct item *item)
{
    const struct sim_failure *failure = sim_failure_of(item->event->detail);
    bool temporary = item->event->type == SIM_DELAYED;
    bool left_out = item->style == SIM_STYLE_LOGS && !failure->severity_needed && item->event->no % 4 == 0;
    if (!left_out && temporary)
        PUT(pen, ",\"severity\":\"temporary\"");
    else if (!left_out)
        PUT(pen, ",\"severity\":\"permanent\"");
    put_quoted(pen, ",\"reason\":", str_of(failure->reason));
    put_status_failed(pen, item, failure);
}

/* flags, envelope, storage, tags: what every item drags along. */
static void put_baggage(struct pen *pen, const struct item *item)
{
    bool late = item->event->type == SIM_FAILED && item->event->detail / 64 == SIM_LATE_BOUNCE / 64;
    if (late) {
        PUT(pen, ",\"flags\":{\"is-delayed-bounce\":true},\"envelope\":{}");
        return;
    }
    PUT(pen, ",\"tags\":");
    put_str(pen, sim_tags(item->sim, item->event->no));
    PUT(pen, ",\"campaigns\":[],\"flags\":{\"is-routed\":false,\"is-authenticated\":true,\"is-system-test\":false,"
             "\"is-test-mode\":false}");
    if (item->event->type != SIM_REJECTED) {
        put_quoted(pen, ",\"recipient-domain\":", after_at(item->recipient));
        PUT(pen, ",\"envelope\":{\"transport\":\"smtp\",\"sender\":\"bounce@");
        put_str(pen, item->sim->config.domain);
        put_quoted(pen, "\",\"sending-ip\":\"192.0.2.25\",\"targets\":", item->recipient);
        PUT(pen, "}");
    }
    PUT(pen, ",\"storage\":{\"url\":\"https://storage.sim.example/v3/domains/");
    put_str(pen, item->sim->config.domain);
    PUT(pen, "/messages/BAABAgM-simulated-nothing-is-stored-here\",\"region\":\"nowhere\",\"env\":\"simulation\","
             "\"key\":\"BAABAgM-simulated-nothing-is-stored-here\"}");
}

static struct str log_level(const struct item *item)
{
    switch ((enum sim_type)item->event->type) {
    case SIM_FAILED:
        return S("error");
    case SIM_DELAYED:
    case SIM_REJECTED:
    case SIM_COMPLAINED:
        return S("warn");
    case SIM_ACCEPTED:
    case SIM_DELIVERED:
    case SIM_OPENED:
    case SIM_CLICKED:
    case SIM_UNSUBSCRIBED:
    case SIM_TYPES:
        break;
    }
    return S("info");
}

static void put_of_type(struct pen *pen, const struct item *item)
{
    switch ((enum sim_type)item->event->type) {
    case SIM_DELIVERED:
        put_status_delivered(pen, item);
        break;
    case SIM_DELAYED:
    case SIM_FAILED:
        put_failure(pen, item);
        break;
    case SIM_REJECTED:
        put_quoted(pen, ",\"reject\":{\"reason\":", str_of(sim_failure_of(item->event->detail)->reason));
        PUT(pen, ",\"description\":\"\"}");
        break;
    case SIM_CLICKED:
        put_quoted(pen, ",\"url\":", sim_link(item->sim, item->event));
        put_client(pen, item);
        break;
    case SIM_OPENED:
    case SIM_UNSUBSCRIBED:
        put_client(pen, item);
        break;
    case SIM_ACCEPTED:
        PUT(pen, ",\"method\":\"HTTP\",\"originating-ip\":\"192.0.2.9\"");
        break;
    case SIM_COMPLAINED:
    case SIM_TYPES:
        break;
    }
}

static void put_item(struct pen *pen, const struct item *item)
{
    char id[SIM_ID_BYTES];
    const struct sim_event *event = item->event;
    PUT(pen, "{");
    if (event->twist == TWIST_MORE_FIELDS)
        PUT(pen, "\"new-in-2027\":{\"deep\":[1,-2.5e3,{\"a\":null,\"b\":[[]]}],\"id\":\"no\",\"event\":\"no\"},"
                 "\"primary\":true,");
    PUT(pen, "\"event\":\"");
    put_str(pen, sim_type_word((enum sim_type)event->type));
    PUT(pen, "\",\"id\":\"");
    put_str(pen, sim_event_id(item->sim, event, id));
    PUT(pen, "\"");
    put_time(pen, item);
    PUT(pen, ",\"log-level\":\"");
    put_str(pen, log_level(item));
    PUT(pen, "\"");
    if (event->type != SIM_REJECTED)
        put_quoted(pen, ",\"recipient\":", item->recipient);
    if (item->style == SIM_STYLE_LOGS)
        put_quoted(pen, ",\"account\":{\"id\":\"simulated\"},\"domain\":{\"name\":", item->sim->config.domain);
    if (item->style == SIM_STYLE_LOGS)
        PUT(pen, "}");
    put_of_type(pen, item);
    put_variables(pen, item);
    put_message(pen, item, event->type != SIM_OPENED && event->type != SIM_CLICKED);
    put_baggage(pen, item);
    PUT(pen, "}");
}

/* Most bytes the item can take: own mailings are known, posted texts are counted at six bytes each. */
static size_t item_bytes_max(const struct item *item)
{
    if (!item->posting)
        return SIM_ITEM_BYTES_MAX;
    const struct sim_posted_recipient *to = sim_posted_to(item->sim, item->event->no);
    size_t url = item->event->type == SIM_CLICKED ? sim_link(item->sim, item->event).n : 0;
    return SIM_ITEM_BYTES_MAX +
           6 * (6 * to->address.n + to->variables.n + item->posting->message_id.n + item->posting->from.n +
                item->posting->subject.n + url) +
           item->posting->tags.n;
}

void sim_render_item(const struct sim *sim, const struct sim_event *event, enum sim_style style, struct buf *buf)
{
    struct item item;
    item_init(&item, sim, event, style);
    if (!buf_reserve(buf, item_bytes_max(&item)))
        return;
    struct pen pen = { buf->p + buf->n };
    if (event->flags & SIM_GARBAGE)
        put_garbage(&pen, &item);
    else
        put_item(&pen, &item);
    buf->n = (size_t)(pen.p - buf->p);
}

void sim_render_hook(const struct sim *sim, const struct sim_event *event, const struct sim_seal *seal, struct buf *buf)
{
    char timestamp[24], signature[HEX_BYTES(CRYPTO_SHA256_BYTES)];
    uint8_t mac[CRYPTO_SHA256_BYTES];
    int n = snprintf(timestamp, sizeof timestamp, "%" PRId64, seal->timestamp_s);
    struct str parts[] = { { timestamp, (size_t)n }, seal->token };
    crypto_hmac_sha256(seal->key, parts, 2, mac);
    hex_encode(mac, sizeof mac, signature);
    buf_add_fmt(buf, "{\"signature\":{\"timestamp\":\"%s\",\"token\":\"%.*s\",\"signature\":\"%.*s\"},\"event-data\":",
                timestamp, STR(seal->token), (int)sizeof signature, signature);
    sim_render_item(sim, event, SIM_STYLE_EVENTS, buf);
    buf_add_char(buf, '}');
}

void sim_render_message(const struct sim *sim, uint32_t no, struct buf *buf)
{
    struct sim_recipient who;
    sim_recipient(sim, no, &who);
    if (!buf_reserve(buf, 256 + 6 * (who.address.n + who.member.n + who.provider_message_id.n)))
        return;
    struct pen pen = { buf->p + buf->n };
    bool brackets = no % 16 == 3; /* as some applications keep them (LED-1) */
    put_quoted(&pen, "{\"recipient\":", who.address);
    if (who.member.n)
        put_quoted(&pen, ",\"member\":", who.member);
    PUT(&pen, ",\"provider_message_id\":\"");
    if (brackets)
        PUT(&pen, "<");
    put_escaped(&pen, who.provider_message_id);
    if (brackets)
        PUT(&pen, ">");
    PUT(&pen, "\"}\n");
    buf->n = (size_t)(pen.p - buf->p);
}
