#include "serve/click_pace.h"

#define PARTS       16     /* of a microsecond, in each_us */
#define SMOOTHED    8      /* commands of the writer, one like the other */
#define LATE_US     2000   /* who asks a little late has lost nothing: timers know milliseconds */
#define COST_US_MAX 100000 /* of one batch, whatever the store does */

void click_pace_init(struct click_pace *pace, size_t easy, size_t span)
{
    *pace = (struct click_pace){ .easy = easy, .span = span };
}

void click_pace_stored(struct click_pace *pace, size_t count, bool behind, int64_t now_ms)
{
    if (pace->stored_ms && count > 0) {
        int64_t each_us = (now_ms - pace->stored_ms) * 1000 * PARTS / (int64_t)count;
        pace->each_us += pace->each_us ? (each_us - pace->each_us) / SMOOTHED : each_us;
    }
    pace->stored_ms = behind ? now_ms : 0;
}

void click_pace_limit(struct click_pace *pace, int64_t per_s)
{
    pace->per_s = per_s;
}

static int64_t store_cost_us(const struct click_pace *pace, size_t used, size_t count)
{
    if (used <= pace->easy)
        return 0;
    int64_t store_us = (int64_t)count * pace->each_us / PARTS;
    return store_us * (int64_t)(used - pace->easy) / (int64_t)pace->span;
}

static int64_t cost_us(const struct click_pace *pace, size_t used, size_t count)
{
    int64_t store_us = store_cost_us(pace, used, count);
    int64_t limit_us = pace->per_s > 0 ? (int64_t)count * 1000000 / pace->per_s : 0;
    int64_t cost = store_us > limit_us ? store_us : limit_us;
    return cost < COST_US_MAX ? cost : COST_US_MAX;
}

int64_t click_pace_take(struct click_pace *pace, size_t used, size_t count, int64_t now_ms)
{
    int64_t now_us = now_ms * 1000;
    if (used <= pace->easy && !pace->per_s)
        return 0;
    if (pace->next_us > now_us)
        return (pace->next_us - now_us + 999) / 1000;
    if (pace->next_us < now_us - LATE_US)
        pace->next_us = now_us - LATE_US;
    pace->next_us += cost_us(pace, used, count);
    return 0;
}
