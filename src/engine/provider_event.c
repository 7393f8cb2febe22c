#include "engine/provider_event.h"

#include "base/siphash.h"

#define DAY_US INT64_C(86400000000)

const char *event_result_name(enum event_result result)
{
    static const char *const names[RESULT_COUNT] = {
        [RESULT_APPLIED] = "applied", [RESULT_UNCHANGED] = "unchanged", [RESULT_DUPLICATE] = "duplicate",
        [RESULT_PARKED] = "parked",   [RESULT_UNHANDLED] = "unhandled", [RESULT_MALFORMED] = "malformed",
    };
    return (unsigned)result < RESULT_COUNT ? names[result] : "unknown";
}

const char *event_kind_name(enum event_kind kind)
{
    static const char *const names[] = {
        [EVENT_MALFORMED] = "malformed",   [EVENT_UNHANDLED] = "unhandled",   [EVENT_SENDING] = "sending",
        [EVENT_DELIVERED] = "delivered",   [EVENT_FAILED] = "failed",         [EVENT_DELAYED] = "delayed",
        [EVENT_GAVE_UP] = "gave_up",       [EVENT_REFUSED] = "refused",       [EVENT_OPENED] = "opened",
        [EVENT_CLICKED] = "clicked",       [EVENT_COMPLAINED] = "complained", [EVENT_UNSUBSCRIBED] = "unsubscribed",
        [EVENT_SUPPRESSED] = "suppressed",
    };
    return (unsigned)kind < sizeof names / sizeof names[0] ? names[kind] : "unknown";
}

/* Floored, because a day before 1970 still begins at its midnight. */
static int32_t day_of(int64_t at_us)
{
    return (int32_t)(at_us / DAY_US - (at_us % DAY_US < 0));
}

/* What identifies an event without an id: all that the provider says about which message it was, and when. */
static void add_replacement(struct siphash *hash, const struct provider_event *event)
{
    siphash_add_str(hash, event->message);
    siphash_add_str(hash, event->mailing);
    siphash_add_str(hash, event->provider_message_id);
    siphash_add_str(hash, event->folded);
    siphash_add_u64(hash, event->is_reported);
    siphash_add_u64(hash, event->is_reported ? (uint64_t)event->at_us : 0);
    siphash_add_u64(hash, (uint64_t)event->code);
    siphash_add_str(hash, event->enhanced);
}

void provider_event_key(struct provider_event *event, const uint8_t *hash_key, struct str source)
{
    struct siphash hash;
    event->day = day_of(event->at_us);
    siphash_init128(&hash, siphash_key_from(hash_key));
    siphash_add_str(&hash, source);
    siphash_add_str(&hash, str_of(event->type));
    siphash_add_u64(&hash, (uint64_t)event->day);
    if (event->event_id.n)
        siphash_add_str(&hash, event->event_id);
    else
        add_replacement(&hash, event);

    struct hash128 key = siphash_end128(&hash);
    event->key[0] = key.lo;
    event->key[1] = key.hi;
}
