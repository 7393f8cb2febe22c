/*
 * daemon_reload.c - the configuration was read again: what may change while the daemon runs is taken over.
 */
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/zone.h"
#include "engine/job_handler.h"
#include "engine/schedule.h"
#include "engine/source_signal.h"
#include "main/daemon_parts.h"
#include "main/declared.h"
#include "main/settings.h"
#include "main/settle.h"

static bool same_value(const struct conf_value *a, const struct conf_value *b)
{
    if (!a || !b)
        return a == b;
    return str_eq(a->text, b->text) && a->number == b->number;
}

/* Says which changed values wait for the next start. */
static void tell_unchanged(const struct conf *before, const struct conf *now)
{
    static const char *const fixed[] = { "server", "database", "node", "worker", "links", NULL };
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

/* In the writer, the only thread that asks the table. */
static enum err apply_status(struct op *op, struct tx *tx, void *arg)
{
    const struct conf *const *conf = arg;
    (void)tx;
    return daemon_status_apply(op, *conf);
}

/* Zones were read again. */
static enum err find_times_again(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return schedules_rezone(op, tx);
}

/* Everything of the file that rows take over. */
static enum err apply_rows(struct op *op, struct daemon *daemon, const struct conf *conf)
{
    enum err err = daemon_declare(op, daemon, conf);
    zone_reload();
    if (err == OK)
        err = settle(op, find_times_again, NULL);
    return err == OK ? settle(op, apply_status, &conf) : err;
}

/* The writer may look at a list while others are named: one that is given up waits until the writer has done something
 * else since. */
static void give_up(struct daemon *daemon, struct exec_list *list)
{
    list->next = daemon->given_up;
    daemon->given_up = list;
}

void daemon_free_given_up(struct daemon *daemon)
{
    for (struct exec_list *list = daemon->given_up, *next; list; list = next) {
        next = list->next;
        exec_list_free(list);
    }
    daemon->given_up = NULL;
}

/* Names first, since queues of the file may have commands that are new. */
static enum err apply_all(struct op *op, struct daemon *daemon, const struct conf *conf)
{
    struct exec_list *list;
    TRY(exec_list_read(op, conf, &list));
    daemon_name_commands(daemon, list);
    enum err err = apply_rows(op, daemon, conf);
    if (err != OK) {
        daemon_name_commands(daemon, daemon->execs);
        give_up(daemon, list);
        return err;
    }
    job_runner_commands(daemon->runner, &list->commands);
    give_up(daemon, daemon->execs);
    daemon->execs = list;
    daemon_free_given_up(daemon); /* apply_rows had the writer do something */
    return OK;
}

static void show_lists(struct daemon *daemon, struct lists *lists)
{
    atomic_store(&daemon->api.config.agents, lists->agents);
    atomic_store(&daemon->api.config.networks, lists->networks);
    atomic_store(&daemon->api.config.reachable, lists->reachable);
    atomic_store(&daemon->api.config.proxies, lists->proxies);
    http_client_allow(daemon->client, lists->reachable);
    poller_lists(daemon->poller, lists->agents, lists->networks);
    lists_replace(&daemon->lists, lists, clock_mono_us());
}

enum err daemon_reload(struct op *op, struct daemon *daemon, const struct conf *conf)
{
    struct lists *lists;
    TRY(settings_check(op, conf));
    TRY(declared_check(op, conf));
    TRY(daemon_status_check(op, conf));
    TRY(lists_read(op, conf, daemon->api.config.dev, &lists));
    enum err err = apply_all(op, daemon, conf);
    if (err != OK) {
        lists_free(lists);
        return err;
    }
    show_lists(daemon, lists);
    source_signal();
    tell_unchanged(daemon->conf, conf);
    daemon->conf = conf;
    return OK;
}
