/*
 * ask.h - what most client commands are: one request, and its answer printed.
 *
 *     return ask_named(cli, "GET", "/v1/links/%s", (struct str){ 0 });
 *
 * With --json an answer is printed as it came, else as show.h does; one without
 * a body prints nothing. Each returns the command's exit code.
 */
#pragma once

#include "main/client.h"
#include "main/show.h"

/* Names and values; members named in `skip` (as for show_object) are left out. */
int ask_object(struct cli *cli, const char *method, const char *path, struct str body, const char *const *skip);

/* The same for what the first operand names: it stands for the %s of the path. */
int ask_named(struct cli *cli, const char *method, const char *path, struct str body);

/* The items of a list as a table, or what `none` says. */
int ask_items(struct cli *cli, const char *path, const struct show_column *columns, const char *none);

/* The path with those of the options (ends with NULL) that were given as its query. */
const char *ask_filter(struct cli *cli, const char *path, const char *const *options);
