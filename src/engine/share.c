#include "engine/share.h"

static bool may_take(const struct share_source *source, size_t mine, size_t part)
{
    if (source->holder != SHARE_FREE)
        return false;
    return source->free_for_us >= SHARE_STALE_US || (mine < part && !source->is_given);
}

static size_t surplus(size_t mine, size_t count, size_t nodes, size_t part, size_t least)
{
    size_t fewest = count / nodes;
    if (mine > part)
        return mine - part;
    return mine > fewest && least < fewest ? 1 : 0;
}

void share_decide(struct share_source *sources, size_t count, int nodes, size_t least, uint64_t start)
{
    size_t mine = 0, alive = nodes > 1 ? (size_t)nodes : 1, part = (count + alive - 1) / alive;
    for (size_t i = 0; i < count; i++) {
        sources[i].move = SHARE_REST;
        mine += sources[i].holder == SHARE_MINE;
    }
    size_t give = alive > 1 ? surplus(mine, count, alive, part, least) : 0;
    if (give > SHARE_GIVE_MAX)
        give = SHARE_GIVE_MAX;
    for (size_t i = 0; i < count; i++) {
        struct share_source *source = &sources[(start + i) % count];
        if (may_take(source, mine, part)) {
            source->move = SHARE_TAKE;
            mine++;
        } else if (source->holder == SHARE_MINE && give > 0) {
            source->move = SHARE_GIVE;
            give--;
        }
    }
}
