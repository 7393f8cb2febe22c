#include "net/http_server.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/instant.h"
#include "base/random.h"
#include "base/form.h"
#include "net/http_conn.h"
#include "net/http_reply.h"

#define FREE_REQUESTS_MAX 512 /* kept for reuse: about 7 KiB each with the first chunk of the arena */
#define REFUSED_MAX       128 /* connections above the maximum that may still hear their 503 at a time */
#define BACKLOG           4096
#define SWEEP_MS_MAX      1000

/* --- requests ----------------------------------------------------------- */

/* One number in, one well mixed number out (splitmix64): trace ids that do not look alike. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

struct http_request *http_request_take(struct http_server *server, struct http_conn *conn)
{
    struct http_request *request = server->free_requests;
    struct arena *arena;
    if (request) {
        server->free_requests = request->next;
        server->free_request_count--;
        arena = request->op.arena;
    } else {
        request = malloc(sizeof *request);
        if (!request)
            abort();
        arena = arena_new(server->config.arena_bytes_max);
    }
    server->requests_out++;

    /* Between op, which op_init sets, and the index of the head, which the head fills, everything begins as zero. */
    size_t from = offsetof(struct http_request, method), to = offsetof(struct http_request, head.lines);
    memset((char *)request + from, 0, to - from);
    int64_t now_us = loop_wall_us(server->loop);
    op_init(&request->op, arena, now_us);
    request->op.trace = mix(server->trace_seed++);
    request->method = request->target = request->path = S("");
    request->body = S("");
    request->peer = conn->peer;
    request->loop = server->loop;
    request->server_data = server->config.data;
    request->server = server;
    request->conn = conn;
    request->began_us = now_us;
    buf_init_arena(&request->reply_headers, arena, HTTP_REPLY_HEADERS_BYTES_MAX);
    return request;
}

static void server_end_if_done(struct http_server *server);

void http_request_give(struct http_request *request)
{
    struct http_server *server = request->server;
    if (!request->body_buffer.arena)
        buf_done(&request->body_buffer);
    server->requests_out--;
    if (server->free_request_count < FREE_REQUESTS_MAX) {
        arena_reset(request->op.arena);
        request->next = server->free_requests;
        server->free_requests = request;
        server->free_request_count++;
    } else {
        arena_free(request->op.arena);
        free(request);
    }
    if (server->draining)
        server_end_if_done(server);
}

struct str http_header(const struct http_request *request, struct str name)
{
    return http_head_find(&request->head, name);
}

struct str http_query(struct http_request *request, struct str name)
{
    return form_get(request->op.arena, request->query, name);
}

void http_body_take(struct http_request *request,
                    void (*take)(struct http_request *request, struct str piece, enum http_body state))
{
    request->body_take = take;
}

void http_body_pause(struct http_request *request)
{
    if (request->conn && !request->body_complete)
        http_conn_pause(request->conn, true);
}

void http_body_resume(struct http_request *request)
{
    if (request->conn && !request->body_complete)
        http_conn_pause(request->conn, false);
}

/* --- waiting ------------------------------------------------------------ */

static void list_remove(struct http_wait_list *list, struct http_conn *conn)
{
    if (conn->before)
        conn->before->next = conn->next;
    else if (list->first == conn)
        list->first = conn->next;
    else
        return; /* in no list yet */
    if (conn->next)
        conn->next->before = conn->before;
    else
        list->last = conn->before;
    conn->next = conn->before = NULL;
}

static void list_append(struct http_wait_list *list, struct http_conn *conn)
{
    conn->next = NULL;
    conn->before = list->last;
    if (list->last)
        list->last->next = conn;
    else
        list->first = conn;
    list->last = conn;
}

void http_conn_wait(struct http_conn *conn, enum http_wait wait)
{
    struct http_server *server = conn->server;
    list_remove(&server->waits[conn->wait], conn);
    conn->wait = wait;
    conn->since_ms = loop_now_ms(server->loop);
    conn->progress = 0;
    list_append(&server->waits[wait], conn);
}

static int64_t wait_limit_ms(const struct http_server *server, enum http_wait wait)
{
    switch (wait) {
    case HTTP_WAIT_IDLE:
        return server->config.idle_ms;
    case HTTP_WAIT_HEAD:
        return server->config.head_ms;
    case HTTP_WAIT_BODY:
        return server->config.body_ms;
    case HTTP_WAIT_WRITE:
        return server->config.write_ms;
    case HTTP_WAIT_LINGER:
        return server->config.linger_ms;
    case HTTP_WAIT_HANDLER:
        break;
    }
    return INT64_MAX;
}

