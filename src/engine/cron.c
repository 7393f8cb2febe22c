#include "engine/cron.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/crypto.h"
#include "base/duration.h"

#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define DAY_US    (24 * 60 * MINUTE_US)

/* --- reading -------------------------------------------------------------- */

static const char *const month_names[] = { "jan", "feb", "mar", "apr", "may", "jun",
                                           "jul", "aug", "sep", "oct", "nov", "dec" };
static const char *const weekday_names[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat" };

struct field {
    const char *name;
    int min, max;
    const char *const *names; /* of min, min + 1, ...; NULL: numbers only */
    int name_count;
};

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };
static const struct field fields[FIELDS] = {
    { "minute", 0, 59, NULL, 0 },
    { "hour", 0, 23, NULL, 0 },
    { "day", 1, 31, NULL, 0 },
    { "month", 1, 12, month_names, 12 },
    { "weekday", 0, 7, weekday_names, 7 },
};

static bool read_value(const struct field *field, struct str text, int *ret)
{
    int64_t value;
    for (int i = 0; i < field->name_count; i++)
        if (str_eq_nocase(text, str_of(field->names[i]))) {
            *ret = field->min + i;
            return true;
        }
    if (!str_to_int(text, field->min, field->max, &value))
        return false;
    *ret = (int)value;
    return true;
}

/* "*", "5", "1-5", each of the ranges with "/2". */
static bool read_range(const struct field *field, struct str text, uint64_t *bits)
{
    struct str step_text = text, range = str_cut(&step_text, '/');
    int64_t step = 1;
    int low = field->min, high = field->max;
    if (str_given(step_text) && !str_to_int(step_text, 1, field->max, &step))
        return false;
    if (!str_eq(range, S("*"))) {
        struct str high_text = range, low_text = str_cut(&high_text, '-');
        if (!read_value(field, low_text, &low))
            return false;
        high = low;
        if (str_given(high_text) && !read_value(field, high_text, &high))
            return false;
        if (field == &fields[WEEKDAY] && high == 0 && low > 0)
            high = 7; /* "fri-sun" */
        if (high < low || (!str_given(high_text) && str_given(step_text)))
            return false;
    }
    assert(low >= 0 && high < 64);
    for (int value = low; value <= high; value += (int)step)
        *bits |= UINT64_C(1) << value;
    return true;
}

static enum err read_field(struct op *op, const struct field *field, struct str text, uint64_t *ret)
{
    struct str rest = text;
    uint64_t bits = 0;
    while (str_given(rest)) {
        struct str part = str_cut(&rest, ',');
        if (!read_range(field, part, &bits))
            return fail(op, ERR_INVALID,
                        "%s \"%.*s\": %s from %d to %d%s, a range like %d-%d, a step like */2, or a list", field->name,
                        STR(str_clip(text, 64)), field->names ? "a name or a number" : "a number", field->min,
                        field->max, field == &fields[WEEKDAY] ? " (0 and 7 are Sunday)" : "", field->min,
                        field->min + 4);
    }
    *ret = bits;
    return OK;
}

static uint64_t all_of(int min, int max)
{
    return (UINT64_C(2) << max) - (UINT64_C(1) << min);
}

static enum err read_fields(struct op *op, struct str text, struct cron *ret)
{
    struct str words[FIELDS + 1], rest = text;
    uint64_t bits[FIELDS];
    int count = 0;
    while (str_given(rest)) {
        struct str word = str_cut(&rest, ' ');
        if (word.n > 0 && count <= FIELDS)
            words[count++] = word;
    }
    if (count != FIELDS)
        return fail(op, ERR_INVALID, "%s%d fields instead of five: minute hour day month weekday",
                    count > FIELDS ? "more than " : "", count > FIELDS ? FIELDS : count);
    for (int i = 0; i < FIELDS; i++)
        TRY(read_field(op, &fields[i], words[i], &bits[i]));
    uint64_t weekdays = (bits[WEEKDAY] | bits[WEEKDAY] >> 7) & 0x7f;
    *ret = (struct cron){
        .minutes = bits[MINUTE],
        .hours = (uint32_t)bits[HOUR],
        .days = (uint32_t)bits[DAY],
        .months = (uint32_t)bits[MONTH],
        .weekdays = (uint8_t)weekdays,
        .either_day = bits[DAY] != all_of(1, 31) && weekdays != 0x7f,
    };
    return OK;
}

static enum err read_every(struct op *op, struct str text, struct cron *ret)
{
    int64_t every_ms;
    if (!duration_parse(str_trim(text), &every_ms) || every_ms < CRON_EVERY_MS_MIN)
        return fail(op, ERR_INVALID, "@every takes a duration of at least 1s, like @every 90s");
    *ret = (struct cron){ .every_us = every_ms * 1000 };
    return OK;
}

