#include "base/random.h"
#include "http_lab.h"

/*
 * Many clients do whatever clients do: pipeline, send in pieces, leave in the
 * middle, never read, send nonsense. Handlers answer at once, later, in
 * streams, or refuse. Nothing may crash or leak (the sanitizers watch), every
 * handler's request must be answered once, and the server must be as good as
 * new afterwards.
 */
#define CLIENTS 4   /* threads */
#define ROUNDS  150 /* connections of each, one after the other */

static _Atomic int handed, ended;

struct later {
    struct timer timer;
    struct http_request *request;
    int pieces;
};

/* Each loop's own. */
static _Thread_local struct rng loop_rng;

static void seed_loop(void *data)
{
    rng_init(&loop_rng, *(const uint64_t *)data);
}

static void finish(struct http_request *request)
{
    http_reply(request, 200, S("text/plain"),
               arena_fmt(request->op.arena, "%.*s %zu\n", STR(request->path), request->body.n));
}

static void on_later(struct timer *timer)
{
    finish(((struct later *)timer)->request);
}

static struct later *put_off(struct http_request *request, void (*run)(struct timer *timer))
{
    struct later *later = arena_alloc(request->op.arena, sizeof *later);
    later->timer.run = run;
    later->request = request;
    request->data = later;
    loop_timer_set(request->loop, &later->timer, (int64_t)rng_below(&loop_rng, 4));
    return later;
}

static void on_any(struct http_request *request)
{
    atomic_fetch_add(&handed, 1);
    if (rng_chance(&loop_rng, 0.5))
        finish(request);
    else
        put_off(request, on_later);
}

static void on_large(struct http_request *request)
{
    atomic_fetch_add(&handed, 1);
    size_t n = (size_t)rng_below(&loop_rng, 400000);
    http_reply(request, 200, S("text/plain"), (struct str){ arena_alloc(request->op.arena, n), n });
}

static void on_write_more(struct timer *timer)
{
    static char block[30000];
    struct later *later = (struct later *)timer;
    if (later->pieces-- > 0) {
        http_stream_write(later->request, (struct str){ block, (size_t)rng_below(&loop_rng, sizeof block) });
        loop_timer_set(later->request->loop, timer, (int64_t)rng_below(&loop_rng, 2));
    } else if (rng_chance(&loop_rng, 0.2)) {
        http_stream_abort(later->request);
    } else {
        http_stream_end(later->request);
    }
}

static void on_gone(struct http_request *request)
{
    ((struct later *)request->data)->pieces = 0;
}

static void on_stream(struct http_request *request)
{
    atomic_fetch_add(&handed, 1);
    put_off(request, on_write_more)->pieces = (int)rng_below(&loop_rng, 20);
    http_stream_begin(request, 200, S("text/plain"), NULL, on_gone);
}

static void on_resume(struct timer *timer)
{
    http_body_resume(((struct later *)timer)->request);
}

static void take(struct http_request *request, struct str piece, enum http_body state)
{
    struct later *later = request->data;
    (void)piece;
    if (state == HTTP_BODY_PIECE) {
        if (rng_chance(&loop_rng, 0.02)) {
            loop_timer_clear(request->loop, &later->timer);
            http_fail(request, fail(&request->op, ERR_CONFLICT, "enough"));
        } else if (rng_chance(&loop_rng, 0.3)) {
            http_body_pause(request);
            loop_timer_set(request->loop, &later->timer, 1);
        }
        return;
    }
    loop_timer_clear(request->loop, &later->timer);
    if (state == HTTP_BODY_BROKEN)
        http_fail(request, request->body_err);
    else
        finish(request);
}

static void on_take(struct http_request *request)
{
    atomic_fetch_add(&handed, 1);
    struct later *later = arena_alloc(request->op.arena, sizeof *later);
    later->timer.run = on_resume;
    later->request = request;
    request->data = later;
    http_body_take(request, take);
}

static void on_answered(const struct http_request *request, int status)
{
    (void)status;
    if (request->route)
        atomic_fetch_add(&ended, 1);
}

static const struct http_route routes[] = {
    { .method = "GET", .pattern = "/any", .handle = on_any, .flags = HTTP_ANY_LOOP },
    { .method = "POST", .pattern = "/any", .handle = on_any, .body_bytes_max = 50000 },
    { .method = "GET", .pattern = "/large", .handle = on_large, .flags = HTTP_ANY_LOOP },
    { .method = "GET", .pattern = "/stream", .handle = on_stream },
    { .method = "POST", .pattern = "/take", .handle = on_take, .body_bytes_max = 300000, .flags = HTTP_BODY_STREAM },
};

