#include "http_lab.h"

/* --- handlers ----------------------------------------------------------- */

static void on_hello(struct http_request *request)
{
    http_reply(request, 200, S("text/plain"), S("hello\n"));
}

/* Says what it was asked: method, path, params, query, body. */
static void on_echo(struct http_request *request)
{
    struct str who = http_query(request, S("who"));
    struct str text =
        arena_fmt(request->op.arena, "%.*s [%.*s] who=%.*s agent=%.*s body=%.*s\n", STR(request->method),
                  STR(request->params[0]), STR(who), STR(http_header(request, S("user-AGENT"))), STR(request->body));
    http_reply(request, 200, S("text/plain"), text);
}

/* Requests that wait until the test lets them go. */
static _Atomic(struct http_request *) parked;
static _Atomic int parked_gone;

static void on_park(struct http_request *request)
{
    atomic_store(&parked, request);
}

static void answer_parked(void *data)
{
    (void)data;
    struct http_request *request = atomic_exchange(&parked, NULL);
    atomic_store(&parked_gone, request->conn == NULL);
    http_reply(request, 200, S("text/plain"), S("late\n"));
}

static struct http_request *wait_parked(void)
{
    struct http_request *request;
    while (!(request = atomic_load(&parked)))
        usleep(200);
    return request;
}

/* A streamed body: counts bytes, can be held back. */
static _Atomic size_t taken_bytes;
static _Atomic int taken_broken;

static void sum_body(struct http_request *request, struct str piece, enum http_body state)
{
    if (state == HTTP_BODY_PIECE) {
        atomic_fetch_add(&taken_bytes, piece.n);
        return;
    }
    if (state == HTTP_BODY_BROKEN) {
        atomic_store(&taken_broken, (int)request->body_err);
        http_fail(request, request->body_err);
        return;
    }
    http_reply(request, 200, S("text/plain"), arena_fmt(request->op.arena, "took %zu\n", atomic_load(&taken_bytes)));
}

static void on_take(struct http_request *request)
{
    atomic_store(&taken_bytes, 0);
    atomic_store(&taken_broken, 0);
    http_body_take(request, sum_body);
}

static void hold_body(struct http_request *request, struct str piece, enum http_body state)
{
    if (state == HTTP_BODY_PIECE) {
        http_body_pause(request);
        atomic_store(&parked, request);
    }
    sum_body(request, piece, state);
}

static void on_hold(struct http_request *request)
{
    on_take(request);
    http_body_take(request, hold_body);
}

static void resume_parked(void *data)
{
    (void)data;
    http_body_resume(atomic_exchange(&parked, NULL));
}

/* Refuses a streamed body without taking it. */
static void on_refuse(struct http_request *request)
{
    http_fail(request, fail(&request->op, ERR_CONFLICT, "not now"));
}

static const struct http_route routes[] = {
    { .method = "GET", .pattern = "/hello", .handle = on_hello },
    { .method = "GET", .pattern = "/echo/{id}", .handle = on_echo },
    { .method = "POST", .pattern = "/echo/{id}", .handle = on_echo, .body_bytes_max = 100000 },
    { .method = "PUT", .pattern = "/echo/{id}", .handle = on_echo, .body_bytes_max = 10 },
    { .method = "GET", .pattern = "/park", .handle = on_park },
    { .method = "POST", .pattern = "/take", .handle = on_take, .body_bytes_max = 5000000, .flags = HTTP_BODY_STREAM },
    { .method = "POST", .pattern = "/hold", .handle = on_hold, .body_bytes_max = 5000000, .flags = HTTP_BODY_STREAM },
    { .method = "POST",
      .pattern = "/refuse",
      .handle = on_refuse,
      .body_bytes_max = 1 << 30,
      .flags = HTTP_BODY_STREAM },
};

static void open_lab(struct lab *lab, struct http_server_config config)
{
    lab_open(lab, config, routes, sizeof routes / sizeof *routes);
}

/* --- plain requests ----------------------------------------------------- */

