#include "relay/poll_mailgun.h"

#include "base/form.h"
#include "base/instant.h"
#include "base/json_write.h"

#define URL_BYTES_MAX  32768
#define BODY_BYTES_MAX 65536
#define SECOND_US      INT64_C(1000000)

/* What a lane reads, in the words of the provider. */
static const char *const opens_types[] = { "opened", "clicked", NULL };
static const char *const others_types[] = { "delivered", "failed", "rejected", "unsubscribed", "complained", NULL };

static void fill(const struct poll_account *account, struct str method, struct fetch *fetch)
{
    *fetch = (struct fetch){
        .method = method,
        .user = S("api"),
        .password = account->api_key,
        .response_bytes_max = PROVIDER_PAGE_BYTES_MAX,
        .public_only = true, /* whatever the name of the source resolves to today */
        .headers = { { S("Accept"), S("application/json") } },
        .header_count = 1,
    };
}

static enum err done(struct op *op, const struct buf *buf, struct str *ret)
{
    if (buf->full)
        return fail(op, ERR_TOO_LARGE, "the request to the provider is larger than %zu bytes", buf->max);
    *ret = buf_str(buf);
    return OK;
}

/* ----------------------------------------------------------------------------------------------------- Events API */

static void add_types(struct buf *url, unsigned classes)
{
    bool is_first = true;
    for (int class = 0; class < CLASS_COUNT; class ++) {
        const char *const *types = class == CLASS_OPENS ? opens_types : others_types;
        for (int i = 0; (classes >> class & 1) && types[i]; i++) {
            buf_add_str(url, is_first ? S("&event=") : S("+OR+"));
            buf_add_str(url, str_of(types[i]));
            is_first = false;
        }
    }
}

static void add_tags(struct op *op, struct buf *url, const struct poll_account *account)
{
    for (size_t i = 0; i < account->tag_n; i++) {
        buf_add_str(url, i ? S("+AND+") : S("&tags="));
        buf_add_str(url, form_encode(op->arena, account->tags[i]));
    }
}

static int64_t raised(int64_t us, int64_t grain_us)
{
    int64_t rest = us % grain_us;
    return rest > 0 ? us + grain_us - rest : us;
}

static enum err events_page(struct op *op, const struct poll_account *account, const struct source_request *request,
                            struct fetch *fetch)
{
    struct buf url;
    char begin[INSTANT_TEXT_BYTES], end[INSTANT_TEXT_BYTES];
    fill(account, S("GET"), fetch);
    buf_init_arena(&url, op->arena, URL_BYTES_MAX);
    buf_add_fmt(&url, "%.*s/v3/%.*s/events", STR(account->base_url), STR(account->domain));
    if (str_given(request->token))
        buf_add_fmt(&url, "/%.*s", STR(request->token));
    buf_add_fmt(&url, "?limit=%d", request->limit);
    add_types(&url, request->classes);
    add_tags(op, &url, account);
    buf_add_fmt(&url, "&begin=%.*s&end=%.*s&ascending=yes", STR(instant_text_seconds(request->begin_us, 3, begin)),
                STR(instant_text_seconds(raised(request->end_us, 1000), 3, end)));
    return done(op, &url, &fetch->url);
}

/* ------------------------------------------------------------------------------------------------------- Logs API */

static void put_types(struct json_writer *w, unsigned classes)
{
    json_put_name(w, "events");
    json_array_begin(w);
    for (int class = 0; class < CLASS_COUNT; class ++) {
        const char *const *types = class == CLASS_OPENS ? opens_types : others_types;
        for (int i = 0; (classes >> class & 1) && types[i]; i++)
            json_put_str(w, str_of(types[i]));
    }
    json_array_end(w);
}

static void put_filter(struct json_writer *w, const char *attribute, struct str value)
{
    json_object_begin(w);
    json_member_str(w, "attribute", str_of(attribute));
    json_member_str(w, "comparator", S("="));
    json_put_name(w, "values");
    json_array_begin(w);
    json_object_begin(w);
    json_member_str(w, "label", value);
    json_member_str(w, "value", value);
    json_object_end(w);
    json_array_end(w);
    json_object_end(w);
}

static void put_filters(struct json_writer *w, const struct poll_account *account)
{
    json_put_name(w, "filter");
    json_object_begin(w);
    json_put_name(w, "AND");
    json_array_begin(w);
    put_filter(w, "domain", account->domain);
    for (size_t i = 0; i < account->tag_n; i++)
        put_filter(w, "tag", account->tags[i]);
    json_array_end(w);
    json_object_end(w);
}

static void put_pagination(struct json_writer *w, const struct source_request *request)
{
    json_put_name(w, "pagination");
    json_object_begin(w);
    json_member_str(w, "sort", S("timestamp:asc"));
    json_member_int(w, "limit", request->limit);
    if (str_given(request->token))
        json_member_str(w, "token", request->token);
    json_object_end(w);
}

static enum err logs_page(struct op *op, const struct poll_account *account, const struct source_request *request,
                          struct fetch *fetch)
{
    struct buf body;
    struct json_writer w;
    char begin[INSTANT_TEXT_BYTES], end[INSTANT_TEXT_BYTES];
    fill(account, S("POST"), fetch);
    fetch->headers[fetch->header_count++] = (struct http_header){ S("Content-Type"), S("application/json") };
    fetch->url = arena_fmt(op->arena, "%.*s/v1/analytics/logs", STR(account->base_url));
    buf_init_arena(&body, op->arena, BODY_BYTES_MAX);
    json_write_init(&w, &body);
    json_object_begin(&w);
    json_member_str(&w, "start", instant_text_mail(request->begin_us, begin));
    json_member_str(&w, "end", instant_text_mail(raised(request->end_us, SECOND_US), end));
    put_types(&w, request->classes);
    put_filters(&w, account);
    put_pagination(&w, request);
    json_object_end(&w);
    return done(op, &body, &fetch->body);
}

enum err poll_mailgun_page(struct op *op, const struct poll_account *account, const struct source_request *request,
                           struct fetch *ret_fetch)
{
    return account->is_logs ? logs_page(op, account, request, ret_fetch) : events_page(op, account, request, ret_fetch);
}

enum err poll_mailgun_release(struct op *op, const struct poll_account *account, struct str reason, struct str address,
                              struct fetch *ret_fetch)
{
    const char *list = str_eq(reason, S("bounce"))      ? "bounces"
                       : str_eq(reason, S("complaint")) ? "complaints"
                                                        : "unsubscribes";
    fill(account, S("DELETE"), ret_fetch);
    struct str encoded = form_encode(op->arena, address);
    ret_fetch->url =
        arena_fmt(op->arena, "%.*s/v3/%.*s/%s/%.*s", STR(account->base_url), STR(account->domain), list, STR(encoded));
    return str_given(ret_fetch->url) ? OK : fail(op, ERR_TOO_LARGE, "the address is too long");
}
