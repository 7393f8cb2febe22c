/*
 * fuzz_instant.c - every reader of a time or a duration takes any text or refuses it,
 * and what was taken reads the same when we write it ourselves.
 */
#include <assert.h>

#include "base/duration.h"
#include "base/instant.h"
#include "fuzz.h"

static void reads_back(int64_t us)
{
    char text[INSTANT_TEXT_BYTES];
    int64_t again = 0;

    if (us < 0 || us > INSTANT_US_MAX)
        return;
    bool read = instant_parse(instant_text(us, 6, text), &again);
    assert(read && again == us);
    read = instant_parse_seconds(instant_text_seconds(us, 6, text), &again);
    assert(read && again == us);
    read = instant_parse_mail(instant_text_mail(us, text), &again);
    assert(read && again == us - us % 1000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct str text = { (const char *)data, bytes };
    struct civil local;
    int64_t us = 0, ms = 0;

    if (instant_parse(text, &us))
        reads_back(us);
    if (instant_parse_loose(text, &us, &local) == INSTANT_FIXED)
        reads_back(us);
    if (instant_parse_seconds(text, &us))
        reads_back(us);
    if (instant_parse_mail(text, &us))
        reads_back(us);
    if (instant_parse_http(text, INT64_C(1795287600000000), &us))
        reads_back(us);

    if (duration_parse(text, &ms)) {
        char written[DURATION_TEXT_BYTES];
        int64_t again = -1;
        bool read = duration_parse(duration_text(ms, written), &again);
        assert(read && again == ms);
    }
    return 0;
}
