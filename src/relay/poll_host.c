#include "relay/poll_host.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Scheme, host and port: what stands before the first slash behind "//". */
static struct str origin_of(struct str url)
{
    size_t scheme = str_search(url, S("://"));
    size_t from = scheme < url.n ? scheme + 3 : 0;
    struct str rest = { url.p + from, url.n - from };
    return (struct str){ url.p, from + str_find(rest, '/') };
}

struct poll_host *poll_host_get(struct poll_host **hosts, struct str base_url)
{
    struct str origin = origin_of(base_url);
    for (struct poll_host *host = *hosts; host; host = host->next)
        if (str_eq_nocase(str_of(host->origin), origin))
            return host;
    struct poll_host *host = calloc(1, sizeof *host);
    if (!host || !(host->origin = strndup(origin.p, origin.n)))
        abort();
    host->next = *hosts;
    *hosts = host;
    return host;
}

void poll_hosts_free(struct poll_host **hosts)
{
    while (*hosts) {
        struct poll_host *host = *hosts;
        *hosts = host->next;
        free(host->origin);
        free(host);
    }
}

void poll_host_queue(struct poll_host *host, struct poll_turn *turn)
{
    if (turn->is_in_line)
        return;
    turn->is_in_line = true;
    turn->next = NULL;
    if (host->last)
        host->last->next = turn;
    else
        host->first = turn;
    host->last = turn;
}

void poll_host_leave(struct poll_host *host, struct poll_turn *turn)
{
    if (!turn->is_in_line)
        return;
    struct poll_turn **link = &host->first, *before = NULL;
    while (*link != turn) {
        before = *link;
        link = &(*link)->next;
        assert(*link);
    }
    *link = turn->next;
    if (host->last == turn)
        host->last = before;
    turn->is_in_line = false;
}

struct poll_turn *poll_host_take(struct poll_host *host, int max)
{
    struct poll_turn *turn = host->first;
    if (!turn || host->under_way >= max)
        return NULL;
    host->first = turn->next;
    if (!host->first)
        host->last = NULL;
    turn->is_in_line = false;
    host->under_way++;
    return turn;
}
