#include "relay/breaker.h"

static void open(struct breaker *breaker, int64_t now_ms)
{
    int64_t ms = breaker->open_ms ? breaker->open_ms * 2 : BREAKER_MS;
    breaker->open_ms = ms < BREAKER_MS_MAX ? ms : BREAKER_MS_MAX;
    breaker->until_ms = now_ms + breaker->open_ms;
    breaker->is_probing = false;
}

bool breaker_heard(struct breaker *breaker, bool is_trouble, int64_t now_ms)
{
    bool was_open = breaker->open_ms != 0;
    if (!is_trouble) {
        *breaker = (struct breaker){ 0 };
        return was_open;
    }
    breaker->fails++;
    if (was_open ? !breaker->is_probing : breaker->fails < BREAKER_FAILS)
        return false;
    open(breaker, now_ms);
    return true;
}

int breaker_allows(const struct breaker *breaker, int calls, int64_t now_ms)
{
    if (!breaker->open_ms || calls <= 0)
        return calls;
    return now_ms >= breaker->until_ms && !breaker->is_probing;
}

void breaker_began(struct breaker *breaker)
{
    breaker->is_probing = breaker->open_ms != 0;
}

void breaker_forget(struct breaker *breaker)
{
    breaker->is_probing = false;
}