static int64_t sweep_every_ms(const struct http_server *server)
{
    int64_t every_ms = SWEEP_MS_MAX;
    for (int wait = HTTP_WAIT_IDLE; wait < HTTP_WAITS; wait++) {
        int64_t quarter_ms = wait_limit_ms(server, (enum http_wait)wait) / 4;
        if (quarter_ms < every_ms)
            every_ms = quarter_ms;
    }
    return every_ms > 1 ? every_ms : 1;
}

/* Looks at the oldest of each list only. An idle daemon has no connections and is not woken. */
static void on_sweep(struct timer *timer)
{
    struct http_server *server = MAIL_OF(timer, struct http_server, sweep);
    int64_t now_ms = loop_now_ms(server->loop);
    for (int wait = HTTP_WAIT_IDLE; wait < HTTP_WAITS; wait++) {
        int64_t limit_ms = wait_limit_ms(server, (enum http_wait)wait);
        struct http_wait_list *list = &server->waits[wait];
        while (list->first && now_ms - list->first->since_ms >= limit_ms)
            http_conn_expire(list->first);
    }
    if (server->connections)
        loop_timer_set(server->loop, timer, sweep_every_ms(server));
}

void http_server_forget(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    list_remove(&server->waits[conn->wait], conn);
    server->connections--;
    atomic_store_explicit(&server->open_count, (uint64_t)server->connections, memory_order_relaxed);
    if (server->draining)
        server_end_if_done(server);
}

/* --- clock -------------------------------------------------------------- */

struct str http_server_date(struct http_server *server)
{
    int64_t now_us = loop_wall_us(server->loop);
    if (now_us / 1000000 != server->date_s || !server->date_n) {
        char text[INSTANT_TEXT_BYTES];
        struct str date = instant_text_http(now_us, text);
        server->date_s = now_us / 1000000;
        server->date_n = (size_t)snprintf(server->date, sizeof server->date, "Date: %.*s\r\n", STR(date));
    }
    return (struct str){ server->date, server->date_n };
}

/* --- open --------------------------------------------------------------- */

static void on_turned_away_closed(uv_handle_t *handle)
{
    free(handle);
}

/* Too many even to be told so. */
static void turn_away(struct http_server *server)
{
    uv_tcp_t *tcp = malloc(sizeof *tcp);
    if (!tcp)
        abort();
    uv_tcp_init(loop_uv(server->loop), tcp);
    uv_accept((uv_stream_t *)&server->listener, (uv_stream_t *)tcp);
    uv_close((uv_handle_t *)tcp, on_turned_away_closed);
    http_count(&server->refused, 1);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct http_server *server = stream->data;
    if (status < 0)
        return; /* the client gave up between, or descriptors ran out and libuv closed it */
    http_count(&server->accepted, 1);
    if (server->connections >= server->config.connections_max + REFUSED_MAX) {
        turn_away(server);
        return;
    }
    http_conn_accept(server, server->connections >= server->config.connections_max);
    if (!timer_is_set(&server->sweep))
        loop_timer_set(server->loop, &server->sweep, sweep_every_ms(server));
}

struct open_call {
    struct http_server *server;
    int result;
};

static int server_listen(struct http_server *server)
{
    struct sockaddr_storage storage;
    addr_to_sockaddr(&server->config.listen, &storage);
    int result = server->config.listen_fd > 0 ? uv_tcp_open(&server->listener, server->config.listen_fd)
                                              : uv_tcp_bind(&server->listener, (struct sockaddr *)&storage, 0);
    if (result == 0)
        result = uv_listen((uv_stream_t *)&server->listener, BACKLOG, on_connection);
    int n = sizeof storage;
    if (result == 0)
        result = uv_tcp_getsockname(&server->listener, (struct sockaddr *)&storage, &n);
    if (result == 0)
        addr_of_sockaddr((struct sockaddr *)&storage, &server->listening);
    return result;
}

static void server_free(struct http_server *server)
{
    while (server->free_requests) {
        struct http_request *next = server->free_requests->next;
        arena_free(server->free_requests->op.arena);
        free(server->free_requests);
        server->free_requests = next;
    }
    http_pool_done(&server->pool);
    http_router_free(server->router);
    free(server);
}

