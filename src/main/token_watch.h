/*
 * token_watch.h - tokens made and revoked at other nodes take effect at this one.
 *
 * A token's own node takes it over when it is durable (serve/access.h). Nothing
 * rings between processes, so each looks once a second whether the table is
 * still the one it knows, and reads it again when not. On a store that nobody
 * shares there is nothing to look for, and nothing runs.
 */
#pragma once

#include "serve/access.h"

#define TOKEN_LOOK_MS 1000

struct token_watch;

/* Starts the thread; store and tokens outlive it. *ret_watch is NULL where nobody shares the store. ERR_UNAVAILABLE
 * when the system has no thread to give. */
enum err token_watch_start(struct op *op, struct store *store, struct tokens *tokens, struct token_watch **ret_watch);

/* NULL is nothing to stop. */
void token_watch_stop(struct token_watch *watch);
