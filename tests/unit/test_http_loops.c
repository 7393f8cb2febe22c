#include <fcntl.h>
#include <sys/resource.h>

#include "http_lab.h"

#define LARGE_BYTES ((size_t)3 << 20) /* no socket takes that at once */

/* --- handlers ----------------------------------------------------------- */

static struct lab lab; /* handlers ask which loop they are on */

static int loop_index(const struct http_request *request)
{
    for (int i = 0; i < lab.also_count; i++)
        if (request->loop == lab.also[i] && loop_is_mine(lab.also[i]))
            return i + 1;
    assert_true(request->loop == lab.loop && loop_is_mine(lab.loop));
    return 0;
}

/* "link 7 on 1\n": what was asked for, and the loop that answers. */
static void answer(struct http_request *request, const char *what)
{
    http_reply(request, 200, S("text/plain"),
               arena_fmt(request->op.arena, "%s %.*s on %d\n", what, STR(request->params[0]), loop_index(request)));
}

static void on_link(struct http_request *request)
{
    answer(request, "link");
}

static void on_api(struct http_request *request)
{
    answer(request, "api");
}

static void on_echo(struct http_request *request)
{
    http_reply(request, 200, S("text/plain"), arena_fmt(request->op.arena, "echo %.*s\n", STR(request->body)));
}

static void on_peer(struct http_request *request)
{
    char text[ADDR_TEXT_BYTES_MAX];
    http_reply(request, 200, S("text/plain"), arena_str(request->op.arena, addr_text(&request->peer, text)));
}

static void on_large(struct http_request *request)
{
    size_t n = LARGE_BYTES;
    http_reply(request, 200, S("text/plain"), (struct str){ arena_alloc(request->op.arena, n), n });
}

/* A request that waits until the test lets it go. */
static _Atomic(struct http_request *) parked;

static void on_park(struct http_request *request)
{
    atomic_store(&parked, request);
}

static struct http_request *wait_parked(void)
{
    struct http_request *request;
    while (!(request = atomic_exchange(&parked, NULL)))
        usleep(200);
    return request;
}

static void answer_parked(void *data)
{
    answer(data, "late");
}

static const struct http_route routes[] = {
    { .method = "GET", .pattern = "/r/{code}", .handle = on_link, .flags = HTTP_ANY_LOOP | HTTP_PREFIXED },
    { .method = "GET", .pattern = "/large/{code}", .handle = on_large, .flags = HTTP_ANY_LOOP },
    { .method = "GET", .pattern = "/park/{code}", .handle = on_park, .flags = HTTP_ANY_LOOP },
    { .method = "GET", .pattern = "/api/{id}", .handle = on_api },
    { .method = "GET", .pattern = "/peer", .handle = on_peer },
    { .method = "POST", .pattern = "/echo", .handle = on_echo, .body_bytes_max = 100000 },
};

static void open_lab(int loops, struct http_server_config config)
{
    lab_open_on(&lab, loops, config, routes, sizeof routes / sizeof *routes);
}

/* --- clients ------------------------------------------------------------ */

#define GET(path)  "GET " path " HTTP/1.1\r\nHost: x\r\n\r\n"
#define LAST(path) "GET " path " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"

static struct str ask(int fd, const char *request)
{
    lab_send(fd, str_of(request));
    lab_read_until(&lab, fd, S("\r\n\r\n"));
    return lab_read_until(&lab, fd, S("\n"));
}

/* The second of two connections, when nobody else is there, is dealt to the second loop. */
struct pair {
    int first, dealt;
};

static struct pair connect_pair(void)
{
    struct pair pair = { lab_connect(&lab), 0 };
    STR_EQ(ask(pair.first, GET("/r/1")), "link 1 on 0\n");
    pair.dealt = lab_connect(&lab);
    return pair;
}

static void hang_up(struct pair pair)
{
    close(pair.first);
    close(pair.dealt);
    lab_wait_connections(&lab, 0);
}

/* All that a dealt connection is answered. */
static struct str talk_dealt(struct str bytes)
{
    struct pair pair = connect_pair();
    lab_send(pair.dealt, bytes);
    shutdown(pair.dealt, SHUT_WR);
    struct str answers = lab_read_all(&lab, pair.dealt);
    hang_up(pair);
    return answers;
}

/* --- dealing ------------------------------------------------------------ */

