/*
 * provider.h - the bytes of a provider become provider events.
 *
 *     page of a poll ----> provider_page_parse --+
 *                                                +--> struct provider_event[] --> ledger_apply
 *     posted webhook ----> provider_hook_parse --+
 *
 * Each provider is one file, provider_NAME.c, with a struct provider_format of
 * functions, and one line in the registry of provider.c. Nothing here owns a
 * socket or a row: what must be fetched or remembered is said in the result,
 * and the caller does it.
 *
 * One bad item costs itself (SRC-17): it becomes an EVENT_MALFORMED with a
 * reason and its raw bytes, and the items around it are read as ever.
 */
#pragma once

#include "base/cidr.h"
#include "engine/agent.h"
#include "engine/provider_event.h"

#define PROVIDER_PAGE_BYTES_MAX  (8 << 20) /* of a page of Mailgun (SRC-18) */
#define PROVIDER_HOOK_BYTES_MAX  (5 << 20) /* of a webhook (SRC-27) */
#define PROVIDER_TOKEN_BYTES_MAX 8192
#define PROVIDER_TOLERANCE_US    INT64_C(32400000000) /* webhooks up to 9 h old: the provider's retries take 8 h */
#define PROVIDER_AHEAD_US        INT64_C(300000000)   /* and up to 5 min ahead of our clock */
#define PROVIDER_REPLAY_US       INT64_C(86400000000) /* tokens are remembered for 24 h, or the tolerance if longer */
#define PROVIDER_BODY_HASH_BYTES 32

struct provider_format;

/* A source as far as reading needs it. All text is the caller's and outlives the call. */
struct provider_source {
    struct str id;                    /* part of every dedupe key */
    const uint8_t *hash_key;          /* 16 secret bytes (store_hash_key) */
    const struct agent_list *agents;  /* known scanners, or NULL */
    const struct cidr_list *networks; /* networks of machines (BIT_RANGE), or NULL */

    /* Webhooks only. */
    struct str signing_key;   /* what it means differs by type; not given: refused unless is_dev */
    const struct str *topics; /* ses: topics that may speak to us */
    size_t topic_n;
    int64_t tolerance_us; /* mailgun: age at which a webhook is refused; 0 = PROVIDER_TOLERANCE_US */
    bool is_dev;          /* --dev: a missing signing_key lets everything pass */

    /* ses: the PEM behind a SigningCertURL as far as it is known; not given otherwise. The URL was checked. */
    struct str (*certificate)(void *data, struct str url);
    void *certificate_data;
};

/* ------------------------------------------------------------------------------------------------------- pages */

enum provider_api { PROVIDER_API_EVENTS, PROVIDER_API_LOGS };

struct provider_page {
    struct provider_event *events; /* items inside the window in the page's order, and those that are future */
    size_t n;
    size_t item_n;    /* items of the page, dropped ones included; 0 = end of the data (SRC-17) */
    size_t dropped_n; /* outside of the window, in no result */
    struct str next;  /* token of the next page, safe to put into a path (SRC-24); not given: there is none */
    uint64_t ids;     /* equal for pages of the same items in the same order, for the loop guard (SRC-19) */
    int64_t last_us;  /* latest time of an item inside the window; INT64_MIN without one */
};

/*
 * Reads one page of Mailgun, keeping items in [begin_us, end_us). ERR_MALFORMED when the page as a whole is unreadable
 * (SRC-18: no JSON, cut off, no list of items), ERR_TOO_LARGE when it is over PROVIDER_PAGE_BYTES_MAX or does not fit
 * the op's arena; nothing may be committed then. Texts point into `bytes` or the arena.
 */
enum err provider_page_parse(struct op *op, const struct provider_source *source, enum provider_api api,
                             struct str bytes, int64_t begin_us, int64_t end_us, struct provider_page *ret_page);

/* ---------------------------------------------------------------------------------------------------- webhooks */

struct provider_post {
    struct str content_type; /* not given when the header is absent */
    struct str body;         /* as received: signatures are checked over these bytes (SRC-43) */
    struct str (*header)(const void *data, struct str name); /* not given when absent; name in any case */
    const void *header_data;
};

enum hook_verdict {
    HOOK_ACCEPTED,          /* apply the events, then 200 */
    HOOK_UNUSABLE,          /* authentic, but holds nothing usable: count the events (all malformed), store nothing */
    HOOK_BAD_SIGNATURE,     /* missing or wrong: 401, nothing stored, warning hook_refused */
    HOOK_UNREADABLE,        /* neither JSON nor form, so nobody can tell who sent it: 400 */
    HOOK_NEEDS_CERTIFICATE, /* ses: fetch `url`, then parse again; not to be had: 503 with Retry-After */
    HOOK_CONFIRM            /* ses: a subscription to a topic of ours; a job fetches `url`; 200 */
};

struct provider_hook {
    enum hook_verdict verdict;
    struct provider_event *events; /* HOOK_ACCEPTED, HOOK_UNUSABLE */
    size_t n;
    struct str url;        /* HOOK_NEEDS_CERTIFICATE, HOOK_CONFIRM: https and a host of SNS, checked (SRC-29) */
    const char *complaint; /* one sentence without secrets why it was refused; NULL when accepted */

    /* mailgun: the signature does not cover the body, so the token is remembered with the body's hash (SRC-28): same
     * token and hash = 200 and nothing changes, same token and other hash = 401. Not given for other providers. */
    struct str replay_token;
    uint8_t body_hash[PROVIDER_BODY_HASH_BYTES]; /* SHA-256 */
    int64_t replay_until_us;                     /* when the token may be forgotten */
};

struct provider_format {
    const char *type;    /* "mailgun", as in PUT /v1/sources/{id} */
    int unusable_status; /* the answer to HOOK_UNUSABLE: retrying cannot help, and each provider must be told its way */
    bool needs_key;      /* webhooks need a signing_key */

    /* Authenticates and reads one posted body. Errors are ERR_TOO_LARGE only; all else is in the verdict. */
    enum err (*parse)(struct op *op, const struct provider_source *source, const struct provider_post *post,
                      struct provider_hook *ret_hook);

    /* OK when a signing_key can be one; else ERR_INVALID with the sentence for the one who set it. NULL: any text. */
    enum err (*check_key)(struct op *op, struct str key);
};

/* The format of a source type; NULL when there is none. */
const struct provider_format *provider_format_find(struct str type);

/* The registry in its order: NULL behind the last one. */
const struct provider_format *provider_format_at(size_t index);

/* Checks the size and the missing key, then lets the format read. ERR_TOO_LARGE: 413. */
enum err provider_hook_parse(struct op *op, const struct provider_format *format, const struct provider_source *source,
                             const struct provider_post *post, struct provider_hook *ret_hook);

/* HTTP status that answers a verdict; for HOOK_NEEDS_CERTIFICATE the one when no certificate can be had. */
int provider_hook_status(const struct provider_format *format, enum hook_verdict verdict);
