/*
 * api_ops.c - health, metrics, the contract, the audit list.
 */
#include "base/instant.h"
#include "base/metric.h"
#include "serve/api.h"
#include "serve/api_ops.h"
#include "serve/call.h"
#include "serve/cursor.h"
#include "serve/redirect.h"
#include "store/store_audit.h"

#define METRICS_BYTES_MAX (8u << 20)

/* The contract as it stands in the project; compiled in, so it always is the one of this program. */
__asm__(".pushsection .rodata\n"
        ".global api_openapi\n"
        "api_openapi: .incbin \"openapi.yaml\"\n"
        ".global api_openapi_end\n"
        "api_openapi_end: .byte 0\n"
        ".popsection\n");
extern const char api_openapi[];
extern const char api_openapi_end[];

void ops_live(struct http_request *request)
{
    http_reply(request, 200, S("text/plain"), S("live\n"));
}

/* Ready: changes are taken and kept. A process that stops, or whose disk refuses writes, still answers reads. */
void ops_ready(struct http_request *request)
{
    const struct api *api = request->server_data;
    const char *why = NULL;
    if (api->stopping)
        why = "stopping";
    else if (!store_is_ready(api->config.store))
        why = "the store cannot write";
    else if (api->redirect && redirect_spooled(api->redirect) > 0)
        why = "clicks are in the spool";
    if (!why) {
        http_reply(request, 200, S("text/plain"), S("ready\n"));
        return;
    }
    fail(&request->op, ERR_UNAVAILABLE, "%s", why);
    http_fail(request, ERR_UNAVAILABLE);
}

void ops_metrics(struct http_request *request)
{
    struct buf out;
    buf_init_arena(&out, request->op.arena, METRICS_BYTES_MAX);
    enum err err = metric_write(&request->op, &out);
    if (err == OK)
        http_reply(request, 200, S("text/plain; version=0.0.4; charset=utf-8"), buf_str(&out));
    else
        http_fail(request, err);
}

void ops_openapi(struct http_request *request)
{
    struct str text = { api_openapi, (size_t)(api_openapi_end - api_openapi) };
    http_reply(request, 200, S("application/yaml"), text);
}

/* --- who changed what ----------------------------------------------------- */

struct audit_call {
    struct call call;
    int limit;
    struct str after;
};

static void write_entry(struct json_writer *w, const struct audit *entry)
{
    char text[INSTANT_TEXT_BYTES];
    json_object_begin(w);
    json_member_int(w, "no", (int64_t)entry->no);
    json_member_str(w, "at", instant_text(entry->at_ms * 1000, 3, text));
    json_member_str(w, "who", entry->who);
    json_member_str(w, "action", entry->action);
    json_member_str(w, "subject", entry->subject);
    json_member_str(w, "detail", entry->detail);
    json_object_end(w);
}

/* Newest first. One more than asked for is looked at, to know whether there is a next page. */
static enum err audit_read(struct post *post)
{
    struct audit_call *c = (struct audit_call *)post;
    struct json_writer *w = &c->call.json;
    int64_t before = 0;
    bool known = cursor_read(&post->op, c->after, CURSOR_AUDIT, &before, NULL);
    list_begin(w);
    int written = 0;
    bool more = known;
    while (more && written < c->limit) {
        struct audit *entries;
        int count, want = c->limit - written < AUDIT_LIST_MAX ? c->limit - written : AUDIT_LIST_MAX;
        TRY(store_audit_list(&post->op, post->tx, (uint64_t)before, want, &entries, &count));
        for (int i = 0; i < count; i++)
            write_entry(w, &entries[i]);
        if (count)
            before = (int64_t)entries[count - 1].no;
        written += count;
        more = count == want;
    }
    return list_end(&post->op, w, more && before > 1, CURSOR_AUDIT, before, (struct str){ 0 });
}

void ops_audit(struct http_request *request)
{
    static const struct hop route[] = { { audit_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    struct audit_call *c = call_new(request, sizeof *c);
    if (c && call_page(&c->call, &c->limit, &c->after))
        call_send(&c->call, route);
}
