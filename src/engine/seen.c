#include "engine/seen.h"

#include "store/block.h"
#include "store/seen_map.h"
#include "store/store_tenant.h"

enum err member_seen(struct op *op, struct tx *tx, uint32_t tenant_no, uint32_t member_no, int64_t at_us,
                     bool *ret_changed)
{
    const struct zone *zone;
    TRY(store_tenant_zone(op, tx, tenant_no, &zone));
    int64_t day_us = zone_day_start(zone, zone_day_at(zone, at_us));
    if (store_seen_known(tx, tenant_no, member_no, day_us))
        return OK;
    struct member_state *member;
    TRY(store_block_look(op, tx, BLOCK_MEMBER, member_no, &member));
    store_seen_note(tx, tenant_no, member_no, day_us); /* whether he was, or is now */
    if (member->last_seen_us >= at_us || (member->last_seen_us && member->last_seen_us >= day_us))
        return OK;
    TRY(store_block_edit_alone(op, tx, BLOCK_MEMBER, member_no, &member));
    member->last_seen_us = at_us;
    if (ret_changed)
        *ret_changed = true;
    return OK;
}
