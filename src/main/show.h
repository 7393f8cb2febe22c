/*
 * show.h - JSON answers as people read them: tables and lists of names and values.
 *
 * With --json the answer is printed as it came. Otherwise texts stand without
 * quotes, null is "-", lists of texts (or of objects with a "code") are joined by
 * commas and anything deeper stays JSON. Columns are as wide as their content; numbers stand right.
 */
#pragma once

#include "main/cli.h"

#define SHOW_COLUMNS_MAX 16

/* A column of a table; a list of them ends with one that has no title. */
struct show_column {
    const char *title;
    const char *member; /* of the item; "window.begin" looks inside an object */
};

/* "name  value", one member a line; members named in `skip` (ends with NULL, may be NULL) are left out. */
void show_object(struct cli *cli, struct str json, const char *const *skip);

/* A table of the objects in the array json.member; member NULL: json is the array. "none" when it is empty and not
 * NULL. */
void show_items(struct cli *cli, struct str json, const char *member, const struct show_column *columns,
                const char *none);

/* The answer as it came, with a line feed. */
void show_json(struct str json);

/* The value of a member as show_object prints it; "-" when absent. */
struct str show_value(struct cli *cli, struct str json, const char *member);
