#include "base/duration.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

struct unit {
    const char *name;
    int64_t ms;
};

/* Longest first: duration_text takes the first that fits exactly. */
static const struct unit units[] = {
    { "w", 604800000 }, { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 }, { "s", 1000 }, { "ms", 1 },
};

bool duration_parse(struct str text, int64_t *ret_ms)
{
    size_t digits = 0;
    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;

    struct str unit = { text.p + digits, text.n - digits };
    int64_t count;
    if (!str_to_int((struct str){ text.p, digits }, 0, DURATION_MS_MAX, &count))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (!str_eq(unit, str_of(units[i].name)))
            continue;
        if (count > DURATION_MS_MAX / units[i].ms)
            return false;
        *ret_ms = count * units[i].ms;
        return true;
    }
    return false;
}

struct str duration_text(int64_t ms, char ret_text[DURATION_TEXT_BYTES])
{
    /* Weeks are read but not written: "14d" is how retention is spoken of. */
    size_t i = ms == 0 ? 4 : 1;
    while (ms % units[i].ms != 0)
        i++;
    int n = snprintf(ret_text, DURATION_TEXT_BYTES, "%" PRId64 "%s", ms / units[i].ms, units[i].name);
    return (struct str){ ret_text, (size_t)n };
}

struct str duration_text_s(int64_t ms, char ret_text[DURATION_TEXT_BYTES])
{
    assert(ms > INT64_MIN);
    const char *sign = ms < 0 ? "-" : "";
    int64_t size = ms < 0 ? -ms : ms;
    int n = snprintf(ret_text, DURATION_TEXT_BYTES, "%s%" PRId64 ".%03d", sign, size / 1000, (int)(size % 1000));

    while (ret_text[n - 1] == '0')
        n--;
    if (ret_text[n - 1] == '.')
        n--;
    ret_text[n] = '\0';
    return (struct str){ ret_text, (size_t)n };
}
