#include "main/measure.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sort.h"

#define SYNC_ROUNDS 101

double measure_percentile_ms(int64_t *us, size_t count, double share)
{
    if (count == 0)
        return 0;
    sort_i64(us, count);
    return (double)us[(size_t)(share * (double)(count - 1))] / 1000;
}

static int cmp_double(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

double measure_median(double *values, size_t count)
{
    if (count == 0)
        return 0;
    qsort(values, count, sizeof *values, cmp_double);
    return values[count / 2];
}

double measure_sync_ms(const char *directory)
{
    char path[300], bytes[4096] = { 1 };
    int64_t took_us[SYNC_ROUNDS];
    snprintf(path, sizeof path, "%s/sync-probe", directory);
    int fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return 0;
    size_t n = 0;
    for (; n < SYNC_ROUNDS; n++) {
        int64_t began_us = clock_mono_us();
        if (pwrite(fd, bytes, sizeof bytes, (off_t)(n * sizeof bytes)) != sizeof bytes || fdatasync(fd) != 0)
            break;
        took_us[n] = clock_mono_us() - began_us;
    }
    close(fd);
    unlink(path);
    return measure_percentile_ms(took_us, n, 0.5);
}

void measure_put(struct json_writer *w, const char *name, double value, int places)
{
    double unit = 1;
    for (int i = 0; i < places; i++)
        unit *= 10;
    json_put_name(w, name);
    json_put_decimal(w, (int64_t)(value * unit + 0.5), places);
}

void measure_put_head(struct json_writer *w, const struct measure_head *head)
{
    json_member_str(w, "bench", str_of(head->bench));
    json_member_str(w, "engine", str_of(head->engine));
    measure_put(w, "rate_per_second", head->rate, 0);
    measure_put(w, "p50_ms", head->p50_ms, 3);
    measure_put(w, "p99_ms", head->p99_ms, 3);
    json_member_int(w, "rss_bytes", head->rss_bytes);
    measure_put(w, "seconds", head->seconds, 1);
    json_member_int(w, "clients", head->clients);
    measure_put(w, "sync_ms", head->sync_ms, 3);
}
