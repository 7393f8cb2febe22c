#include "net/line_server.h"

#include <stdlib.h>

#include "net/line_conn.h"

/* --- open --------------------------------------------------------------- */

static void on_connected(struct listener *listener)
{
    line_conn_accept(MAIL_OF(listener, struct line_server, listener));
}

static void on_last_call(struct listener *listener)
{
    struct line_server *server = MAIL_OF(listener, struct line_server, listener);
    while (server->first)
        line_conn_close(server->first);
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
    static const struct listener_hooks hooks = { .connected = on_connected, .last_call = on_last_call };
    struct line_server *server = calloc(1, sizeof *server);
    if (!server)
        abort();
    server->loop = loop;
    server->config = *config;
    config_defaults(&server->config);

    enum err err = listener_open(op, &server->listener, &hooks, loop, &config->listen, 0);
    if (err != OK) {
        free(server);
        return err;
    }
    *ret_server = server;
    return OK;
}

struct addr line_server_addr(const struct line_server *server)
{
    return server->listener.addr;
}

struct line_server_counts line_server_counts(const struct line_server *server)
{
    return (struct line_server_counts){
        .connections = figure_get(&server->listener.open_count),
        .accepted = figure_get(&server->listener.accepted),
        .refused = figure_get(&server->refused),
        .lines = figure_get(&server->lines),
        .dropped = figure_get(&server->dropped),
    };
}

/* --- close -------------------------------------------------------------- */

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
    listener_left(&server->listener);
}

void line_server_stop(struct line_server *server)
{
    listener_stop(&server->listener);
}

void line_server_close(struct line_server *server, int64_t wait_ms)
{
    listener_close(&server->listener, wait_ms);
    free(server);
}
