/*
 * source_config.h - what PUT /v1/sources/{id} may hold, and how it is kept.
 *
 * The row keeps what was written (store_source.h); this file reads requests
 * into rows, and rows into the numbers that lanes and webhooks work with.
 */
#pragma once

#include "base/json_fields.h"
#include "base/json_write.h"
#include "engine/lanes.h"

#define SOURCE_TAGS_MAX       50
#define SOURCE_TOPICS_MAX     50
#define SOURCE_TEXT_BYTES_MAX 2048 /* of a URL or a key; PEM certificates may be longer */
#define SOURCE_KEY_BYTES_MAX  16384
#define SOURCE_BASE_US        "https://api.mailgun.net"

/* Reads and checks the body of a PUT into ret_row (texts in the op's arena; no, tenant_no and instants not touched)
 * and ret_tenant (not given: none). ERR_MALFORMED, or ERR_INVALID with all problems. */
enum err source_config_parse(struct op *op, struct str id, struct str body, struct json_problems *problems,
                             struct source_row *ret_row, struct str *ret_tenant);

/* The members of the row as GET shows them, secrets as "set" (SRC-21), into an object that is open. */
void source_config_write(struct json_writer *w, const struct source_row *row, struct str tenant);

/* The time constants of a row, defaults where it says nothing. */
void source_config_timing(struct op *op, const struct source_row *row, struct timing *ret);

/* Age at which a webhook is refused (SRC-28): the row's hook_tolerance, 0 = not set. */
int64_t source_config_tolerance_us(const struct source_row *row);

/* The texts of tags or topics; in the op's arena. */
enum err source_config_texts(struct op *op, struct str json, struct str **ret, size_t *ret_count);

/* True for types that Posthouse reads by polling with lanes. */
bool source_config_is_polled(const struct source_row *row);

/* PUT /v1/sources/{id} in the writer's transaction: makes or changes the source, keeping secrets that were not given.
 * ERR_INVALID at "/tenant" when there is no such tenant, ERR_CONFLICT when the type changes. */
enum err source_put(struct op *op, struct tx *tx, struct source_row *row, struct str tenant, bool *ret_created);

/* The same for a source that a file declares: when the store says so already nothing changes, and nobody reads it anew
 * because one of several nodes started. */
enum err source_declare(struct op *op, struct tx *tx, struct source_row *row, struct str tenant);