TEST(http_loops, each_loop_has_as_many_connections_as_the_others)
{
    enum { MANY = 30 };
    int fds[MANY], of_loop[3] = { 0 };
    open_lab(3, (struct http_server_config){ 0 });
    for (int i = 0; i < MANY; i++) {
        fds[i] = lab_connect(&lab);
        struct str said = ask(fds[i], GET("/r/7"));
        of_loop[said.p[said.n - 2] - '0']++;
    }
    EQ(of_loop[0], MANY / 3);
    EQ(of_loop[1], MANY / 3);
    EQ(of_loop[2], MANY / 3);
    EQ(http_server_counts(lab.server).connections, MANY);
    EQ(http_server_counts(lab.server).accepted, MANY);
    EQ(http_server_counts(lab.server).requests, MANY);
    for (int i = 0; i < MANY; i++)
        close(fds[i]);
    lab_wait_connections(&lab, 0);
    lab_close(&lab);
}

TEST(http_loops, a_place_that_is_free_again_is_dealt_to_the_next_who_comes)
{
    open_lab(2, (struct http_server_config){ 0 });
    struct pair pair = connect_pair();
    for (int i = 0; i < 3; i++) {
        STR_EQ(ask(pair.dealt, GET("/r/2")), "link 2 on 1\n");
        close(pair.dealt);
        lab_wait_connections(&lab, 1);
        pair.dealt = lab_connect(&lab);
    }
    hang_up(pair);
    lab_close(&lab);
}

/* --- moving ------------------------------------------------------------- */

TEST(http_loops, what_is_for_the_servers_own_loop_is_answered_there_and_all_behind_it)
{
    open_lab(2, (struct http_server_config){ 0 });
    struct pair pair = connect_pair();
    STR_EQ(ask(pair.dealt, GET("/r/2")), "link 2 on 1\n");
    STR_EQ(ask(pair.dealt, GET("/api/3")), "api 3 on 0\n");
    STR_EQ(ask(pair.dealt, GET("/r/4")), "link 4 on 0\n");
    STR_EQ(ask(pair.dealt, GET("/api/5")), "api 5 on 0\n");
    EQ(http_server_counts(lab.server).connections, 2);
    EQ(http_server_counts(lab.server).accepted, 2);
    EQ(http_server_counts(lab.server).requests, 5); /* none counted on both loops */
    hang_up(pair);
    lab_close(&lab);
}

TEST(http_loops, requests_sent_at_once_are_answered_in_their_order)
{
    open_lab(2, (struct http_server_config){ 0 });
    struct pair pair = connect_pair();
    lab_send(pair.dealt, S(GET("/r/1") GET("/r/2") GET("/api/3") GET("/r/4") GET("/api/5")));
    STR_EQ(ask(pair.dealt, ""), "link 1 on 1\n");
    STR_EQ(ask(pair.dealt, ""), "link 2 on 1\n");
    STR_EQ(ask(pair.dealt, ""), "api 3 on 0\n");
    STR_EQ(ask(pair.dealt, ""), "link 4 on 0\n");
    STR_EQ(ask(pair.dealt, ""), "api 5 on 0\n");
    hang_up(pair);
    lab_close(&lab);
}

/* Whatever is asked, one loop and several give the same bytes. */
TEST(http_loops, a_moved_connection_answers_as_if_it_had_always_been_there)
{
    static const char *const talks[] = {
        GET("/nowhere"),
        "POST /r/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
        "POST /r/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" GET("/api/1"),
        GET("/r/%zz"),
        GET("/api/%zz") GET("/api/2"),
        "HEAD /api/1 HTTP/1.1\r\nHost: x\r\n\r\n" GET("/api/2"),
        "GET /api/1 HTTP/1.0\r\n\r\n",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" GET("/api/2"),
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n" GET(
            "/api/2"),
        "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" GET("/api/2"),
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\nhello",
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel",
        "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        GET("/api/1") "nonsense\r\n\r\n",
        GET("/api/1") "GET /api/2 HT",
        "nonsense\r\n\r\n",
        "GET /api/1 HTTP/1.1\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof talks / sizeof *talks; i++) {
        open_lab(1, (struct http_server_config){ 0 });
        char alone[4096];
        struct str once = lab_undated(&lab, lab_talk(&lab, str_of(talks[i])));
        int n = snprintf(alone, sizeof alone, "%.*s", STR(once));
        struct http_server_counts counts = http_server_counts(lab.server);
        lab_close(&lab);

        open_lab(2, (struct http_server_config){ 0 });
        struct str moved = lab_undated(&lab, talk_dealt(str_of(talks[i])));
        YES(str_eq(moved, (struct str){ alone, (size_t)n }));
        EQ(http_server_counts(lab.server).requests, counts.requests + 1);
        EQ(http_server_counts(lab.server).broken, counts.broken);
        lab_close(&lab);
    }
}

