/*
 * rejected.h - lines of a bulk request that cost themselves, and how its answer names them:
 *
 *     "rejected":[{"line":3,"detail":"..."}],"rejected_count":1
 *
 * All are counted, the first REJECTED_MAX are named.
 */
#pragma once

#include "base/json_write.h"

#define REJECTED_MAX 1000

struct rejected_line {
    int64_t number; /* from 1 */
    struct str detail;
};

struct rejected {
    struct arena *arena; /* of the lines and their details; lives as long as this */
    struct rejected_line *lines;
    size_t named;
    int64_t count;
};

/* Counts a line, and keeps a copy of its detail when there is room. */
void rejected_add(struct rejected *rejected, int64_t number, struct str detail);

/* The two members, into the object that is open in w. */
void rejected_write(struct json_writer *w, const struct rejected *rejected);
