/*
 * store_source.h - rows of sources: what is configured, read, promised and warned about.
 *
 * A source has a number that every other table uses; numbers are never reused.
 * Everything a lane needs to go on after a crash is a row here and changes in
 * the transaction that holds the events it speaks of (SRC-14).
 *
 *     source        one row each: configuration, first reading
 *     lane          one row per source and lane: window, state, counts, lease
 *     coverage      intervals that were read, per source and class (SRC-1)
 *     source_gap    time that was never read and is gone (SRC-20)
 *     source_warning, source_sample, hook_token, source_ring
 */
#pragma once

#include "store/tx.h"

#define STORE_LANES          5   /* four lanes, and the webhooks' counts in the fifth */
#define STORE_RESULTS        6   /* enum event_result */
#define STORE_LANE_ERROR_MAX 256 /* bytes of a last_error */
#define STORE_GAPS_MAX       100 /* per source: the newest are kept */
#define STORE_SAMPLES_MAX    20  /* malformed items kept raw per source */
#define STORE_SAMPLE_BYTES   4096
#define STORE_RING_BUCKETS   100 /* of 100 items each: the last 10,000 */
#define STORE_NO_INSTANT     INT64_MIN

struct source_row {
    uint32_t no; /* 0 = not stored yet */
    struct str id;
    struct str type; /* "mailgun", "ses", ... */
    struct str api;  /* mailgun: "events", "logs" */
    struct str base_url;
    struct str domain;
    struct str api_key;     /* secret: never in answers, logs or errors (SRC-21) */
    struct str signing_key; /* secret */
    struct str tags;        /* JSON array of texts, or not given */
    struct str topics;      /* JSON array of texts, or not given */
    struct str hook_url;
    struct str timing;         /* JSON object as given, or not given */
    struct str hook_tolerance; /* duration as given, or not given */
    uint32_t tenant_no;        /* 0 = every tenant */
    bool noprune;
    int64_t created_at_us;
    int64_t first_begin_us; /* where the first reading began (SRC-7); STORE_NO_INSTANT before it */
    uint64_t version;       /* grows with every change that a poller must see */
};

/* ERR_NOT_FOUND when there is none. Texts live in the op's arena. */
enum err store_source_get(struct op *op, struct tx *tx, struct str id, struct source_row *ret);
enum err store_source_get_no(struct op *op, struct tx *tx, uint32_t no, struct source_row *ret);

/* Inserts (no == 0: gives it a number) or updates by number; the version grows by one. */
enum err store_source_put(struct op *op, struct tx *tx, struct source_row *row);

/* The first reading's begin, written once; the version stays. */
enum err store_source_begin_put(struct op *op, struct tx *tx, uint32_t source_no, int64_t first_begin_us);

/* Tells pollers to look again without changing the configuration. */
enum err store_source_touch(struct op *op, struct tx *tx, uint32_t source_no);

/* Sources with an id behind after (not given: from the first), in order of id; at most limit. */
enum err store_source_each(struct op *op, struct tx *tx, struct str after, int limit,
                           enum err (*fn)(struct op *op, struct tx *tx, const struct source_row *row, void *arg),
                           void *arg);

/* ---------------------------------------------------------------------------------------------------------- lanes */

struct lane_row {
    uint32_t source_no;
    uint8_t lane;            /* enum lane */
    uint8_t state;           /* enum lane_state */
    int64_t window_begin_us; /* STORE_NO_INSTANT: no window under way */
    int64_t window_end_us;
    int64_t position_us;      /* committed up to here within the window, or where the last window ended */
    int64_t next_run_at_us;   /* STORE_NO_INSTANT: not planned */
    int64_t last_event_at_us; /* STORE_NO_INSTANT: none yet */
    int64_t behind_since_us;  /* since when it is over 10 min behind; STORE_NO_INSTANT: it is not (SRC-22) */
    struct str last_error;    /* one sentence without secrets; not given: the last request was well */
    int64_t count[STORE_RESULTS];
    struct str lease_node; /* who runs it (SRC-10); not given: nobody did yet */
    uint64_t lease_epoch;
    int64_t lease_until_us;
};

/* All five rows of a source; rows not stored yet read as idle ones without anything. */
enum err store_lane_get(struct op *op, struct tx *tx, uint32_t source_no, struct lane_row ret[STORE_LANES]);
enum err store_lane_get_one(struct op *op, struct tx *tx, uint32_t source_no, unsigned lane, struct lane_row *ret);
enum err store_lane_put(struct op *op, struct tx *tx, const struct lane_row *row);

/* ------------------------------------------------------------------------------------------------------- coverage */

/* A stretch of time of one class: [begin, end). */
struct interval {
    int64_t begin_us;
    int64_t end_us;
    uint32_t passes;  /* complete readings; 0 = a hole or a gap */
    uint8_t looks;    /* planned looks that a reading satisfied, counted from the live one (SRC-3) */
    uint8_t tried;    /* planned looks that are used up, also in vain; of a hole: tries so far */
    int64_t again_us; /* of a hole: when it is tried again, INT64_MAX = never; else 0 */
};

