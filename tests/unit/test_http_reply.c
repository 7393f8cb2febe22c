#include "http_lab.h"

/* --- handlers ----------------------------------------------------------- */

static void on_hello(struct http_request *request)
{
    http_reply(request, 200, S("text/plain"), S("hello\n"));
}

static void on_moved(struct http_request *request)
{
    http_reply_header(request, S("Location"), http_query(request, S("to")));
    http_reply(request, 302, S(""), S(""));
}

static void on_large(struct http_request *request)
{
    size_t n = 300000;
    char *bytes = arena_alloc_raw(request->op.arena, n);
    memset(bytes, 'x', n);
    http_reply(request, 200, S("text/plain"), (struct str){ bytes, n });
}

static void on_error(struct http_request *request)
{
    struct str kind = http_query(request, S("kind"));
    if (str_eq(kind, S("busy")))
        http_fail(request, fail(&request->op, ERR_BUSY, "the queue is full"));
    else if (str_eq(kind, S("invalid")))
        http_fail(request, fail_at(&request->op, ERR_INVALID, "/sent_at", "is in the \"future\""));
    else
        http_fail(request, fail(&request->op, ERR_UNAVAILABLE, "the store cannot write"));
}

static void on_stream(struct http_request *request)
{
    http_stream_begin(request, 200, S("text/plain"), NULL, NULL);
    http_stream_write(request, S("one\n"));
    http_stream_write(request, S("two\n"));
    http_stream_end(request);
}

/* Writes as much as is taken, until the client leaves or `flood_left` is used up. */
static _Atomic int64_t flood_left;
static _Atomic int flood_ends;

static void flood(struct http_request *request)
{
    static char block[16384];
    bool room = true;
    while (room && atomic_load(&flood_left) > 0) {
        room = http_stream_write(request, (struct str){ block, sizeof block });
        atomic_fetch_sub(&flood_left, (int64_t)sizeof block);
    }
    assert_true(http_stream_waiting(request) <= HTTP_STREAM_BYTES_HIGH + sizeof block + 64);
    if (atomic_load(&flood_left) <= 0) {
        atomic_fetch_add(&flood_ends, 1);
        http_stream_end(request);
    }
}

static void flood_gone(struct http_request *request)
{
    atomic_fetch_add(&flood_ends, 100);
    http_stream_end(request);
}

static void on_flood(struct http_request *request)
{
    http_stream_begin(request, 200, S("application/octet-stream"), flood, flood_gone);
    flood(request);
}

/* Headers without end: a value as long as the query says. */
static void on_long(struct http_request *request)
{
    int64_t n = 0;
    str_to_int(http_query(request, S("n")), 0, 100000, &n);
    char *value = arena_alloc_raw(request->op.arena, (size_t)n);
    memset(value, 'v', (size_t)n);
    http_reply_header(request, S("X-Long"), (struct str){ value, (size_t)n });
    http_reply(request, 200, S("text/plain"), S("hello\n"));
}

static void on_nothing(struct http_request *request)
{
    http_reply(request, 204, S(""), S("not sent"));
}

static const struct http_route routes[] = {
    { .method = "GET", .pattern = "/hello", .handle = on_hello },
    { .method = "GET", .pattern = "/moved", .handle = on_moved },
    { .method = "GET", .pattern = "/large", .handle = on_large },
    { .method = "GET", .pattern = "/error", .handle = on_error },
    { .method = "GET", .pattern = "/stream", .handle = on_stream },
    { .method = "GET", .pattern = "/flood", .handle = on_flood },
    { .method = "GET", .pattern = "/long", .handle = on_long },
    { .method = "GET", .pattern = "/nothing", .handle = on_nothing },
};

static void open_lab(struct lab *lab, struct http_server_config config)
{
    lab_open(lab, config, routes, sizeof routes / sizeof *routes);
}

/* --- whole answers ------------------------------------------------------ */

TEST(http_reply, answers_head_like_get_without_the_body)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    struct str answer = lab_talk(&lab, S("HEAD /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    STR_EQ(lab_undated(&lab, answer), "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\n");
    lab_close(&lab);
}

TEST(http_reply, sends_a_large_answer_whole)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    struct str answer =
        lab_talk(&lab, S("GET /large HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    YES(has(answer, "\r\nContent-Length: 300000\r\n"));
    EQ(count_of(answer, S("xxxxxxxxxx")), 30000);
    YES(str_ends(answer, S("hello\n")));
    lab_close(&lab);
}

TEST(http_reply, turns_errors_into_problems_with_pointer_and_retry_after)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    struct str answer = lab_talk(&lab, S("GET /error?kind=invalid HTTP/1.1\r\nHost: x\r\n\r\n"));
    YES(str_starts(answer, S("HTTP/1.1 422 Unprocessable Content\r\n")));
    YES(str_ends(answer, S("\"detail\":\"is in the \\\"future\\\"\",\"errors\":[{\"pointer\":\"/sent_at\","
                           "\"detail\":\"is in the \\\"future\\\"\"}]}")));
    answer = lab_talk(&lab, S("GET /error?kind=busy HTTP/1.1\r\nHost: x\r\n\r\n"));
    YES(str_starts(answer, S("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\n")));
    answer = lab_talk(&lab, S("GET /error HTTP/1.1\r\nHost: x\r\n\r\n"));
    YES(str_starts(answer, S("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\n")));
    lab_close(&lab);
}

TEST(http_reply, never_lets_a_value_add_a_header)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    struct str answer =
        lab_talk(&lab, S("GET /moved?to=http://a/%0D%0ASet-Cookie:%20x%00y HTTP/1.1\r\nHost: x\r\n\r\n"));
    STR_EQ(lab_undated(&lab, answer),
           "HTTP/1.1 302 Found\r\nLocation: http://a/  Set-Cookie: x y\r\nContent-Length: 0\r\n\r\n");
    lab_close(&lab);
}