TEST(http_loops, a_head_that_comes_in_pieces_moves_when_it_is_whole)
{
    open_lab(2, (struct http_server_config){ 0 });
    struct pair pair = connect_pair();
    struct str bytes = S(GET("/r/1") "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc" LAST("/api/2"));
    for (size_t i = 0; i < bytes.n; i++)
        lab_send(pair.dealt, (struct str){ bytes.p + i, 1 });
    struct str answers = lab_read_all(&lab, pair.dealt);
    YES(has(answers, "link 1 on 1\n"));
    YES(has(answers, "echo abc\n"));
    YES(has(answers, "api 2 on 0\n"));
    hang_up(pair);
    lab_close(&lab);
}

/* More bytes than one read takes: those behind the head that moves wait in order, wherever they were. */
TEST(http_loops, takes_all_bytes_along_that_came_behind_the_head)
{
    enum { LINKS = 500, MANY = 3000 };
    open_lab(2, (struct http_server_config){ 0 });
    struct buf out;
    buf_init(&out, 1 << 20);
    for (int i = 0; i < MANY; i++)
        buf_add_fmt(&out, "GET /%s/%d HTTP/1.1\r\nHost: x\r\n\r\n", i < LINKS ? "r" : "api", i);
    struct str answers = talk_dealt(buf_str(&out));
    buf_done(&out);
    for (int i = 0; i < MANY; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "\r\n\r\n%s %d on %d\n", i < LINKS ? "link" : "api", i, i < LINKS);
        size_t at = str_search(answers, str_of(expected));
        assert_true(at < 200); /* the very next one */
        answers.p += at + 4;
        answers.n -= at + 4;
    }
    lab_close(&lab);
}

/* The answer before must have left wholly, for only one loop writes to a connection. */
TEST(http_loops, moves_behind_an_answer_that_its_client_reads_late)
{
    open_lab(2, (struct http_server_config){ 0 });
    struct pair pair = connect_pair();
    lab_send(pair.dealt, S(GET("/large/1") LAST("/api/2")));
    YES(str_starts(ask(pair.first, GET("/api/1")), S("api 1 on 0"))); /* nobody else waits for it */
    struct str answers = lab_read_all(&lab, pair.dealt);
    YES(answers.n > LARGE_BYTES);
    YES(str_ends(answers, S("\r\n\r\napi 2 on 0\n")));
    hang_up(pair);
    lab_close(&lab);
}

TEST(http_loops, moves_behind_an_answer_that_its_handler_gives_late)
{
    open_lab(2, (struct http_server_config){ 0 });
    struct pair pair = connect_pair();
    lab_send(pair.dealt, S(GET("/park/1") GET("/api/2")));
    struct http_request *request = wait_parked();
    loop_call(request->loop, answer_parked, request);
    STR_EQ(ask(pair.dealt, ""), "late 1 on 1\n");
    STR_EQ(ask(pair.dealt, ""), "api 2 on 0\n");
    hang_up(pair);
    lab_close(&lab);
}

TEST(http_loops, the_clients_address_goes_with_its_connection)
{
    open_lab(2, (struct http_server_config){ 0 });
    struct pair pair = connect_pair();
    struct sockaddr_storage storage;
    socklen_t n = sizeof storage;
    struct addr own;
    char text[ADDR_TEXT_BYTES_MAX];
    EQ(getsockname(pair.dealt, (struct sockaddr *)&storage, &n), 0);
    YES(addr_of_sockaddr((struct sockaddr *)&storage, &own));
    lab_send(pair.dealt, S(LAST("/peer")));
    YES(str_ends(lab_read_all(&lab, pair.dealt), addr_text(&own, text)));
    hang_up(pair);
    lab_close(&lab);
}

/* --- limits ------------------------------------------------------------- */

