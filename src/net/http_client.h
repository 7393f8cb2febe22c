/*
 * http_client.h - requests to others: libcurl's multi interface on a loop.
 *
 * A fetch is filled in, given to http_fetch and comes back through `done`,
 * always once and never from inside http_fetch. No redirect is followed, no
 * proxy of the environment is used, TLS is verified. With public_only the
 * address really connected to is checked, also on a connection that is used
 * again: unless allowed, nothing internal is reached, whatever a name resolves
 * to (EVT-36). At most HTTP_CLIENT_HOST_MAX connections per host; what is more
 * waits its turn.
 *
 * Thread: the loop's.
 */
#pragma once

#include "base/buf.h"
#include "base/cidr.h"
#include "net/loop.h"

#define HTTP_CLIENT_HOST_MAX       4
#define HTTP_FETCH_HEADERS_MAX     32
#define HTTP_FETCH_ERROR_BYTES_MAX 256
#define HTTP_FETCH_HEAD_BYTES_MAX  32768

struct http_client;

struct http_client_config {
    const struct cidr_list *allow; /* internal networks that may be reached all the same; NULL: none */
    bool allow_loopback;           /* --dev, the simulator and tests */
    const char *ca_file;           /* NULL: the system's */
    const char *user_agent;        /* NULL: "Posthouse" */
    int host_max;                  /* connections per host; 0: HTTP_CLIENT_HOST_MAX */
};

struct http_header {
    struct str name;
    struct str value;
};

struct fetch {
    /* The question; everything must stay until done. Zeros mean: GET, no body, default limits. */
    struct str method;
    struct str url; /* http or https */
    struct http_header headers[HTTP_FETCH_HEADERS_MAX];
    size_t header_count;
    struct str body;
    struct str user; /* Basic, when given */
    struct str password;
    int64_t connect_ms;        /* default 10,000 */
    int64_t total_ms;          /* default 60,000 */
    size_t response_bytes_max; /* default 16 MiB, after unpacking; above: ERR_TOO_LARGE */
    bool public_only;          /* refuse internal addresses outside the client's allow list */
    bool private_too;          /* with public_only: all internal ones are allowed but those of addr_is_never_meant */
    void (*done)(struct fetch *fetch);
    void *data; /* the caller's own */

    /* The answer, valid from done until fetch_free. */
    enum err err; /* OK: an answer came, whatever its status; ERR_TOO_LARGE; ERR_FORBIDDEN: internal address;
                     ERR_INVALID: no usable URL; ERR_UNAVAILABLE: cancelled; ERR_IO: all else */
    char error[HTTP_FETCH_ERROR_BYTES_MAX]; /* what went wrong, without credentials or query */
    bool timed_out;
    bool unsent;  /* ERR_IO, ERR_FORBIDDEN, ERR_INVALID: no byte of the request left: no host, no connection, no TLS */
    bool cut_off; /* ERR_IO: the answer ended in its middle, or its packing is broken */
    int status;
    struct str response;      /* body, unpacked */
    struct str response_head; /* header lines of the last answer */
    int64_t took_us;

    /* The rest belongs to http_client.c and http_fetch.c. */
    struct http_client *client;
    const struct http_client_config *config; /* the client's */
    struct fetch *next, *before;             /* under way */
    void *curl;
    void *curl_headers;
    struct buf body_buffer;
    struct buf head_buffer;
    struct errand finish;
    bool refused;   /* an internal address was asked for */
    bool is_asking; /* connected: the request is on its way */
};

/* Any thread but the loop's. */
struct http_client *http_client_open(struct loop *loop, const struct http_client_config *config);

/* Another list of internal networks that may be reached; the former one is not read any more when this returns. Any
 * thread but the loop's. */
void http_client_allow(struct http_client *client, const struct cidr_list *allow);

/* Cancels what is under way (their done is called) and frees the client. Any thread but the loop's. */
void http_client_close(struct http_client *client);

/* Starts the fetch; its memory is the caller's and stays until done was called. A header value with CR, LF or NUL makes
 * it fail with ERR_INVALID. */
void http_fetch(struct http_client *client, struct fetch *fetch);

/* done comes with ERR_UNAVAILABLE in this turn or the next; nothing happens when it was called already. */
void http_fetch_cancel(struct fetch *fetch);

/* Frees the response; call it once after done. */
void fetch_free(struct fetch *fetch);

/* Value of a response header without blanks around; the last one of that name; not given when absent. */
struct str fetch_header(const struct fetch *fetch, struct str name);

/* Milliseconds the server asks to wait, seen from now_us: the later of Retry-After (seconds or a date) and
 * X-RateLimit-Reset (ms since 1970). 0 when it says nothing or names the past. */
int64_t fetch_retry_after_ms(const struct fetch *fetch, int64_t now_us);

/* The Date header in microseconds since 1970; false when absent or unreadable. */
bool fetch_date_us(const struct fetch *fetch, int64_t now_us, int64_t *ret_us);
