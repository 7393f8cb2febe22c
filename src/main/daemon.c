#include "main/daemon.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "main/settings.h"
#include "engine/agent.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "relay/poller.h"
#include "serve/access.h"
#include "serve/api.h"
#include "serve/metrics.h"

#define DAEMON_MEMORY_MAX (64u << 20) /* texts that live as long as the daemon */

struct daemon {
    struct op op; /* its arena: what lives as long as the daemon */
    const struct conf *conf;
    struct str database;
    struct store *store;
    struct loop *loop;
    struct http_server *http;
    struct loop *relay; /* polls and follow-up tasks, apart from the doors */
    struct http_client *client;
    struct agent_list *agents;
    struct poller *poller;
    struct api api;
};

#define NODE_NAME "main" /* one daemon on one store: the name of its leases stays over restarts */

static enum err open_store(struct op *op, struct daemon *daemon)
{
    struct str data = arena_str(daemon->op.arena, settings_data(daemon->conf));
    daemon->database = arena_fmt(daemon->op.arena, "sqlite:%.*s", STR(data));
    struct store_config config = {
        .directory = data.p,
        .readers = (int)conf_int(daemon->conf, "database", "readers"),
        .cache_bytes = conf_bytes(daemon->conf, "database", "cache"),
        .threads = true,
    };
    return store_open(op, &config, &daemon->store);
}

static enum err load_tokens(struct op *op, struct tx *tx, void *arg)
{
    struct daemon *daemon = arg;
    return tokens_load(op, tx, daemon->api.config.tokens);
}

/* A door to the world with no lock at all is a mistake, whatever --dev says. */
static enum err check_door(struct op *op, struct daemon *daemon, const struct addr *addr)
{
    if (addr_is_loopback(addr) || tokens_count(daemon->api.config.tokens) > 0)
        return OK;
    return fail(op, ERR_FORBIDDEN,
                "refusing to listen on %.*s without any token, since others could reach it; make one first: "
                "posthouse token create NAME --scope read,write,admin --data %.*s",
                STR(conf_text(daemon->conf, "server", "http")), STR(settings_data(daemon->conf)));
}

static enum err open_http(struct op *op, struct daemon *daemon, int listen_fd)
{
    struct http_server_config config = {
        .connections_max = (int)conf_int(daemon->conf, "server", "connections"),
        .listen_fd = listen_fd,
        .data = &daemon->api,
        .admit = access_admit,
        .answered = api_answered,
    };
    TRY(settings_addr(op, daemon->conf, "http", &config.listen));
    TRY(check_door(op, daemon, &config.listen));
    TRY(http_server_open(op, daemon->loop, &config, api_routes, api_route_count, &daemon->http));
    metrics_server(daemon->http);
    return OK;
}

/* Reads the sources. --dev lets it reach a simulator on this machine. */
static enum err start_relay(struct op *op, struct daemon *daemon)
{
    TRY(agent_list_new(op, (struct str){ 0 }, &daemon->agents));
    daemon->relay = loop_start("relay");
    struct http_client_config client = { .allow_loopback = daemon->api.config.dev };
    daemon->client = http_client_open(daemon->relay, &client);
    struct poller_config config = { .store = daemon->store,
                                    .loop = daemon->relay,
                                    .client = daemon->client,
                                    .node = NODE_NAME,
                                    .agents = daemon->agents };
    daemon->poller = poller_start(&config);
    return OK;
}

static enum err start_all(struct op *op, struct daemon *daemon, const struct daemon_config *config)
{
    TRY(open_store(op, daemon));
    daemon->api.config = (struct api_config){
        .store = daemon->store,
        .tokens = tokens_new(),
        .database = daemon->database.p,
        .dev = conf_bool(daemon->conf, "server", "dev"),
    };
    TRY(store_read(op, daemon->store, load_tokens, daemon));
    api_open(&daemon->api, op->now_us);
    TRY(start_relay(op, daemon));
    daemon->loop = loop_start("http");
    return open_http(op, daemon, config->listen_fd);
}

enum err daemon_start(struct op *op, const struct daemon_config *config, struct daemon **ret_daemon)
{
    struct daemon *daemon = calloc(1, sizeof *daemon);
    if (!daemon)
        abort();
    op_init(&daemon->op, arena_new(DAEMON_MEMORY_MAX), op->now_us);
    daemon->conf = config->conf;
    enum err err = start_all(op, daemon, config);
    if (err != OK) {
        daemon_stop(daemon);
        return err;
    }
    *ret_daemon = daemon;
    return OK;
}

enum err daemon_reload(struct op *op, struct daemon *daemon, const struct conf *conf)
{
    (void)op;
    daemon->conf = conf;
    return OK;
}

void daemon_stop(struct daemon *daemon)
{
    daemon->api.stopping = true;
    metrics_server(NULL);
    if (daemon->http)
        http_server_close(daemon->http, conf_ms(daemon->conf, "server", "stop"));
    if (daemon->poller)
        poller_stop(daemon->poller);
    if (daemon->client)
        http_client_close(daemon->client);
    if (daemon->relay)
        loop_stop(daemon->relay);
    if (daemon->loop)
        loop_stop(daemon->loop);
    agent_list_free(daemon->agents);
    if (daemon->store)
        store_close(daemon->store);
    api_close(&daemon->api);
    if (daemon->api.config.tokens)
        tokens_free(daemon->api.config.tokens);
    arena_free(daemon->op.arena);
    free(daemon);
}

struct addr daemon_http(const struct daemon *daemon)
{
    return http_server_addr(daemon->http);
}

struct str daemon_database(const struct daemon *daemon)
{
    return daemon->database;
}
