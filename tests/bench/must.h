/*
 * must.h - a bench ends with the sentence of what failed.
 */
#pragma once

#include "base/op.h"

#include <stdio.h>
#include <stdlib.h>

static inline void must(struct op *op, enum err err)
{
    if (err == OK)
        return;
    fprintf(stderr, "%s: %s\n", err_name(err), op->error);
    exit(1);
}
