/*
 * duration.h - lengths of time as people write them.
 *
 * In comes "250ms", "90s", "5m", "1h", "7d", "2w"; inside it is milliseconds;
 * out goes a number of seconds. A day here is 24 hours: whoever means a
 * calendar day asks zone.h.
 */
#pragma once

#include "base/str.h"

#define DURATION_MS_MAX     INT64_C(3153600000000) /* 36,500 days */
#define DURATION_TEXT_BYTES 32

/* One whole number and one unit, no blank, no sign; false when it is not that or above DURATION_MS_MAX. */
bool duration_parse(struct str text, int64_t *ret_ms);

/* The shortest exact way to write it in one unit: "90s", "7d", "250ms". */
struct str duration_text(int64_t ms, char ret_text[DURATION_TEXT_BYTES]);

/* A JSON number of seconds: "90", "0.25". */
struct str duration_text_s(int64_t ms, char ret_text[DURATION_TEXT_BYTES]);
