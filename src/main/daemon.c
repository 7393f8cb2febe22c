#include "main/daemon.h"

#include <stdlib.h>
#include <string.h>

#include "base/cidr.h"
#include "base/log.h"
#include "engine/source_signal.h"
#include "engine/status.h"
#include "main/body.h"
#include "main/declared.h"
#include "main/inbox_taker.h"
#include "main/keeper.h"
#include "main/settings.h"
#include "main/settle.h"
#include "net/http_server.h"
#include "relay/cert_fetch.h"
#include "relay/poller.h"
#include "serve/access.h"
#include "serve/api.h"
#include "serve/metrics.h"
#include "store/store_tenant.h"

#define DAEMON_MEMORY_MAX  (64u << 20) /* texts that live as long as the daemon */
#define NETWORKS_BYTES_MAX (8u << 20)

struct daemon {
    struct op op; /* its arena: what lives as long as the daemon */
    const struct conf *conf;
    struct str database;
    struct agent_list *agents;
    struct cidr_list *networks, *reachable;
    struct store *store;
    struct loop *http_loop, *relay_loop;
    struct http_client *client;
    struct cert_fetch *certs;
    struct poller *poller;
    struct keeper *keeper;
    struct inbox_taker *inbox_taker;
    struct http_server *http;
    struct api api;
};

/* --- what the configuration names ------------------------------------------ */

static enum err read_lists(struct op *op, const struct conf *conf, struct agent_list **ret_agents,
                           struct cidr_list **ret_networks)
{
    struct str path = conf_text(conf, "classify", "scanners"), text = { 0 };
    if (str_given(path))
        TRY(read_whole(op, arena_str(op->arena, path).p, AGENT_LIST_BYTES_MAX, &text));
    TRY(agent_list_new(op, text, ret_agents));
    path = conf_text(conf, "classify", "networks");
    text = S("");
    enum err err = OK;
    if (str_given(path))
        err = read_whole(op, arena_str(op->arena, path).p, NETWORKS_BYTES_MAX, &text);
    if (err == OK)
        err = cidr_list_new(op, text, ret_networks);
    if (err != OK)
        agent_list_free(*ret_agents);
    return err;
}

/* Private networks that sources may point into; with --dev all of them. */
static enum err read_reachable(struct op *op, const struct conf *conf, struct cidr_list **ret)
{
    bool dev = conf_bool(conf, "server", "dev");
    if (cidr_list_new(op, dev ? S("0.0.0.0/0, ::/0") : conf_text(conf, "sources", "allow"), ret) == OK)
        return OK;
    char sentence[OP_ERROR_BYTES_MAX];
    memcpy(sentence, op->error, sizeof sentence);
    return fail(op, ERR_INVALID, "[sources] allow: %s", sentence);
}

static enum err configure_status(struct op *op, const struct conf *conf)
{
    const struct conf_value *values;
    size_t count = conf_values(conf, &values);
    status_configure_none();
    for (size_t i = 0; i < count; i++)
        if (strcmp(values[i].section->name, "status") == 0 &&
            status_configure(op, values[i].word, values[i].text) != OK) {
            char sentence[OP_ERROR_BYTES_MAX];
            memcpy(sentence, op->error, sizeof sentence);
            return fail(op, ERR_INVALID, "[status] line %d: %s", values[i].line, sentence);
        }
    return OK;
}

enum err daemon_check(struct op *op, const struct conf *conf)
{
    struct agent_list *agents;
    struct cidr_list *networks, *reachable;
    TRY(settings_check(op, conf));
    TRY(declared_check(op, conf));
    TRY(configure_status(op, conf));
    TRY(read_reachable(op, conf, &reachable));
    cidr_list_free(reachable);
    TRY(read_lists(op, conf, &agents, &networks));
    agent_list_free(agents);
    cidr_list_free(networks);
    return OK;
}

/* --- start ---------------------------------------------------------------- */

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

struct applied {
    struct daemon *daemon;
    const struct conf *conf;
};

static enum err apply_declared(struct op *op, struct tx *tx, void *arg)
{
    struct applied *applied = arg;
    return declared_apply(op, tx, applied->conf);
}

/* Tokens may be bound to tenants that the file has just made. */
static enum err learn_tenants(struct op *op, struct tx *tx, void *arg)
{
    struct applied *applied = arg;
    const struct str *names;
    size_t count = conf_names(applied->conf, "tenant", &names);
    for (size_t i = 0; i < count; i++) {
        struct tenant tenant;
        TRY(store_tenant_get(op, tx, names[i], &tenant));
        tokens_learn_tenant(applied->daemon->api.config.tokens, names[i], tenant.no);
    }
    return OK;
}

static enum err declare(struct op *op, struct daemon *daemon, const struct conf *conf)
{
    struct applied applied = { daemon, conf };
    const struct str *names;
    if (conf_names(conf, "tenant", &names) + conf_names(conf, "source", &names) == 0)
        return OK;
    TRY(settle(op, apply_declared, &applied));
    return store_read(op, daemon->store, learn_tenants, &applied);
}

