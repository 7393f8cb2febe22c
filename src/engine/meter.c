#include "engine/meter.h"

static void meter_turn(struct meter *meter, int64_t second)
{
    int64_t missed = second - meter->second;
    if (missed <= 0)
        return;
    for (int64_t i = 1; i <= missed && i <= METER_SECONDS; i++)
        meter->counts[(meter->second + i) % METER_SECONDS] = 0;
    meter->second = second;
}

void meter_add(struct meter *meter, int64_t now_us, int64_t n)
{
    meter_turn(meter, now_us / 1000000);
    meter->counts[meter->second % METER_SECONDS] += (uint32_t)n;
}

int64_t meter_sum(const struct meter *meter, int64_t now_us)
{
    struct meter copy = *meter;
    int64_t sum = 0;
    meter_turn(&copy, now_us / 1000000);
    for (int i = 0; i < METER_SECONDS; i++)
        sum += copy.counts[i];
    return sum;
}