TEST(http_loops, a_slow_client_is_dropped_wherever_it_is)
{
    open_lab(2, (struct http_server_config){ .head_ms = 30, .body_ms = 30 });
    static const char *const halves[] = {
        "GET /r/1 HTTP/1.1\r\nX: ",                                       /* on the second loop */
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", /* on the first, where it went */
        GET("/api/1") "GET /r/2 HTTP/1.1\r\nX: ",
    };
    for (int i = 0; i < 3; i++) {
        uint64_t before = http_server_counts(lab.server).dropped;
        struct pair pair = connect_pair();
        lab_send(pair.dealt, str_of(halves[i]));
        YES(has(lab_read_all(&lab, pair.dealt), "HTTP/1.1 408 "));
        EQ(http_server_counts(lab.server).dropped, before + 1);
        hang_up(pair);
    }
    lab_close(&lab);
}

TEST(http_loops, the_maximum_is_that_of_all_loops)
{
    open_lab(2, (struct http_server_config){ .connections_max = 2 });
    int fds[2];
    struct http_request *requests[2];
    for (int i = 0; i < 2; i++) {
        fds[i] = lab_connect(&lab);
        lab_send(fds[i], S(GET("/park/1")));
        requests[i] = wait_parked();
    }
    int third = lab_connect(&lab);
    YES(str_starts(lab_read_all(&lab, third), S("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n")));
    EQ(http_server_counts(lab.server).refused, 1);
    for (int i = 0; i < 2; i++) {
        loop_call(requests[i]->loop, answer_parked, requests[i]);
        close(fds[i]);
    }
    close(third);
    lab_wait_connections(&lab, 0);
    lab_close(&lab);
}

/* LNK-40 */
TEST(http_loops, one_between_two_requests_gives_way_on_whichever_loop_it_is)
{
    for (int idle = 0; idle < 2; idle++) {
        open_lab(2, (struct http_server_config){ .connections_max = 2 });
        int fds[2];
        struct http_request *request = NULL;
        for (int i = 0; i < 2; i++) {
            fds[i] = lab_connect(&lab);
            if (i == idle) {
                ask(fds[i], GET("/r/1"));
                continue;
            }
            lab_send(fds[i], S(GET("/park/1")));
            request = wait_parked();
        }
        int third = lab_connect(&lab);
        STR_EQ(ask(third, GET("/api/1")), "api 1 on 0\n");
        EQ(lab_read_all(&lab, fds[idle]).n, 0);
        EQ(http_server_counts(lab.server).refused, 0);
        loop_call(request->loop, answer_parked, request);
        close(third);
        hang_up((struct pair){ fds[0], fds[1] });
        lab_close(&lab);
    }
}

/* Lowers the limit so that no descriptor is left to open; returns what it was. */
static struct rlimit leave_no_descriptor(void)
{
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    int next = dup(0);
    close(next);
    struct rlimit none = { .rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max };
    EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    return before;
}

TEST(http_loops, a_move_for_which_no_descriptor_is_left_is_answered_503)
{
    open_lab(2, (struct http_server_config){ 0 });
    struct pair pair = connect_pair();
    ask(pair.dealt, GET("/r/1"));
    struct rlimit before = leave_no_descriptor();
    lab_send(pair.dealt, S(GET("/api/1")));
    struct str answer = lab_read_all(&lab, pair.dealt);
    setrlimit(RLIMIT_NOFILE, &before);
    YES(str_starts(answer, S("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\n")));
    YES(has(answer, "no descriptor is left"));
    STR_EQ(ask(pair.first, GET("/api/1")), "api 1 on 0\n");
    hang_up(pair);
    lab_close(&lab);
}

TEST(http_loops, a_client_for_whom_no_descriptor_is_left_is_sent_away)
{
    open_lab(2, (struct http_server_config){ 0 });
    struct sockaddr_storage to;
    struct addr addr = http_server_addr(lab.server);
    socklen_t n = (socklen_t)addr_to_sockaddr(&addr, &to);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct rlimit before = leave_no_descriptor();
    EQ(connect(fd, (struct sockaddr *)&to, n), 0);
    char byte;
    ssize_t got = recv(fd, &byte, 1, 0);
    setrlimit(RLIMIT_NOFILE, &before);
    EQ(got, 0);
    close(fd);
    int next = lab_connect(&lab);
    STR_EQ(ask(next, GET("/api/1")), "api 1 on 0\n");
    close(next);
    lab_close(&lab);
}

