#include "net/line_server.h"

#include <stdlib.h>

#include "net/line_conn.h"

#define BACKLOG 4096

/* --- open --------------------------------------------------------------- */

static void on_connection(uv_stream_t *stream, int status)
{
    struct line_server *server = stream->data;
    if (status < 0)
        return; /* the client gave up between, or descriptors ran out and libuv closed it */
    line_count(&server->accepted, 1);
    line_conn_accept(server);
}

static int server_listen(struct line_server *server)
{
    struct sockaddr_storage storage;
    addr_to_sockaddr(&server->config.listen, &storage);
    int result = uv_tcp_bind(&server->listener, (struct sockaddr *)&storage, 0);
    if (result == 0)
        result = uv_listen((uv_stream_t *)&server->listener, BACKLOG, on_connection);
    int n = sizeof storage;
    if (result == 0)
        result = uv_tcp_getsockname(&server->listener, (struct sockaddr *)&storage, &n);
    if (result == 0)
        addr_of_sockaddr((struct sockaddr *)&storage, &server->listening);
    return result;
}

struct open_call {
    struct line_server *server;
    int result;
};

static void on_listen_failed(uv_handle_t *handle)
{
    free(handle->data);
}

static void open_on_loop(void *data)
{
    struct open_call *call = data;
    struct line_server *server = call->server;
    uv_tcp_init(loop_uv(server->loop), &server->listener);
    server->listener.data = server;
    call->result = server_listen(server);
    if (call->result != 0)
        uv_close((uv_handle_t *)&server->listener, on_listen_failed);
}

static void config_defaults(struct line_server_config *config)
{
    if (!config->connections_max)
        config->connections_max = 10000;
    if (!config->line_bytes_max)
        config->line_bytes_max = 16 * 1024 * 1024;
    if (!config->held_bytes_max)
        config->held_bytes_max = 256 * 1024 * 1024;
    if (!config->out_bytes_high)
        config->out_bytes_high = 1024 * 1024;
    if (!config->line_ms)
        config->line_ms = 30000;
    if (!config->write_ms)
        config->write_ms = 30000;
    if (!config->linger_ms)
        config->linger_ms = 2000;
}

enum err line_server_open(struct op *op, struct loop *loop, const struct line_server_config *config,
                          struct line_server **ret_server)
{
    struct line_server *server = calloc(1, sizeof *server);
    if (!server)
        abort();
    server->loop = loop;
    server->config = *config;
    config_defaults(&server->config);

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

struct addr line_server_addr(const struct line_server *server)
{
    return server->listening;
}

static uint64_t figure(const _Atomic uint64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

struct line_server_counts line_server_counts(const struct line_server *server)
{
    return (struct line_server_counts){
        .connections = figure(&server->open_count),
        .accepted = figure(&server->accepted),
        .refused = figure(&server->refused),
        .lines = figure(&server->lines),
        .dropped = figure(&server->dropped),
    };
}

/* --- close -------------------------------------------------------------- */

static void on_drained(struct errand *errand)
{
    uv_sem_post(MAIL_OF(errand, struct line_server, end)->drained);
}

/* The closing caller is let go with the last connection and frees the server; at the end of the turn, because whoever
 * closed that connection may still look at it. */
static void server_end_if_done(struct line_server *server)
{
    if (!server->draining || !server->listener_closed || server->connections)
        return;
    server->draining = false;
    loop_timer_clear(server->loop, &server->last_call);
    server->end.run = on_drained;
    loop_at_turn_end(server->loop, &server->end);
}

void line_server_forget(struct line_conn *conn)
{
    struct line_server *server = conn->server;
    if (conn->before)
        conn->before->next = conn->next;
    else
        server->first = conn->next;
    if (conn->next)
        conn->next->before = conn->before;
    server->held_bytes -= conn->counted;
    server->connections--;
    atomic_store_explicit(&server->open_count, (uint64_t)server->connections, memory_order_relaxed);
    server_end_if_done(server);
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct line_server *server = handle->data;
    server->listener_closed = true;
    server_end_if_done(server);
}

static void stop_on_loop(void *data)
{
    struct line_server *server = data;
    if (server->stopped)
        return;
    server->stopped = true;
    uv_close((uv_handle_t *)&server->listener, on_listener_closed);
}

void line_server_stop(struct line_server *server)
{
    loop_call(server->loop, stop_on_loop, server);
}

static void on_last_call(struct timer *timer)
{
    struct line_server *server = MAIL_OF(timer, struct line_server, last_call);
    while (server->first)
        line_conn_close(server->first);
}

struct close_call {
    struct line_server *server;
    int64_t wait_ms;
    uv_sem_t drained;
};

static void close_on_loop(void *data)
{
    struct close_call *call = data;
    struct line_server *server = call->server;
    server->draining = true;
    server->drained = &call->drained;
    server->last_call.run = on_last_call;
    loop_timer_set(server->loop, &server->last_call, call->wait_ms);
    stop_on_loop(server);
    server_end_if_done(server);
}

void line_server_close(struct line_server *server, int64_t wait_ms)
{
    struct close_call call = { .server = server, .wait_ms = wait_ms };
    struct loop *loop = server->loop;
    if (uv_sem_init(&call.drained, 0))
        abort();
    loop_call(loop, close_on_loop, &call);
    uv_sem_wait(&call.drained);
    uv_sem_destroy(&call.drained);
    free(server);
}