static void start_relay(struct daemon *daemon, bool dev)
{
    daemon->relay_loop = loop_start("relay");
    struct http_client_config client = {
        .allow = daemon->reachable,
        .allow_loopback = dev,
        .user_agent = "posthouse/" POSTHOUSE_VERSION,
    };
    daemon->client = http_client_open(daemon->relay_loop, &client);
    daemon->certs = cert_fetch_start(daemon->relay_loop, daemon->client);
    struct poller_config poller = {
        .store = daemon->store,
        .loop = daemon->relay_loop,
        .client = daemon->client,
        .node = "local", /* one process at a time holds a SQLite store */
        .agents = daemon->agents,
        .networks = daemon->networks,
    };
    daemon->poller = poller_start(&poller);
    daemon->api.config.certs = cert_fetch_certs(daemon->certs);
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
    daemon->http_loop = loop_start("http");
    TRY(http_server_open(op, daemon->http_loop, &config, api_routes, api_route_count, &daemon->http));
    metrics_server(daemon->http);
    return OK;
}

static enum err start_all(struct op *op, struct daemon *daemon, const struct daemon_config *config)
{
    bool dev = conf_bool(daemon->conf, "server", "dev");
    TRY(configure_status(op, daemon->conf));
    TRY(read_lists(op, daemon->conf, &daemon->agents, &daemon->networks));
    TRY(read_reachable(op, daemon->conf, &daemon->reachable));
    TRY(open_store(op, daemon));
    daemon->api.config = (struct api_config){
        .store = daemon->store,
        .tokens = tokens_new(),
        .database = daemon->database.p,
        .dev = dev,
        .agents = daemon->agents,
        .networks = daemon->networks,
        .reachable = daemon->reachable,
    };
    TRY(store_read(op, daemon->store, load_tokens, daemon));
    api_open(&daemon->api, op->now_us);
    TRY(declare(op, daemon, daemon->conf));
    start_relay(daemon, dev);
    TRY(keeper_start(op, daemon->store, &daemon->keeper));
    TRY(inbox_taker_start(op, daemon->store, &daemon->inbox_taker));
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

/* --- reload --------------------------------------------------------------- */

static bool same_value(const struct conf_value *a, const struct conf_value *b)
{
    if (!a || !b)
        return a == b;
    return str_eq(a->text, b->text) && a->number == b->number;
}

/* Says which changed values wait for the next start. */
static void tell_unchanged(const struct conf *before, const struct conf *now)
{
    static const char *const fixed[] = { "server", "database", "classify", "sources", NULL };
    for (const struct conf_section *section = conf_schema(now); section->name; section++)
        for (const char *const *name = fixed; *name; name++) {
            if (strcmp(section->name, *name) != 0)
                continue;
            for (const struct conf_key *key = section->keys; key->name; key++)
                if (!same_value(conf_get(before, *name, (struct str){ 0 }, key->name),
                                conf_get(now, *name, (struct str){ 0 }, key->name)))
                    log_warn("a changed value takes effect at the next start", LOG_TEXT("section", *name),
                             LOG_TEXT("key", key->name));
        }
}

enum err daemon_reload(struct op *op, struct daemon *daemon, const struct conf *conf)
{
    TRY(settings_check(op, conf));
    TRY(declared_check(op, conf));
    TRY(declare(op, daemon, conf));
    source_signal();
    tell_unchanged(daemon->conf, conf);
    daemon->conf = conf;
    return OK;
}

/* --- stop ----------------------------------------------------------------- */

static void stop_relay(struct daemon *daemon)
{
    if (daemon->poller)
        poller_stop(daemon->poller);
    if (daemon->certs)
        cert_fetch_stop(daemon->certs);
    if (daemon->client)
        http_client_close(daemon->client);
    if (daemon->relay_loop)
        loop_stop(daemon->relay_loop);
}

/* Whatever start_all had come to, in reverse. */
void daemon_stop(struct daemon *daemon)
{
    daemon->api.stopping = true;
    metrics_server(NULL);
    if (daemon->http)
        http_server_close(daemon->http, conf_ms(daemon->conf, "server", "stop"));
    if (daemon->http_loop)
        loop_stop(daemon->http_loop);
    stop_relay(daemon);
    if (daemon->inbox_taker)
        inbox_taker_stop(daemon->inbox_taker);
    if (daemon->keeper)
        keeper_stop(daemon->keeper);
    if (daemon->store)
        store_close(daemon->store);
    api_close(&daemon->api);
    if (daemon->api.config.tokens)
        tokens_free(daemon->api.config.tokens);
    if (daemon->agents)
        agent_list_free(daemon->agents);
    if (daemon->networks)
        cidr_list_free(daemon->networks);
    if (daemon->reachable)
        cidr_list_free(daemon->reachable);
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