TEST(http_server, answers_a_request_and_keeps_the_connection)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    for (int i = 0; i < 3; i++) {
        lab_send(fd, S("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
        struct str answer = lab_read_until(&lab, fd, S("hello\n"));
        STR_EQ(lab_undated(&lab, answer),
               "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\nhello\n");
        YES(has(answer, "\r\nDate: "));
    }
    EQ(http_server_counts(lab.server).accepted, 1);
    EQ(http_server_counts(lab.server).requests, 3);
    close(fd);
    lab_close(&lab);
}

TEST(http_server, closes_after_the_answer_when_asked_to)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    lab_send(fd, S("GET /hello HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    YES(has(lab_read_all(&lab, fd), "\r\nConnection: close\r\n"));
    close(fd);

    fd = lab_connect(&lab);
    lab_send(fd, S("GET /hello HTTP/1.0\r\n\r\n"));
    YES(str_ends(lab_read_all(&lab, fd), S("\r\n\r\nhello\n")));
    close(fd);
    lab_close(&lab);
}

TEST(http_server, gives_params_query_headers_and_body_to_the_handler)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    struct str answer = lab_talk(&lab, S("POST /echo/a%2Fb%20c?x=1&who=J%C3%BCrgen+W HTTP/1.1\r\nHost: x\r\n"
                                         "User-Agent:  tests \r\nContent-Length: 4\r\n\r\nbody"));
    YES(has(answer, "\r\n\r\nPOST [a/b c] who=J\xc3\xbcrgen W agent=tests body=body\n"));
    lab_close(&lab);
}

TEST(http_server, reads_a_request_that_comes_byte_by_byte)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    struct str request = S("POST /echo/slow HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n");
    for (size_t i = 0; i < request.n; i++)
        lab_send(fd, (struct str){ request.p + i, 1 });
    YES(has(lab_read_until(&lab, fd, S("hello\n")), "POST [slow] who= agent= body=abcde\n"));
    close(fd);
    lab_close(&lab);
}

TEST(http_server, answers_pipelined_requests_in_order)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    struct str answer = lab_talk(&lab, S("GET /echo/1 HTTP/1.1\r\nHost: x\r\n\r\n"
                                         "POST /echo/2 HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
                                         "GET /echo/s HTTP/1.1\r\nHost: x\r\n\r\n"
                                         "GET /echo/3 HTTP/1.1\r\nHost: x\r\n\r\n"));
    size_t first = str_search(answer, S("GET [1]")), second = str_search(answer, S("POST [2]"));
    size_t third = str_search(answer, S("GET [s]")), fourth = str_search(answer, S("GET [3]"));
    YES(first < second && second < third && third < fourth && fourth < answer.n);
    lab_close(&lab);
}

TEST(http_server, holds_pipelined_requests_back_while_one_is_unanswered)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    lab_send(fd, S("GET /park HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    wait_parked();
    EQ(http_server_counts(lab.server).requests, 1);
    loop_call(lab.loop, answer_parked, NULL);
    struct str answer = lab_read_until(&lab, fd, S("hello\n"));
    YES(str_search(answer, S("late\n")) < str_search(answer, S("hello\n")));
    close(fd);
    lab_close(&lab);
}

TEST(http_server, holds_requests_back_again_and_again_on_one_connection)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    for (int i = 0; i < 3; i++) {
        lab_send(fd, S("GET /park HTTP/1.1\r\nHost: x\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
        wait_parked();
        loop_call(lab.loop, answer_parked, NULL);
        YES(has(lab_read_until(&lab, fd, S("hello\n")), "late\n"));
    }
    close(fd);
    lab_close(&lab);
}

TEST(http_server, answers_a_client_that_has_shut_its_side)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    lab_send(fd, S("GET /park HTTP/1.1\r\nHost: x\r\n\r\n"));
    shutdown(fd, SHUT_WR);
    wait_parked();
    loop_call(lab.loop, answer_parked, NULL);
    YES(str_ends(lab_read_all(&lab, fd), S("late\n")));
    close(fd);
    lab_close(&lab);
}

TEST(http_server, drops_the_answer_when_the_client_has_left)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    lab_send(fd, S("GET /park HTTP/1.1\r\nHost: x\r\n\r\n"));
    wait_parked();
    struct linger reset = { .l_onoff = 1 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd); /* resets the connection */
    lab_wait_connections(&lab, 0);
    loop_call(lab.loop, answer_parked, NULL);
    EQ(atomic_load(&parked_gone), 1);
    lab_close(&lab);
}

