#include <semaphore.h>
#include <zlib.h>

#include "base/instant.h"
#include "http_lab.h"
#include "net/http_client.h"

/* --- the other side ----------------------------------------------------- */

static void on_echo(struct http_request *request)
{
    struct str text =
        arena_fmt(request->op.arena, "%.*s %.*s type=%.*s auth=%.*s x=%.*s body=%.*s", STR(request->method),
                  STR(request->target), STR(http_header(request, S("Content-Type"))),
                  STR(http_header(request, S("Authorization"))), STR(http_header(request, S("X-Test"))),
                  STR(request->body));
    http_reply_header(request, S("X-Seen"), S("first"));
    http_reply_header(request, S("X-Seen"), S("last "));
    http_reply(request, 200, S("text/plain"), text);
}

static void on_wait(struct http_request *request)
{
    http_reply_header(request, S("Retry-After"), http_query(request, S("after")));
    struct str reset = http_query(request, S("reset"));
    if (str_given(reset))
        http_reply_header(request, S("X-RateLimit-Reset"), reset);
    http_reply(request, 429, S(""), S(""));
}

static void on_moved(struct http_request *request)
{
    http_reply_header(request, S("Location"), S("/echo"));
    http_reply(request, 302, S(""), S(""));
}

static void on_large(struct http_request *request)
{
    size_t n = 100000;
    char *bytes = arena_alloc(request->op.arena, n);
    http_reply(request, 200, S("text/plain"), (struct str){ bytes, n });
}

static void on_streamed(struct http_request *request)
{
    static char block[10000];
    http_stream_begin(request, 200, S("text/plain"), NULL, NULL);
    for (int i = 0; i < 10; i++)
        http_stream_write(request, (struct str){ block, sizeof block });
    http_stream_end(request);
}

/* A million zeros in about a kilobyte. */
static void on_packed(struct http_request *request)
{
    size_t n = 1000000;
    char *plain = arena_alloc(request->op.arena, n);
    char *packed = arena_alloc(request->op.arena, 10000);
    z_stream z = { .next_in = (Bytef *)plain, .avail_in = (uInt)n, .next_out = (Bytef *)packed, .avail_out = 10000 };
    deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
    int result = deflate(&z, Z_FINISH);
    deflateEnd(&z);
    assert_int_equal(result, Z_STREAM_END);
    assert_true(str_search(http_header(request, S("Accept-Encoding")), S("gzip")) == 0);
    http_reply_header(request, S("Content-Encoding"), S("gzip"));
    http_reply(request, 200, S("text/plain"), (struct str){ packed, z.total_out });
}

/* Never answers by itself: the test lets the requests go when it is done. */
static struct http_request *parked[16];
static _Atomic int parked_count;

static void on_park(struct http_request *request)
{
    parked[atomic_load(&parked_count)] = request;
    atomic_fetch_add(&parked_count, 1);
}

static void answer_parked(void *data)
{
    (void)data;
    for (int i = 0; i < atomic_load(&parked_count); i++)
        http_reply(parked[i], 200, S("text/plain"), S("late"));
    atomic_store(&parked_count, 0);
}

static void on_cut(struct http_request *request)
{
    http_stream_begin(request, 200, S("text/plain"), NULL, NULL);
    http_stream_write(request, S("half"));
    http_stream_abort(request);
}

static const struct http_route routes[] = {
    { .method = "GET", .pattern = "/echo", .handle = on_echo, .body_bytes_max = 100 },
    { .method = "POST", .pattern = "/echo", .handle = on_echo, .body_bytes_max = 1000000 },
    { .method = "DELETE", .pattern = "/echo", .handle = on_echo },
    { .method = "GET", .pattern = "/wait", .handle = on_wait },
    { .method = "GET", .pattern = "/moved", .handle = on_moved },
    { .method = "GET", .pattern = "/large", .handle = on_large },
    { .method = "GET", .pattern = "/streamed", .handle = on_streamed },
    { .method = "GET", .pattern = "/packed", .handle = on_packed },
    { .method = "GET", .pattern = "/park", .handle = on_park },
    { .method = "GET", .pattern = "/cut", .handle = on_cut },
};

/* --- this side ---------------------------------------------------------- */

struct bench {
    struct lab lab;
    struct http_client *client;
    sem_t done;
};

