#include "net/http_fetch.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/instant.h"
#include "net/addr.h"

#define CONNECT_MS         10000
#define TOTAL_MS           60000
#define RESPONSE_BYTES_MAX (16 * 1024 * 1024)
#define URL_BYTES_MAX      8192
#define ORIGIN_BYTES_MAX   160

/* --- addresses ---------------------------------------------------------- */

static bool may_reach(const struct fetch *fetch, const struct addr *addr)
{
    const struct http_client_config *config = fetch->config;
    if (fetch->private_too)
        return !addr_is_never_meant(addr);
    if (!addr_is_internal(addr))
        return true;
    if (config->allow_loopback && addr_is_loopback(addr))
        return true;
    char text[ADDR_TEXT_BYTES_MAX];
    return config->allow && cidr_list_has(config->allow, addr_ip_text(addr, text));
}

static curl_socket_t on_open_socket(void *data, curlsocktype purpose, struct curl_sockaddr *to)
{
    struct fetch *fetch = data;
    struct addr addr;
    (void)purpose;
    if (fetch->public_only && (!addr_of_sockaddr(&to->addr, &addr) || !may_reach(fetch, &addr))) {
        fetch->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* Before the request is sent: a connection that another fetch was allowed to open is not for this one. */
static int on_before_request(void *data, char *peer_ip, char *local_ip, int peer_port, int local_port)
{
    struct fetch *fetch = data;
    (void)local_ip;
    (void)peer_port;
    (void)local_port;
    struct addr addr = { .port = 0 };
    if (fetch->public_only && (!cidr_ip_parse(str_of(peer_ip), addr.ip) || !may_reach(fetch, &addr))) {
        fetch->refused = true;
        return CURL_PREREQFUNC_ABORT;
    }
    fetch->is_asking = true;
    return CURL_PREREQFUNC_OK;
}

/* --- the answer --------------------------------------------------------- */

static size_t on_body(char *bytes, size_t size, size_t count, void *data)
{
    struct fetch *fetch = data;
    (void)size; /* always 1 */
    buf_add(&fetch->body_buffer, bytes, count);
    return fetch->body_buffer.full ? 0 : count;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *data)
{
    struct fetch *fetch = data;
    (void)size;
    struct str line = { bytes, count };
    if (str_starts(line, S("HTTP/")))
        buf_reset(&fetch->head_buffer); /* the answer after a "100 Continue" */
    buf_add_str(&fetch->head_buffer, line);
    return fetch->head_buffer.full ? 0 : count;
}

/* "https://host:port" of the URL: what an operator needs to know and nothing a URL may hide. */
static void write_origin(struct str url, char ret_text[ORIGIN_BYTES_MAX])
{
    size_t scheme = str_search(url, S("://"));
    struct str rest = scheme < url.n ? (struct str){ url.p + scheme + 3, url.n - scheme - 3 } : url;
    size_t end = 0;
    while (end < rest.n && rest.p[end] != '/' && rest.p[end] != '?' && rest.p[end] != '#')
        end++;
    rest.n = end;
    for (size_t i = rest.n; i > 0; i--)
        if (rest.p[i - 1] == '@') { /* user and password before the host */
            rest = (struct str){ rest.p + i, rest.n - i };
            break;
        }
    struct str name = scheme < url.n ? (struct str){ url.p, scheme } : S("http");
    snprintf(ret_text, ORIGIN_BYTES_MAX, "%.8s://%.*s", str_eq(name, S("https")) ? "https" : "http",
             rest.n < 128 ? (int)rest.n : 128, rest.n ? rest.p : "");
}

enum err fetch_fail(struct fetch *fetch, enum err err, const char *why)
{
    char origin[ORIGIN_BYTES_MAX];
    write_origin(fetch->url, origin);
    snprintf(fetch->error, sizeof fetch->error, "%s: %.80s", origin, why);
    return err;
}

enum err fetch_result(struct fetch *fetch, CURLcode code)
{
    if (code == CURLE_OK)
        return OK;
    fetch->unsent = fetch->refused;
    if (fetch->refused)
        return fetch_fail(fetch, ERR_FORBIDDEN, "this is an internal address, which is not allowed here");
    if (fetch->body_buffer.full || code == CURLE_FILESIZE_EXCEEDED)
        return fetch_fail(fetch, ERR_TOO_LARGE, "the answer is larger than allowed");
    if (fetch->head_buffer.full)
        return fetch_fail(fetch, ERR_TOO_LARGE, "the headers of the answer are larger than allowed");
    if (code == CURLE_URL_MALFORMAT || code == CURLE_UNSUPPORTED_PROTOCOL)
        return fetch_fail(fetch, ERR_INVALID, "this is no http or https URL");
    fetch->timed_out = code == CURLE_OPERATION_TIMEDOUT;
    fetch->unsent = fetch->unsent || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_CONNECT ||
                    code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION ||
                    (fetch->timed_out && !fetch->is_asking);
    fetch->cut_off = code == CURLE_PARTIAL_FILE || code == CURLE_BAD_CONTENT_ENCODING;
    return fetch_fail(fetch, ERR_IO, curl_easy_strerror(code));
}

/* --- the question ------------------------------------------------------- */

static bool is_clean(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] == '\r' || s.p[i] == '\n' || s.p[i] == '\0')
            return false;
    return true;
}

