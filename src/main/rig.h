/*
 * rig.h - a daemon and a stand-in provider side by side, for demo and bench.
 *
 *     simulated provider <--- polls --- daemon <--- HTTP --- this program
 *
 * All three are real: the daemon is what `serve` runs, the provider is what
 * `simulate mailgun` runs, and everything goes through their doors. Only the
 * process is one, so that its memory is one figure.
 *
 * Thread: one, not a loop's.
 */
#pragma once

#include "main/daemon.h"
#include "net/http_easy.h"
#include "serve/simulate_mailgun.h"

#define RIG_MAILING "demo"
#define RIG_TENANT  "demo"
#define RIG_SOURCE  "sim"

struct rig_config {
    const char *directory; /* of the store; NULL: a temporary one, removed by rig_stop */
    const char *database;  /* a PostgreSQL database without Posthouse in it; NULL: SQLite */
    bool filled;           /* the database holds a Posthouse, and it is the one meant */
    bool keep;             /* leaves in the database what the rig made */
    struct sim_config model;
    const char *every, *margin, *recheck_1, *recheck_2; /* timing of the source, as the API takes it */
};

struct rig {
    struct op *op;
    struct rig_config config;
    char directory[256];
    bool temporary;
    bool erase; /* the schema in config.database, which is ours */
    struct stand_in *stand_in;
    struct daemon *daemon;
    struct http_easy *api, *provider;
    char provider_url[64], api_url[96]; /* the clients borrow them */
};

/* For benches: a mailing to so many whose events are all there to be read at once, by a source without margin. The
 * database as in the config. */
struct rig_config rig_at_once(const char *database, int64_t recipients);

/* Starts provider and daemon, makes tenant and mailing. Nothing is left running after an error. */
enum err rig_start(struct op *op, const struct rig_config *config, struct rig *ret_rig);

/* Imports every recipient of the model through the API; calls progress (may be NULL) with lines done. */
enum err rig_import(struct rig *rig, void (*progress)(void *data, int64_t done), void *data);

/* Begins to read the provider. */
enum err rig_read(struct rig *rig);

/* A request to the daemon, or to the provider, whose answer must be 2xx; ret_json may be NULL. */
enum err rig_call(struct rig *rig, const char *method, const char *path, struct str body, struct str *ret_json);
enum err rig_provider_call(struct rig *rig, const char *method, const char *path, struct str body);

/* The same of a daemon that is not the rig's. */
enum err rig_ask(struct op *op, struct http_easy *api, const char *method, const char *path, struct str body,
                 struct str *ret_json);

/* The whole number at "name" of a flat JSON object; 0 when it is not there. */
int64_t rig_number(struct op *op, struct str json, const char *name);

/* Stops the daemon, not yet the provider: the store may then be opened by others. */
void rig_stop_daemon(struct rig *rig);

/* Stops what runs and removes a temporary directory. */
void rig_stop(struct rig *rig);

/* A new directory under TMPDIR, else /tmp, named after the stem; its path in ret_directory. ERR_IO when it cannot be
 * made. rig_remove takes it away with all it holds. */
enum err rig_directory(struct op *op, const char *stem, char *ret_directory, size_t room);
void rig_remove(const char *directory);

/* ERR_CONFLICT when Posthouse keeps something in this database already. */
enum err rig_database_is_free(struct op *op, const char *url);

/* The most memory this process ever held, bytes. */
int64_t rig_peak_bytes(void);