TEST(http_server, asks_for_the_body_when_the_client_waits_to_be_asked)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    lab_send(fd, S("POST /echo/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"));
    STR_EQ(lab_read_until(&lab, fd, S("\r\n\r\n")), "HTTP/1.1 100 Continue\r\n\r\n");
    lab_send(fd, S("body"));
    YES(has(lab_read_until(&lab, fd, S("body=body\n")), "200 OK"));
    close(fd);

    fd = lab_connect(&lab);
    lab_send(fd, S("PUT /echo/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n"));
    YES(str_starts(lab_read_all(&lab, fd), S("HTTP/1.1 413 ")));
    close(fd);
    lab_close(&lab);
}

/* --- refusals ----------------------------------------------------------- */

TEST(http_server, tells_unknown_paths_from_wrong_methods)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    struct str answer = lab_talk(&lab, S("GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"));
    YES(str_starts(answer, S("HTTP/1.1 404 Not Found\r\n")));
    YES(has(answer, "Content-Type: application/problem+json\r\n"));
    YES(has(answer, "{\"type\":\"about:blank\",\"title\":\"Not Found\",\"status\":404,\"detail\":"));

    answer = lab_talk(&lab, S("DELETE /echo/1 HTTP/1.1\r\nHost: x\r\n\r\n"));
    YES(str_starts(answer, S("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD, POST, PUT\r\n")));
    answer = lab_talk(&lab, S("OPTIONS /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    YES(str_starts(answer, S("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n")));
    lab_close(&lab);
}

static void refuses(struct lab *lab, struct str request, const char *start)
{
    int fd = lab_connect(lab);
    lab_send(fd, request);
    struct str answer = lab_read_all(lab, fd); /* it also closes, though our side stays open */
    close(fd);
    if (!str_starts(answer, str_of(start)))
        fprintf(stderr, "%.*s\nwas answered %.*s\n", STR(request), STR(answer));
    YES(str_starts(answer, str_of(start)));
    EQ(count_of(answer, S("\r\nDate: ")), 1);
}

TEST(http_server, refuses_what_two_readers_could_understand_differently)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    refuses(&lab,
            S("POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            "HTTP/1.1 400 ");
    refuses(&lab, S("POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcd"),
            "HTTP/1.1 400 ");
    refuses(&lab, S("POST /echo/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            "HTTP/1.1 501 ");
    refuses(&lab, S("GET /hello HTTP/1.1\nHost: x\n\n"), "HTTP/1.1 400 ");
    refuses(&lab, S("GET /hello HTTP/1.1\r\nHost: x\r\n\n"), "HTTP/1.1 400 ");
    refuses(&lab, S("\rGET /hello HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP/1.1 400 ");
    refuses(&lab, S("GET /hello HTTP/1.1\r\nHost: x\0y\r\n\r\n"), "HTTP/1.1 400 ");
    refuses(&lab, S("GET /hello HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"), "HTTP/1.1 400 ");
    refuses(&lab, S("GET /hello HTTP/1.1\r\nHost : x\r\n\r\n"), "HTTP/1.1 400 ");
    refuses(&lab, S("GET /hello HTTP/1.1\r\n\r\n"), "HTTP/1.1 400 ");
    refuses(&lab, S("GET /hello HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n"), "HTTP/1.1 400 ");
    refuses(&lab, S("GET /echo/%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), "HTTP/1.1 400 ");
    refuses(&lab, S("GET /hello HTTP/2.0\r\nHost: x\r\n\r\n"), "HTTP/1.1 505 ");
    refuses(&lab, S("GET /hello\r\n\r\n"), "HTTP/1.1 400 ");
    refuses(&lab, S("\x16\x03\x01\x02"), "HTTP/1.1 400 ");
    EQ(http_server_counts(lab.server).broken, 14); /* a bad escape in a path is the handler's side of the world */
    lab_close(&lab);
}

static struct str long_head(struct lab *lab, size_t bytes, const char *line)
{
    char *head = arena_alloc_raw(lab->arena, bytes);
    int n = snprintf(head, bytes, "%s", line);
    memset(head + n, 'a', bytes - (size_t)n);
    memcpy(head + bytes - 4, "\r\n\r\n", 4);
    return (struct str){ head, bytes };
}

TEST(http_server, takes_a_head_of_16_kib_and_no_more)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    const char *line = "GET /hello HTTP/1.1\r\nHost: x\r\nX: ";
    YES(str_starts(lab_talk(&lab, long_head(&lab, 16384, line)), S("HTTP/1.1 200 ")));
    refuses(&lab, long_head(&lab, 16385, line), "HTTP/1.1 431 ");
    refuses(&lab, long_head(&lab, 100000, line), "HTTP/1.1 431 ");
    refuses(&lab, long_head(&lab, 20000, "GET /"), "HTTP/1.1 414 ");

    struct buf many;
    buf_init_arena(&many, lab.arena, 65536);
    buf_add_str(&many, S("GET /hello HTTP/1.1\r\nHost: x\r\n"));
    for (int i = 0; i < 100; i++)
        buf_add_str(&many, S("A: b\r\n"));
    buf_add_str(&many, S("\r\n"));
    refuses(&lab, buf_str(&many), "HTTP/1.1 431 ");
    lab_close(&lab);
}

TEST(http_server, refuses_a_body_over_the_maximum_of_its_route)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    YES(str_starts(lab_talk(&lab, S("PUT /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n0123456789")),
                   S("HTTP/1.1 200 ")));
    /* Known from the head: answered before any of the body is sent. */
    refuses(&lab, S("PUT /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n"), "HTTP/1.1 413 ");
    refuses(&lab, S("GET /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n"), "HTTP/1.1 413 ");
    /* Chunked: as soon as the eleventh byte has come, though the last chunk has not. */
    refuses(&lab, S("PUT /echo/1 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\n012345\r\n5\r\n67890"),
            "HTTP/1.1 413 ");
    lab_close(&lab);
}

TEST(http_server, refuses_a_flood_of_chunk_extensions)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    struct buf flood_of_frames;
    buf_init_arena(&flood_of_frames, lab.arena, 100000);
    buf_add_str(&flood_of_frames, S("POST /take HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a="));
    for (int i = 0; i < 20000; i++)
        buf_add_char(&flood_of_frames, 'e');
    refuses(&lab, buf_str(&flood_of_frames), "HTTP/1.1 400 ");
    EQ(atomic_load(&taken_broken), ERR_MALFORMED);
    lab_close(&lab);
}

static enum err admit_nobody(struct http_request *request)
{
    if (str_eq(http_header(request, S("Authorization")), S("Bearer good")))
        return OK;
    return fail(&request->op, ERR_UNAUTHORIZED, "a token is needed");
}

TEST(http_server, asks_admit_before_the_body_is_read)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ .admit = admit_nobody });
    refuses(&lab, S("POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\n"), "HTTP/1.1 401 ");
    YES(str_starts(lab_talk(&lab, S("GET /hello HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer good\r\n\r\n")),
                   S("HTTP/1.1 200 ")));
    lab_close(&lab);
}

/* --- streamed bodies ---------------------------------------------------- */

static void send_chunks(int fd, int count, size_t bytes)
{
    char frame[32];
    char *chunk = calloc(1, bytes + 2);
    memcpy(chunk + bytes, "\r\n", 2);
    for (int i = 0; i < count; i++) {
        int n = snprintf(frame, sizeof frame, "%zx\r\n", bytes);
        lab_send(fd, (struct str){ frame, (size_t)n });
        lab_send(fd, (struct str){ chunk, bytes + 2 });
    }
    free(chunk);
}

TEST(http_server, hands_a_streamed_body_on_in_pieces)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    lab_send(fd, S("POST /take HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
    send_chunks(fd, 40, 100000);
    lab_send(fd, S("0\r\n\r\nGET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    YES(has(lab_read_until(&lab, fd, S("hello\n")), "took 4000000\n"));
    close(fd);
    lab_close(&lab);
}

TEST(http_server, ends_a_streamed_body_of_no_bytes)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    YES(has(lab_talk(&lab, S("POST /take HTTP/1.1\r\nHost: x\r\n\r\n")), "took 0\n"));
    YES(has(lab_talk(&lab, S("POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")), "took 0\n"));
    YES(has(lab_talk(&lab, S("POST /take HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")),
            "took 0\n"));
    lab_close(&lab);
}

TEST(http_server, holds_the_client_back_while_a_taker_pauses)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    lab_send(fd, S("POST /hold HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\nabc"));
    wait_parked();
    lab_send(fd, S("def"));
    EQ(atomic_load(&taken_bytes), 3);
    loop_call(lab.loop, resume_parked, NULL);
    wait_parked();
    EQ(atomic_load(&taken_bytes), 6);
    loop_call(lab.loop, resume_parked, NULL); /* the end, too, waits for the resume */
    YES(has(lab_read_until(&lab, fd, S("took 6\n")), "200 OK"));
    close(fd);
    lab_close(&lab);
}

TEST(http_server, tells_the_taker_when_the_client_leaves)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    lab_send(fd, S("POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 600\r\n\r\nabc"));
    close(fd);
    while (!atomic_load(&taken_broken))
        usleep(200);
    EQ(atomic_load(&taken_broken), ERR_IO);
    lab_close(&lab);
}

TEST(http_server, tells_the_taker_and_the_client_when_a_stream_grows_too_large)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    lab_send(fd, S("POST /take HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
    send_chunks(fd, 51, 100000);
    YES(str_starts(lab_read_all(&lab, fd), S("HTTP/1.1 413 ")));
    EQ(atomic_load(&taken_broken), ERR_TOO_LARGE);
    close(fd);
    lab_close(&lab);
}

TEST(http_server, lets_a_handler_refuse_a_stream_before_it_comes)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    refuses(&lab, S("POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc"), "HTTP/1.1 409 ");
    lab_close(&lab);
}

/* --- slow and many ------------------------------------------------------ */

TEST(http_server, drops_a_client_that_dribbles_its_head)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ .head_ms = 30 });
    refuses(&lab, S("GET /hello HTTP/1.1\r\nHost: x\r\nX: "), "HTTP/1.1 408 ");
    EQ(http_server_counts(lab.server).dropped, 1);
    lab_close(&lab);
}

