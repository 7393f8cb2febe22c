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
#define SWEEP_MS_MAX      1000
#define PATIENCE_MS       250 /* who stands still for longer gives way when all places are taken */

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

static void server_free(struct http_server *server);

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
    if (server->drained && !server->requests_out)
        server_free(server);
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
    case HTTP_WAIT_FIRST:
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
    for (int wait = HTTP_WAIT_FIRST; wait < HTTP_WAITS; wait++) {
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
    for (int wait = HTTP_WAIT_FIRST; wait < HTTP_WAITS; wait++) {
        int64_t limit_ms = wait_limit_ms(server, (enum http_wait)wait);
        struct http_wait_list *list = &server->waits[wait];
        while (list->first && now_ms - list->first->since_ms >= limit_ms)
            http_conn_expire(list->first);
    }
    if (server->listener.connections)
        loop_timer_set(server->loop, timer, sweep_every_ms(server));
}

void http_server_forget(struct http_conn *conn)
{
    struct http_server *server = conn->server;
    list_remove(&server->waits[conn->wait], conn);
    listener_left(&server->listener);
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

/* --- a client comes ----------------------------------------------------- */

/* All places are taken: who has asked nothing yet, or stands still, gives his to somebody who may do better. Who rests
 * between two requests goes at once, he has his answer; who waits for us keeps his place (LNK-40). */
static bool make_place(struct http_server *server)
{
    static const struct {
        enum http_wait wait;
        int64_t patience_ms;
    } order[] = { { HTTP_WAIT_FIRST, PATIENCE_MS },
                  { HTTP_WAIT_HEAD, PATIENCE_MS },
                  { HTTP_WAIT_IDLE, 0 },
                  { HTTP_WAIT_BODY, 10 * PATIENCE_MS },
                  { HTTP_WAIT_WRITE, 10 * PATIENCE_MS } };
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        struct http_conn *oldest = server->waits[order[i].wait].first;
        if (!oldest || loop_now_ms(server->loop) - oldest->since_ms < order[i].patience_ms)
            continue;
        if (http_conn_give_way(oldest))
            return true;
    }
    return false;
}

static void on_connected(struct listener *listener)
{
    struct http_server *server = MAIL_OF(listener, struct http_server, listener);
    int above = listener->connections - server->config.connections_max;
    if (above >= 0 && make_place(server))
        above = -1;             /* who gave way counts until the turn ends */
    if (above >= REFUSED_MAX) { /* too many even to be told so */
        listener_turn_away(listener);
        figure_add(&server->refused, 1);
        return;
    }
    http_conn_accept(server, above >= 0);
    if (!timer_is_set(&server->sweep))
        loop_timer_set(server->loop, &server->sweep, sweep_every_ms(server));
}

/* --- close -------------------------------------------------------------- */

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

static void close_all(struct http_server *server, enum http_wait wait)
{
    struct http_conn *next;
    for (struct http_conn *conn = server->waits[wait].first; conn; conn = next) {
        next = conn->next;
        http_conn_close(conn);
    }
}

static void on_drain(struct listener *listener)
{
    struct http_server *server = MAIL_OF(listener, struct http_server, listener);
    close_all(server, HTTP_WAIT_FIRST);
    close_all(server, HTTP_WAIT_IDLE);
}

static void on_last_call(struct listener *listener)
{
    for (int wait = 0; wait < HTTP_WAITS; wait++)
        close_all(MAIL_OF(listener, struct http_server, listener), (enum http_wait)wait);
}

/* The closing caller is let go with the last connection; the memory goes with the last request. */
static void on_drained(struct listener *listener)
{
    struct http_server *server = MAIL_OF(listener, struct http_server, listener);
    loop_timer_clear(server->loop, &server->sweep);
    server->drained = true;
    if (!server->requests_out)
        server_free(server);
}

/* --- open --------------------------------------------------------------- */

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
    static const struct listener_hooks hooks = {
        .connected = on_connected, .drain = on_drain, .last_call = on_last_call, .drained = on_drained
    };
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

    enum err err = listener_open(op, &server->listener, &hooks, loop, &config->listen, config->listen_fd);
    if (err != OK) {
        server_free(server);
        return err;
    }
    *ret_server = server;
    return OK;
}

struct addr http_server_addr(const struct http_server *server)
{
    return server->listener.addr;
}

struct http_server_counts http_server_counts(const struct http_server *server)
{
    return (struct http_server_counts){
        .connections = figure_get(&server->listener.open_count),
        .accepted = figure_get(&server->listener.accepted),
        .refused = figure_get(&server->refused),
        .requests = figure_get(&server->requests),
        .broken = figure_get(&server->broken),
        .dropped = figure_get(&server->dropped),
    };
}

void http_server_close(struct http_server *server, int64_t wait_ms)
{
    listener_close(&server->listener, wait_ms);
}
