#include "serve/click_follow.h"

void click_follow_init(struct click_follow *follow)
{
    *follow = (struct click_follow){ .most = FOLLOW_FEW };
}

void click_follow_sent(struct click_follow *follow, uint64_t newest, int64_t now_ms)
{
    follow->sent_ms = now_ms;
    follow->newest = newest;
}

static size_t next_most(size_t most, bool crowded, int64_t took_ms)
{
    if (crowded)
        return FOLLOW_MIN;
    if (took_ms > FOLLOW_LONG_MS && most > FOLLOW_FEW)
        return most / 2;
    if (most >= FOLLOW_FEW && took_ms > FOLLOW_QUICK_MS)
        return most;
    return 2 * most < FOLLOW_MOST ? 2 * most : FOLLOW_MOST;
}

void click_follow_back(struct click_follow *follow, size_t count, bool crowded, uint64_t newest, int64_t now_ms)
{
    int64_t took_ms = now_ms - follow->sent_ms, rest_ms = crowded ? FOLLOW_REST_MS : FOLLOW_REST * took_ms;
    bool burst = (newest - follow->newest) * 2 > count;
    follow->most = next_most(follow->most, crowded, took_ms);
    if (burst)
        follow->until_ms = now_ms + (rest_ms < FOLLOW_REST_MS ? rest_ms : FOLLOW_REST_MS);
}

void click_follow_hurry(struct click_follow *follow)
{
    follow->until_ms = 0;
}

int64_t click_follow_wait(const struct click_follow *follow, int64_t now_ms)
{
    return follow->until_ms > now_ms ? follow->until_ms - now_ms : 0;
}
