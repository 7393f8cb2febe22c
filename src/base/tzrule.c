#include "base/tzrule.h"

#include "base/day.h"

#define OFFSET_HOURS_MAX 24
#define TIME_HOURS_MAX   167

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool eat_number(struct str *s, int min, int max, int *ret)
{
    int value = 0;
    size_t n = 0;
    for (; n < s->n && n < 4 && is_digit(s->p[n]); n++)
        value = value * 10 + (s->p[n] - '0');
    if (n == 0 || value < min || value > max)
        return false;
    s->p += n;
    s->n -= n;
    *ret = value;
    return true;
}

/* "BST" or "<+0330>": the names themselves are of no use to us. */
static bool eat_name(struct str *s)
{
    bool quoted = str_eat(s, '<');
    size_t n = 0;
    for (; n < s->n; n++) {
        char c = s->p[n];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(quoted && (is_digit(c) || c == '+' || c == '-')))
            break;
    }
    if (n < 3)
        return false;
    s->p += n;
    s->n -= n;
    return !quoted || str_eat(s, '>');
}

/* "[+-]hh[:mm[:ss]]" as seconds. */
static bool eat_time(struct str *s, int hours_max, int32_t *ret_s)
{
    int hours, minutes = 0, seconds = 0;
    int sign = str_eat(s, '-') ? -1 : 1;
    if (sign > 0)
        str_eat(s, '+');
    if (!eat_number(s, 0, hours_max, &hours))
        return false;
    if (str_eat(s, ':') && (!eat_number(s, 0, 59, &minutes) || (str_eat(s, ':') && !eat_number(s, 0, 59, &seconds))))
        return false;
    *ret_s = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

static bool eat_date(struct str *s, struct tzrule_date *date)
{
    bool read;
    if (str_eat(s, 'J')) {
        date->kind = TZRULE_JULIAN;
        read = eat_number(s, 1, 365, &date->day);
    } else if (str_eat(s, 'M')) {
        date->kind = TZRULE_WEEK;
        read = eat_number(s, 1, 12, &date->month) && str_eat(s, '.') && eat_number(s, 1, 5, &date->week) &&
               str_eat(s, '.') && eat_number(s, 0, 6, &date->day);
    } else {
        date->kind = TZRULE_DAY;
        read = eat_number(s, 0, 365, &date->day);
    }
    date->time_s = 7200;
    return read && (!str_eat(s, '/') || eat_time(s, TIME_HOURS_MAX, &date->time_s));
}

bool tzrule_parse(struct str text, struct tzrule *ret_rule)
{
    struct tzrule rule = { 0 };
    int32_t west_s;
    if (!eat_name(&text) || !eat_time(&text, OFFSET_HOURS_MAX, &west_s))
        return false;
    rule.standard_s = -west_s;

    if (text.n > 0) {
        rule.changes = true;
        rule.summer_s = rule.standard_s + 3600;
        if (!eat_name(&text))
            return false;
        if (text.n > 0 && text.p[0] != ',') {
            if (!eat_time(&text, OFFSET_HOURS_MAX, &west_s))
                return false;
            rule.summer_s = -west_s;
        }
        if (!str_eat(&text, ',') || !eat_date(&text, &rule.summer_begins) || !str_eat(&text, ',') ||
            !eat_date(&text, &rule.summer_ends) || text.n > 0)
            return false;
    }
    *ret_rule = rule;
    return true;
}

static int32_t week_day(const struct tzrule_date *date, int32_t year)
{
    int32_t first = day_from_date(year, date->month, 1);
    int32_t day = first + (date->day - day_weekday(first) + 7) % 7 + 7 * (date->week - 1);
    int32_t next_month = date->month == 12 ? day_from_date(year + 1, 1, 1) : day_from_date(year, date->month + 1, 1);
    return day < next_month ? day : day - 7; /* week 5 means the last, be it the fourth */
}

static int64_t date_in_year(const struct tzrule_date *date, int32_t year)
{
    int32_t day = 0;
    switch (date->kind) {
    case TZRULE_JULIAN:
        /* Days from March on are counted from 1 March, so that a leap day shifts nothing. */
        day = date->day < 60 ? day_from_date(year, 1, 1) + date->day - 1 : day_from_date(year, 3, 1) + date->day - 60;
        break;
    case TZRULE_DAY:
        day = day_from_date(year, 1, 1) + date->day;
        break;
    case TZRULE_WEEK:
        day = week_day(date, year);
        break;
    }
    return (int64_t)day * 86400 + date->time_s;
}

int64_t tzrule_summer_begins(const struct tzrule *rule, int32_t year)
{
    return date_in_year(&rule->summer_begins, year) - rule->standard_s;
}

int64_t tzrule_summer_ends(const struct tzrule *rule, int32_t year)
{
    return date_in_year(&rule->summer_ends, year) - rule->summer_s;
}
