/*
 * api_hooks.c - the webhooks of providers.
 *
 *     loop      reader                writer            loop
 *     post ---> find the source, ---> commit the ---+-> 200, 406
 *               check the signature   effects       |
 *                    |                              |
 *                    +-- refused -----> count it ---+-> 401 (the writer only now and then: refusals.h)
 *                    |
 *                    +-- needs a certificate: wait for it, begin again; 503 when there is none
 *
 * Signatures are checked in the reader, because an RSA or ECDSA one takes
 * longer than all else of a request and the loop has others to serve. Which
 * verdict gets which answer is the format's to say (provider.h, SRC-27); what
 * an authentic body does is source_commit.h.
 */
#include "engine/provider.h"
#include "engine/sns_certs.h"
#include "engine/source_metrics.h"
#include "engine/source_task.h"
#include "serve/api.h"
#include "serve/api_sources.h"
#include "serve/call.h"
#include "serve/refusals.h"

#define CERTIFICATE_TRIES_MAX 2 /* the one it names, and that one again when it grew old meanwhile */
#define CERTIFICATE_RETRY_S   S("30")

struct hook_call {
    struct call call;
    struct source_row row;
    const struct provider_format *format;
    struct provider_hook hook;
    enum hook_outcome outcome;
    struct source_result result;
    int64_t refused; /* to be written down */
    int tries;
};

static enum err hook_decide(struct post *post);

/* --------------------------------------------------------------------------------------------- read, in the reader */

static struct str header_of(const void *data, struct str name)
{
    return http_header(data, name);
}

static struct str certificate_of(void *data, struct str url)
{
    struct hook_call *c = data;
    struct str pem = { NULL, 0 };
    struct sns_certs *certs = c->call.api->config.certs;
    if (!certs || sns_certs_get(&c->call.post.op, certs, url, NULL, &pem) != SNS_CERT_HERE)
        return (struct str){ NULL, 0 };
    return pem;
}

static enum err hook_read(struct post *post)
{
    struct hook_call *c = (struct hook_call *)post;
    const struct api_config *config = &c->call.api->config;
    struct http_request *request = c->call.request;
    struct str *topics;
    size_t topic_count;
    TRY(store_source_get(&post->op, post->tx, call_param(&c->call, 0), &c->row));
    TRY(source_config_texts(&post->op, c->row.topics, &topics, &topic_count));
    c->format = provider_format_find(c->row.type);
    if (!c->format)
        return fail(&post->op, ERR_NOT_FOUND, "source %.*s takes no webhooks", STR(c->row.id));
    struct provider_source source = {
        .id = c->row.id,
        .hash_key = tx_hash_key(post->tx),
        .agents = config->agents,
        .networks = config->networks,
        .signing_key = c->row.signing_key,
        .topics = topics,
        .topic_n = topic_count,
        .tolerance_us = source_config_tolerance_us(&c->row),
        .is_dev = config->dev,
        .certificate = certificate_of,
        .certificate_data = c,
    };
    struct provider_post body = {
        .content_type = http_header(request, S("Content-Type")),
        .body = request->body,
        .header = header_of,
        .header_data = request,
    };
    return provider_hook_parse(&post->op, c->format, &source, &body, &c->hook);
}

static const struct hop read_route[] = { { hook_read, THREAD_READER }, { hook_decide, THREAD_CALLER }, { 0 } };

/* --------------------------------------------------------------------------------------------- answer, on the loop */

static void answer(struct hook_call *c, int status, const char *detail)
{
    if (status == 200)
        http_reply(c->call.request, 200, S(""), S(""));
    else
        http_problem(c->call.request, status, S(""), str_of(detail ? detail : "the webhook was refused"), NULL, 0);
}

static void answer_verdict(struct hook_call *c)
{
    answer(c, provider_hook_status(c->format, c->hook.verdict), c->hook.complaint);
}

/* ------------------------------------------------------------------------------------------------------------ take */

