#include "engine/classify.h"

#include <stdlib.h>

bool classify_is_machine(uint32_t bits)
{
    if (bits & TOUCH_BITS_STRONG)
        return true;
    return __builtin_popcount(bits & TOUCH_BITS_WEAK) >= 2;
}

/* Distinct links of one client's clicks in [from_us, from_us + 2 s]; counting stops at the number that matters.
 * *ret_last_us becomes the last click of the window. */
static int window_links(const struct touch *touches, size_t count, int64_t client, int64_t from_us,
                        int64_t *ret_last_us)
{
    uint32_t seen[BURST_LINKS];
    int links = 0;
    int64_t last_us = from_us;
    for (size_t i = 0; i < count; i++) {
        const struct touch *touch = &touches[i];
        if (touch->kind != TOUCH_CLICK || touch->client != client || touch->at_us < from_us ||
            touch->at_us - from_us > BURST_WINDOW_US)
            continue;
        last_us = touch->at_us > last_us ? touch->at_us : last_us;
        bool known = false;
        for (int k = 0; k < links && !known; k++)
            known = seen[k] == touch->link_no;
        if (!known && links < BURST_LINKS)
            seen[links++] = touch->link_no;
    }
    *ret_last_us = last_us;
    return links;
}

/* Marks what belongs to the burst whose window opens at from_us: its clicks, and opens of the client shortly before. */
static void mark_burst(const struct touch *touches, bool *in_burst, size_t count, int64_t client, int64_t from_us,
                       int64_t last_us)
{
    for (size_t i = 0; i < count; i++) {
        const struct touch *touch = &touches[i];
        if (touch->client != client || touch->at_us > last_us || touch->kind == TOUCH_HONEYPOT)
            continue;
        int64_t earliest_us = touch->kind == TOUCH_CLICK ? from_us : from_us - BURST_OPENS_US;
        if (touch->at_us >= earliest_us)
            in_burst[i] = true;
    }
}

static void find_bursts(const struct touch *touches, bool *in_burst, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (touches[i].kind != TOUCH_CLICK || touches[i].client == 0)
            continue;
        int64_t last_us;
        if (window_links(touches, count, touches[i].client, touches[i].at_us, &last_us) >= BURST_LINKS)
            mark_burst(touches, in_burst, count, touches[i].client, touches[i].at_us, last_us);
    }
}

/* True when the client of this click fetched a hidden link within a minute of it. */
static bool near_honeypot(const struct touch *touches, size_t count, const struct touch *click)
{
    for (size_t i = 0; i < count; i++) {
        const struct touch *trap = &touches[i];
        if (trap->kind == TOUCH_HONEYPOT && trap->client == click->client &&
            llabs(trap->at_us - click->at_us) <= HONEYPOT_US)
            return true;
    }
    return false;
}

static bool has_honeypot(const struct touch *touches, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (touches[i].kind == TOUCH_HONEYPOT)
            return true;
    return false;
}

#define CLASSIFY_ON_STACK 64

size_t classify_touches(struct touch *touches, size_t count, int64_t base_us)
{
    bool on_stack[CLASSIFY_ON_STACK] = { false };
    bool *in_burst = count <= CLASSIFY_ON_STACK ? on_stack : calloc(count, sizeof *in_burst);
    if (!in_burst)
        abort();
    find_bursts(touches, in_burst, count);
    bool trapped = has_honeypot(touches, count);

    size_t changed = 0;
    for (size_t i = 0; i < count; i++) {
        bool soon = base_us != INT64_MIN && touches[i].at_us < base_us + SOON_US;
        bool honeypot = trapped && touches[i].kind == TOUCH_CLICK && touches[i].client != 0 &&
                        near_honeypot(touches, count, &touches[i]);
        uint32_t bits = touches[i].bits & ~(uint32_t)(BIT_BURST | BIT_HONEYPOT | BIT_SOON);
        bits |= (in_burst[i] ? BIT_BURST : 0u) | (honeypot ? BIT_HONEYPOT : 0u) | (soon ? BIT_SOON : 0u);
        changed += bits != touches[i].bits;
        touches[i].bits = bits;
    }
    if (in_burst != on_stack)
        free(in_burst);
    return changed;
}
