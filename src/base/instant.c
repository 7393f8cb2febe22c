#include "base/instant.h"

#include <assert.h>
#include <string.h>

#include "base/day.h"

#define SECOND_US INT64_C(1000000)
#define DAY_US    (86400 * SECOND_US)

static const char weekdays[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

int64_t instant_from_civil(const struct civil *civil)
{
    int64_t day = day_from_date(civil->year, civil->month, civil->day);
    int64_t second = (int64_t)civil->hour * 3600 + civil->minute * 60 + civil->second;
    return day * DAY_US + second * SECOND_US + civil->us;
}

struct civil instant_to_civil(int64_t us)
{
    int64_t day = us / DAY_US;
    int64_t rest = us % DAY_US;
    if (rest < 0) {
        rest += DAY_US;
        day--;
    }

    struct civil civil;
    day_to_date((int32_t)day, &civil.year, &civil.month, &civil.day);
    civil.us = (int32_t)(rest % SECOND_US);
    int second = (int)(rest / SECOND_US);
    civil.hour = second / 3600;
    civil.minute = second / 60 % 60;
    civil.second = second % 60;
    return civil;
}

/*
 * The readers below eat from the front of a str. Each returns false when what
 * it looks for is not there, and then the whole text is refused.
 */
static bool eat_either(struct str *s, char one, char other)
{
    return str_eat(s, one) || str_eat(s, other);
}

static bool eat_digits(struct str *s, size_t width, int *ret)
{
    int value = 0;
    if (s->n < width)
        return false;
    for (size_t i = 0; i < width; i++) {
        if (s->p[i] < '0' || s->p[i] > '9')
            return false;
        value = value * 10 + (s->p[i] - '0');
    }
    s->p += width;
    s->n -= width;
    *ret = value;
    return true;
}

static void eat_blanks(struct str *s)
{
    while (s->n > 0 && (s->p[0] == ' ' || s->p[0] == '\t'))
        str_eat(s, s->p[0]);
}

/* Decimals behind the point, at least one; those beyond microseconds are read over (SRC-16). */
static bool eat_fraction(struct str *s, int32_t *ret_us)
{
    int32_t us = 0, digit_us = 100000;
    size_t n = 0;
    for (; n < s->n && s->p[n] >= '0' && s->p[n] <= '9'; n++) {
        us += (s->p[n] - '0') * digit_us;
        digit_us /= 10;
    }
    if (n == 0)
        return false;
    s->p += n;
    s->n -= n;
    *ret_us = us;
    return true;
}

static bool eat_date(struct str *s, struct civil *civil)
{
    int year;
    if (!eat_digits(s, 4, &year) || !str_eat(s, '-') || !eat_digits(s, 2, &civil->month) || !str_eat(s, '-') ||
        !eat_digits(s, 2, &civil->day))
        return false;
    civil->year = year;
    return day_date_exists(civil->year, civil->month, civil->day);
}

/* "19:00:00"; with `loose` also "19:00". Second 60 is left for the caller to judge. */
static bool eat_clock(struct str *s, bool loose, struct civil *civil)
{
    if (!eat_digits(s, 2, &civil->hour) || !str_eat(s, ':') || !eat_digits(s, 2, &civil->minute))
        return false;
    civil->second = 0;
    if (str_eat(s, ':')) {
        if (!eat_digits(s, 2, &civil->second))
            return false;
    } else if (!loose) {
        return false;
    }
    return civil->hour <= 23 && civil->minute <= 59 && civil->second <= 60;
}

/* "+02:00"; with `loose` also "+0200" and "+02". */
static bool eat_offset(struct str *s, bool loose, int *ret_minutes)
{
    int sign, hours, minutes = 0;
    if (str_eat(s, '+'))
        sign = 1;
    else if (str_eat(s, '-'))
        sign = -1;
    else
        return false;

    if (!eat_digits(s, 2, &hours))
        return false;
    bool colon = str_eat(s, ':');
    bool more = colon || !loose || s->n > 0;
    if ((!colon && !loose) || (more && !eat_digits(s, 2, &minutes)) || hours > 23 || minutes > 59)
        return false;
    *ret_minutes = sign * (hours * 60 + minutes);
    return true;
}

/*
 * The instant of a reading with a known offset. A leap second only ever ends a
 * UTC day; our count has no place for it, so it becomes the second that follows.
 */
static bool civil_at_offset(const struct civil *civil, int offset_minutes, int64_t *ret_us)
{
    int64_t us = instant_from_civil(civil) - (int64_t)offset_minutes * 60 * SECOND_US;
    if (civil->second == 60) {
        us -= civil->us;
        if (us % DAY_US != 0)
            return false;
    }
    *ret_us = us;
    return true;
}

bool instant_parse(struct str text, int64_t *ret_us)
{
    struct civil civil = { 0 };
    int offset_minutes = 0;
    if (!eat_date(&text, &civil) || !eat_either(&text, 'T', 't') || !eat_clock(&text, false, &civil))
        return false;
    if (str_eat(&text, '.') && !eat_fraction(&text, &civil.us))
        return false;
    if (!eat_either(&text, 'Z', 'z') && !eat_offset(&text, false, &offset_minutes))
        return false;
    return text.n == 0 && civil_at_offset(&civil, offset_minutes, ret_us);
}

enum instant_kind instant_parse_loose(struct str text, int64_t *ret_us, struct civil *ret_local)
{
    struct civil civil = { 0 };
    int offset_minutes = 0;
    text = str_trim(text);
    if (!eat_date(&text, &civil) || (!eat_either(&text, 'T', 't') && !str_eat(&text, ' ')) ||
        !eat_clock(&text, true, &civil))
        return INSTANT_NONE;
    if (str_eat(&text, '.') && !eat_fraction(&text, &civil.us))
        return INSTANT_NONE;

    if (text.n == 0) {
        if (civil.second == 60)
            return INSTANT_NONE; /* whether a leap second can be there depends on the zone we do not know */
        *ret_local = civil;
        return INSTANT_LOCAL;
    }
    eat_blanks(&text);
    if (!eat_either(&text, 'Z', 'z') && !eat_offset(&text, true, &offset_minutes))
        return INSTANT_NONE;
    return text.n == 0 && civil_at_offset(&civil, offset_minutes, ret_us) ? INSTANT_FIXED : INSTANT_NONE;
}

bool instant_parse_seconds(struct str text, int64_t *ret_us)
{
    int64_t seconds = 0;
    int32_t us = 0;
    size_t n = 0;
    for (; n < text.n && text.p[n] >= '0' && text.p[n] <= '9'; n++) {
        seconds = seconds * 10 + (text.p[n] - '0');
        if (seconds > INSTANT_US_MAX / SECOND_US)
            return false;
    }
    if (n == 0)
        return false;

    text.p += n;
    text.n -= n;
    if (str_eat(&text, '.') && !eat_fraction(&text, &us))
        return false;
    if (text.n > 0)
        return false;
    *ret_us = seconds * SECOND_US + us;
    return true;
}

/* A three-letter name out of a list of such; letters compare without case. */
static bool eat_name(struct str *s, const char *names, int *ret_index)
{
    if (s->n < 3)
        return false;
    for (int i = 0; names[3 * i]; i++) {
        if (!str_eq_nocase((struct str){ s->p, 3 }, (struct str){ names + (size_t)(3 * i), 3 }))
            continue;
        s->p += 3;
        s->n -= 3;
        *ret_index = i;
        return true;
    }
    return false;
}

/* One or two digits. */
static bool eat_short_number(struct str *s, int *ret)
{
    bool two = s->n >= 2 && s->p[1] >= '0' && s->p[1] <= '9';
    return eat_digits(s, two ? 2 : 1, ret);
}

/* The zone words of old mail; names nobody can place mean UTC (RFC 5322 section 4.3). */
static bool eat_mail_zone(struct str *s, int *ret_minutes)
{
    static const struct {
        struct str name;
        int hours;
    } words[] = { { { "EST", 3 }, -5 }, { { "EDT", 3 }, -4 }, { { "CST", 3 }, -6 }, { { "CDT", 3 }, -5 },
                  { { "MST", 3 }, -7 }, { { "MDT", 3 }, -6 }, { { "PST", 3 }, -8 }, { { "PDT", 3 }, -7 } };
    if (s->n >= 5 && (s->p[0] == '+' || s->p[0] == '-') && s->p[3] != ':')
        return eat_offset(s, true, ret_minutes);

    struct str word = { s->p, 0 };
    while (word.n < s->n && ((s->p[word.n] | 0x20) >= 'a' && (s->p[word.n] | 0x20) <= 'z'))
        word.n++;
    if (word.n == 0 || word.n > 5)
        return false;
    *ret_minutes = 0;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_eq_nocase(word, words[i].name))
            *ret_minutes = words[i].hours * 60;
    s->p += word.n;
    s->n -= word.n;
    return true;
}

