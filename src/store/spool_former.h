/*
 * spool_former.h - files of clicks that an older posthouse left.
 *
 * Its records had 256 bytes, so this one cannot go on with them. A file whose
 * clicks are all stored says so and is made anew; one that may hold clicks is
 * refused, because whoever clicked was told that they are safe.
 *
 * Private to spool.c.
 */
#pragma once

#include "base/op.h"

/* ERR_CONFLICT, with what to do, when the file is of a former kind and may hold clicks that nobody stored. */
enum err spool_former_check(struct op *op, int fd);