static void open_bench(struct bench *bench, struct http_client_config config)
{
    lab_open(&bench->lab, (struct http_server_config){ 0 }, routes, sizeof routes / sizeof *routes);
    bench->client = http_client_open(bench->lab.loop, &config);
    sem_init(&bench->done, 0, 0);
}

static void close_bench(struct bench *bench)
{
    http_client_close(bench->client);
    lab_close(&bench->lab);
    sem_destroy(&bench->done);
}

static void on_done(struct fetch *fetch)
{
    sem_post(&((struct bench *)fetch->data)->done);
}

static void start(void *data)
{
    struct fetch *fetch = data;
    http_fetch(((struct bench *)fetch->data)->client, fetch);
}

static void cancel(void *data)
{
    http_fetch_cancel(data);
}

static struct str url_of(struct bench *bench, const char *path)
{
    return arena_fmt(bench->lab.arena, "http://127.0.0.1:%u%s", http_server_addr(bench->lab.server).port, path);
}

static void begin_fetch(struct bench *bench, struct fetch *fetch, const char *path)
{
    if (!str_given(fetch->url))
        fetch->url = url_of(bench, path);
    fetch->done = on_done;
    fetch->data = bench;
    loop_call(bench->lab.loop, start, fetch);
}

static void run_fetch(struct bench *bench, struct fetch *fetch, const char *path)
{
    begin_fetch(bench, fetch, path);
    sem_wait(&bench->done);
}

TEST(http_client, brings_status_headers_and_body)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    struct fetch fetch = { 0 };
    run_fetch(&bench, &fetch, "/echo?a=1");
    EQ(fetch.err, OK);
    EQ(fetch.status, 200);
    STR_EQ(fetch.response, "GET /echo?a=1 type= auth= x= body=");
    STR_EQ(fetch_header(&fetch, S("content-TYPE")), "text/plain");
    STR_EQ(fetch_header(&fetch, S("X-Seen")), "last");
    NO(str_given(fetch_header(&fetch, S("X-Other"))));
    int64_t date_us = 0;
    YES(fetch_date_us(&fetch, 0, &date_us));
    YES(date_us > INT64_C(1700000000000000));
    fetch_free(&fetch);
    close_bench(&bench);
}

TEST(http_client, sends_method_body_headers_and_credentials)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    struct fetch fetch = { .method = S("POST"),
                           .body = S("{\"a\":1}"),
                           .user = S("api"),
                           .password = S("key:1"),
                           .headers = { { S("Content-Type"), S("application/json") }, { S("X-Test"), S("t") } },
                           .header_count = 2 };
    run_fetch(&bench, &fetch, "/echo");
    STR_EQ(fetch.response, "POST /echo type=application/json auth=Basic YXBpOmtleTox x=t body={\"a\":1}");
    fetch_free(&fetch);

    struct fetch plain = { .method = S("POST"), .body = S("text") };
    run_fetch(&bench, &plain, "/echo");
    STR_EQ(plain.response, "POST /echo type= auth= x= body=text");
    fetch_free(&plain);

    struct fetch gone = { .method = S("DELETE") };
    run_fetch(&bench, &gone, "/echo");
    STR_EQ(gone.response, "DELETE /echo type= auth= x= body=");
    fetch_free(&gone);
    close_bench(&bench);
}

TEST(http_client, uses_a_connection_again)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    for (int i = 0; i < 5; i++) {
        struct fetch fetch = { 0 };
        run_fetch(&bench, &fetch, "/echo");
        EQ(fetch.status, 200);
        fetch_free(&fetch);
    }
    EQ(http_server_counts(bench.lab.server).accepted, 1);
    close_bench(&bench);
}

TEST(http_client, opens_at_most_four_connections_to_a_host)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    struct fetch fetches[8] = { 0 };
    for (int i = 0; i < 8; i++)
        begin_fetch(&bench, &fetches[i], "/park");
    for (int done = 0; done < 8;) { /* four at a time come through */
        while (atomic_load(&parked_count) < 4)
            usleep(200);
        EQ(atomic_load(&parked_count), 4);
        loop_call(bench.lab.loop, answer_parked, NULL);
        for (int i = 0; i < 4; i++, done++)
            sem_wait(&bench.done);
    }
    EQ(http_server_counts(bench.lab.server).accepted, 4);
    for (int i = 0; i < 8; i++)
        fetch_free(&fetches[i]);
    close_bench(&bench);
}

