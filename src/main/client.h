/*
 * client.h - what a command asks a daemon. One that only prints the answer needs ask.h alone.
 *
 *     struct str json;
 *     int code = client_call(cli, "GET", client_path(cli, "/v1/jobs/%s", jid), (struct str){ 0 }, &json);
 *     if (code == CLI_DONE)
 *         show_object(cli, json, NULL);
 *     return code;
 *
 * Where: --url, else POSTHOUSE_URL, else http://127.0.0.1:7420. With what:
 * --token, else POSTHOUSE_TOKEN. Whatever goes wrong is printed here, in a
 * sentence that says what to do.
 */
#pragma once

#include "main/cli.h"
#include "net/addr.h"
#include "net/http_easy.h"

#define CLIENT_URL "http://127.0.0.1:7420"

/* A path whose %s are encoded path segments; NULL-terminated, in the op's arena. */
const char *client_path(struct cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* path with "?name=value" or "&name=value" behind it; path itself when value is NULL. */
const char *client_query(struct cli *cli, const char *path, const char *name, const char *value);

/* One request with a JSON body (not given: none). CLI_DONE with the answer's body for any 2xx; else CLI_REFUSED or
 * CLI_UNREACHABLE, after saying why. */
int client_call(struct cli *cli, const char *method, const char *path, struct str body, struct str *ret_json);

/* The same for any request. */
int client_send(struct cli *cli, const struct http_easy_request *request, struct str *ret_json);

/* For requests of another kind: --url with the token, the caller's to close. ERR_INVALID when the URL is none. */
enum err client_open(struct cli *cli, struct http_easy **ret_easy);

/* The address in --url, with another port (0: its own). ERR_INVALID for a name that would have to be looked up, and for
 * https: only for what speaks plain bytes. */
enum err client_addr(struct cli *cli, int port, struct addr *ret);

/* What a daemon says of itself. */
struct client_about {
    const char *engine;
    int64_t rss_bytes;
};
int client_about(struct cli *cli, struct client_about *ret);

/* Every page of a list, one after the other, until `see` returns something else than CLI_DONE. */
int client_pages(struct cli *cli, const char *path, int (*see)(struct cli *cli, struct str json, void *data),
                 void *data);
