/*
 * job_policy.h - what a queue, and a budget, allows.
 *
 * A policy is a JSON object of the words in the API. PATCH merges into it and
 * null takes a word away. The text is what is stored; the struct is what the
 * engine reads, with defaults filled in.
 */
#pragma once

#include "base/json_fields.h"
#include "base/json_write.h"
#include "engine/job.h"
#include "engine/rate.h"

#define POLICY_BYTES_MAX  (64 * 1024)
#define POLICY_KEYS_MAX   1000
#define POLICY_DELAYS_MAX 100
#define POLICY_NONE       INT64_C(-1) /* no limit */
#define CRASH_WINDOW_US   (INT64_C(72) * 3600 * 1000000)
#define SLOTS_MAX         100000

enum backoff { BACKOFF_POLYNOMIAL, BACKOFF_EXPONENTIAL, BACKOFF_LINEAR, BACKOFF_FIXED, BACKOFF_LIST };

struct retry_policy {
    int64_t max;
    enum backoff backoff;
    int64_t base_us, cap_us;
    int64_t delays_us[POLICY_DELAYS_MAX];
    int delay_count;
};

struct key_policy {
    uint64_t key; /* hash of the name, as job_read makes it */
    int64_t weight, concurrency;
};

struct queue_policy {
    int64_t concurrency, node_concurrency, worker_concurrency; /* POLICY_NONE */
    struct rate rate, key_rate;                                /* limit 0 = none */
    struct str budget;                                         /* not given = none */
    int64_t budget_cost, weight;
    int64_t key_concurrency;
    struct key_policy *keys; /* sorted by key */
    size_t key_count;
    bool priorities;
    int64_t ageing_us;
    int64_t max_queued, max_bytes, max_age_us;
    int64_t lease_us, timeout_us; /* timeout 0 = none */
    struct retry_policy retry;
    int64_t crash_limit;
    int64_t retain_done_us, retain_done_max, retain_dead_us;
    bool recover_lost_workers;
    struct str handler; /* JSON object; not given = pull */
};

/*
 * Reads the policy in `text` ("" = all defaults) into memory of op's arena. `hash` gives the number of a fairness key.
 * ERR_INVALID with the pointer and the allowed range (LEASE-10 included).
 */
enum err queue_policy_read(struct op *op, struct str text, uint64_t (*hash)(void *data, struct str key), void *data,
                           struct queue_policy *ret, struct json_problems *problems);

/*
 * QUE-9: `patch` merged into `text` as json_merge.h says; a handler of another kind replaces the one before. Both are
 * objects. In op's arena.
 */
enum err policy_merge(struct op *op, struct str text, struct str patch, struct str *ret);

/* Delay before retry number c (0 = the first one), in us; `dice` is any random number (RETRY-1). */
int64_t retry_delay_us(const struct retry_policy *retry, int64_t c, uint64_t dice);

/* The policy of this fairness key; defaults when it has none of its own. */
struct key_policy queue_policy_key(const struct queue_policy *policy, uint64_t key);

struct budget_policy {
    int64_t concurrency; /* POLICY_NONE */
    struct rate rate;
    int64_t cpu_share_ppm; /* of a million; 1000000 = all */
};

enum err budget_policy_read(struct op *op, struct str text, struct budget_policy *ret, struct json_problems *problems);
