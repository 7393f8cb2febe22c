/*
 * cmd_serve.c - the daemon in the foreground, until a signal ends it.
 *
 * The main thread starts everything and then only waits for signals:
 * TERM and INT stop, HUP reads the configuration again.
 */
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/thread.h"
#include "main/cli.h"
#include "main/daemon.h"
#include "main/notify.h"
#include "main/settings.h"

#define CONF_MEMORY_MAX (64u << 20) /* of one configuration with everything it names */
#define SECOND_LOOK_NS  20000000    /* how often who listens for a second signal sees that the stop is over */

static struct settings_flags flags_of(const struct cli *cli)
{
    return (struct settings_flags){
        .config = cli_option(cli, "config"),
        .data = cli_option(cli, "data"),
        .database = cli_option(cli, "database"),
        .http = cli_option(cli, "http"),
        .worker = cli_option(cli, "worker"),
        .dev = cli_has(cli, "dev"),
        .migrate = cli_has(cli, "migrate"),
    };
}

static void set_up_log(const struct conf *conf)
{
    enum log_level level = LOG_LEVEL_INFO;
    log_level_parse(conf_text(conf, "log", "level"), &level);
    log_setup(level, str_eq(conf_text(conf, "log", "format"), S("json")) ? LOG_FORM_JSON : LOG_FORM_LOGFMT);
}

/* Few allocator arenas, because idle memory is counted and hot paths use arenas of their own; as many descriptors as
 * the system grants, because connections are counted too. */
static void tune_process(void)
{
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_TRIM_THRESHOLD, 1 << 20);
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

static void wanted_signals(sigset_t *ret)
{
    sigemptyset(ret);
    sigaddset(ret, SIGTERM);
    sigaddset(ret, SIGINT);
    sigaddset(ret, SIGHUP);
}

static void say_ready(const struct daemon *daemon)
{
    char http_text[ADDR_TEXT_BYTES_MAX], worker_text[ADDR_TEXT_BYTES_MAX];
    struct addr http = daemon_http(daemon), worker = daemon_worker(daemon);
    printf("posthouse ready http=%.*s worker=%.*s database=%.*s\n", STR(addr_text(&http, http_text)),
           STR(addr_text(&worker, worker_text)), STR(daemon_database(daemon)));
    fflush(stdout);
    notify_send("READY=1");
}

/* The configuration in force and its memory. */
struct held {
    struct settings_flags flags;
    struct arena *arena; /* of the newest configuration; NULL: the command's own */
};

/* A configuration that cannot be read or has a mistake changes nothing. The one before is forgotten when its successor
 * is in force. */
static void reload(struct daemon *daemon, struct held *held)
{
    char state[64];
    snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld", (long long)clock_mono_us());
    notify_send(state);
    struct op op;
    struct conf *conf;
    op_init(&op, arena_new(CONF_MEMORY_MAX), clock_wall_us());
    enum err err = settings_read(&op, &held->flags, &conf, NULL);
    if (err == OK)
        err = daemon_reload(&op, daemon, conf);
    struct arena *unused = err == OK ? held->arena : op.arena;
    if (err == OK) {
        held->arena = op.arena;
        set_up_log(conf);
        log_info("configuration read again");
    } else {
        log_error("configuration not taken over", LOG_ERROR_OF(&op));
    }
    if (unused)
        arena_free(unused);
    notify_send("READY=1");
}

/* While a stop that a signal began waits for those who finish what they do, this listens for a second one (STOP-1). */
struct second {
    struct thread thread;
    bool listens;
    atomic_bool hurry, over;
};

static void await_second(void *context)
{
    static const struct timespec look = { .tv_nsec = SECOND_LOOK_NS };
    struct second *second = context;
    sigset_t signals;
    int signal = -1;
    wanted_signals(&signals);
    sigdelset(&signals, SIGHUP);
    while (signal < 0 && !atomic_load(&second->over))
        signal = sigtimedwait(&signals, NULL, &look);
    if (signal < 0)
        return;
    log_info("stopping at once", LOG_TEXT("signal", signal == SIGTERM ? "TERM" : "INT"));
    atomic_store(&second->hurry, true);
}

static void second_start(struct second *second)
{
    struct op op = { 0 };
    second->listens = thread_start(&op, &second->thread, "second", await_second, second) == OK;
    if (!second->listens)
        log_warn("a second signal will not be heard", LOG_ERROR_OF(&op));
}

static void second_stop(struct second *second)
{
    if (!second->listens)
        return;
    atomic_store(&second->over, true);
    thread_join(&second->thread);
}

static void run_until_stopped(struct daemon *daemon, struct held *held)
{
    sigset_t signals;
    wanted_signals(&signals);
    for (;;) {
        int signal = 0;
        if (sigwait(&signals, &signal) != 0)
            continue;
        if (signal != SIGHUP) {
            log_info("stopping", LOG_TEXT("signal", signal == SIGTERM ? "TERM" : "INT"));
            notify_send("STOPPING=1");
            return;
        }
        reload(daemon, held);
    }
}

static int serve_run(struct cli *cli)
{
    sigset_t signals;
    wanted_signals(&signals);
    sigprocmask(SIG_BLOCK, &signals, NULL); /* before any thread: only the main thread takes them */
    tune_process();

    struct held held = { .flags = flags_of(cli) };
    struct second second = { 0 };
    struct daemon_config config = { .listen_fd = notify_listen_fd(), .hurry = &second.hurry };
    struct conf *conf;
    if (settings_read(&cli->op, &held.flags, &conf, NULL) != OK || daemon_check(&cli->op, conf) != OK)
        return cli_fail(cli, CLI_USAGE, "%s", cli->op.error);
    set_up_log(conf);
    config.conf = conf;

    struct daemon *daemon;
    if (daemon_start(&cli->op, &config, &daemon) != OK)
        return cli_fail_op(cli);
    say_ready(daemon);
    run_until_stopped(daemon, &held);
    second_start(&second);
    daemon_stop(daemon);
    second_stop(&second);
    if (held.arena)
        arena_free(held.arena);
    log_info("stopped");
    return CLI_DONE;
}

static const struct cli_option serve_options[] = {
    { "config", "FILE", "the configuration (POSTHOUSE_CONFIG, default /etc/posthouse/posthouse.conf if it exists)" },
    { "data", "DIR", "where the database lies (POSTHOUSE_DATA, default ./posthouse-data)" },
    { "database", "URL", "a PostgreSQL database instead (POSTHOUSE_DATABASE)" },
    { "migrate", NULL, "carry the schema over though nodes of an older posthouse run on this database" },
    { "http", "ADDR", "where the API listens (POSTHOUSE_HTTP, default 127.0.0.1:7420)" },
    { "worker", "ADDR", "where workers connect (POSTHOUSE_WORKER, default 127.0.0.1:7419)" },
    { "dev", NULL, "for trying out: no token needed from this machine (POSTHOUSE_DEV)" },
    { 0 },
};

extern const struct command cmd_serve;
const struct command cmd_serve = {
    .noun = "serve",
    .operands = "",
    .summary = "runs the daemon in the foreground",
    .text =
        "When it answers it prints one line, \"posthouse ready http=... worker=... database=...\".\n"
        "TERM and INT stop it: requests under way may finish, everything answered is on disk. A second one does not\n"
        "wait for them.\n"
        "HUP reads the configuration again. The log goes to stderr.\n",
    .options = serve_options,
    .run = serve_run,
};
