/*
 * worker_reply.h - answers of the worker protocol (a part of RESP).
 *
 *     +OK\r\n              reply_ok
 *     -ERR sentence\r\n    reply_error; a sentence holds no line end
 *     $5\r\nbytes\r\n      reply_bulk; the length counts bytes
 *     $-1\r\n              reply_null: no job
 */
#pragma once

#include "base/buf.h"

void reply_ok(struct buf *buf);

/* Control characters of the sentence become blanks. */
void reply_error(struct buf *buf, struct str sentence);

/* The one other code there is: "-NOTUNIQUE Job not unique". */
void reply_not_unique(struct buf *buf);

void reply_bulk(struct buf *buf, struct str bytes);
void reply_null(struct buf *buf);
