/*
 * lists.h - what the configuration lists: scanners, networks of machines, of sources, of proxies.
 *
 * A list never changes once made. A reload makes new ones and shows them to
 * whoever reads them; the old ones are kept for a while, because somebody may
 * have begun to read just before.
 *
 * Thread: the main one.
 */
#pragma once

#include "base/cidr.h"
#include "base/conf.h"
#include "engine/agent.h"

#define LISTS_KEEP_US INT64_C(120000000) /* nobody reads a list for so long */

struct lists {
    struct agent_list *agents;
    struct cidr_list *networks, *reachable, *proxies;
    struct lists *former;   /* replaced by these */
    int64_t replaced_at_us; /* monotonic */
};

/* Reads [classify], [sources] allow and [server] trusted_proxies, and the files they name. dev: sources may point
 * anywhere. The caller frees them. ERR_INVALID, ERR_NOT_FOUND, ERR_IO, ERR_TOO_LARGE with a sentence that names the
 * section. */
enum err lists_read(struct op *op, const struct conf *conf, bool dev, struct lists **ret);

/* Hands over to the next ones; frees what was replaced long ago. mono_us: clock_mono_us. */
void lists_replace(struct lists **current, struct lists *next, int64_t mono_us);

/* Frees them and all former ones; NULL is nothing. */
void lists_free(struct lists *lists);
