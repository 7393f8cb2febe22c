/*
 * progress.h - how far a long command is, on a terminal only.
 *
 *     importing  [############........]  61 %  12.2 MB  41 MB/s  0:07 left
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct progress {
    const char *label;
    int64_t total; /* 0: not known */
    int64_t began_us, shown_us;
    bool bytes; /* amounts are bytes, else a plain count */
    bool on;
};

/* Nothing is ever printed when stderr is no terminal. */
void progress_begin(struct progress *progress, const char *label, int64_t total, bool bytes);

/* Prints at most ten times a second. */
void progress_at(struct progress *progress, int64_t done);

/* Takes the line away. */
void progress_end(struct progress *progress);
