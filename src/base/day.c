#include "base/day.h"

#include <assert.h>

#define DAYS_400Y 146097 /* the calendar repeats every 400 years */
#define DAYS_TO_0 719468 /* from 0000-03-01 to 1970-01-01 */

/*
 * Years are counted from March, so that the leap day is the last of its year
 * and the lengths of the months follow one line: 153 days in 5 months.
 */
int32_t day_from_date(int32_t year, int month, int day)
{
    int32_t y = month <= 2 ? year - 1 : year;
    int32_t era = (y >= 0 ? y : y - 399) / 400;
    int32_t year_of_era = y - era * 400;
    int32_t month_from_march = month > 2 ? month - 3 : month + 9;
    int32_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    int32_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_400Y + day_of_era - DAYS_TO_0;
}

void day_to_date(int32_t days, int32_t *ret_year, int *ret_month, int *ret_day)
{
    int64_t z = (int64_t)days + DAYS_TO_0;
    int64_t era = (z >= 0 ? z : z - (DAYS_400Y - 1)) / DAYS_400Y;
    int32_t day_of_era = (int32_t)(z - era * DAYS_400Y);
    int32_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int32_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int32_t month_from_march = (5 * day_of_year + 2) / 153;

    *ret_day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    *ret_month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    *ret_year = (int32_t)(year_of_era + era * 400) + (*ret_month <= 2);
}

static bool is_leap(int32_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

bool day_date_exists(int32_t year, int month, int day)
{
    static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (year < 0 || year > 9999 || month < 1 || month > 12 || day < 1)
        return false;
    return day <= lengths[month - 1] + (month == 2 && is_leap(year));
}

int day_weekday(int32_t days)
{
    /* 1970-01-01 was a Thursday. */
    int64_t from_sunday = ((int64_t)days + 4) % 7;
    return (int)(from_sunday < 0 ? from_sunday + 7 : from_sunday);
}

static bool read_digits(const char *p, size_t n, int32_t *ret)
{
    int32_t value = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9')
            return false;
        value = value * 10 + (p[i] - '0');
    }
    *ret = value;
    return true;
}

bool day_parse(struct str text, int32_t *ret_days)
{
    int32_t year, month, day;
    if (text.n != 10 || text.p[4] != '-' || text.p[7] != '-')
        return false;
    if (!read_digits(text.p, 4, &year) || !read_digits(text.p + 5, 2, &month) || !read_digits(text.p + 8, 2, &day))
        return false;
    if (!day_date_exists(year, month, day))
        return false;
    *ret_days = day_from_date(year, month, day);
    return true;
}

static char *put_digits(char *to, int32_t value, int width)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + width;
}

struct str day_text(int32_t days, char ret_text[DAY_TEXT_BYTES])
{
    int32_t year;
    int month, day;
    assert(days >= DAY_MIN && days <= DAY_MAX);
    day_to_date(days, &year, &month, &day);

    char *to = put_digits(ret_text, year, 4);
    *to++ = '-';
    to = put_digits(to, month, 2);
    *to++ = '-';
    to = put_digits(to, day, 2);
    *to = '\0';
    return (struct str){ ret_text, 10 };
}
