/*
 * refusals.h - counts webhooks with a bad signature, and says when to write it down.
 *
 * Anybody may post rubbish to a door, and must not make the disk busy with it:
 * of each source the first refusal is written at once, those after it at most
 * once a minute, with their number (warning hook_refused, SRC-22).
 *
 * Thread: any; a lock guards the table.
 */
#pragma once

#include <stdint.h>

#define REFUSALS_SOURCES_MAX 1024 /* numbers that far apart share a place, and the newest one has it */
#define REFUSALS_EVERY_US    INT64_C(60000000)

struct refusals;

struct refusals *refusals_new(void);
void refusals_free(struct refusals *refusals);

/* One more of this source. Returns how many are to be written down now, 0 = none yet. */
int64_t refusals_note(struct refusals *refusals, uint32_t source_no, int64_t now_us);
