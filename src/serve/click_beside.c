#include "serve/click_beside.h"

#include <stdbool.h>

#define OTHERS_PER_S 100 /* commands of others that are many */
#define CLICKS_PER_S 1000
#define QUEUED_PART  10 /* of the time in line is too much */
#define US_PER_MS    1000
#define US_PER_S     1000000

static bool others_lack_processors(const struct click_look *then, const struct click_look *now)
{
    int64_t span_ms = now->at_ms - then->at_ms, others = (int64_t)(now->commands - then->commands);
    bool many = others * 1000 >= OTHERS_PER_S * span_ms;
    return many && (now->queued_us - then->queued_us) * QUEUED_PART >= span_ms * US_PER_MS;
}

static int64_t fair_rate(const struct click_look *then, const struct click_look *now)
{
    int64_t span_ms = now->at_ms - then->at_ms, clicks = (int64_t)(now->clicks - then->clicks);
    int64_t ran_us = now->ran_us - then->ran_us, most_us = clicks * BESIDE_CLICK_US;
    if (clicks * 1000 < CLICKS_PER_S * span_ms)
        return 0;
    if (ran_us > most_us || ran_us <= 0)
        ran_us = most_us;
    return now->processors * US_PER_S / 100 * BESIDE_PERCENT * clicks / ran_us;
}

int64_t click_beside_look(struct click_beside *beside, const struct click_look *look)
{
    const struct click_look then = beside->last;
    int64_t span_ms = look->at_ms - then.at_ms;
    if (span_ms < BESIDE_LOOK_MS)
        return beside->per_s;
    bool fresh = then.at_ms && span_ms <= BESIDE_LOOK_MS_MAX;
    beside->last = *look;
    beside->per_s = fresh && others_lack_processors(&then, look) ? fair_rate(&then, look) : 0;
    return beside->per_s;
}