TEST(http_server, drops_a_client_that_dribbles_its_body)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ .body_ms = 30 });
    refuses(&lab, S("POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"), "HTTP/1.1 408 ");
    refuses(&lab, S("POST /take HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"), "HTTP/1.1 500 ");
    EQ(atomic_load(&taken_broken), ERR_IO);
    EQ(http_server_counts(lab.server).dropped, 2);
    lab_close(&lab);
}

TEST(http_server, closes_idle_connections_quietly)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ .idle_ms = 30 });
    int fd = lab_connect(&lab);
    lab_send(fd, S("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    struct str answer = lab_read_all(&lab, fd);
    EQ(count_of(answer, S("HTTP/1.1 ")), 1);
    EQ(http_server_counts(lab.server).dropped, 0);
    close(fd);
    lab_close(&lab);
}

/* Everybody above the maximum waits for us, so nobody gives way. */
TEST(http_server, refuses_connections_above_its_maximum)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ .connections_max = 1 });
    int first = lab_connect(&lab);
    lab_send(first, S("GET /park HTTP/1.1\r\nHost: x\r\n\r\n"));
    wait_parked();
    int second = lab_connect(&lab);
    YES(str_starts(lab_read_all(&lab, second), S("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n")));
    EQ(http_server_counts(lab.server).refused, 1);
    loop_call(lab.loop, answer_parked, NULL);
    lab_read_until(&lab, first, S("late\n"));
    close(first);
    close(second);
    lab_wait_connections(&lab, 0);
    YES(str_starts(lab_talk(&lab, S("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")), S("HTTP/1.1 200 ")));
    lab_close(&lab);
}

