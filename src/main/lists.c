#include "main/lists.h"

#include <stdlib.h>
#include <string.h>

#include "main/body.h"

#define NETWORKS_BYTES_MAX (8u << 20)

static enum err read_agents(struct op *op, const struct conf *conf, struct agent_list **ret)
{
    struct str path = conf_text(conf, "classify", "scanners"), text = { 0 };
    if (str_given(path))
        TRY(read_whole(op, arena_str(op->arena, path).p, AGENT_LIST_BYTES_MAX, &text));
    return agent_list_new(op, text, ret);
}

static enum err read_networks(struct op *op, const struct conf *conf, struct cidr_list **ret)
{
    struct str path = conf_text(conf, "classify", "networks"), text = S("");
    if (str_given(path))
        TRY(read_whole(op, arena_str(op->arena, path).p, NETWORKS_BYTES_MAX, &text));
    return cidr_list_new(op, text, ret);
}

/* Private networks that sources may point into; with --dev all of them. */
static enum err read_reachable(struct op *op, const struct conf *conf, bool dev, struct cidr_list **ret)
{
    if (cidr_list_new(op, dev ? S("0.0.0.0/0, ::/0") : conf_text(conf, "sources", "allow"), ret) == OK)
        return OK;
    char sentence[OP_ERROR_BYTES_MAX];
    memcpy(sentence, op->error, sizeof sentence);
    return fail(op, ERR_INVALID, "[sources] allow: %s", sentence);
}

/* Proxies whose word about a client's address is believed. */
static enum err read_proxies(struct op *op, const struct conf *conf, struct cidr_list **ret)
{
    if (cidr_list_new(op, conf_text(conf, "server", "trusted_proxies"), ret) == OK)
        return OK;
    char sentence[OP_ERROR_BYTES_MAX];
    memcpy(sentence, op->error, sizeof sentence);
    return fail(op, ERR_INVALID, "[server] trusted_proxies: %s", sentence);
}

enum err lists_read(struct op *op, const struct conf *conf, bool dev, struct lists **ret)
{
    struct lists *lists = calloc(1, sizeof *lists);
    if (!lists)
        abort();
    enum err err = read_agents(op, conf, &lists->agents);
    if (err == OK)
        err = read_networks(op, conf, &lists->networks);
    if (err == OK)
        err = read_reachable(op, conf, dev, &lists->reachable);
    if (err == OK)
        err = read_proxies(op, conf, &lists->proxies);
    if (err == OK)
        *ret = lists;
    else
        lists_free(lists);
    return err;
}

void lists_replace(struct lists **current, struct lists *next, int64_t mono_us)
{
    next->former = *current;
    if (*current)
        (*current)->replaced_at_us = mono_us;
    *current = next;
    for (struct lists *lists = next; lists; lists = lists->former)
        if (lists->former && mono_us - lists->former->replaced_at_us > LISTS_KEEP_US) {
            lists_free(lists->former);
            lists->former = NULL;
        }
}

void lists_free(struct lists *lists)
{
    while (lists) {
        struct lists *former = lists->former;
        if (lists->agents)
            agent_list_free(lists->agents);
        if (lists->networks)
            cidr_list_free(lists->networks);
        if (lists->reachable)
            cidr_list_free(lists->reachable);
        if (lists->proxies)
            cidr_list_free(lists->proxies);
        free(lists);
        lists = former;
    }
}
