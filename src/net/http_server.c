#include "net/http_server.h"

#include <assert.h>
#include <stdlib.h>

#include "base/form.h"
#include "net/http_conn.h"

/* --- requests ----------------------------------------------------------- */

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

/* --- a client comes ----------------------------------------------------- */

static int open_at(const struct http_desk *desk)
{
    return atomic_load_explicit(&desk->open, memory_order_relaxed);
}

static int open_now(const struct http_server *server)
{
    int open = 0;
    for (int i = 0; i < server->desk_count; i++)
        open += open_at(server->desks[i]);
    return open;
}

static struct http_desk *desk_with_fewest(const struct http_server *server)
{
    struct http_desk *found = server->desks[0];
    for (int i = 1; i < server->desk_count; i++)
        if (open_at(server->desks[i]) < open_at(found))
            found = server->desks[i];
    return found;
}

/* Of those besides the first, where there are any. */
static struct http_desk *other_desk_with_most(const struct http_server *server)
{
    struct http_desk *found = server->desks[server->desk_count - 1];
    for (int i = 1; i < server->desk_count; i++)
        if (open_at(server->desks[i]) > open_at(found))
            found = server->desks[i];
    return found;
}

/* Who comes gets a place at the desk with the fewest. When all places are taken and nobody of the first desk gives his,
 * it is for another one, that with the most, to find somebody or to refuse him. */
static void on_connected(struct listener *listener)
{
    struct http_server *server = MAIL_OF(listener, struct http_server, listener);
    struct http_desk *first = server->desks[0];
    int above = open_now(server) - server->config.connections_max;
    if (above >= 0 && http_desk_make_place(first))
        above = -1; /* who gave way counts until the turn ends */
    struct http_desk *desk = above >= 0 ? other_desk_with_most(server) : desk_with_fewest(server);
    struct addr peer;
    int fd = listener_take(listener, &peer);
    struct http_guest guest = { .fd = fd, .peer = peer, .above = above };
    atomic_fetch_add(&desk->open, 1);
    if (desk == first)
        http_desk_receive(desk, &guest);
    else
        http_desk_send(desk, &guest);
}

/* --- close -------------------------------------------------------------- */

static void server_free(struct http_server *server)
{
    for (int i = 0; i < server->desk_count; i++)
        http_desk_free(server->desks[i]);
    http_router_free(server->router);
    free(server);
}

void http_server_leave(struct http_server *server)
{
    if (atomic_fetch_sub(&server->desks_up, 1) == 1)
        server_free(server);
}

static void on_drain(struct listener *listener)
{
    struct http_server *server = MAIL_OF(listener, struct http_server, listener);
    for (int i = 0; i < server->desk_count; i++)
        http_desk_drain(server->desks[i]);
}

static void on_last_call(struct listener *listener)
{
    http_desk_cut(MAIL_OF(listener, struct http_server, listener)->desks[0]);
}

/* The closing caller is let go with the last connection; the memory goes with the last request. */
static void on_drained(struct listener *listener)
{
    http_desk_end(MAIL_OF(listener, struct http_server, listener)->desks[0]);
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

static void open_desks(struct http_server *server, struct loop *loop)
{
    server->desk_count = 1 + server->config.also_count;
    assert(server->desk_count <= HTTP_LOOPS_MAX);
    for (int i = 0; i < server->desk_count; i++)
        server->desks[i] = http_desk_new(server, i ? server->config.also[i - 1] : loop);
    server->config.also = NULL; /* the caller's */
    atomic_store(&server->desks_up, server->desk_count);
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
    server->config = *config;
    config_defaults(&server->config);
    server->router = http_router_new(routes, route_count);
    open_desks(server, loop);

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
    struct http_server_counts counts = {
        .connections = (uint64_t)open_now(server),
        .accepted = figure_get(&server->listener.accepted),
    };
    for (int i = 0; i < server->desk_count; i++) {
        const struct http_desk *desk = server->desks[i];
        counts.refused += figure_get(&desk->refused);
        counts.requests += figure_get(&desk->requests);
        counts.broken += figure_get(&desk->broken);
        counts.dropped += figure_get(&desk->dropped);
    }
    return counts;
}

void http_server_close(struct http_server *server, int64_t wait_ms)
{
    server->wait_ms = wait_ms;
    listener_close(&server->listener, wait_ms);
}