TEST(http_reply, makes_a_blank_of_a_control_byte_wherever_it_stands)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    for (int at = 0; at < 40; at++) {
        char ask[256], wanted[256], value[] = "http://a/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
        int before = 9 + at; /* behind "http://a/" */
        snprintf(ask, sizeof ask, "GET /moved?to=%.*s%%0A%s HTTP/1.1\r\nHost: x\r\n\r\n", before, value,
                 value + before);
        snprintf(wanted, sizeof wanted, "HTTP/1.1 302 Found\r\nLocation: %.*s %s\r\nContent-Length: 0\r\n\r\n", before,
                 value, value + before);
        STR_EQ(lab_undated(&lab, lab_talk(&lab, str_of(ask))), wanted);
    }
    lab_close(&lab);
}

TEST(http_reply, has_no_body_and_no_length_with_204)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    struct str answer = lab_talk(&lab, S("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"));
    STR_EQ(lab_undated(&lab, answer), "HTTP/1.1 204 No Content\r\n\r\n");
    lab_close(&lab);
}

TEST(http_reply, becomes_a_500_when_its_headers_do_not_fit)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    struct str answer = lab_talk(&lab, S("GET /long?n=32000 HTTP/1.1\r\nHost: x\r\n\r\n"));
    YES(str_starts(answer, S("HTTP/1.1 200 ")));
    EQ(count_of(answer, S("vvvv")), 8000);
    answer = lab_talk(&lab, S("GET /long?n=40000 HTTP/1.1\r\nHost: x\r\n\r\n"));
    STR_EQ(lab_undated(&lab, answer), "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n");
    lab_close(&lab);
}

TEST(http_reply, names_a_status_for_every_error)
{
    EQ(http_status_of(OK), 200);
    EQ(http_status_of(ERR_MALFORMED), 400);
    EQ(http_status_of(ERR_UNAUTHORIZED), 401);
    EQ(http_status_of(ERR_FORBIDDEN), 403);
    EQ(http_status_of(ERR_NOT_FOUND), 404);
    EQ(http_status_of(ERR_CONFLICT), 409);
    EQ(http_status_of(ERR_TOO_LARGE), 413);
    EQ(http_status_of(ERR_INVALID), 422);
    EQ(http_status_of(ERR_BUSY), 429);
    EQ(http_status_of(ERR_UNAVAILABLE), 503);
    EQ(http_status_of(ERR_IO), 500);
    EQ(http_status_of(ERR_BUG), 500);
    for (int err = OK; err <= ERR_BUG; err++)
        YES(*http_status_phrase(http_status_of((enum err)err)));
    STR_EQ(str_of(http_status_phrase(299)), "");
}

/* --- streams ------------------------------------------------------------ */

TEST(http_reply, streams_in_chunks_or_until_the_end_of_the_connection)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    struct str answer = lab_talk(&lab, S("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
    YES(has(answer, "\r\nTransfer-Encoding: chunked\r\n"));
    YES(str_ends(answer, S("\r\n\r\n4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n")));
    answer = lab_talk(&lab, S("GET /stream HTTP/1.0\r\n\r\n"));
    YES(str_ends(answer, S("\r\n\r\none\ntwo\n")));
    answer = lab_talk(&lab, S("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n"));
    YES(str_ends(answer, S("\r\n\r\n")));
    lab_close(&lab);
}

TEST(http_reply, lets_a_stream_wait_for_a_slow_reader)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    atomic_store(&flood_left, 50 * 1000 * 1000);
    atomic_store(&flood_ends, 0);
    int fd = lab_connect(&lab);
    lab_send(fd, S("GET /flood HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    char *sink = arena_alloc_raw(lab.arena, 1 << 20);
    size_t total = 0;
    for (ssize_t n; (n = recv(fd, sink, 1 << 20, 0)) > 0;)
        total += (size_t)n;
    YES(total > 50 * 1000 * 1000);
    EQ(atomic_load(&flood_ends), 1);
    close(fd);
    lab_close(&lab);
}

TEST(http_reply, tells_a_stream_that_its_reader_has_left)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    atomic_store(&flood_left, INT64_C(1) << 50);
    atomic_store(&flood_ends, 0);
    int fd = lab_connect(&lab);
    lab_send(fd, S("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n"));
    lab_read_until(&lab, fd, S("\r\n\r\n"));
    close(fd);
    while (!atomic_load(&flood_ends))
        usleep(200);
    EQ(atomic_load(&flood_ends), 100);
    lab_close(&lab);
}

TEST(http_reply, drops_a_client_that_does_not_read_its_answer)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ .write_ms = 50 });
    atomic_store(&flood_left, INT64_C(1) << 50);
    atomic_store(&flood_ends, 0);
    int fd = lab_connect(&lab);
    lab_send(fd, S("GET /flood HTTP/1.1\r\nHost: x\r\n\r\n"));
    while (!atomic_load(&flood_ends))
        usleep(200);
    EQ(atomic_load(&flood_ends), 100);
    EQ(http_server_counts(lab.server).dropped, 1);
    close(fd);
    lab_close(&lab);
}
