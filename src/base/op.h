/*
 * op.h - one operation: its memory, its time, its error.
 *
 * An operation is one request, one command, one page of events or one step of
 * a job. Calls that can fail take `struct op *` first and return `enum err`;
 * `fail` writes the sentence an operator or API client will read, TRY hands
 * the error up. Engine and store return errors; the edge that answers the
 * client logs once.
 */
#pragma once

#include "base/arena.h"

enum err {
    OK = 0,
    ERR_MALFORMED,    /* the bytes do not parse: HTTP 400 */
    ERR_UNAUTHORIZED, /* no or wrong credentials: 401 */
    ERR_FORBIDDEN,    /* credentials without the scope: 403 */
    ERR_NOT_FOUND,    /* 404 */
    ERR_CONFLICT,     /* 409 */
    ERR_TOO_LARGE,    /* over a named maximum: 413 */
    ERR_INVALID,      /* parses, but a value is not allowed: 422 */
    ERR_BUSY,         /* a queue is full, come again: 429 */
    ERR_UNAVAILABLE,  /* store cannot write, shutting down: 503 */
    ERR_IO,           /* a file, socket or library failed: 500 unless the caller knows better */
    ERR_BUG           /* broken promise of our own code: 500 */
};

#define OP_ERROR_BYTES_MAX   512
#define OP_POINTER_BYTES_MAX 128

struct op {
    struct arena *arena;
    int64_t now_us;                     /* instant UTC; engine code reads no other clock */
    char error[OP_ERROR_BYTES_MAX];     /* sentence of the newest failure, NUL-terminated */
    char pointer[OP_POINTER_BYTES_MAX]; /* JSON pointer of the value at fault ("/sent_at"), or "" */
    int64_t retry_after_s;              /* with ERR_BUSY and ERR_UNAVAILABLE; 0 = edge chooses */
    uint64_t trace;                     /* shown in logs of everything this op did */
};

/* An op over the arena; now_us is the caller's clock. */
void op_init(struct op *op, struct arena *arena, int64_t now_us);

static inline int64_t op_now_ms(const struct op *op)
{
    return op->now_us / 1000;
}

/* Writes the sentence and returns err, so that "return fail(op, ERR_X, ...)" reads as one step. */
enum err fail(struct op *op, enum err err, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Same, and names the JSON pointer of the value at fault (RFC 6901). */
enum err fail_at(struct op *op, enum err err, const char *pointer, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What became of an operation within op: OK as it is, a failure with own's sentence, pointer and Retry-After. Returns
 * err; own's memory may be freed afterwards. */
enum err op_inherit(struct op *op, enum err err, const struct op *own);

/* The analyzer cannot see that they return what they were given, and follows paths that do not exist. */
#ifdef __clang_analyzer__
#define fail(op, err, ...)             (fail(op, err, __VA_ARGS__), (err))
#define fail_at(op, err, pointer, ...) (fail_at(op, err, pointer, __VA_ARGS__), (err))
#define op_inherit(op, err, own)       (op_inherit(op, err, own), (err))
#endif

/* Zeroed memory of the op; fails with ERR_TOO_LARGE when its arena is full. */
enum err op_alloc(struct op *op, size_t bytes, void *ret_p);

/* "not_found", for logs and metrics. */
const char *err_name(enum err err);

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        enum err try_err_ = (call);                                                                                    \
        if (try_err_ != OK)                                                                                            \
            return try_err_;                                                                                           \
    } while (0)
