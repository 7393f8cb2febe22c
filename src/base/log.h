/*
 * log.h - one line per event, for people and for machines.
 *
 *     log_info("source reads on", LOG_STR("source", name), LOG_INT("pages", pages));
 *     ts=2026-11-21T19:00:00.123Z level=info msg="source reads on" source=mg pages=12
 *
 * logfmt by default, JSON lines on request. A line is written by one write(2),
 * so lines of several threads never mix, and is at most LOG_LINE_BYTES_MAX
 * long: what does not fit is cut and the line says so (cut=true). Mail
 * addresses in any text are masked here (LED-27), so no caller can forget it;
 * secrets are never passed in (SRC-21).
 *
 * Thread: any. log_setup and log_capture belong to the start of the process or of a test.
 */
#pragma once

#include "base/op.h"

#define LOG_LINE_BYTES_MAX 4096

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_form { LOG_FORM_LOGFMT, LOG_FORM_JSON };

enum log_type {
    LOG_TYPE_NONE,
    LOG_TYPE_STR,
    LOG_TYPE_INT,
    LOG_TYPE_NUM,
    LOG_TYPE_BOOL,
    LOG_TYPE_HEX,
    LOG_TYPE_INSTANT
};

struct log_field {
    const char *key; /* letters, digits and _ */
    enum log_type type;
    struct str text;
    int64_t number;
    double real;
};

/* Fields; a text that is not given is left out. */
#define LOG_STR(k, s)      ((struct log_field){ .key = (k), .type = LOG_TYPE_STR, .text = (s) })
#define LOG_TEXT(k, c)     LOG_STR(k, str_of(c))
#define LOG_INT(k, i)      ((struct log_field){ .key = (k), .type = LOG_TYPE_INT, .number = (int64_t)(i) })
#define LOG_NUM(k, d)      ((struct log_field){ .key = (k), .type = LOG_TYPE_NUM, .real = (d) })
#define LOG_BOOL(k, b)     ((struct log_field){ .key = (k), .type = LOG_TYPE_BOOL, .number = (b) })
#define LOG_HEX(k, u)      ((struct log_field){ .key = (k), .type = LOG_TYPE_HEX, .number = (int64_t)(u) })
#define LOG_INSTANT(k, us) ((struct log_field){ .key = (k), .type = LOG_TYPE_INSTANT, .number = (us) })

/* Of an operation: its error sentence, and the trace id that ties its lines together. */
#define LOG_ERROR_OF(op) LOG_TEXT("error", (op)->error)
#define LOG_TRACE_OF(op) LOG_HEX("trace", (op)->trace)

/* log_warn("message") or log_warn("message", field, field ...) */
#define log_debug(...) LOG_AT(LOG_LEVEL_DEBUG, __VA_ARGS__, (struct log_field){ 0 })
#define log_info(...)  LOG_AT(LOG_LEVEL_INFO, __VA_ARGS__, (struct log_field){ 0 })
#define log_warn(...)  LOG_AT(LOG_LEVEL_WARN, __VA_ARGS__, (struct log_field){ 0 })
#define log_error(...) LOG_AT(LOG_LEVEL_ERROR, __VA_ARGS__, (struct log_field){ 0 })

#define LOG_AT(level, message, ...)                                                                                    \
    do {                                                                                                               \
        if (log_on(level))                                                                                             \
            log_write((level), (message), (const struct log_field[]){ __VA_ARGS__ });                                  \
    } while (0)

/* Lines below `least` are dropped. Before the first call: info and above, logfmt. */
void log_setup(enum log_level least, enum log_form form);

/* True when a line of this level would be written. */
bool log_on(enum log_level level);

/* Writes one line; fields end with one that has no key. */
void log_write(enum log_level level, const char *message, const struct log_field *fields);

/* "debug", "info", "warn", "error"; false for another word. */
bool log_level_parse(struct str name, enum log_level *ret_level);

/* From now on lines (without their line feed) go to `see` instead of stderr; NULL ends it. For tests. */
void log_capture(void (*see)(void *context, struct str line), void *context);
