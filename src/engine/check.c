#include "engine/check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "engine/check_part.h"

static void report(struct check *check, const char *line)
{
    check->differ++;
    if (check->difference)
        check->difference(check->data, line);
}

bool check_fact(struct check *check, int64_t counter, int64_t rows, const char *what, ...)
{
    check->compared++;
    if (counter == rows)
        return true;
    char name[CHECK_LINE_BYTES_MAX], line[CHECK_LINE_BYTES_MAX + 64];
    va_list args;
    va_start(args, what);
    vsnprintf(name, sizeof name, what, args);
    va_end(args);
    snprintf(line, sizeof line, "%s: counter %" PRId64 ", rows %" PRId64, name, counter, rows);
    report(check, line);
    return false;
}

void check_claim(struct check *check, bool holds, const char *what, ...)
{
    check->compared++;
    if (holds)
        return;
    char line[CHECK_LINE_BYTES_MAX];
    va_list args;
    va_start(args, what);
    vsnprintf(line, sizeof line, what, args);
    va_end(args);
    report(check, line);
}

bool check_goes_on(struct check *check)
{
    return !check->pause || check->pause(check->data);
}

int64_t check_clock(const struct check *check)
{
    return check->mono_us ? check->mono_us(check->data) : 0;
}

bool check_reads_on(const struct check *check, int64_t began_us, uint64_t rows, uint64_t rows_max)
{
    bool in_time = !check->by_slices || check_clock(check) - began_us < CHECK_CHUNK_US;
    return rows < rows_max && in_time;
}

enum err check_run(struct op *op, struct check *check)
{
    bool in_one = !check->by_slices;
    check->compared = check->differ = 0;
    check->most_rows = 0;
    if (check->by_slices)
        TRY(check_slices(op, check, &in_one));
    if (in_one)
        TRY(check_totals(op, check));
    if (check_goes_on(check))
        TRY(check_details(op, check));
    if (check_goes_on(check))
        TRY(check_links(op, check));
    return check_goes_on(check) ? check_jobs(op, check) : OK;
}
