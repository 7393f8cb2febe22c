#include "net/http_easy.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

struct http_easy {
    CURL *curl;
    struct http_easy_config config;
    char error[CURL_ERROR_SIZE];
};

/* One request under way. */
struct transfer {
    const struct http_easy_request *request;
    struct buf answer;
    bool broke_off;
};

enum err http_easy_open(struct op *op, const struct http_easy_config *config, struct http_easy **ret_easy)
{
    struct str url = str_of(config->url);
    if (!str_starts(url, S("http://")) && !str_starts(url, S("https://")))
        return fail(op, ERR_INVALID, "\"%.*s\" is no http or https URL", STR(url));
    struct http_easy *easy;
    TRY(op_alloc(op, sizeof *easy, &easy));
    curl_global_init(CURL_GLOBAL_DEFAULT);
    easy->curl = curl_easy_init();
    if (!easy->curl)
        abort(); /* no memory at start */
    easy->config = *config;
    *ret_easy = easy;
    return OK;
}

void http_easy_close(struct http_easy *easy)
{
    if (easy)
        curl_easy_cleanup(easy->curl);
}

static size_t on_answer(char *bytes, size_t size, size_t n, void *data)
{
    struct transfer *transfer = data;
    buf_add(&transfer->answer, bytes, size * n);
    return transfer->answer.full ? 0 : size * n;
}

static size_t on_read(char *bytes, size_t size, size_t n, void *data)
{
    struct transfer *transfer = data;
    long got = transfer->request->read(transfer->request->data, bytes, size * n);
    if (got >= 0)
        return (size_t)got;
    transfer->broke_off = true;
    return CURL_READFUNC_ABORT;
}

/* "Name: value" behind the list so far. */
static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value)
{
    char line[8192];
    snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *longer = curl_slist_append(list, line);
    if (!longer)
        abort();
    return longer;
}

static struct curl_slist *headers_of(const struct http_easy *easy, const struct http_easy_request *request)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* never ask before sending: one round trip less */
    if (easy->config.token) {
        char bearer[4096];
        snprintf(bearer, sizeof bearer, "Bearer %s", easy->config.token);
        list = add_header(list, "Authorization", bearer);
    }
    if (request->content_type)
        list = add_header(list, "Content-Type", request->content_type);
    if (request->header) {
        struct curl_slist *longer = curl_slist_append(list, request->header);
        if (!longer)
            abort();
        list = longer;
    }
    return list;
}

static void set_body(CURL *curl, struct transfer *transfer)
{
    const struct http_easy_request *request = transfer->request;
    if (request->read) {
        curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(curl, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(curl, CURLOPT_READDATA, transfer);
        curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, 262144L);
        if (request->read_bytes >= 0)
            curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->read_bytes);
    } else if (request->content_type) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.n);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body.p ? request->body.p : "");
    }
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
}

static void set_options(struct http_easy *easy, const char *url, struct curl_slist *headers, struct transfer *transfer)
{
    CURL *curl = easy->curl;
    curl_easy_reset(curl); /* keeps the connection */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "posthouse/" POSTHOUSE_VERSION);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, easy->error);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)easy->config.connect_ms);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)(easy->config.idle_ms / 1000));
    set_body(curl, transfer);
}

static void read_answer(struct op *op, const struct http_easy *easy, struct transfer *transfer,
                        struct http_easy_answer *ret)
{
    long status = 0;
    const char *type = NULL;
    curl_easy_getinfo(easy->curl, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy->curl, CURLINFO_CONTENT_TYPE, &type);
    struct str whole = str_of(type ? type : "");
    *ret = (struct http_easy_answer){
        .status = (int)status,
        .body = arena_str(op->arena, buf_str(&transfer->answer)),
        .content_type = arena_str(op->arena, str_trim(str_cut(&whole, ';'))),
    };
}

enum err http_easy_send(struct op *op, struct http_easy *easy, const struct http_easy_request *request,
                        struct http_easy_answer *ret_answer)
{
    struct str base = str_of(easy->config.url);
    while (base.n && base.p[base.n - 1] == '/')
        base.n--;
    struct str url = arena_fmt(op->arena, "%.*s%s", STR(base), request->path);
    if (!str_given(url))
        return fail(op, ERR_TOO_LARGE, "the URL does not fit in memory");

    struct transfer transfer = { .request = request };
    buf_init(&transfer.answer, HTTP_EASY_ANSWER_BYTES_MAX);
    struct curl_slist *headers = headers_of(easy, request);
    easy->error[0] = '\0';
    set_options(easy, url.p, headers, &transfer);
    CURLcode code = curl_easy_perform(easy->curl);
    enum err err = OK;
    if (code == CURLE_OK)
        read_answer(op, easy, &transfer, ret_answer);
    else if (transfer.broke_off)
        err = fail(op, ERR_IO, "the body could not be read to its end");
    else if (transfer.answer.full)
        err = fail(op, ERR_TOO_LARGE, "the answer is larger than %u bytes", HTTP_EASY_ANSWER_BYTES_MAX);
    else
        err = fail(op, ERR_UNAVAILABLE, "no answer from %.*s: %s", STR(base),
                   easy->error[0] ? easy->error : curl_easy_strerror(code));
    curl_slist_free_all(headers);
    buf_done(&transfer.answer);
    return err;
}
