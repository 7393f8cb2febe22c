/*
 * api_overview.c - the whole at a glance: for programs at /v1/overview, for people at /.
 *
 * The page is plain HTML without scripts or outside resources; its policy
 * allows nothing but the one style sheet it carries, named by its hash.
 */
#include "base/crypto.h"
#include "base/hex.h"
#include "base/instant.h"
#include "engine/node_status.h"
#include "engine/source_status.h"
#include "serve/api.h"
#include "serve/api_ops.h"
#include "serve/call.h"
#include "serve/html.h"
#include "serve/render.h"
#include "store/store_source.h"
#include "store/store_tenant.h"

#define MAILINGS_SHOWN 20
#define SOURCES_SHOWN  100

/* One source, as both forms tell it. */
struct source_line {
    const struct source_row *row;
    struct str tenant;
    struct warning warnings[WARN_COUNT];
    size_t warning_count;
};

static enum err tenant_name(struct op *op, struct tx *tx, uint32_t tenant_no, struct str *ret)
{
    *ret = (struct str){ 0 };
    if (tenant_no == 0)
        return OK;
    struct tenant tenant;
    TRY(store_tenant_get_no(op, tx, tenant_no, &tenant));
    *ret = tenant.id;
    return OK;
}

static enum err source_line(struct op *op, struct tx *tx, const struct source_row *row, struct source_line *ret)
{
    ret->row = row;
    TRY(tenant_name(op, tx, row->tenant_no, &ret->tenant));
    return source_warnings(op, tx, row, ret->warnings, &ret->warning_count);
}

/* --- /v1/overview --------------------------------------------------------- */

static void write_store(struct json_writer *w, struct store *store)
{
    struct store_figures figures = store_figures(store);
    json_put_name(w, "store");
    json_object_begin(w);
    json_member_int(w, "commits", (int64_t)figures.commits);
    json_member_int(w, "commands", (int64_t)figures.commands);
    json_member_int(w, "failures", (int64_t)figures.failures);
    json_member_int(w, "writer_waiting", figures.writer_waiting);
    json_member_int(w, "wal_bytes", figures.wal_bytes);
    json_object_end(w);
}

static enum err write_nodes(struct op *op, struct tx *tx, struct json_writer *w, const struct api *api)
{
    struct node_life own = node_board_get(api->config.nodes);
    json_put_name(w, "nodes");
    return node_status_write(op, tx, &own, w);
}

static enum err write_mailing(struct op *op, struct tx *tx, const struct mailing *mailing, void *arg)
{
    struct json_writer *w = arg;
    struct str tenant;
    struct mailing_stats stats;
    TRY(tenant_name(op, tx, mailing->tenant_no, &tenant));
    TRY(store_mailing_stats_get(op, tx, mailing->no, &stats));
    json_object_begin(w);
    json_member_str(w, "id", mailing->id);
    json_member_str(w, "tenant", tenant);
    json_member_str(w, "subject", mailing->subject);
    render_us(w, "sent_at", mailing->sent_at_us, INT64_MIN);
    json_put_name(w, "stats");
    json_object_begin(w);
    render_stats(w, &stats);
    json_object_end(w);
    json_object_end(w);
    return OK;
}

static enum err write_source(struct op *op, struct tx *tx, const struct source_row *row, void *arg)
{
    struct json_writer *w = arg;
    struct source_line line;
    TRY(source_line(op, tx, row, &line));
    json_object_begin(w);
    json_member_str(w, "id", row->id);
    json_member_str(w, "type", row->type);
    json_member_str(w, "tenant", line.tenant);
    json_put_name(w, "warnings");
    json_array_begin(w);
    for (size_t i = 0; i < line.warning_count; i++)
        json_put_str(w, str_of(warning_name(line.warnings[i].code)));
    json_array_end(w);
    json_object_end(w);
    return OK;
}

static enum err overview_read(struct post *post)
{
    struct call *call = call_of(post);
    struct json_writer *w = &call->json;
    struct op *op = &post->op;
    json_object_begin(w);
    json_member_str(w, "version", S(POSTHOUSE_VERSION));
    json_member_str(w, "database", str_of(call->api->config.database));
    json_member_bool(w, "ready", store_is_ready(call->api->config.store));
    render_us(w, "started_at", call->api->started_at_us, 0);
    write_store(w, call->api->config.store);
    TRY(write_nodes(op, post->tx, w, call->api));
    json_put_name(w, "sources");
    json_array_begin(w);
    TRY(store_source_each(op, post->tx, (struct str){ 0 }, SOURCES_SHOWN, write_source, w));
    json_array_end(w);
    json_put_name(w, "mailings");
    json_array_begin(w);
    TRY(store_mailing_newest(op, post->tx, MAILINGS_SHOWN, write_mailing, w));
    json_array_end(w);
    json_object_end(w);
    return OK;
}

void ops_overview(struct http_request *request)
{
    static const struct hop route[] = { { overview_read, THREAD_READER }, { call_reply, THREAD_CALLER }, { 0 } };
    call_run(request, route);
}

