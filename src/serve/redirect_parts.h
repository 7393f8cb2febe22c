/*
 * redirect_parts.h - what the files of the redirect share; nobody else includes it.
 *
 *     redirect.c         the way of one request: link, member, click, answer
 *     redirect_lookup.c  what the caches do not know is read from the store; how long that may take
 *     redirect_client.c  who is asking: address, agent, evidence
 *     redirect_changes.c what other nodes changed
 *     redirect_page.c    answers that are no redirect
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "net/busy.h"
#include "serve/click_line.h"
#include "serve/link_cache.h"
#include "serve/member_map.h"
#include "serve/redirect.h"

#define CODE_BYTES_MAX    128
#define LOOKUPS_MAX       32   /* look-ups of one read */
#define NEAR_MESSAGES     128  /* neighbours of a message that are read with it */
#define NEAR_LINKS        32   /* and of a link */
#define READS_MAX         2    /* reads of a loop under way: more wait and go together */
#define TRIES_MAX         4    /* look-ups for one request before it is refused */
#define PROBES            1024 /* clients that looked at an unsubscribe page lately */
#define PROBE_MS          2000
#define AGENTS            1024 /* agents whose evidence is remembered */
#define NETWORKS          4096 /* client networks whose unknown codes are counted */
#define UNKNOWN_CODES_MAX 1000 /* of one network in a second: 429 above */

enum lookup_kind { LOOKUP_LINK, LOOKUP_MEMBER };

/* One request on its way; lives in the request's arena. */
struct visit {
    struct click_wait wait; /* first: the line gives it back */
    struct redirect *redirect;
    struct redirect_lane *lane;
    struct http_request *request;
    enum lookup_kind lookup;
    struct visit *next, **place; /* among those that wait for a read, or in one; place NULL: it asks for nothing */
    struct timer patience;       /* set by its first look-up: with that and its click it waits no longer than others */
    struct str code, member;     /* member: not given without one */
    char member_text[LINK_MEMBER_BYTES_MAX];
    uint32_t tenant_no, mailing_no; /* of its link, for LOOKUP_MEMBER */
    uint64_t member_hash;
    uint32_t code_hash;
    uint16_t bits; /* evidence of the request, and its client: of one that names a member */
    int64_t client;
    struct str location;
    int tries;
    bool in_line;        /* its click waits to be durable */
    bool unknown_member; /* just read: he is no recipient */
};

struct client_keys {
    int32_t day; /* of key[0]; key[1] is the next day's. INT32_MIN: none known yet */
    uint8_t key[2][16];
};

/* What one loop asks the store; touched by that loop alone. */
struct redirect_lane {
    struct redirect *redirect;
    struct loop *loop;
    struct visit *waiting, **last_waiting; /* for a read */
    struct errand turn_end;                /* sends what waits, */
    bool ends;                             /* when it is set */
    int reads;                             /* under way */
};

struct redirect {
    struct redirect_config config;
    struct siphash_key hash_key;
    struct click_line *line;
    struct busy busy; /* what it asks the store */
    struct redirect_lane lanes[CLICK_LOOPS_MAX];
    atomic_int_fast64_t asking; /* visits that wait for a read or are in one, of all lanes */
    struct metric_cell *ignored_no_member, *ignored_unknown, *ignored_head;

    struct timer look; /* for changes of other nodes; the home loop's */
    bool looking;
    int64_t changes_known; /* number of the newest change that was heard of */

    atomic_int_fast64_t probed_ms; /* when somebody looked at an unsubscribe page last */
    pthread_mutex_t lock;          /* over what follows: short, nothing is waited for with it */
    struct link_cache *links;
    struct member_map *members;
    struct client_keys keys;
    bool keys_asked;
    struct {
        int64_t client, at_ms;
    } probes[PROBES];
    struct {
        uint64_t hash;
        uint32_t bits;
    } agents[AGENTS];
    struct {
        uint64_t network;
        int64_t second;
        int count;
    } networks[NETWORKS];
};

/* redirect.c */

/* Goes on with a request after what it waited for. */
void visit_go(struct visit *visit);

/* Answers 503, whatever the request waits for, and counts that: with a link to go on by where it is known (LNK-43,
 * LNK-44). */
void visit_refuse(struct visit *visit);

/* redirect_lookup.c */

/* Reads what visit->lookup names, then visit_go; or refuses when the store cannot be read, when that takes too long, or
 * when too many ask already. */
void visit_look_up(struct visit *visit);

/* What it asks for, if anything, is of no interest any more. */
void visit_ask_no_more(struct visit *visit);
uint64_t member_hash_of(const struct redirect *redirect, uint32_t tenant_no, uint32_t mailing_no, struct str member);

/* redirect_client.c */

/* Who asks, and what the request says of him: fills client and bits of the visit. */
void visit_evidence(struct visit *visit);

/* BIT_PROBE when its client looked at an unsubscribe page just now: for one click, not for all of them; else 0. */
uint16_t visit_take_probe(struct visit *visit);

/* One more unknown code from this client; false when its network has asked for too many. */
bool may_miss(struct redirect *redirect, struct http_request *request);

/* Its network has asked for too many already: what it asks for is not even looked up. */
bool has_missed_too_many(struct redirect *redirect, struct http_request *request);

/* Reads today's and tomorrow's keys, before any loop runs. */
enum err keys_open(struct op *op, struct redirect *redirect);

/* redirect_changes.c */

/* From now on changes of other nodes are heard. Not on a loop. */
enum err changes_open(struct op *op, struct redirect *redirect);

/* None is heard any more; a look under way is counted in redirect->busy. Not on a loop. */
void changes_stop(struct redirect *redirect);

/* redirect_page.c */

void answer_not_found(struct redirect *redirect, struct http_request *request);

/* 503 with a link to go on by; location may be not given. */
void answer_busy(struct http_request *request, struct str location);