/* --- the clients -------------------------------------------------------- */

static void add_request(struct buf *out, struct rng *rng)
{
    static const char *const paths[] = { "/any", "/large", "/stream", "/nowhere" };
    size_t n = (size_t)rng_below(rng, 3000);
    uint64_t kind = rng_below(rng, 10);
    if (kind < 4) {
        buf_add_fmt(out, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", paths[rng_below(rng, 4)]);
    } else if (kind < 6) {
        buf_add_fmt(out, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                    rng_chance(rng, 0.5) ? "/any" : "/take", n);
        for (size_t i = 0; i < n; i++)
            buf_add_char(out, 'b');
    } else if (kind < 9) {
        buf_add_fmt(out, "POST %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
                    rng_chance(rng, 0.7) ? "/take" : "/any");
        for (int chunks = (int)rng_below(rng, 6); chunks > 0; chunks--) {
            buf_add_fmt(out, "%zx\r\n", n + 1);
            for (size_t i = 0; i <= n; i++)
                buf_add_char(out, 'c');
            buf_add_str(out, S("\r\n"));
        }
        buf_add_str(out, S("0\r\n\r\n"));
    } else {
        buf_add_fmt(out, "%s", rng_chance(rng, 0.5) ? "HEAD /any HTTP/1.0\r\n\r\n" : "nonsense\r\n\r\n");
    }
}

static void send_some(int fd, struct buf *out, struct rng *rng)
{
    struct str rest = buf_str(out);
    while (rest.n) {
        size_t n = 1 + (size_t)rng_below(rng, rng_chance(rng, 0.5) ? 50 : 20000);
        n = n < rest.n ? n : rest.n;
        if (send(fd, rest.p, n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            return; /* the server has had enough, or does not read now */
        rest = (struct str){ rest.p + n, rest.n - n };
        if (rng_chance(rng, 0.02))
            return;
    }
}

static void one_connection(const struct lab *lab, struct rng *rng, char *sink, size_t sink_bytes)
{
    int fd = lab_connect(lab);
    struct timeval patience = { .tv_usec = 20000 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    struct buf out;
    buf_init(&out, 1 << 20);
    for (int requests = 1 + (int)rng_below(rng, 6); requests > 0; requests--)
        add_request(&out, rng);
    send_some(fd, &out, rng);
    buf_done(&out);
    if (rng_chance(rng, 0.3))
        shutdown(fd, SHUT_WR);
    for (int reads = (int)rng_below(rng, 30); reads > 0 && recv(fd, sink, sink_bytes, 0) > 0; reads--)
        ;
    struct linger reset = { .l_onoff = rng_chance(rng, 0.3) };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    close(fd);
}

struct client {
    const struct lab *lab;
    uint64_t seed;
};

static void *run_client(void *data)
{
    struct client *client = data;
    struct rng rng;
    rng_init(&rng, client->seed);
    char *sink = malloc(65536);
    for (int i = 0; i < ROUNDS; i++)
        one_connection(client->lab, &rng, sink, 65536);
    free(sink);
    return NULL;
}

static void survives_clients_that_do_anything_on(int loops)
{
    struct lab lab;
    struct http_server_config config = {
        .head_ms = 40, .body_ms = 40, .write_ms = 60, .idle_ms = 40, .linger_ms = 40, .answered = on_answered
    };
    atomic_store(&handed, 0);
    atomic_store(&ended, 0);
    lab_open_on(&lab, loops, config, routes, sizeof routes / sizeof *routes);
    uint64_t seed = 99;
    loop_call(lab.loop, seed_loop, &seed);
    for (int i = 0; i < lab.also_count; i++)
        loop_call(lab.also[i], seed_loop, &seed);
    pthread_t threads[CLIENTS];
    struct client clients[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        clients[i] = (struct client){ &lab, (uint64_t)i + 1 };
        pthread_create(&threads[i], NULL, run_client, &clients[i]);
    }
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(threads[i], NULL);
    lab_wait_connections(&lab, 0);
    while (atomic_load(&handed) > atomic_load(&ended))
        usleep(200);
    YES(atomic_load(&handed) > CLIENTS * ROUNDS / 2);
    YES(has(lab_talk(&lab, S("GET /any HTTP/1.1\r\nHost: x\r\n\r\n")), "/any 0\n"));
    lab_close(&lab);
}

TEST(http_server, survives_clients_that_do_anything)
{
    survives_clients_that_do_anything_on(1);
}

TEST(http_server, survives_them_on_several_loops)
{
    survives_clients_that_do_anything_on(3);
}
