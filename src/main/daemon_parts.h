/*
 * daemon_parts.h - the inside of a daemon, shared by daemon.c and daemon_reload.c only.
 */
#pragma once

#include "main/daemon.h"
#include "main/exec_list.h"
#include "main/inbox_taker.h"
#include "main/keeper.h"
#include "main/lists.h"
#include "main/pulse.h"
#include "main/ticker.h"
#include "main/token_watch.h"
#include "main/workshop.h"
#include "net/http_server.h"
#include "relay/cert_fetch.h"
#include "relay/job_runner.h"
#include "relay/poller.h"
#include "serve/api.h"

struct daemon {
    struct op op; /* its arena: what lives as long as the daemon */
    const struct conf *conf;
    const atomic_bool *hurry;
    struct str database;
    struct lists *lists;
    struct store *store;
    struct loop *http_loop, *relay_loop;
    struct loop *http_also[HTTP_LOOPS_MAX - 1]; /* answer links, too */
    int http_also_count;
    struct http_client *client;
    struct cert_fetch *certs;
    struct poller *poller;
    struct job_runner *runner;
    struct exec_list *execs, *given_up;
    struct pulse *pulse;
    struct keeper *keeper;
    struct ticker *ticker;
    struct inbox_taker *inbox_taker;
    struct token_watch *token_watch;
    struct workshop *workshop;
    struct http_server *http;
    struct api api;
};

/* --- daemon.c --- */

/* Is what [status] says possible; ERR_INVALID names the line. Changes nothing. */
enum err daemon_status_check(struct op *op, const struct conf *conf);

/* Takes it over, as the whole of what differs from the table. In the writer, or before it runs. */
enum err daemon_status_apply(struct op *op, const struct conf *conf);

/* What the file declares becomes rows, and its tenants are known to the tokens that are bound to them. */
enum err daemon_declare(struct op *op, struct daemon *daemon, const struct conf *conf);

/* Jobs may be these commands from now on. */
void daemon_name_commands(struct daemon *daemon, const struct exec_list *list);

/* --- daemon_reload.c --- */

/* Lists of commands that the writer looks at no more. */
void daemon_free_given_up(struct daemon *daemon);
