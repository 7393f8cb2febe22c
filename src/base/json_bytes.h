/*
 * json_bytes.h - the two loops in which JSON spends its time, sixteen bytes at a step.
 *
 * For json.c and json_write.c only. Without SSE2, or with JSON_PORTABLE (a test
 * compiles the scanner so), the same answers come byte by byte. No byte behind
 * `end` is ever touched, so inputs need no padding.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#if defined(__SSE2__) && !defined(JSON_PORTABLE)
#include <emmintrin.h>
#define JSON_SSE2 1
#else
#define JSON_SSE2 0
#endif

#if JSON_SSE2
static inline unsigned json_blank_mask(const char *p)
{
    __m128i bytes = _mm_loadu_si128((const void *)p);
    __m128i spaces =
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(' ')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t')));
    __m128i lines =
        _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\n')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\r')));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(spaces, lines));
}

/* Bytes that end a plain run. The signed comparison catches controls and everything from 0x80 up in one. */
static inline unsigned json_stop_mask(const char *p)
{
    __m128i bytes = _mm_loadu_si128((const void *)p);
    __m128i marks = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(marks, _mm_cmplt_epi8(bytes, _mm_set1_epi8(' '))));
}
#endif

/* To the first byte that is no blank; for indented text. */
static inline const char *json_blanks_long(const char *p, const char *end)
{
#if JSON_SSE2
    for (; end - p >= 16; p += 16) {
        unsigned other = ~json_blank_mask(p) & 0xFFFF;
        if (other)
            return p + __builtin_ctz(other);
    }
#endif
    while (p < end && (*p == ' ' || *p == '\n' || *p == '\t' || *p == '\r'))
        p++;
    return p;
}

/* To the first byte that is a quote, a backslash, a control character or not ASCII. */
static inline const char *json_plain_run(const char *p, const char *end)
{
#if JSON_SSE2
    for (; end - p >= 16; p += 16) {
        unsigned mask = json_stop_mask(p);
        if (mask)
            return p + __builtin_ctz(mask);
    }
#endif
    while (p < end && *p != '"' && *p != '\\' && (signed char)*p >= ' ')
        p++;
    return p;
}
