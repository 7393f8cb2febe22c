#include "engine/rate.h"

static int64_t rate_step_ns(const struct rate *rate)
{
    return (rate->per_us * 1000 + rate->limit - 1) / rate->limit;
}

int64_t rate_wait_ns(const struct rate *rate, int64_t tat_ns, int64_t now_ns)
{
    if (rate->limit == 0)
        return 0;
    int64_t earliest = tat_ns - (rate->burst - 1) * rate_step_ns(rate);
    return earliest > now_ns ? earliest - now_ns : 0;
}

int64_t rate_start(const struct rate *rate, int64_t tat_ns, int64_t now_ns)
{
    if (rate->limit == 0)
        return tat_ns;
    return (tat_ns > now_ns ? tat_ns : now_ns) + rate_step_ns(rate);
}
