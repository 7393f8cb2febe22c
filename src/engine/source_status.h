/*
 * source_status.h - how a source stands, as GET /v1/sources/{id} tells it.
 *
 * Everything is read from rows in one snapshot, so any node can answer and
 * what is shown is what is committed.
 */
#pragma once

#include "base/json_write.h"
#include "engine/source_config.h"
#include "engine/warnings.h"

/* Writes the whole document of one source: configuration (secrets as "set"), lanes, coverage, warnings, malformed
 * items. */
enum err source_status_write(struct op *op, struct tx *tx, const struct source_row *row, struct json_writer *w);

/* The warnings of a source in force now; details in the op's arena. */
enum err source_warnings(struct op *op, struct tx *tx, const struct source_row *row, struct warning ret[WARN_COUNT],
                         size_t *ret_count);

/* Whether source_warnings_keep would change a row: spares the writer the look. */
enum err source_warnings_look(struct op *op, struct tx *tx, uint32_t source_no, bool *ret_differ);

/* Writer: keeps the begin of warnings that are read off the rows, and forgets those that went. Once a minute. */
enum err source_warnings_keep(struct op *op, struct tx *tx, uint32_t source_no);