/* --- / -------------------------------------------------------------------- */

static const char style[] =
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1b1f24}"
    "h1{font-size:1.4rem}h2{font-size:1.1rem;margin-top:2rem}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #d8dee4}"
    "td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}.bad{color:#b42318}.good{color:#1a7f37}";

static void add_cell(struct buf *out, struct str text)
{
    buf_add_str(out, S("<td>"));
    html_escape(out, text);
    buf_add_str(out, S("</td>"));
}

static enum err page_mailing(struct op *op, struct tx *tx, const struct mailing *mailing, void *arg)
{
    static const enum mailing_figure shown[] = { MAILING_MESSAGES, MAILING_DELIVERED,        MAILING_OPENED,
                                                 MAILING_CLICKED,  MAILING_FAILED_PERMANENT, MAILING_COMPLAINED };
    struct buf *out = arg;
    struct mailing_stats stats;
    char at[INSTANT_TEXT_BYTES];
    TRY(store_mailing_stats_get(op, tx, mailing->no, &stats));
    buf_add_str(out, S("<tr>"));
    add_cell(out, mailing->id);
    add_cell(out, mailing->subject);
    add_cell(out, mailing->sent_at_us == INT64_MIN ? S("") : instant_text(mailing->sent_at_us, 0, at));
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++)
        buf_add_fmt(out, "<td class=n>%lld</td>", (long long)stats.figure[shown[i]]);
    buf_add_str(out, S("</tr>\n"));
    return OK;
}

static enum err page_source(struct op *op, struct tx *tx, const struct source_row *row, void *arg)
{
    struct buf *out = arg;
    struct source_line line;
    TRY(source_line(op, tx, row, &line));
    buf_add_str(out, S("<tr>"));
    add_cell(out, row->id);
    add_cell(out, row->type);
    add_cell(out, line.tenant);
    buf_add_fmt(out, "<td class=%s>", line.warning_count ? "bad" : "good");
    for (size_t i = 0; i < line.warning_count; i++) {
        html_escape(out, str_of(warning_name(line.warnings[i].code)));
        buf_add_str(out, S(": "));
        html_escape(out, line.warnings[i].detail);
        buf_add_str(out, S("<br>"));
    }
    buf_add_str(out, line.warning_count ? S("</td></tr>\n") : S("no warnings</td></tr>\n"));
    return OK;
}

static enum err page_read(struct post *post)
{
    struct call *call = call_of(post);
    struct buf *out = &call->answer;
    bool ready = store_is_ready(call->api->config.store);
    buf_add_fmt(out, "<!doctype html><html lang=en><meta charset=utf-8><title>Posthouse</title><style>%s</style>\n",
                style);
    buf_add_fmt(out, "<h1>Posthouse %s</h1><p>The store is <b class=%s>%s</b>.</p>\n", POSTHOUSE_VERSION,
                ready ? "good" : "bad", ready ? "ready" : "not writable");
    buf_add_str(out, S("<h2>Mailings</h2><table><tr><th>id<th>subject<th>sent<th class=n>messages<th class=n>delivered"
                       "<th class=n>opened<th class=n>clicked<th class=n>failed<th class=n>complained</tr>\n"));
    TRY(store_mailing_newest(&post->op, post->tx, MAILINGS_SHOWN, page_mailing, out));
    buf_add_str(out, S("</table><h2>Sources</h2><table><tr><th>id<th>type<th>tenant<th>warnings</tr>\n"));
    TRY(store_source_each(&post->op, post->tx, (struct str){ 0 }, SOURCES_SHOWN, page_source, out));
    buf_add_str(out, S("</table></html>\n"));
    return OK;
}

static struct str policy(struct op *op)
{
    uint8_t sha256[CRYPTO_SHA256_BYTES];
    struct str text = str_of(style);
    crypto_sha256(&text, 1, sha256);
    return arena_fmt(op->arena,
                     "default-src 'none'; style-src 'sha256-%.*s'; base-uri 'none'; form-action 'none'; "
                     "frame-ancestors 'none'",
                     STR(base64_str(op->arena, sha256, sizeof sha256)));
}

static enum err page_reply(struct post *post)
{
    struct call *call = call_of(post);
    if (post->err != OK || call->answer.full) {
        call_end(call, post->err);
        return OK;
    }
    http_reply_header(call->request, S("Content-Security-Policy"), policy(&post->op));
    http_reply_header(call->request, S("X-Content-Type-Options"), S("nosniff"));
    http_reply_header(call->request, S("Referrer-Policy"), S("no-referrer"));
    http_reply_header(call->request, S("Cache-Control"), S("no-store"));
    http_reply(call->request, 200, S("text/html; charset=utf-8"), buf_str(&call->answer));
    return OK;
}

void ops_page(struct http_request *request)
{
    static const struct hop route[] = { { page_read, THREAD_READER }, { page_reply, THREAD_CALLER }, { 0 } };
    call_run(request, route);
}