/* The intervals of a class in order of time, in the op's arena. */
enum err store_coverage_get(struct op *op, struct tx *tx, uint32_t source_no, unsigned class, struct interval **ret,
                            size_t *ret_count);

/* Makes the rows those of `now` where they were those of `before`: only what differs is written. */
enum err store_coverage_put(struct op *op, struct tx *tx, uint32_t source_no, unsigned class,
                            const struct interval *before, size_t before_count, const struct interval *now,
                            size_t now_count);

struct gap_row {
    int64_t begin_us;
    int64_t end_us;
    int64_t at_us; /* when it was found */
};

/* Notes a gap; the oldest go when there are more than STORE_GAPS_MAX. */
enum err store_gap_add(struct op *op, struct tx *tx, uint32_t source_no, const struct gap_row *gap);
/* Oldest first, in the op's arena. */
enum err store_gap_list(struct op *op, struct tx *tx, uint32_t source_no, struct gap_row **ret, size_t *ret_count);

/* ------------------------------------------------------------------------------------- warnings, counts, samples */

struct warning_row {
    uint8_t code; /* enum warning_code */
    int64_t since_us;
    int64_t seen_us; /* last time it was true */
    int64_t number;  /* what the code counts (refused webhooks, seconds apart); else 0 */
    struct str detail;
};

/* In order of code, in the op's arena. */
enum err store_warning_list(struct op *op, struct tx *tx, uint32_t source_no, struct warning_row **ret,
                            size_t *ret_count);
enum err store_warning_put(struct op *op, struct tx *tx, uint32_t source_no, const struct warning_row *row);
enum err store_warning_delete(struct op *op, struct tx *tx, uint32_t source_no, unsigned code);

/* How many of a source's last 10,000 items were parked and malformed, in buckets of 100 items. */
struct ring {
    uint8_t parked[STORE_RING_BUCKETS];
    uint8_t malformed[STORE_RING_BUCKETS];
    uint8_t at;    /* bucket being filled */
    uint8_t in_it; /* items in it, 0..99 */
    uint8_t full;  /* 1: the ring went round, so all buckets count */
    uint8_t spare;
};

/* All zeros before the first item. */
enum err store_ring_get(struct op *op, struct tx *tx, uint32_t source_no, struct ring *ret);
enum err store_ring_put(struct op *op, struct tx *tx, uint32_t source_no, const struct ring *ring);

/* Adds to the number of malformed items of a reason ("no_time"). */
enum err store_reason_count(struct op *op, struct tx *tx, uint32_t source_no, struct str reason, int64_t delta);

struct reason_row {
    struct str reason;
    int64_t count;
};
enum err store_reason_list(struct op *op, struct tx *tx, uint32_t source_no, struct reason_row **ret,
                           size_t *ret_count);

struct sample_row {
    uint64_t seq;
    int64_t at_us; /* when it came */
    struct str reason;
    struct str raw; /* at most STORE_SAMPLE_BYTES, addresses masked by the caller */
};

/* Keeps the newest STORE_SAMPLES_MAX. */
enum err store_sample_add(struct op *op, struct tx *tx, uint32_t source_no, const struct sample_row *row);
/* Newest first, in the op's arena. */
enum err store_sample_list(struct op *op, struct tx *tx, uint32_t source_no, struct sample_row **ret,
                           size_t *ret_count);

/* ------------------------------------------------------------------------------------------------------- webhooks */

#define STORE_TOKEN_HASH_BYTES 16
#define STORE_BODY_HASH_BYTES  32

/* The body hash a token came with; false in ret_found when the token is not remembered (SRC-28). */
enum err store_hook_token_get(struct op *op, struct tx *tx, uint32_t source_no,
                              const uint8_t token[STORE_TOKEN_HASH_BYTES], bool *ret_found,
                              uint8_t ret_body_hash[STORE_BODY_HASH_BYTES]);

/* Remembers a token until an instant, and forgets a few whose time is over before now_us. */
enum err store_hook_token_put(struct op *op, struct tx *tx, uint32_t source_no,
                              const uint8_t token[STORE_TOKEN_HASH_BYTES],
                              const uint8_t body_hash[STORE_BODY_HASH_BYTES], int64_t until_us, int64_t now_us);

/* ---------------------------------------------------------------------------- figures of the ledger, for warnings */

/* When the newest mailing of the tenant (0: of all) was sent, or made where nobody said when it is sent;
 * STORE_NO_INSTANT without any. Decides the poll pause. */
enum err store_source_newest_mailing(struct op *op, struct tx *tx, uint32_t tenant_no, int64_t *ret_us);

/* Messages in mailings of the tenant (0: of all) sent within [from_us, to_us); counting stops at `enough`. */
enum err store_source_sent_count(struct op *op, struct tx *tx, uint32_t tenant_no, int64_t from_us, int64_t to_us,
                                 int64_t enough, int64_t *ret_count);