static enum err hook_commit(struct post *post)
{
    struct hook_call *c = (struct hook_call *)post;
    struct source_hook_save save = {
        .source_no = c->row.no,
        .tenant_no = c->row.tenant_no,
        .source_id = c->row.id,
        .events = c->hook.events,
        .event_count = c->hook.n,
        .replay_token = c->hook.replay_token,
        .body_hash = c->hook.body_hash,
        .replay_until_us = c->hook.replay_until_us,
    };
    TRY(source_hook_commit(&post->op, post->tx, &save, &c->outcome, &c->result));
    if (c->hook.verdict == HOOK_CONFIRM && c->outcome == HOOK_TAKEN)
        return source_task_confirm(&post->op, post->tx, c->row.id, c->hook.url);
    return OK;
}

/* The answer leaves here, behind the commit (SRC-27). */
static enum err hook_taken(struct post *post)
{
    struct hook_call *c = (struct hook_call *)post;
    if (post->err != OK) {
        call_end(&c->call, post->err);
        return OK;
    }
    source_metrics_count(c->row.id, LANE_HOOK, &c->result);
    if (c->outcome == HOOK_REPLAYED)
        answer(c, 401, "the token of this signature came with another body before");
    else
        answer_verdict(c);
    return OK;
}

static void take(struct hook_call *c)
{
    static const struct hop route[] = { { hook_commit, THREAD_WRITER }, { hook_taken, THREAD_CALLER }, { 0 } };
    c->call.post.hop = route;
    post_send(&c->call.post);
}

/* ---------------------------------------------------------------------------------------------------------- refuse */

static enum err hook_count(struct post *post)
{
    struct hook_call *c = (struct hook_call *)post;
    return source_hook_refused(&post->op, post->tx, c->row.no, c->refused);
}

/* Counted or not, the answer is the same: whether the warning was written is not the sender's business. */
static enum err hook_counted(struct post *post)
{
    answer_verdict((struct hook_call *)post);
    return OK;
}

static void refuse(struct hook_call *c)
{
    static const struct hop route[] = { { hook_count, THREAD_WRITER }, { hook_counted, THREAD_CALLER }, { 0 } };
    c->refused = refusals_note(c->call.api->refusals, c->row.no, c->call.post.op.now_us);
    if (c->refused == 0) {
        answer_verdict(c);
        return;
    }
    c->call.post.hop = route;
    post_send(&c->call.post);
}

/* ----------------------------------------------------------------------------------------------------- certificate */

static enum err hook_again(struct post *post)
{
    post->hop = read_route;
    post_send(post);
    return OK;
}

/* The post comes home when the certificate is there or cannot be had; nobody touches it from sns_certs_get on. */
static void fetch_certificate(struct hook_call *c)
{
    static const struct hop again_route[] = { { hook_again, THREAD_CALLER }, { 0 } };
    struct sns_certs *certs = c->call.api->config.certs;
    struct str pem;
    c->call.post.hop = again_route;
    if (certs && c->tries++ < CERTIFICATE_TRIES_MAX) {
        enum sns_cert_word word = sns_certs_get(&c->call.post.op, certs, c->hook.url, &c->call.post, &pem);
        if (word == SNS_CERT_HERE)
            post_send(&c->call.post);
        if (word != SNS_CERT_MISSING)
            return;
    }
    http_reply_header(c->call.request, S("Retry-After"), CERTIFICATE_RETRY_S);
    answer(c, 503, "the certificate that signs this webhook cannot be fetched now");
}

/* ---------------------------------------------------------------------------------------------------------- decide */

static enum err hook_decide(struct post *post)
{
    struct hook_call *c = (struct hook_call *)post;
    if (post->err != OK) {
        call_end(&c->call, post->err);
        return OK;
    }
    switch (c->hook.verdict) {
    case HOOK_ACCEPTED:
    case HOOK_UNUSABLE:
    case HOOK_CONFIRM:
        take(c);
        break;
    case HOOK_NEEDS_CERTIFICATE:
        fetch_certificate(c);
        break;
    case HOOK_BAD_SIGNATURE:
        refuse(c);
        break;
    case HOOK_UNREADABLE:
        answer_verdict(c);
        break;
    }
    return OK;
}

void source_hook_post(struct http_request *request)
{
    struct hook_call *c = call_new(request, sizeof *c);
    if (!c)
        return;
    c->call.post.hop = read_route;
    post_send(&c->call.post);
}
