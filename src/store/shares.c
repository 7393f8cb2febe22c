#include "store/shares.h"

#define SMOOTHED 8 /* groups of bulk, one like the other */

void shares_come(struct shares *shares, enum shares_kind kind, int64_t now_us)
{
    shares->came_us[kind] = now_us;
}

bool shares_is_crowded(const struct shares *shares, enum shares_kind kind, int64_t now_us)
{
    for (int i = 0; i < SHARES_KINDS; i++)
        if (i != (int)kind && shares->came_us[i] && now_us - shares->came_us[i] <= SHARES_RECENT_US)
            return true;
    return false;
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
    int64_t took_us = now_us - began_us, rest_us = took_us * 5 / 3, each_us = took_us / ran;
    shares->each_us += shares->each_us ? (each_us - shares->each_us) / SMOOTHED : each_us;
    if (crowded)
        shares->rest_until_us[SHARES_OF_BULK] = now_us + (rest_us < SHARES_REST_US_MAX ? rest_us : SHARES_REST_US_MAX);
}

/* Who uses little never rests; who was away for long has no more at once than who was there. */
void shares_people_ran(struct shares *shares, int64_t began_us, int64_t now_us)
{
    bool crowded = shares_is_crowded(shares, SHARES_OF_PEOPLE, now_us);
    int64_t free_us = now_us + SHARES_PEOPLE_FREE_US, most_us = crowded ? free_us + SHARES_REST_US_MAX : free_us;
    if (shares->people_us < began_us)
        shares->people_us = began_us;
    shares->people_us += (now_us - began_us) * SHARES_PEOPLE_PERCENT / 100;
    if (shares->people_us > most_us)
        shares->people_us = most_us;
    if (shares->people_us > free_us)
        shares->rest_until_us[SHARES_OF_PEOPLE] = shares->people_us - SHARES_PEOPLE_FREE_US;
}

bool shares_rests(const struct shares *shares, enum shares_kind kind, int64_t now_us)
{
    return now_us < shares->rest_until_us[kind];
}

bool shares_rested(const struct shares *shares, enum shares_kind kind, int64_t now_us)
{
    return shares->rest_until_us[kind] && now_us - shares->rest_until_us[kind] <= SHARES_RECENT_US;
}

void shares_unused(struct shares *shares)
{
    for (int i = 0; i < SHARES_KINDS; i++)
        shares->rest_until_us[i] = 0;
    shares->people_us = 0;
}