enum err cron_parse(struct op *op, struct str text, struct cron *ret)
{
    static const struct {
        const char *word, *fields;
    } words[] = {
        { "@hourly", "0 * * * *" },  { "@daily", "0 0 * * *" },  { "@weekly", "0 0 * * 0" },
        { "@monthly", "0 0 1 * *" }, { "@yearly", "0 0 1 1 *" },
    };
    if (text.n > CRON_BYTES_MAX)
        return fail(op, ERR_INVALID, "longer than %d bytes", CRON_BYTES_MAX);
    text = str_trim(text);
    if (str_starts(text, S("@every ")))
        return read_every(op, (struct str){ text.p + 7, text.n - 7 }, ret);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_eq(text, str_of(words[i].word)))
            return read_fields(op, str_of(words[i].fields), ret);
    if (text.n > 0 && text.p[0] == '@')
        return fail(op, ERR_INVALID, "\"%.*s\" is none of @hourly @daily @weekly @monthly @yearly @every",
                    STR(str_clip(text, 64)));
    return read_fields(op, text, ret);
}

/* --- the next instant ----------------------------------------------------- */

static bool day_is_due(const struct cron *cron, int32_t day)
{
    int32_t year;
    int month, of_month;
    day_to_date(day, &year, &month, &of_month);
    bool by_day = cron->days >> of_month & 1, by_weekday = cron->weekdays >> day_weekday(day) & 1;
    bool is_day = cron->either_day ? by_day || by_weekday : by_day && by_weekday;
    return is_day && (cron->months >> month & 1);
}

static int32_t last_day(int32_t day)
{
    int32_t last = day + CRON_YEARS_MAX * 366;
    return last < DAY_MAX ? last : DAY_MAX;
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* The first due time of this local day that lies behind after_us. */
static bool next_of_day(const struct cron *cron, const struct zone *zone, int32_t day, int64_t after_us,
                        int64_t *ret_us)
{
    struct civil local = { 0 };
    day_to_date(day, &local.year, &local.month, &local.day);
    for (local.hour = 0; local.hour < 24; local.hour++) {
        if (!(cron->hours >> local.hour & 1))
            continue;
        for (local.minute = 0; local.minute < 60; local.minute++) {
            int64_t first_us, second_us;
            if (!(cron->minutes >> local.minute & 1))
                continue;
            zone_from_local(zone, &local, &first_us, &second_us);
            if (first_us > after_us) {
                *ret_us = first_us;
                return true;
            }
        }
    }
    return false;
}

/* Local times in their order have first instants in the same order, so the first that lies behind after_us is it. The
 * day before counts too: clocks may have been set back over midnight. */
static bool next_by_local(const struct cron *cron, const struct zone *zone, int64_t after_us, int64_t *ret_us)
{
    int32_t day = zone_day_at(zone, after_us) - 1, last = last_day(day);
    for (; day <= last; day++)
        if (day_is_due(cron, day) && next_of_day(cron, zone, day, after_us, ret_us))
            return true;
    return false;
}

/* The first due reading from local_us on, as long as clocks run evenly; local_us is a whole minute. */
static bool next_reading(const struct cron *cron, int64_t local_us, int64_t end_us, int64_t *ret_us)
{
    while (local_us < end_us) {
        int32_t day = (int32_t)floor_div(local_us, DAY_US);
        int minute = (int)(floor_div(local_us, MINUTE_US) - floor_div(local_us, 60 * MINUTE_US) * 60);
        if (!day_is_due(cron, day))
            local_us = (day + INT64_C(1)) * DAY_US;
        else if (cron->minutes >> minute & 1)
            break;
        else
            local_us += MINUTE_US;
    }
    *ret_us = local_us;
    return local_us < end_us;
}

/* Minute by minute of elapsed time: from one change of the offset to the next. */
static bool next_by_elapsed(const struct cron *cron, const struct zone *zone, int64_t after_us, int64_t *ret_us)
{
    int64_t at_us = after_us + 1, last_us = after_us + CRON_YEARS_MAX * 366 * DAY_US;
    while (at_us < last_us) {
        int64_t offset_us = zone_offset_at(zone, at_us) * SECOND_US, change_us, local_us;
        if (!zone_next_change(zone, at_us, &change_us) || change_us > last_us)
            change_us = last_us;
        int64_t from_us = -floor_div(-(at_us + offset_us), MINUTE_US) * MINUTE_US;
        if (next_reading(cron, from_us, change_us + offset_us, &local_us)) {
            *ret_us = local_us - offset_us;
            return true;
        }
        at_us = change_us;
    }
    return false;
}

bool cron_next(const struct cron *cron, const struct zone *zone, int64_t anchor_us, int64_t after_us, int64_t *ret_us)
{
    if (cron->every_us > 0) {
        *ret_us = anchor_us + (floor_div(after_us - anchor_us, cron->every_us) + 1) * cron->every_us;
        return true;
    }
    bool every_hour = cron->hours == (uint32_t)all_of(0, 23);
    return every_hour ? next_by_elapsed(cron, zone, after_us, ret_us) : next_by_local(cron, zone, after_us, ret_us);
}

int64_t cron_jitter_ms(struct str id, int64_t nominal_ms, int64_t jitter_ms)
{
    uint8_t hash[CRYPTO_SHA256_BYTES];
    char nominal[32];
    uint64_t first = 0;
    if (jitter_ms <= 0)
        return 0;
    int n = snprintf(nominal, sizeof nominal, "\n%lld", (long long)nominal_ms);
    crypto_sha256((struct str[]){ id, { nominal, (size_t)n } }, 2, hash);
    for (int i = 0; i < 8; i++)
        first = first << 8 | hash[i];
    return (int64_t)(first % (uint64_t)jitter_ms);
}
