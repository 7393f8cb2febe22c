/*
 * settings.h - what can be configured, and where the words come from.
 *
 * default < file < environment < flag. The file is --config, else
 * POSTHOUSE_CONFIG, else /etc/posthouse/posthouse.conf when there is one. A
 * flag --http of `serve` is [server] http of the file, POSTHOUSE_SERVER_HTTP
 * or, shorter, POSTHOUSE_HTTP of the environment.
 */
#pragma once

#include "base/conf.h"
#include "net/addr.h"
#include "store/tx.h"

#define SETTINGS_FILE "/etc/posthouse/posthouse.conf"

/* Every section and key. */
extern const struct conf_section settings_schema[];

/* Values of the flags of `serve`; NULL: not given. */
struct settings_flags {
    const char *config;
    const char *data;
    const char *database;
    const char *http;
    const char *worker;
    bool dev;
    bool migrate;
};

/* The configuration in force; its memory is the op's arena. *ret_file (may be NULL) is the file that was read, NULL
 * without one. ERR_NOT_FOUND, ERR_IO, ERR_INVALID with file, line and a suggestion. */
enum err settings_read(struct op *op, const struct settings_flags *flags, struct conf **ret_conf,
                       const char **ret_file);

/* What types cannot tell: addresses parse, the engine is one we have. ERR_INVALID with a sentence. */
enum err settings_check(struct op *op, const struct conf *conf);

/* The address of a door. */
enum err settings_addr(struct op *op, const struct conf *conf, const char *key, struct addr *ret);

/* The directory of the store. */
struct str settings_data(const struct conf *conf);

/* Where clicks wait that are durable and not yet in the store; in the arena. */
const char *settings_click_spool(struct arena *arena, const struct conf *conf);

/* How to open the store: its texts live in the op's arena; threads, read_only and faults are the caller's. */
void settings_store(struct op *op, const struct conf *conf, struct store_config *ret);

/* "sqlite:DIR" or "postgres://host/name", as it may be shown. */
struct str settings_store_text(struct op *op, const struct store_config *config);