bool instant_parse_mail(struct str text, int64_t *ret_us)
{
    struct civil civil = { 0 };
    int weekday, month, year, offset_minutes;
    text = str_trim(text);
    if (eat_name(&text, weekdays, &weekday) && !str_eat(&text, ','))
        return false;
    eat_blanks(&text);
    if (!eat_short_number(&text, &civil.day) || !str_eat(&text, ' '))
        return false;
    eat_blanks(&text);
    if (!eat_name(&text, months, &month) || !str_eat(&text, ' ') || !eat_digits(&text, 4, &year) ||
        !str_eat(&text, ' '))
        return false;
    eat_blanks(&text);
    civil.year = year;
    civil.month = month + 1;
    if (!day_date_exists(civil.year, civil.month, civil.day) || !eat_clock(&text, true, &civil) || !str_eat(&text, ' '))
        return false;
    eat_blanks(&text);
    if (!eat_mail_zone(&text, &offset_minutes))
        return false;

    eat_blanks(&text);
    if (text.n > 0 && text.p[0] == '(' && text.p[text.n - 1] == ')')
        text.n = 0; /* a comment, mostly the zone's name again */
    return text.n == 0 && civil_at_offset(&civil, offset_minutes, ret_us);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", behind the weekday's comma. */
static bool eat_http_fixdate(struct str *s, struct civil *civil)
{
    int month, year;
    if (!eat_digits(s, 2, &civil->day) || !str_eat(s, ' ') || !eat_name(s, months, &month) || !str_eat(s, ' ') ||
        !eat_digits(s, 4, &year) || !str_eat(s, ' ') || !eat_clock(s, false, civil))
        return false;
    civil->month = month + 1;
    civil->year = year;
    return str_eq(*s, S(" GMT"));
}

/* "Sunday, 06-Nov-94 08:49:37 GMT", behind the weekday's comma: the century is a guess (RFC 9110, 5.6.7). */
static bool eat_http_rfc850(struct str *s, int64_t now_us, struct civil *civil)
{
    int month, year, this_year = instant_to_civil(now_us).year;
    if (!eat_digits(s, 2, &civil->day) || !str_eat(s, '-') || !eat_name(s, months, &month) || !str_eat(s, '-') ||
        !eat_digits(s, 2, &year) || !str_eat(s, ' ') || !eat_clock(s, false, civil))
        return false;
    civil->month = month + 1;
    civil->year = this_year - this_year % 100 + year;
    if (civil->year > this_year + 50)
        civil->year -= 100;
    else if (civil->year <= this_year - 50)
        civil->year += 100;
    return str_eq(*s, S(" GMT"));
}

/* "Sun Nov  6 08:49:37 1994", behind the weekday and its blank. */
static bool eat_http_asctime(struct str *s, struct civil *civil)
{
    int month, year;
    if (!eat_name(s, months, &month) || !str_eat(s, ' '))
        return false;
    bool day_read = str_eat(s, ' ') ? eat_digits(s, 1, &civil->day) : eat_digits(s, 2, &civil->day);
    if (!day_read || !str_eat(s, ' ') || !eat_clock(s, false, civil) || !str_eat(s, ' ') || !eat_digits(s, 4, &year))
        return false;
    civil->month = month + 1;
    civil->year = year;
    return s->n == 0;
}

bool instant_parse_http(struct str text, int64_t now_us, int64_t *ret_us)
{
    struct civil civil = { 0 };
    int weekday;
    bool read = false;
    text = str_trim(text);
    if (!eat_name(&text, weekdays, &weekday))
        return false;

    if (str_eat(&text, ',')) {
        read = str_eat(&text, ' ') && eat_http_fixdate(&text, &civil);
    } else if (str_eat(&text, ' ')) {
        read = eat_http_asctime(&text, &civil);
    } else {
        size_t comma = str_find(text, ',');
        if (comma > 6 || comma == text.n)
            return false; /* "Wednesday" has the most letters behind its first three */
        text.p += comma + 1;
        text.n -= comma + 1;
        read = str_eat(&text, ' ') && eat_http_rfc850(&text, now_us, &civil);
    }
    if (!read || !day_date_exists(civil.year, civil.month, civil.day))
        return false;
    return civil_at_offset(&civil, 0, ret_us);
}

static char *put_digits(char *to, int64_t value, int width)
{
    for (int i = width - 1; i >= 0; i--, value /= 10)
        to[i] = (char)('0' + value % 10);
    return to + width;
}

static char *put_text(char *to, const char *text, size_t n)
{
    memcpy(to, text, n);
    return to + n;
}

static char *put_fraction(char *to, int32_t us, int decimals)
{
    assert(decimals == 0 || decimals == 3 || decimals == 6);
    if (decimals == 0)
        return to;
    *to++ = '.';
    return put_digits(to, decimals == 3 ? us / 1000 : us, decimals);
}

static char *put_clock(char *to, const struct civil *civil)
{
    to = put_digits(to, civil->hour, 2);
    *to++ = ':';
    to = put_digits(to, civil->minute, 2);
    *to++ = ':';
    return put_digits(to, civil->second, 2);
}

static struct str put_end(char *begin, char *end)
{
    *end = '\0';
    return (struct str){ begin, (size_t)(end - begin) };
}

/* Text has four digits for the year; an instant beyond them is shown as the last one that can be. */
static int64_t within_text(int64_t us)
{
    const int64_t least_us = DAY_MIN * DAY_US;
    return us < least_us ? least_us : us > INSTANT_US_MAX ? INSTANT_US_MAX : us;
}

struct str instant_text(int64_t us, int decimals, char ret_text[INSTANT_TEXT_BYTES])
{
    struct civil civil = instant_to_civil(within_text(us));
    char *to = put_digits(ret_text, civil.year, 4);
    *to++ = '-';
    to = put_digits(to, civil.month, 2);
    *to++ = '-';
    to = put_digits(to, civil.day, 2);
    *to++ = 'T';
    to = put_clock(to, &civil);
    to = put_fraction(to, civil.us, decimals);
    *to++ = 'Z';
    return put_end(ret_text, to);
}

/* "Sat, 21 Nov 2026 19:00:00 " and the zone word. */
static struct str put_mail_form(int64_t us, const char *zone, char ret_text[INSTANT_TEXT_BYTES])
{
    struct civil civil = instant_to_civil(within_text(us));
    int weekday = day_weekday(day_from_date(civil.year, civil.month, civil.day));
    char *to = put_text(ret_text, weekdays + 3 * weekday, 3);
    to = put_text(to, ", ", 2);
    to = put_digits(to, civil.day, 2);
    *to++ = ' ';
    to = put_text(to, months + 3 * (civil.month - 1), 3);
    *to++ = ' ';
    to = put_digits(to, civil.year, 4);
    *to++ = ' ';
    to = put_clock(to, &civil);
    *to++ = ' ';
    return put_end(ret_text, put_text(to, zone, strlen(zone)));
}

struct str instant_text_mail(int64_t us, char ret_text[INSTANT_TEXT_BYTES])
{
    return put_mail_form(us, "-0000", ret_text);
}

struct str instant_text_http(int64_t us, char ret_text[INSTANT_TEXT_BYTES])
{
    return put_mail_form(us, "GMT", ret_text);
}

struct str instant_text_seconds(int64_t us, int decimals, char ret_text[INSTANT_TEXT_BYTES])
{
    if (us < 0)
        return put_end(ret_text, put_text(ret_text, "0", 1));

    int64_t seconds = us / SECOND_US;
    int width = 1;
    for (int64_t rest = seconds; rest >= 10; rest /= 10)
        width++;
    char *to = put_digits(ret_text, seconds, width);
    return put_end(ret_text, put_fraction(to, (int32_t)(us % SECOND_US), decimals));
}
