/*
 * daemon.c - how everything starts and stops. A configuration that is read again is daemon_reload.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/job_handler.h"
#include "engine/schedule_builtin.h"
#include "engine/status.h"
#include "main/body.h"
#include "main/daemon_parts.h"
#include "main/declared.h"
#include "main/settings.h"
#include "main/settle.h"
#include "main/unsubscribe_keys.h"
#include "serve/access.h"
#include "serve/metrics.h"
#include "serve/redirect.h"
#include "store/store_tenant.h"

#define DAEMON_MEMORY_MAX (64u << 20) /* texts that live as long as the daemon */
#define PAGE_BYTES_MAX    (64u << 10)
#define HURRY_LOOK_MS     100 /* between two looks whether a stop shall wait on */

/* --- what the configuration names ------------------------------------------ */

static enum err each_status(struct op *op, const struct conf *conf,
                            enum err (*fn)(struct op *op, struct str move, struct str word))
{
    const struct conf_value *values;
    size_t count = conf_values(conf, &values);
    for (size_t i = 0; i < count; i++)
        if (strcmp(values[i].section->name, "status") == 0 && fn(op, values[i].word, values[i].text) != OK) {
            char sentence[OP_ERROR_BYTES_MAX];
            memcpy(sentence, op->error, sizeof sentence);
            return fail(op, ERR_INVALID, "[status] line %d: %s", values[i].line, sentence);
        }
    return OK;
}

enum err daemon_status_check(struct op *op, const struct conf *conf)
{
    return each_status(op, conf, status_check);
}

enum err daemon_status_apply(struct op *op, const struct conf *conf)
{
    status_configure_none();
    return each_status(op, conf, status_configure);
}

enum err daemon_check(struct op *op, const struct conf *conf)
{
    struct lists *lists;
    TRY(settings_check(op, conf));
    TRY(workshop_check(op, conf));
    TRY(declared_check(op, conf));
    TRY(daemon_status_check(op, conf));
    struct exec_list *execs;
    TRY(exec_list_read(op, conf, &execs));
    exec_list_free(execs);
    TRY(lists_read(op, conf, conf_bool(conf, "server", "dev"), &lists));
    lists_free(lists);
    return OK;
}

/* --- start ---------------------------------------------------------------- */

static enum err open_store(struct op *op, struct daemon *daemon)
{
    struct store_config config;
    settings_store(&daemon->op, daemon->conf, &config);
    daemon->database = settings_store_text(&daemon->op, &config);
    config.threads = true;
    return store_open(op, &config, &daemon->store);
}

static enum err start_pulse(struct op *op, struct daemon *daemon)
{
    int64_t beat_us = conf_ms(daemon->conf, "node", "beat") * 1000;
    struct pulse_config config = {
        .store = daemon->store,
        .id = conf_text(daemon->conf, "node", "id"),
        .timing = { beat_us, conf_ms(daemon->conf, "node", "lost") * 1000, 3 * beat_us },
    };
    return pulse_start(op, &config, &daemon->pulse);
}

static enum err load_tokens(struct op *op, struct tx *tx, void *arg)
{
    struct daemon *daemon = arg;
    return tokens_load(op, tx, daemon->api.config.tokens);
}

struct declaring {
    struct daemon *daemon;
    const struct conf *conf;
};

static enum err apply_declared(struct op *op, struct tx *tx, void *arg)
{
    struct declaring *declaring = arg;
    return declared_apply(op, tx, declaring->conf);
}

/* Tokens may be bound to tenants that the file has just made. */
static enum err learn_tenants(struct op *op, struct tx *tx, void *arg)
{
    struct declaring *declaring = arg;
    const struct str *names;
    size_t count = conf_names(declaring->conf, "tenant", &names);
    for (size_t i = 0; i < count; i++) {
        struct tenant tenant;
        TRY(store_tenant_get(op, tx, names[i], &tenant));
        tokens_learn_tenant(declaring->daemon->api.config.tokens, names[i], tenant.no);
    }
    return OK;
}

enum err daemon_declare(struct op *op, struct daemon *daemon, const struct conf *conf)
{
    struct declaring declaring = { daemon, conf };
    if (!declared_any(conf))
        return OK;
    TRY(settle(op, apply_declared, &declaring));
    return store_read(op, daemon->store, learn_tenants, &declaring);
}

