/*
 * render.h - values as the API writes them: instants and rates.
 */
#pragma once

#include "base/json_write.h"
#include "store/tally.h"

/* RFC 3339 with three decimals from ms, six from us; null for `none`. */
void render_ms(struct json_writer *w, const char *name, int64_t at_ms, int64_t none);
void render_us(struct json_writer *w, const char *name, int64_t at_us, int64_t none);

/* part / whole rounded half up to 4 decimals; null when whole is 0. */
void render_rate(struct json_writer *w, const char *name, int64_t part, int64_t whole);

/* The members of GET stats (LED section 4), into an open object. */
void render_stats(struct json_writer *w, const struct mailing_stats *stats);