/* LNK-40 */
TEST(http_server, gives_the_place_of_a_client_between_two_requests_to_one_who_comes)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ .connections_max = 1 });
    int idle = lab_connect(&lab);
    lab_send(idle, S("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"));
    lab_read_until(&lab, idle, S("hello\n"));
    YES(str_starts(lab_talk(&lab, S("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")), S("HTTP/1.1 200 ")));
    EQ(lab_read_all(&lab, idle).n, 0);
    EQ(http_server_counts(lab.server).refused, 0);
    close(idle);
    lab_close(&lab);
}

/* The only place is a client's that has said `words` and no more; others are refused until it stood still too long. */
static void takes_the_place_of_one_who_said(struct str words)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ .connections_max = 1 });
    int silent = lab_connect(&lab);
    lab_send(silent, words);
    lab_wait_connections(&lab, 1);
    while (!str_starts(lab_talk(&lab, S("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")), S("HTTP/1.1 200 ")))
        usleep(20000);
    EQ(lab_read_all(&lab, silent).n, 0);
    EQ(http_server_counts(lab.server).dropped, 1);
    close(silent);
    lab_close(&lab);
}

TEST(http_server, gives_the_place_of_one_who_stands_still_to_one_who_asks)
{
    takes_the_place_of_one_who_said(S(""));
    takes_the_place_of_one_who_said(S("GET /hello HTTP/1.1\r\nHo"));
    takes_the_place_of_one_who_said(S("POST /echo/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhal"));
}