static void start_relay(struct daemon *daemon, bool dev)
{
    daemon->relay_loop = loop_start("relay");
    struct http_client_config client = {
        .allow = daemon->lists->reachable,
        .allow_loopback = dev,
        .user_agent = "posthouse/" POSTHOUSE_VERSION,
    };
    daemon->client = http_client_open(daemon->relay_loop, &client);
    daemon->certs = cert_fetch_start(daemon->relay_loop, daemon->client);
    struct poller_config poller = {
        .store = daemon->store,
        .loop = daemon->relay_loop,
        .client = daemon->client,
        .nodes = pulse_board(daemon->pulse),
        .agents = daemon->lists->agents,
        .networks = daemon->lists->networks,
    };
    daemon->poller = poller_start(&poller);
    struct job_runner_config runner = {
        .store = daemon->store,
        .jobs = daemon->api.config.jobs,
        .loop = daemon->relay_loop,
        .nodes = pulse_board(daemon->pulse),
        .commands = daemon->execs->commands,
    };
    daemon->runner = job_runner_start(&runner);
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

/* Links answer at their base address, and without its path. */
static void find_links_base(struct daemon *daemon, const struct addr *listen, struct str *ret_prefix)
{
    struct str base = conf_text(daemon->conf, "links", "base_url");
    char text[ADDR_TEXT_BYTES_MAX];
    while (base.n && base.p[base.n - 1] == '/')
        base.n--;
    if (!base.n)
        base = arena_fmt(daemon->op.arena, "http://%.*s", STR(addr_text(listen, text)));
    daemon->api.config.links_base = base;
    size_t host = str_search(base, S("://")) + 3;
    size_t path = host < base.n ? host + str_find((struct str){ base.p + host, base.n - host }, '/') : base.n;
    *ret_prefix = (struct str){ base.p + path, base.n - path };
}

/* Whose clicks these are: on a database of its own there is one node, whatever its name. */
static struct str links_node(struct daemon *daemon)
{
    if (!str_given(conf_text(daemon->conf, "database", "url")))
        return S("local");
    struct node_life life = node_board_get(pulse_board(daemon->pulse));
    return arena_str(daemon->op.arena, str_of(life.id));
}

static enum err open_redirect(struct op *op, struct daemon *daemon)
{
    const struct conf *conf = daemon->conf;
    struct str page = conf_text(conf, "links", "not_found_page");
    struct redirect_config config = {
        .store = daemon->store,
        .loop = daemon->http_loop,
        .also = daemon->http_also,
        .also_count = daemon->http_also_count,
        .api = &daemon->api,
        .node = links_node(daemon),
        .spool_path = settings_click_spool(daemon->op.arena, conf),
        .spool_clicks = (size_t)conf_int(conf, "links", "spool_clicks"),
        .max_waiting = conf_int(conf, "links", "max_waiting"),
        .wait_ms = conf_ms(conf, "links", "max_wait"),
        .cache_bytes = (size_t)conf_bytes(conf, "links", "cache_bytes"),
    };
    if (str_given(page) && page.n)
        TRY(read_whole(&daemon->op, arena_str(op->arena, page).p, PAGE_BYTES_MAX, &config.not_found_page));
    return redirect_open(op, &config, &daemon->api.redirect);
}

static void start_http_loops(struct daemon *daemon)
{
    int64_t loops = conf_int(daemon->conf, "server", "loops");
    daemon->http_loop = loop_start("http");
    for (int i = 1; i < loops; i++) {
        char name[16];
        snprintf(name, sizeof name, "http-%d", i + 1);
        daemon->http_also[daemon->http_also_count++] = loop_start(name);
    }
}

static void stop_http_loops(struct daemon *daemon)
{
    while (daemon->http_also_count)
        loop_stop(daemon->http_also[--daemon->http_also_count]);
    if (daemon->http_loop)
        loop_stop(daemon->http_loop);
}

static enum err open_http(struct op *op, struct daemon *daemon, int listen_fd)
{
    start_http_loops(daemon);
    struct http_server_config config = {
        .connections_max = (int)conf_int(daemon->conf, "server", "connections"),
        .listen_fd = listen_fd,
        .also = daemon->http_also,
        .also_count = daemon->http_also_count,
        .data = &daemon->api,
        .admit = access_admit,
        .answered = api_answered,
    };
    TRY(settings_addr(op, daemon->conf, "http", &config.listen));
    TRY(check_door(op, daemon, &config.listen));
    find_links_base(daemon, &config.listen, &config.prefix);
    TRY(unsubscribe_keys_open(&daemon->op, daemon->store, daemon->conf, &daemon->api.config.unsubscribe));
    TRY(open_redirect(op, daemon));
    TRY(http_server_open(op, daemon->http_loop, &config, api_routes, api_route_count, &daemon->http));
    metrics_server(daemon->http);
    return OK;
}

static enum err start_ticker(struct op *op, struct daemon *daemon)
{
    bool has_disk = !str_given(conf_text(daemon->conf, "database", "url"));
    struct ticker_config config = {
        .store = daemon->store,
        .nodes = pulse_board(daemon->pulse),
        .directory = has_disk ? arena_str(daemon->op.arena, settings_data(daemon->conf)).p : NULL,
        .min_free_bytes = conf_bytes(daemon->conf, "server", "min_free_disk"),
    };
    return ticker_start(op, &config, &daemon->ticker);
}

static enum err make_builtin(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return schedules_builtin_make(op, tx);
}

void daemon_name_commands(struct daemon *daemon, const struct exec_list *list)
{
    jobs_commands(ticker_jobs(daemon->ticker), &list->names);
}

static enum err declare_commands(struct op *op, struct daemon *daemon)
{
    TRY(exec_list_read(op, daemon->conf, &daemon->execs));
    daemon_name_commands(daemon, daemon->execs);
    return OK;
}

static enum err start_all(struct op *op, struct daemon *daemon, const struct daemon_config *config)
{
    bool dev = conf_bool(daemon->conf, "server", "dev");
    TRY(daemon_status_apply(op, daemon->conf));
    TRY(lists_read(op, daemon->conf, dev, &daemon->lists));
    TRY(open_store(op, daemon));
    TRY(start_pulse(op, daemon));
    daemon->api.config = (struct api_config){
        .store = daemon->store,
        .tokens = tokens_new(),
        .database = daemon->database.p,
        .dev = dev,
        .job_bytes_max = (size_t)conf_bytes(daemon->conf, "worker", "max_job_bytes"),
        .agents = daemon->lists->agents,
        .networks = daemon->lists->networks,
        .reachable = daemon->lists->reachable,
        .nodes = pulse_board(daemon->pulse),
        .proxies = daemon->lists->proxies,
    };
    TRY(store_read(op, daemon->store, load_tokens, daemon));
    api_open(&daemon->api, op->now_us);
    TRY(start_ticker(op, daemon));
    TRY(declare_commands(op, daemon));
    daemon->api.config.jobs = ticker_jobs(daemon->ticker);
    TRY(settle(op, make_builtin, NULL));
    TRY(daemon_declare(op, daemon, daemon->conf));
    start_relay(daemon, dev);
    TRY(keeper_start(op, daemon->store, pulse_board(daemon->pulse), &daemon->keeper));
    TRY(token_watch_start(op, daemon->store, daemon->api.config.tokens, &daemon->token_watch));
    TRY(inbox_taker_start(op, daemon->store, daemon->ticker, &daemon->inbox_taker));
    TRY(open_http(op, daemon, config->listen_fd));
    return workshop_open(op, daemon->store, daemon->api.config.jobs, daemon->conf, &daemon->workshop);
}

enum err daemon_start(struct op *op, const struct daemon_config *config, struct daemon **ret_daemon)
{
    struct daemon *daemon = calloc(1, sizeof *daemon);
    if (!daemon)
        abort();
    op_init(&daemon->op, arena_new(DAEMON_MEMORY_MAX), op->now_us);
    daemon->conf = config->conf;
    daemon->hurry = config->hurry;
    enum err err = start_all(op, daemon, config);
    if (err != OK) {
        daemon_stop(daemon);
        return err;
    }
    *ret_daemon = daemon;
    return OK;
}

/* --- stop ----------------------------------------------------------------- */

static bool hurries(const struct daemon *daemon)
{
    return daemon->hurry && atomic_load(daemon->hurry);
}

/* How long those are waited for who finish what they do. */
static int64_t patience_ms(const struct daemon *daemon)
{
    return hurries(daemon) ? 0 : conf_ms(daemon->conf, "server", "stop");
}

static void stop_runner(struct daemon *daemon)
{
    int64_t end_ms = clock_mono_us() / 1000 + patience_ms(daemon);
    while (clock_mono_us() / 1000 < end_ms && !hurries(daemon) && !job_runner_wait(daemon->runner, HURRY_LOOK_MS))
        ;
    job_runner_stop(daemon->runner);
}

static void stop_relay(struct daemon *daemon)
{
    if (daemon->runner)
        stop_runner(daemon);
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
    if (daemon->runner)
        job_runner_quiet(daemon->runner);
    if (daemon->ticker)
        ticker_stop_leasing(daemon->ticker);
    if (daemon->workshop)
        workshop_stop(daemon->workshop, patience_ms(daemon), daemon->hurry);
    if (daemon->http)
        http_server_close(daemon->http, patience_ms(daemon));
    redirect_drain(daemon->api.redirect);
    stop_http_loops(daemon);
    stop_relay(daemon);
    token_watch_stop(daemon->token_watch);
    if (daemon->inbox_taker)
        inbox_taker_stop(daemon->inbox_taker);
    if (daemon->keeper)
        keeper_stop(daemon->keeper);
    if (daemon->ticker)
        ticker_stop(daemon->ticker);
    if (daemon->workshop)
        workshop_close(daemon->workshop);
    if (daemon->pulse)
        pulse_stop(daemon->pulse);
    if (daemon->store)
        store_close(daemon->store);
    if (daemon->ticker)
        ticker_free(daemon->ticker);
    redirect_close(daemon->api.redirect);
    api_close(&daemon->api);
    if (daemon->api.config.tokens)
        tokens_free(daemon->api.config.tokens);
    lists_free(daemon->lists);
    daemon_free_given_up(daemon);
    exec_list_free(daemon->execs);
    arena_free(daemon->op.arena);
    free(daemon);
}

struct addr daemon_http(const struct daemon *daemon)
{
    return http_server_addr(daemon->http);
}

struct addr daemon_worker(const struct daemon *daemon)
{
    return workshop_addr(daemon->workshop);
}

struct str daemon_database(const struct daemon *daemon)
{
    return daemon->database;
}