TEST(http_loops, ten_thousand_connections_are_answered_wherever_they_are)
{
    enum { MANY = 10000, OTHERS = 500 };
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    struct rlimit most = { limit.rlim_max, limit.rlim_max };
    setrlimit(RLIMIT_NOFILE, &most);
    int count = limit.rlim_max < 2 * MANY + OTHERS ? ((int)limit.rlim_max - OTHERS) / 2 : MANY;
    int *fds = calloc((size_t)count, sizeof *fds);
    open_lab(2, (struct http_server_config){ .connections_max = MANY });
    for (int i = 0; i < count; i++)
        fds[i] = lab_connect(&lab);
    for (int i = 0; i < count; i++)
        lab_send(fds[i], i % 2 ? S(GET("/r/1")) : S(GET("/api/1")));
    int elsewhere = 0, moved = 0;
    for (int i = 0; i < count; i++) {
        char said[512];
        ssize_t n = recv(fds[i], said, sizeof said, 0);
        assert_true(n > 0);
        elsewhere += str_ends((struct str){ said, (size_t)n }, S("link 1 on 1\n"));
        moved += str_ends((struct str){ said, (size_t)n }, S("api 1 on 0\n"));
    }
    EQ(elsewhere, count / 2); /* each second one was dealt there, and asks for links */
    EQ(moved, (count + 1) / 2);
    EQ(http_server_counts(lab.server).connections, count);
    EQ(http_server_counts(lab.server).requests, count);
    for (int i = 0; i < count; i++)
        close(fds[i]);
    lab_wait_connections(&lab, 0);
    lab_close(&lab);
    free(fds);
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* --- the end ------------------------------------------------------------ */

static void *close_server(void *data)
{
    http_server_close(data, 60000);
    return NULL;
}

TEST(http_loops, all_loops_answer_what_is_under_way_before_the_server_closes)
{
    open_lab(2, (struct http_server_config){ 0 });
    int idle[2], fds[2];
    struct http_request *requests[2];
    for (int i = 0; i < 2; i++)
        idle[i] = lab_connect(&lab);
    for (int i = 0; i < 2; i++) {
        fds[i] = lab_connect(&lab);
        lab_send(fds[i], S(GET("/park/1")));
        requests[i] = wait_parked();
    }
    YES(requests[0]->loop != requests[1]->loop);
    pthread_t closer;
    pthread_create(&closer, NULL, close_server, lab.server);
    for (int i = 0; i < 2; i++)
        EQ(lab_read_all(&lab, idle[i]).n, 0);
    for (int i = 0; i < 2; i++) {
        loop_call(requests[i]->loop, answer_parked, requests[i]);
        YES(has(lab_read_all(&lab, fds[i]), "\r\nConnection: close\r\n\r\nlate 1 on "));
    }
    pthread_join(closer, NULL);
    for (int i = 0; i < 2; i++) {
        close(idle[i]);
        close(fds[i]);
    }
    lab_stop(&lab);
}

TEST(http_loops, outlives_a_request_that_a_handler_of_another_loop_still_holds)
{
    open_lab(2, (struct http_server_config){ 0 });
    struct pair pair = connect_pair();
    lab_send(pair.dealt, S(GET("/park/1")));
    struct http_request *request = wait_parked();
    http_server_close(lab.server, 0);
    YES(request->conn == NULL);
    loop_call(request->loop, answer_parked, request);
    close(pair.first);
    close(pair.dealt);
    lab_stop(&lab);
}

/* Connects, asks for this and that, until the server is gone. */
static void *come_and_go(void *data)
{
    struct addr addr = *(struct addr *)data;
    struct sockaddr_storage to;
    socklen_t n = (socklen_t)addr_to_sockaddr(&addr, &to);
    for (;;) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        bool open = connect(fd, (struct sockaddr *)&to, n) == 0;
        static const char talk[] = GET("/r/1") GET("/api/2") GET("/r/3");
        char answers[4096];
        if (open && send(fd, talk, sizeof talk - 1, MSG_NOSIGNAL) > 0)
            recv(fd, answers, sizeof answers, 0);
        close(fd);
        if (!open)
            return NULL;
    }
}

TEST(http_loops, closes_while_connections_are_dealt_and_moved)
{
    enum { CLIENTS = 4 };
    for (int round = 0; round < 20; round++) {
        open_lab(3, (struct http_server_config){ 0 });
        struct addr addr = http_server_addr(lab.server);
        pthread_t clients[CLIENTS];
        for (int i = 0; i < CLIENTS; i++)
            pthread_create(&clients[i], NULL, come_and_go, &addr);
        while (http_server_counts(lab.server).requests < 100)
            usleep(200);
        http_server_close(lab.server, round % 2 ? 1000 : 0);
        for (int i = 0; i < CLIENTS; i++)
            pthread_join(clients[i], NULL);
        lab_stop(&lab);
    }
}