TEST(http_server, closes_who_never_asks_anything)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ .head_ms = 30 });
    int silent = lab_connect(&lab);
    EQ(lab_read_all(&lab, silent).n, 0);
    EQ(http_server_counts(lab.server).dropped, 1);
    close(silent);
    lab_close(&lab);
}

/* Answers nobody reads would pile up in memory; so the next request is not read before those have left. */
TEST(http_server, asks_no_more_of_a_client_that_does_not_read_its_answers)
{
    enum { EACH = 8192, MOST = 10000 };
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    struct timeval patience = { .tv_usec = 300000 };
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    char request[EACH];
    struct str head = S("GET /echo/1 HTTP/1.1\r\nHost: x\r\nUser-Agent: ");
    memset(request, 'x', sizeof request);
    memcpy(request, head.p, head.n);
    memcpy(request + EACH - 4, "\r\n\r\n", 4);
    size_t sent = 0, most = (size_t)EACH * MOST;
    ssize_t n;
    while (sent < most && (n = send(fd, request + sent % EACH, EACH - sent % EACH, MSG_NOSIGNAL)) > 0)
        sent += (size_t)n;
    YES(sent < most);
    shutdown(fd, SHUT_WR);
    char answers[EACH];
    size_t got = 0; /* each echoes its request, but for a few bytes */
    while ((n = recv(fd, answers, sizeof answers, 0)) > 0)
        got += (size_t)n;
    EQ(http_server_counts(lab.server).requests, sent / EACH);
    YES(got > sent / EACH * (EACH - 100));
    close(fd);
    lab_close(&lab);
}

static void *close_server(void *data)
{
    http_server_close(((struct lab *)data)->server, 60000);
    return NULL;
}

TEST(http_server, answers_what_is_under_way_before_it_closes)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int idle = lab_connect(&lab);
    int fd = lab_connect(&lab);
    lab_send(fd, S("GET /park HTTP/1.1\r\nHost: x\r\n\r\n"));
    wait_parked();
    pthread_t closer;
    pthread_create(&closer, NULL, close_server, &lab);
    EQ(lab_read_all(&lab, idle).n, 0); /* idle ones are closed at once */
    loop_call(lab.loop, answer_parked, NULL);
    YES(has(lab_read_all(&lab, fd), "\r\nConnection: close\r\n\r\nlate\n"));
    close(fd);
    close(idle);
    pthread_join(closer, NULL);
    loop_stop(lab.loop);
    arena_free(lab.arena);
}

TEST(http_server, outlives_a_request_that_its_handler_still_holds)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    int fd = lab_connect(&lab);
    lab_send(fd, S("GET /park HTTP/1.1\r\nHost: x\r\n\r\n"));
    wait_parked();
    http_server_close(lab.server, 0); /* cuts the connection; the request stays with its handler */
    loop_call(lab.loop, answer_parked, NULL);
    EQ(atomic_load(&parked_gone), 1);
    close(fd);
    loop_stop(lab.loop);
    arena_free(lab.arena);
}

TEST(http_server, says_why_it_cannot_listen)
{
    struct lab lab;
    open_lab(&lab, (struct http_server_config){ 0 });
    struct http_server_config taken = { .listen = http_server_addr(lab.server) };
    struct http_server *second = NULL;
    EQ(http_server_open(&lab.op, lab.loop, &taken, routes, 1, &second), ERR_IO);
    YES(has(str_of(lab.op.error), "cannot listen on 127.0.0.1:"));
    YES(second == NULL);
    lab_close(&lab);
}
