/*
 * redirect.h - /r/{code}?m={member}: where people who click are sent on.
 *
 *     request -> code: cache ------> member: map -> click: line -> durable -> 302
 *                  |  unknown            |  unknown
 *                  +--> a read, back     +--> a read, back
 *
 * Nothing of a request but its member reaches the answer, and that is encoded
 * into places found when the link was saved; so there is no open redirect and
 * no header to inject (LNK-16). Whoever is no recipient of the link's mailing is
 * redirected at once and counted nowhere (LNK-14). The answer (LNK-10) leaves
 * when its click is durable: a crash may cost an answer, never a click (LNK-12).
 *
 * Requests come on several loops and are answered on their own. What is known of links, members and clients is one
 * for all of them, under a lock that nothing is waited for with.
 *
 * Thread: redirect_get on any of its loops; everything else on the first, its home, unless it says otherwise.
 */
#pragma once

#include "net/http_server.h"
#include "store/store_link.h"

struct api;
struct call;
struct redirect;
struct store;

struct redirect_config {
    struct store *store;
    struct loop *loop;         /* its home: that of all other requests */
    struct loop *const *also;  /* further loops of its door, read while it opens */
    int also_count;            /* below CLICK_LOOPS_MAX */
    const struct api *api;     /* its lists: scanners, networks of machines, proxies */
    struct str node;           /* click_line.h */
    const char *spool_path;    /* NULL: none */
    size_t spool_clicks;       /* 0 = default */
    int64_t max_waiting;       /* 0 = default */
    int64_t wait_ms;           /* 0 = default */
    int64_t stall_ms;          /* 0 = default */
    size_t cache_bytes;        /* of links; 0 = default */
    struct str not_found_page; /* HTML; not given: a small one */
};

/* Before the door opens, and after its loops have ended. Not on a loop. */
enum err redirect_open(struct op *op, const struct redirect_config *config, struct redirect **ret_redirect);

/* Between the door's end and that of its loops: returns when clicks that were answered are stored, as far as the store
 * takes them, and when nothing that was asked of the store is still to come home. NULL is allowed. */
void redirect_drain(struct redirect *redirect);
void redirect_close(struct redirect *redirect);

/* GET and HEAD of /r/{code}, on any of its loops; the server's data is a struct api. */
void redirect_get(struct http_request *request);

/* A link was made or changed, durably: from now on no redirect uses what was known of it. */
void redirect_learn(struct redirect *redirect, const struct link *link);

/* Ends the call like call_end(call, OK), but not before every redirect that is under way with a former destination, on
 * whatever loop, has been answered (LNK-20). */
void redirect_end_after(struct redirect *redirect, struct call *call);

/* Sends the call on its way when every click answered before is stored, so that who was sent on finds his click; after
 * a second at the latest, with a header that says how many clicks its answer does not know. On the loop; the request's
 * memory is used. */
void redirect_send_behind(struct redirect *redirect, struct call *call);

/* A client looked at an unsubscribe page: evidence for its next click (LNK-33). */
void redirect_probe(struct redirect *redirect, struct http_request *request);

/* The client's address: the peer's, or what a trusted proxy says it is (LNK-24). */
struct str redirect_client_address(const struct redirect *redirect, struct http_request *request);

/* Clicks that are in the spool, so that /readyz can say so. Any thread. */
int64_t redirect_spooled(const struct redirect *redirect);
