/*
 * call.h - one API request on its way to the store and back.
 *
 *     static const struct hop tenant_put_route[] = {
 *         { tenant_put_commit, THREAD_WRITER }, // or THREAD_READER
 *         { call_reply, THREAD_CALLER },
 *         { 0 },
 *     };
 *
 *     void tenant_put(struct http_request *request)
 *     {
 *         struct tenant_put *put = call_new(request, sizeof *put);
 *         if (put && call_body(&put->call, fields, COUNT, &put->body, &put->seen))
 *             call_send(&put->call, tenant_put_route);
 *     }
 *
 * The call lives in the request's arena. Its hops write JSON into call->answer
 * through call->json; the last hop, call_reply, sends it, or the problem that
 * stands in the op. When the store is done the answer is durable: nothing is
 * said before (promise 1).
 */
#pragma once

#include "base/json_fields.h"
#include "base/json_write.h"
#include "base/post.h"
#include "net/http_reply.h"
#include "net/http_server.h"

#define CALL_ANSWER_BYTES_MAX (16u * 1024 * 1024)

struct api; /* api.h */
struct idempotency_use;

struct call {
    struct post post; /* first: hops get the post */
    struct http_request *request;
    const struct api *api;
    struct buf answer;
    struct json_writer json;
    int status; /* of a good answer; 200 at first, 204 sends no body */
    struct json_problems problems;
    struct idempotency_use *idempotency; /* of a POST with an Idempotency-Key (idempotency.h) */
    bool shown_once; /* the answer holds a secret: it is never stored, an Idempotency-Key means nothing here */
};

static inline struct call *call_of(struct post *post)
{
    return (struct call *)post;
}

/* A zeroed struct of `bytes` that begins with a struct call, ready to use; NULL when there was no room, the request is
 * then answered. */
void *call_new(struct http_request *request, size_t bytes);

/* Reads the JSON body by the table; false when it was refused, the request is then answered (400, or 422 with all
 * problems). */
bool call_body(struct call *call, const struct json_field *fields, size_t count, void *target, struct json_seen *seen);

/* Sends the call along its route; call_reply or a hop of the same kind must be its last one. With an Idempotency-Key
 * the route of a POST must be one hop in the writer, which sets call->status, and one in the caller's thread. */
void call_send(struct call *call, const struct hop *route);

/* The same when err is OK; else the request is answered with err (call_end). */
void call_send_if(struct call *call, enum err err, const struct hop *route);

/* A request that says all with its path: a plain struct call on its way along the route. The second one also asks for
 * call_id. */
void call_run(struct http_request *request, const struct hop *route);
void call_run_named(struct http_request *request, const struct hop *route);

/* Last hop: answers with what the hops made of it. */
enum err call_reply(struct post *post);

/* Answers at once, on the loop: with an error that stands in the post's op, or with what call->answer holds. */
void call_end(struct call *call, enum err err);

/* The decoded {param} of the route's pattern, in order. */
static inline struct str call_param(const struct call *call, int i)
{
    return call->request->params[i];
}

/* ?limit= (1..1000, default 50) and ?after=; false when refused, the request is then answered 422. */
bool call_page(struct call *call, int *ret_limit, struct str *ret_after);

/* The {id} of the path as a name: 1 to 128 bytes of UTF-8 without NUL; false when refused, the request is then
 * answered 422. */
bool call_id(struct call *call);

/* The one tenant the caller's token is bound to, by number; 0 = all. */
uint32_t call_tenant(const struct call *call);

/* OK, or ERR_NOT_FOUND for what belongs to a tenant the caller may not see. */
enum err call_may_see(struct op *op, const struct call *call, uint32_t tenant_no);

/* A token bound to a tenant makes no other one: ERR_FORBIDDEN. */
enum err call_may_make_tenant(struct op *op, const struct call *call, struct str tenant);

/* Empties the answer: a writer hop may run again (post.h). */
void call_restart(struct call *call);

/* Who asks, for the audit trail: the token's id, or "local" without one. */
struct str call_who(const struct call *call);

/* Says in the audit trail, from a hop in the writer, that the caller did this ("queue.patch") to the {id} of the path.
 */
enum err call_note(struct post *post, const char *action, struct str detail);
