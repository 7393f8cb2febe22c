/*
 * job_handler.h - who works on the jobs of a queue, when it is not workers that fetch.
 *
 *     pull      workers fetch them (HAND-1); the default
 *     http      Posthouse calls a URL (HAND-2)
 *     exec      Posthouse runs a command that the configuration file declares (HAND-4)
 *     own       Posthouse's own work, in steps (job_own.h); no policy names it
 *
 * Whatever a handler does, it does under an ordinary lease: it fetches, acks
 * and fails like any worker, as the session of its node. What a node's handlers
 * were doing when it died is begun again when it is back.
 */
#pragma once

#include "base/json_fields.h"
#include "engine/session.h"
#include "store/tx.h"

#define HANDLER_URL_BYTES_MAX     2048
#define HANDLER_COMMAND_BYTES_MAX 128
#define HANDLER_SECRET_BYTES_MAX  128
#define HANDLER_CONCURRENCY       10 /* of a queue that says nothing */
#define HANDLER_HTTP_US           (60 * INT64_C(1000000))
#define HANDLER_RESULT_BYTES_MAX  65536

enum handler_kind { HANDLER_PULL, HANDLER_HTTP, HANDLER_EXEC, HANDLER_OWN };

struct job_handler {
    enum handler_kind kind;
    struct str url, secret; /* http; the secret is "whsec_" and base64 */
    struct str old_secret;  /* signed with both while a secret is rotated; not given = none */
    struct str command;     /* exec: its section of the configuration */
    int64_t timeout_us;     /* of one call */
    bool internal;          /* set by an admin: may reach private addresses */
};

/* The object in a policy; not given is pull. ERR_INVALID with the pointer below "/handler". */
enum err job_handler_read(struct op *op, struct str text, struct job_handler *ret, struct json_problems *problems);

/* The bytes a secret stands for: at most HANDLER_SECRET_BYTES_MAX into ret. */
bool job_handler_key(struct str secret, uint8_t *ret, size_t *ret_bytes);

/* Standard Webhooks: "v1," and the base64 of an HMAC over "id.timestamp.body"; one for each secret, blanks between. */
struct str job_handler_sign(struct op *op, const struct job_handler *handler, struct str id, struct str timestamp,
                            struct str body);

/* A policy as it is shown: secrets are "set". */
enum err policy_shown(struct op *op, struct str policy, struct str *ret);

/* A patch as it is stored: the handler says whether an admin wrote it. ERR_INVALID when the patch says so itself. */
enum err handler_patch(struct op *op, struct str patch, bool is_admin, struct str *ret);

/* A queue that somebody of us works on. Texts live in op's arena. */
struct handled_queue {
    struct str name;
    struct str text; /* of its handler: another text is another handler */
    struct job_handler handler;
    int64_t concurrency;
};

/* All of them. In the writer. */
enum err job_handled_list(struct op *op, struct tx *tx, struct handled_queue **ret, size_t *ret_count);

/* Commands that queues may name; others are refused (HAND-4). From any thread; the list lives until another one is
 * given and the writer has run a command since. */
struct jobs;
struct job_commands {
    const struct str *names;
    size_t count;
};
void jobs_commands(struct jobs *jobs, const struct job_commands *commands);

/* Told in the writer when some handler changed, or rows were read again: ask for the list. One ear; must only post.
 * From any thread: when this returns, nobody is in the former one any more, so fn NULL is how to leave. */
void jobs_on_handlers(struct jobs *jobs, void (*fn)(void *data), void *data);

/* How the handler of a queue is (HAND-3). */
struct handler_word {
    struct str queue, url;
    struct str worker; /* who says so: each node sees for itself */
    int64_t until_us;  /* it is left alone until then, wall; 0 = it is up */
    bool is_news;      /* it was up, or down, until now: an event says so */
};

/* What GET of the queue shows. Lost with the RAM: told again, as no news, after the ear was rung. */
enum err job_handler_tell(struct op *op, struct tx *tx, const struct handler_word *word);

/* The handlers of this session begin anew: what they had in hand is over. Built-in work goes back to where it was, all
 * else was lost with its worker (LEASE-7). At most a slice; *ret_more: call again. */
enum err job_left_behind(struct op *op, struct tx *tx, struct session_id session, bool *ret_more);

/* The application keeps the lease and ends it by its token (answer 202): it belongs to no session any more. */
struct job_lease;
enum err job_hand_over(struct op *op, struct tx *tx, const struct job_lease *lease);