static bool add_header(struct fetch *fetch, struct str name, struct str value)
{
    if (!name.n || !is_clean(name) || !is_clean(value) || name.n + value.n > HTTP_FETCH_HEAD_BYTES_MAX)
        return false;
    char line[HTTP_FETCH_HEAD_BYTES_MAX + 4];
    /* curl takes "Name:" for "leave this header out" and "Name;" for an empty value. */
    snprintf(line, sizeof line, value.n ? "%.*s: %.*s" : "%.*s;%.*s", STR(name), STR(value));
    struct curl_slist *longer = curl_slist_append(fetch->curl_headers, line);
    if (!longer)
        abort();
    fetch->curl_headers = longer;
    return true;
}

static bool set_headers(struct fetch *fetch)
{
    bool typed = false;
    for (size_t i = 0; i < fetch->header_count; i++) {
        if (!add_header(fetch, fetch->headers[i].name, fetch->headers[i].value))
            return false;
        typed = typed || str_eq_nocase(fetch->headers[i].name, S("Content-Type"));
    }
    fetch->curl_headers = curl_slist_append(fetch->curl_headers, "Expect:"); /* no round trip before a body */
    if (!typed)
        fetch->curl_headers = curl_slist_append(fetch->curl_headers, "Content-Type:"); /* curl would say form */
    curl_easy_setopt(fetch->curl, CURLOPT_HTTPHEADER, fetch->curl_headers);
    return true;
}

/* curl wants NUL-terminated text and copies it. */
static bool set_text(CURL *curl, CURLoption option, struct str text)
{
    char copy[URL_BYTES_MAX + 1];
    if (text.n > URL_BYTES_MAX || !is_clean(text))
        return false;
    snprintf(copy, sizeof copy, "%.*s", STR(text));
    return curl_easy_setopt(curl, option, copy) == CURLE_OK;
}

static void set_limits(struct fetch *fetch)
{
    CURL *curl = fetch->curl;
    size_t most = fetch->response_bytes_max ? fetch->response_bytes_max : RESPONSE_BYTES_MAX;
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)(fetch->connect_ms ? fetch->connect_ms : CONNECT_MS));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(fetch->total_ms ? fetch->total_ms : TOTAL_MS));
    curl_easy_setopt(curl, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)most);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* a proxy would hide the address that is reached */
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    buf_init(&fetch->body_buffer, most);
    buf_init(&fetch->head_buffer, HTTP_FETCH_HEAD_BYTES_MAX);
}

