#include "serve/idempotency.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/crypto.h"
#include "serve/access.h"
#include "serve/api.h"
#include "store/store_idempotency.h"

#define BUCKETS 1024

struct inflight {
    pthread_mutex_t lock;
    struct idempotency_use *buckets[BUCKETS];
};

struct inflight *inflight_new(void)
{
    struct inflight *inflight = calloc(1, sizeof *inflight);
    if (!inflight)
        abort();
    pthread_mutex_init(&inflight->lock, NULL);
    return inflight;
}

void inflight_free(struct inflight *inflight)
{
    pthread_mutex_destroy(&inflight->lock);
    free(inflight);
}

static struct idempotency_use **bucket_of(struct inflight *inflight, const struct idempotency_use *use)
{
    return &inflight->buckets[(use->key[0] | use->key[1] << 8) % BUCKETS];
}

/* False when the same key is under way already. */
static bool inflight_add(struct inflight *inflight, struct idempotency_use *use)
{
    pthread_mutex_lock(&inflight->lock);
    struct idempotency_use **bucket = bucket_of(inflight, use);
    bool is_new = true;
    for (const struct idempotency_use *other = *bucket; other && is_new; other = other->next)
        is_new = memcmp(other->key, use->key, sizeof use->key) != 0;
    if (is_new) {
        use->next = *bucket;
        *bucket = use;
    }
    pthread_mutex_unlock(&inflight->lock);
    return is_new;
}

static void inflight_remove(struct inflight *inflight, const struct idempotency_use *use)
{
    pthread_mutex_lock(&inflight->lock);
    for (struct idempotency_use **at = bucket_of(inflight, use); *at; at = &(*at)->next)
        if (*at == use) {
            *at = use->next;
            break;
        }
    pthread_mutex_unlock(&inflight->lock);
}

/* --- one use -------------------------------------------------------------- */

/* Lengths are part of it, so that no two requests spell the same bytes. */
static void make_key(struct idempotency_use *use, const struct call *call, struct str header)
{
    const struct caller *caller = access_caller(call->request);
    struct str id = caller ? caller->id : S("");
    uint64_t sizes[2] = { id.n, use->route.n };
    struct str parts[] = { { (const char *)sizes, sizeof sizes }, id, use->route, header };
    uint8_t sha256[CRYPTO_SHA256_BYTES];
    crypto_sha256(parts, sizeof parts / sizeof *parts, sha256);
    memcpy(use->key, sha256, sizeof use->key);
}

void idempotency_body(struct idempotency_use *use, struct str piece)
{
    siphash_add(&use->body, piece.p, piece.n);
}

static uint64_t body_hash(const struct idempotency_use *use)
{
    struct siphash copy = use->body;
    return siphash_end64(&copy);
}

bool idempotency_begin(struct call *call)
{
    struct http_request *request = call->request;
    struct op *op = &call->post.op;
    struct str header = http_header(request, S("Idempotency-Key"));
    if (!str_given(header) || !str_eq(request->method, S("POST")))
        return true;
    struct idempotency_use *use;
    enum err err = op_alloc(op, sizeof *use, &use);
    if (err == OK && (header.n == 0 || header.n > IDEMPOTENCY_KEY_BYTES_MAX))
        err = fail(op, ERR_INVALID, "an Idempotency-Key is 1 to %d bytes", IDEMPOTENCY_KEY_BYTES_MAX);
    if (err == OK) {
        use->route = arena_fmt(op->arena, "POST %.*s", STR(request->target));
        make_key(use, call, header);
        siphash_init64(&use->body, siphash_key_from(store_hash_key(call->api->config.store)));
        if (!inflight_add(call->api->inflight, use))
            err = fail(op, ERR_CONFLICT, "a request with this Idempotency-Key is still under way");
    }
    if (err != OK) {
        call_end(call, err);
        return false;
    }
    call->idempotency = use;
    return true;
}

void idempotency_end(struct call *call, enum err err)
{
    if (call->idempotency && call->idempotency->replayed && err == OK)
        http_reply_header(call->request, S("Idempotency-Replayed"), S("true"));
    if (call->idempotency)
        inflight_remove(call->api->inflight, call->idempotency);
    call->idempotency = NULL;
}

enum err idempotency_ask(struct op *op, struct tx *tx, struct call *call, bool *ret_found)
{
    struct idempotency_use *use = call->idempotency;
    struct idempotency stored;
    TRY(store_idempotency_get(op, tx, use->key, &stored, ret_found));
    use->replayed = *ret_found;
    if (!*ret_found)
        return OK;
    use->stored_hash = stored.request_hash;
    call->status = stored.status;
    call_restart(call);
    buf_add_str(&call->answer, stored.body);
    return OK;
}

enum err idempotency_compare(struct op *op, const struct call *call)
{
    if (body_hash(call->idempotency) == call->idempotency->stored_hash)
        return OK;
    return fail(op, ERR_INVALID, "this Idempotency-Key was used with another body");
}

enum err idempotency_store(struct op *op, struct tx *tx, struct call *call)
{
    const struct idempotency_use *use = call->idempotency;
    struct idempotency answer = {
        .route = use->route,
        .request_hash = body_hash(use),
        .status = call->status,
        .body = buf_str(&call->answer),
    };
    if (answer.body.n > IDEMPOTENCY_BODY_BYTES_MAX)
        return OK;
    return store_idempotency_put(op, tx, use->key, &answer);
}

/* --- plain calls ---------------------------------------------------------- */

static enum err wrapped_run(struct post *post)
{
    struct call *call = call_of(post);
    bool found;
    TRY(idempotency_ask(&post->op, post->tx, call, &found));
    if (found)
        return idempotency_compare(&post->op, call);
    TRY(call->idempotency->wrapped[0].run(post));
    return idempotency_store(&post->op, post->tx, call);
}

/* A stored answer goes out as it is: what the call's own last hop sets in motion was set in motion the first time. */
static enum err wrapped_reply(struct post *post)
{
    struct call *call = call_of(post);
    if (!call->idempotency->replayed)
        return call->idempotency->wrapped[1].run(post);
    return call_reply(post);
}

const struct hop *idempotency_wrap(struct call *call, const struct hop *route)
{
    static const struct hop wrapped[] = { { wrapped_run, THREAD_WRITER }, { wrapped_reply, THREAD_CALLER }, { 0 } };
    assert(route[0].thread == THREAD_WRITER && route[1].thread == THREAD_CALLER && !route[2].run);
    idempotency_body(call->idempotency, call->request->body);
    call->idempotency->wrapped = route;
    return wrapped;
}