TEST(http_client, follows_no_redirect)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    struct fetch fetch = { 0 };
    run_fetch(&bench, &fetch, "/moved");
    EQ(fetch.err, OK);
    EQ(fetch.status, 302);
    STR_EQ(fetch_header(&fetch, S("Location")), "/echo");
    EQ(http_server_counts(bench.lab.server).requests, 1);
    fetch_free(&fetch);
    close_bench(&bench);
}

TEST(http_client, unpacks_gzip_and_counts_what_comes_out)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    struct fetch fetch = { 0 };
    run_fetch(&bench, &fetch, "/packed");
    EQ(fetch.err, OK);
    EQ(fetch.response.n, 1000000);
    fetch_free(&fetch);

    struct fetch bounded = { .response_bytes_max = 999999 };
    run_fetch(&bench, &bounded, "/packed");
    EQ(bounded.err, ERR_TOO_LARGE);
    fetch_free(&bounded);
    close_bench(&bench);
}

TEST(http_client, breaks_off_an_answer_above_its_maximum)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    static const char *const paths[] = { "/large", "/streamed" };
    for (int i = 0; i < 2; i++) {
        struct fetch fits = { .response_bytes_max = 100000 }, over = { .response_bytes_max = 99999 };
        run_fetch(&bench, &fits, paths[i]);
        EQ(fits.err, OK);
        EQ(fits.response.n, 100000);
        run_fetch(&bench, &over, paths[i]);
        EQ(over.err, ERR_TOO_LARGE);
        YES(has(str_of(over.error), "the answer is larger than allowed"));
        fetch_free(&fits);
        fetch_free(&over);
    }
    close_bench(&bench);
}

TEST(http_client, gives_up_after_its_time)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    struct fetch fetch = { .total_ms = 30 };
    run_fetch(&bench, &fetch, "/park");
    EQ(fetch.err, ERR_IO);
    YES(fetch.timed_out);
    fetch_free(&fetch);
    loop_call(bench.lab.loop, answer_parked, NULL);
    close_bench(&bench);
}

TEST(http_client, tells_a_cut_answer_from_a_whole_one)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    struct fetch fetch = { 0 };
    run_fetch(&bench, &fetch, "/cut");
    EQ(fetch.err, ERR_IO);
    NO(fetch.timed_out);
    fetch_free(&fetch);
    close_bench(&bench);
}

TEST(http_client, names_the_host_but_no_secret_in_errors)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    struct fetch fetch = { .url = S("http://user:secret@127.0.0.1:1/private?key=secret"),
                           .user = S("u"),
                           .password = S("secret") };
    run_fetch(&bench, &fetch, "");
    EQ(fetch.err, ERR_IO);
    YES(str_starts(str_of(fetch.error), S("http://127.0.0.1:1: ")));
    EQ(str_search(str_of(fetch.error), S("secret")), strlen(fetch.error));
    EQ(str_search(str_of(fetch.error), S("private")), strlen(fetch.error));
    fetch_free(&fetch);
    close_bench(&bench);
}

TEST(http_client, refuses_what_is_no_web_address)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    static const char *const urls[] = { "",        "file:///etc/passwd", "gopher://x/",      "//x/",
                                        "http://", "http://a b/",        "https://x:99999/", "http://x/\r\nHost: y" };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct fetch fetch = { .url = str_of(urls[i]) };
        run_fetch(&bench, &fetch, "");
        if (fetch.err != ERR_INVALID)
            fprintf(stderr, "%s: %s\n", urls[i], fetch.error);
        EQ(fetch.err, ERR_INVALID);
        fetch_free(&fetch);
    }
    struct fetch split = { .headers = { { S("X-Test"), S("a\r\nX-Evil: b") } }, .header_count = 1 };
    run_fetch(&bench, &split, "/echo");
    EQ(split.err, ERR_INVALID);
    fetch_free(&split);
    close_bench(&bench);
}

TEST(http_client, reaches_nothing_internal_when_asked_to_stay_public)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    char local[64], mapped[64];
    unsigned port = http_server_addr(bench.lab.server).port;
    snprintf(local, sizeof local, "http://localhost:%u/echo", port);
    snprintf(mapped, sizeof mapped, "http://[::ffff:127.0.0.1]:%u/echo", port);
    const char *urls[] = { local,
                           mapped,
                           "http://169.254.169.254/latest",
                           "http://10.0.0.1/",
                           "http://2130706433/",
                           "http://0x7f.1/",
                           "http://[fd00::1]/",
                           "http://0/" };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        struct fetch fetch = { .url = str_of(urls[i]), .public_only = true };
        run_fetch(&bench, &fetch, "");
        if (fetch.err != ERR_FORBIDDEN)
            fprintf(stderr, "%s: %s\n", urls[i], fetch.error);
        EQ(fetch.err, ERR_FORBIDDEN);
        fetch_free(&fetch);
    }
    EQ(http_server_counts(bench.lab.server).accepted, 0);
    close_bench(&bench);
}