static void set_callbacks(struct fetch *fetch)
{
    CURL *curl = fetch->curl;
    curl_easy_setopt(curl, CURLOPT_PRIVATE, fetch);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, fetch);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, fetch);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, fetch);
    curl_easy_setopt(curl, CURLOPT_PREREQFUNCTION, on_before_request);
    curl_easy_setopt(curl, CURLOPT_PREREQDATA, fetch);
}

static bool set_method_and_body(struct fetch *fetch)
{
    CURL *curl = fetch->curl;
    struct str method = fetch->method.n ? fetch->method : S("GET");
    if (fetch->body.n || str_eq(method, S("POST")) || str_eq(method, S("PUT")) || str_eq(method, S("PATCH"))) {
        curl_easy_setopt(curl, CURLOPT_POST, 1L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, fetch->body.n ? fetch->body.p : "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)fetch->body.n);
        curl_easy_setopt(curl, CURLOPT_POSTREDIR, 0L);
    } else if (str_eq(method, S("HEAD"))) {
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
        return true;
    }
    return set_text(curl, CURLOPT_CUSTOMREQUEST, method);
}

static bool set_credentials(struct fetch *fetch)
{
    CURL *curl = fetch->curl;
    if (!str_given(fetch->user))
        return true;
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    return set_text(curl, CURLOPT_USERNAME, fetch->user) && set_text(curl, CURLOPT_PASSWORD, fetch->password);
}

enum err fetch_prepare(struct fetch *fetch, const struct http_client_config *config)
{
    fetch->config = config;
    set_limits(fetch);
    set_callbacks(fetch);
    curl_easy_setopt(fetch->curl, CURLOPT_ACCEPT_ENCODING, "gzip");
    curl_easy_setopt(fetch->curl, CURLOPT_USERAGENT, config->user_agent ? config->user_agent : "Posthouse");
    if (config->ca_file)
        curl_easy_setopt(fetch->curl, CURLOPT_CAINFO, config->ca_file);
    bool http = str_starts(fetch->url, S("http://")) || str_starts(fetch->url, S("https://"));
    if (!http || !set_text(fetch->curl, CURLOPT_URL, fetch->url))
        return fetch_fail(fetch, ERR_INVALID, "this is no http or https URL");
    if (!set_method_and_body(fetch) || !set_credentials(fetch))
        return fetch_fail(fetch, ERR_INVALID, "method, user or password cannot be sent");
    if (!set_headers(fetch))
        return fetch_fail(fetch, ERR_INVALID, "a header to send holds a line break or is too long");
    return OK;
}

void fetch_free(struct fetch *fetch)
{
    buf_done(&fetch->body_buffer);
    buf_done(&fetch->head_buffer);
    fetch->response = fetch->response_head = (struct str){ NULL, 0 };
}

/* --- reading the answer's head ------------------------------------------ */

struct str fetch_header(const struct fetch *fetch, struct str name)
{
    struct str rest = fetch->response_head, found = { NULL, 0 };
    while (str_given(rest)) {
        struct str line = str_cut(&rest, '\n');
        size_t colon = str_find(line, ':');
        if (colon < line.n && str_eq_nocase((struct str){ line.p, colon }, name))
            found = str_trim((struct str){ line.p + colon + 1, line.n - colon - 1 });
    }
    return found;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

int64_t fetch_retry_after_ms(const struct fetch *fetch, int64_t now_us)
{
    int64_t wait_ms = 0, number, date_us;
    struct str after = fetch_header(fetch, S("Retry-After"));
    if (str_to_int(after, 0, INT32_MAX, &number))
        wait_ms = number * 1000;
    else if (instant_parse_http(after, now_us, &date_us))
        wait_ms = later(0, (date_us - now_us + 999) / 1000);

    struct str reset = fetch_header(fetch, S("X-RateLimit-Reset"));
    if (str_to_int(reset, 0, INSTANT_US_MAX / 1000, &number))
        wait_ms = later(wait_ms, number - now_us / 1000);
    return wait_ms;
}

bool fetch_date_us(const struct fetch *fetch, int64_t now_us, int64_t *ret_us)
{
    return instant_parse_http(fetch_header(fetch, S("Date")), now_us, ret_us);
}
