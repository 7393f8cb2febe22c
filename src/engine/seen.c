#include "engine/seen.h"

#include "store/block.h"
#include "store/store_tenant.h"

enum err member_seen(struct op *op, struct tx *tx, uint32_t tenant_no, uint32_t member_no, int64_t at_us,
                     bool *ret_changed)
{
    struct member_state *member;
    TRY(store_block_get(op, tx, BLOCK_MEMBER, member_no, &member));
    if (member->last_seen_us >= at_us)
        return OK;
    const struct zone *zone;
    TRY(store_tenant_zone(op, tx, tenant_no, &zone));
    if (member->last_seen_us && member->last_seen_us >= zone_day_start(zone, zone_day_at(zone, at_us)))
        return OK;
    member->last_seen_us = at_us;
    store_block_dirty(tx, BLOCK_MEMBER, member_no);
    if (ret_changed)
        *ret_changed = true;
    return OK;
}
