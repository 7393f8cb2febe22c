#include "store/shares.h"

#define SMOOTHED 8 /* groups of bulk, one like the other */

void shares_others(struct shares *shares, int64_t now_us)
{
    shares->others_us = now_us;
}

bool shares_is_crowded(const struct shares *shares, int64_t now_us)
{
    return shares->others_us && now_us - shares->others_us <= SHARES_RECENT_US;
}

int shares_bulk(const struct shares *shares, bool crowded, int most)
{
    if (!crowded)
        return most;
    int64_t fit = shares->each_us > 0 ? SHARES_BULK_US / shares->each_us : 1;
    return fit < 1 ? 1 : fit < most ? (int)fit : most;
}

void shares_bulk_ran(struct shares *shares, bool crowded, int ran, int64_t began_us, int64_t now_us)
{
    int64_t took_us = now_us - began_us, rest_us = took_us * 3 / 2, each_us = took_us / ran;
    shares->each_us += shares->each_us ? (each_us - shares->each_us) / SMOOTHED : each_us;
    if (crowded)
        shares->rest_until_us = now_us + (rest_us < SHARES_REST_US_MAX ? rest_us : SHARES_REST_US_MAX);
}

bool shares_bulk_rests(const struct shares *shares, int64_t now_us)
{
    return now_us < shares->rest_until_us;
}

void shares_unused(struct shares *shares)
{
    shares->rest_until_us = 0;
}
