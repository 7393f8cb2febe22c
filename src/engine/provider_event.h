/*
 * provider_event.h - what a provider told us, in our words.
 *
 * Every receipt format (Mailgun page, webhook, SNS, ...) is turned into an array
 * of these by its own file (engine/provider_*.c) before a command is posted;
 * from here on nobody knows which provider spoke. The ledger applies them
 * (ledger.h). Text borrows from the page's arena.
 */
#pragma once

#include "base/op.h"

enum event_kind {
    EVENT_MALFORMED, /* no type, no usable time or no reference to a message: counted by reason, kept raw */
    EVENT_UNHANDLED, /* a type of no interest; decided from the type alone */
    EVENT_SENDING,   /* provider has taken it */
    EVENT_DELIVERED,
    EVENT_FAILED,  /* permanent: failed_at, failure row, permanent-failure */
    EVENT_DELAYED, /* temporary, still trying: failure row only */
    EVENT_GAVE_UP, /* receipt "temporary-failure": failure row, temporary-failure */
    EVENT_REFUSED, /* technical-failure (SES Reject, Rendering Failure): failed_at, failure row */
    EVENT_OPENED,
    EVENT_CLICKED,
    EVENT_COMPLAINED,
    EVENT_UNSUBSCRIBED,
    EVENT_SUPPRESSED /* suppression alone (Postmark SubscriptionChange): no status, no failure row */
};

enum suppression_reason { SUPPRESS_NOT = 0, SUPPRESS_BOUNCE, SUPPRESS_COMPLAINT, SUPPRESS_UNSUBSCRIBE };

/* Classes of coverage (SRC-1). */
enum event_class { CLASS_OPENS, CLASS_OTHERS, CLASS_COUNT };

/* Evidence bits of LED section 6. */
enum touch_bit {
    BIT_PROVIDER = 1,
    BIT_BURST = 2,
    BIT_HONEYPOT = 4,
    BIT_METHOD = 8,
    BIT_AGENT = 16,
    BIT_RANGE = 32,
    BIT_MAIL_PROXY = 64,
    BIT_IMAGE_PROXY = 128,
    BIT_SOON = 256,
    BIT_PROBE = 512
};

#define EVENT_TEXT_CHARS_MAX      2000 /* of a failure text, which is cut behind them (LED-11) */
#define EVENT_ENHANCED_BYTES_MAX  50
#define EVENT_RECIPIENT_BYTES_MAX 320 /* LED-4; a longer one can be nobody's and counts as absent */
#define EVENT_ID_BYTES_MAX        128 /* message and mailing ids (LED-4); a longer one counts as absent */
#define EVENT_REF_BYTES_MAX       998 /* provider message ids: a header line (RFC 5322) */
#define EVENT_TYPE_BYTES_MAX      64  /* of a type nobody knows */
#define EVENT_AGENT_BYTES_MAX     1024
#define EVENT_FUTURE_US           INT64_C(60000000)
#define EVENT_CODE_NONE           INT32_MIN

struct provider_event {
    enum event_kind kind;
    const char *type;   /* the provider's own word, legacy names mapped first (SRC-13); for logs and the dedupe key */
    const char *reason; /* EVENT_MALFORMED: a short fixed word for the counter ("no_time", "no_message", ...) */
    struct str raw;     /* the item's own bytes, for the newest malformed ones kept */

    int64_t at_us;    /* event time; our receive time where the provider gives none */
    bool is_reported; /* at_us is the provider's word, not our receive time */
    bool is_future;   /* dated after now + 60 s: to be left for later and warned about (SRC-16) */

    /* Dedupe (SRC-13): UTC day of at_us and SipHash-128 of (source, type, provider event id, day), or of the
     * replacement fields without an id. Filled by provider_event_key; zero in malformed and unhandled events, which
     * are not remembered. */
    struct str event_id; /* with the recipient behind it where one item names several */
    int32_t day;
    uint64_t key[2];

    /* References, in the order of SRC-25; not given where absent. */
    struct str message;             /* our message id */
    struct str mailing;             /* our mailing id, used with recipient */
    struct str provider_message_id; /* without <> */
    struct str recipient;           /* as reported, trimmed; compared folded */
    struct str folded;              /* the recipient in its comparison form (fold_address) */

    /* EVENT_FAILED, EVENT_DELAYED, EVENT_GAVE_UP, EVENT_REFUSED */
    int32_t code;        /* EVENT_CODE_NONE when absent */
    struct str enhanced; /* at most 50 bytes */
    struct str text;     /* at most 2,000 characters; fallback of LED-11 already put in */

    /* What the event asks for by itself, per ledger.md section 5; also set for EVENT_COMPLAINED, EVENT_UNSUBSCRIBED and
     * EVENT_SUPPRESSED. */
    enum suppression_reason suppress;

    /* EVENT_OPENED, EVENT_CLICKED */
    struct str url;   /* clicked link, whole */
    struct str ip;    /* valid address text or not given (SRC-39) */
    struct str agent; /* user agent; given and empty counts as evidence only where the provider sent the field */
    uint32_t bits;    /* evidence the item itself carries: provider, agent, mail proxy, image proxy */
    int64_t client;   /* keyed hash of ip and agent once the ledger made it (LED-24); 0 before and when unknown */
};

enum event_result {
    RESULT_APPLIED,
    RESULT_UNCHANGED,
    RESULT_DUPLICATE,
    RESULT_PARKED,
    RESULT_UNHANDLED,
    RESULT_MALFORMED,
    RESULT_COUNT
};

/* "applied", ... as in posthouse_source_events_total{result}. */
const char *event_result_name(enum event_result result);

/* "delivered", "gave_up", ...: our word, for logs. */
const char *event_kind_name(enum event_kind kind);

/* Fills day and key from source, type, event_id and at_us, or from the replacement fields when event_id is not given
 * (SRC-13): type, references, folded recipient, reported time or nothing, code. hash_key holds SIPHASH_KEY_BYTES. */
void provider_event_key(struct provider_event *event, const uint8_t *hash_key, struct str source);
