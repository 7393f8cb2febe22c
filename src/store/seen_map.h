/*
 * seen_map.h - members that are known to have been seen since some instant, a bit each.
 *
 * When a member was last seen is written once a local day (LNK-17), but is asked
 * for by every open and click. In a mailing that everybody reads at once, each of
 * these questions would read another block of members. So the answer "not earlier
 * than this morning" is kept here.
 *
 * The members are cut into pages of neighbours. A page speaks of one tenant and
 * one instant, which only rises; what does not fit is forgotten, and then the
 * record is asked again. At most 1 MiB, and nothing before somebody is seen.
 *
 * What a record says only rises, so other nodes take nothing away. Only in the writer's transaction; when that is
 * rolled back, and somebody was noted in it, everything is forgotten.
 */
#pragma once

#include "store/tx.h"

/* True when the member's record is known to say that he was seen at from_us or later. */
bool store_seen_known(struct tx *tx, uint32_t tenant_no, uint32_t member_no, int64_t from_us);

/* The member's record, as this transaction leaves it, says so. */
void store_seen_note(struct tx *tx, uint32_t tenant_no, uint32_t member_no, int64_t from_us);