TEST(http_client, guards_a_connection_that_another_fetch_opened)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    struct fetch open = { 0 }, guarded = { .public_only = true };
    run_fetch(&bench, &open, "/echo");
    EQ(open.err, OK);
    run_fetch(&bench, &guarded, "/echo");
    EQ(guarded.err, ERR_FORBIDDEN);
    EQ(http_server_counts(bench.lab.server).requests, 1);
    fetch_free(&open);
    fetch_free(&guarded);
    close_bench(&bench);
}

TEST(http_client, reaches_the_internal_networks_it_is_allowed)
{
    struct arena *arena = arena_new(65536);
    struct op op;
    op_init(&op, arena, 0);
    struct cidr_list *allow = NULL;
    SUCCEEDS(&op, cidr_list_new(&op, S("127.0.0.0/8"), &allow));
    struct http_client_config configs[] = { { .allow = allow }, { .allow_loopback = true } };
    for (int i = 0; i < 2; i++) {
        struct bench bench;
        open_bench(&bench, configs[i]);
        struct fetch fetch = { .public_only = true };
        run_fetch(&bench, &fetch, "/echo");
        EQ(fetch.err, OK);
        fetch_free(&fetch);
        struct fetch other = { .url = S("http://10.0.0.1/"), .public_only = true };
        run_fetch(&bench, &other, "");
        EQ(other.err, ERR_FORBIDDEN);
        fetch_free(&other);
        close_bench(&bench);
    }
    cidr_list_free(allow);
    arena_free(arena);
}

TEST(http_client, tells_a_cancelled_fetch_once)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    struct fetch fetch = { 0 };
    begin_fetch(&bench, &fetch, "/park");
    while (!atomic_load(&parked_count))
        usleep(200);
    loop_call(bench.lab.loop, cancel, &fetch);
    sem_wait(&bench.done);
    EQ(fetch.err, ERR_UNAVAILABLE);
    fetch_free(&fetch);
    loop_call(bench.lab.loop, answer_parked, NULL);
    close_bench(&bench);
}

TEST(http_client, tells_what_is_under_way_when_it_closes)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    struct fetch fetches[6] = { 0 };
    for (int i = 0; i < 6; i++)
        begin_fetch(&bench, &fetches[i], "/park");
    while (atomic_load(&parked_count) < 4)
        usleep(200);
    http_client_close(bench.client);
    for (int i = 0; i < 6; i++) {
        sem_wait(&bench.done);
        EQ(fetches[i].err, ERR_UNAVAILABLE);
        fetch_free(&fetches[i]);
    }
    loop_call(bench.lab.loop, answer_parked, NULL);
    lab_close(&bench.lab);
    sem_destroy(&bench.done);
}

#define NOW_US INT64_C(1795287600000000) /* 2026-11-21T19:00:00Z */

static int64_t retry_after_ms(struct bench *bench, const char *path)
{
    struct fetch fetch = { 0 };
    run_fetch(bench, &fetch, path);
    EQ(fetch.status, 429);
    int64_t wait_ms = fetch_retry_after_ms(&fetch, NOW_US);
    fetch_free(&fetch);
    return wait_ms;
}

TEST(http_client, reads_how_long_to_wait)
{
    struct bench bench;
    open_bench(&bench, (struct http_client_config){ 0 });
    EQ(retry_after_ms(&bench, "/wait?after=7"), 7000);
    EQ(retry_after_ms(&bench, "/wait?after=Sat,+21+Nov+2026+19:00:30+GMT"), 30000);
    EQ(retry_after_ms(&bench, "/wait?after=Sat,+21+Nov+2026+18:00:30+GMT"), 0);
    EQ(retry_after_ms(&bench, "/wait?after=soon"), 0);
    EQ(retry_after_ms(&bench, "/wait?after=7&reset=1795287609000"), 9000);
    EQ(retry_after_ms(&bench, "/wait?after=7&reset=1795287601000"), 7000);
    EQ(retry_after_ms(&bench, "/wait?after=&reset=1"), 0);
    close_bench(&bench);
}