static void on_listen_failed(uv_handle_t *handle)
{
    server_free(handle->data);
}

static void open_on_loop(void *data)
{
    struct open_call *call = data;
    struct http_server *server = call->server;
    uv_tcp_init(loop_uv(server->loop), &server->listener);
    server->listener.data = server;
    call->result = server_listen(server);
    if (call->result != 0)
        uv_close((uv_handle_t *)&server->listener, on_listen_failed);
}

static void config_defaults(struct http_server_config *config)
{
    if (!config->connections_max)
        config->connections_max = 10000;
    if (!config->head_ms)
        config->head_ms = 10000;
    if (!config->body_ms)
        config->body_ms = 30000;
    if (!config->write_ms)
        config->write_ms = 30000;
    if (!config->idle_ms)
        config->idle_ms = 75000;
    if (!config->linger_ms)
        config->linger_ms = 2000;
    if (!config->arena_bytes_max)
        config->arena_bytes_max = 64 * 1024 * 1024;
}

enum err http_server_open(struct op *op, struct loop *loop, const struct http_server_config *config,
                          const struct http_route *routes, size_t route_count, struct http_server **ret_server)
{
    struct http_server *server = calloc(1, sizeof *server);
    if (!server)
        abort();
    server->loop = loop;
    server->config = *config;
    config_defaults(&server->config);
    server->router = http_router_new(routes, route_count);
    server->sweep.run = on_sweep;
    server->pool.sent = http_request_sent;
    server->trace_seed = random_u64();

    struct open_call call = { server, 0 };
    loop_call(loop, open_on_loop, &call);
    if (call.result != 0) {
        char buffer[ADDR_TEXT_BYTES_MAX];
        return fail(op, ERR_IO, "cannot listen on %.*s: %s", STR(addr_text(&config->listen, buffer)),
                    uv_strerror(call.result));
    }
    *ret_server = server;
    return OK;
}

struct addr http_server_addr(const struct http_server *server)
{
    return server->listening;
}

static uint64_t figure(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

struct http_server_counts http_server_counts(const struct http_server *server)
{
    return (struct http_server_counts){
        .connections = figure(&server->open_count),
        .accepted = figure(&server->accepted),
        .refused = figure(&server->refused),
        .requests = figure(&server->requests),
        .broken = figure(&server->broken),
        .dropped = figure(&server->dropped),
    };
}

/* --- close -------------------------------------------------------------- */

static void close_all(struct http_server *server, enum http_wait wait)
{
    struct http_conn *next;
    for (struct http_conn *conn = server->waits[wait].first; conn; conn = next) {
        next = conn->next;
        http_conn_close(conn);
    }
}

static void on_last_call(struct timer *timer)
{
    struct http_server *server = MAIL_OF(timer, struct http_server, last_call);
    for (int wait = 0; wait < HTTP_WAITS; wait++)
        close_all(server, (enum http_wait)wait);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    server->listener_closed = true;
    server_end_if_done(server);
}

/* The closing caller is let go with the last connection; the memory goes with the last request. */
static void server_end_if_done(struct http_server *server)
{
    if (!server->listener_closed || server->connections)
        return;
    loop_timer_clear(server->loop, &server->last_call);
    loop_timer_clear(server->loop, &server->sweep);
    uv_sem_t *drained = server->drained;
    server->drained = NULL;
    if (!server->requests_out)
        server_free(server);
    if (drained)
        uv_sem_post(drained);
}

struct close_call {
    struct http_server *server;
    int64_t wait_ms;
    uv_sem_t drained;
};

static void close_on_loop(void *data)
{
    struct close_call *call = data;
    struct http_server *server = call->server;
    server->draining = true;
    server->drained = &call->drained;
    server->last_call.run = on_last_call;
    loop_timer_set(server->loop, &server->last_call, call->wait_ms);
    uv_close((uv_handle_t *)&server->listener, on_listener_closed);
    close_all(server, HTTP_WAIT_IDLE);
}

void http_server_close(struct http_server *server, int64_t wait_ms)
{
    struct close_call call = { .server = server, .wait_ms = wait_ms };
    struct loop *loop = server->loop;
    if (uv_sem_init(&call.drained, 0))
        abort();
    loop_call(loop, close_on_loop, &call);
    uv_sem_wait(&call.drained);
    uv_sem_destroy(&call.drained);
}
