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
    EVENT_MALFORMED,  /* no type, no usable time or no reference to a message: counted by reason, kept raw */
    EVENT_UNHANDLED,  /* a type of no interest; decided from the type alone */
    EVENT_SENDING,    /* provider has taken it */
    EVENT_DELIVERED,
    EVENT_FAILED,     /* permanent: failed_at, failure row, permanent-failure */
    EVENT_DELAYED,    /* temporary, still trying: failure row only */
    EVENT_GAVE_UP,    /* receipt "temporary-failure": failure row, temporary-failure */
    EVENT_REFUSED,    /* technical-failure (SES Reject, Rendering Failure): failed_at, failure row */
    EVENT_OPENED,
    EVENT_CLICKED,
    EVENT_COMPLAINED,
    EVENT_UNSUBSCRIBED,
    EVENT_SUPPRESSED  /* suppression alone (Postmark SubscriptionChange): no status, no failure row */
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

#define EVENT_TEXT_BYTES_MAX     2000 /* failure text, cut at a character (LED-11) */
#define EVENT_ENHANCED_BYTES_MAX 50
#define EVENT_CODE_NONE          INT32_MIN

struct provider_event {
    enum event_kind kind;
    const char *type;   /* the provider's own word, legacy names mapped first (SRC-13); for logs and the dedupe key */
    const char *reason; /* EVENT_MALFORMED: a short fixed word for the counter ("no_time", "no_message", ...) */
    struct str raw;     /* the item's own bytes, for the newest malformed ones kept */

    int64_t at_us; /* event time; our receive time where the provider gives none */

    /* Dedupe (SRC-13): UTC day of at_us and SipHash-128 of (source, type, provider event id, day), or of the
     * replacement fields without an id. Filled by provider_event_key. */
    struct str event_id;
    int32_t day;
    uint64_t key[2];

    /* References, in the order of SRC-25; not given where absent. */
    struct str message;             /* our message id */
    struct str mailing;             /* our mailing id, used with recipient */
    struct str provider_message_id; /* without <> */
    struct str recipient;           /* as reported; compared folded */

    /* EVENT_FAILED, EVENT_DELAYED, EVENT_GAVE_UP, EVENT_REFUSED */
    int32_t code;         /* EVENT_CODE_NONE when absent */
    struct str enhanced;  /* at most 50 bytes */
    struct str text;      /* at most 2,000 characters; fallback of LED-11 already put in */
    enum suppression_reason suppress; /* what the event asks for by itself, per ledger.md section 5 */

    /* EVENT_OPENED, EVENT_CLICKED */
    struct str url;   /* clicked link, whole */
    struct str ip;    /* valid address text or not given (SRC-39) */
    struct str agent; /* user agent; given and empty counts as evidence only where the provider sent the field */
    uint32_t bits;    /* evidence the item itself carries: provider, agent, mail proxy, image proxy */
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

/* Fills day and key from source, type, event_id and at_us, or from the replacement fields when event_id is not given
 * (SRC-13): type, message reference, folded recipient, reported time text or nothing, code. */
void provider_event_key(struct provider_event *event, const uint8_t hash_key[16], struct str source,
                        struct str reported_time);
