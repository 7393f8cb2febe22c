#include "main/progress.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#define SHOW_EVERY_US 100000
#define BAR_COLUMNS   24

void progress_begin(struct progress *progress, const char *label, int64_t total, bool bytes)
{
    *progress = (struct progress){
        .label = label, .total = total, .bytes = bytes, .began_us = clock_mono_us(), .on = isatty(STDERR_FILENO)
    };
}

static void print_amount(const struct progress *progress, double amount, const char *tail)
{
    if (progress->bytes)
        fprintf(stderr, "  %.1f MB%s", amount / 1e6, tail);
    else
        fprintf(stderr, "  %.0f%s", amount, tail);
}

void progress_at(struct progress *progress, int64_t done)
{
    int64_t now_us = clock_mono_us();
    if (!progress->on || now_us - progress->shown_us < SHOW_EVERY_US)
        return;
    progress->shown_us = now_us;
    double seconds = (double)(now_us - progress->began_us) / 1e6;
    double rate = seconds > 0 ? (double)done / seconds : 0;
    fprintf(stderr, "\r%s", progress->label);
    if (progress->total > 0) {
        double share = (double)done / (double)progress->total;
        int filled = (int)(share * BAR_COLUMNS);
        char bar[BAR_COLUMNS + 1];
        memset(bar, '.', BAR_COLUMNS);
        memset(bar, '#', (size_t)(filled > BAR_COLUMNS ? BAR_COLUMNS : filled));
        bar[BAR_COLUMNS] = '\0';
        fprintf(stderr, "  [%s] %3.0f %%", bar, share * 100);
    }
    print_amount(progress, (double)done, "");
    print_amount(progress, rate, "/s");
    if (progress->total > done && rate > 0)
        fprintf(stderr, "  %d:%02d left", (int)((double)(progress->total - done) / rate) / 60,
                (int)((double)(progress->total - done) / rate) % 60);
    fputs("\033[K", stderr);
}

void progress_end(struct progress *progress)
{
    if (progress->on && progress->shown_us)
        fputs("\r\033[K", stderr);
}
