#include "base/crc32c.h"

#include <pthread.h>
#include <string.h>

#define POLYNOMIAL 0x82f63b78u /* 0x1edc6f41, lowest bit first */

typedef uint32_t crc_step(uint32_t crc, const uint8_t *p, size_t n);

static uint32_t table[256];
static crc_step *step; /* the quickest one that this processor knows */

static uint32_t step_by_table(uint32_t crc, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        crc = crc >> 8 ^ table[(crc ^ p[i]) & 255];
    return crc;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t step_by_instruction(uint32_t crc, const uint8_t *p, size_t n)
{
    uint64_t wide = crc;
    for (; n >= sizeof wide; n -= sizeof wide, p += sizeof wide) {
        uint64_t word;
        memcpy(&word, p, sizeof word);
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; n > 0; n--)
        crc = __builtin_ia32_crc32qi(crc, *p++);
    return crc;
}
#endif

static void prepare(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        table[i] = crc;
    }
    step = step_by_table;
#ifdef __x86_64__
    if (__builtin_cpu_supports("sse4.2"))
        step = step_by_instruction;
#endif
}

static void prepare_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, prepare);
}

uint32_t crc32c(const void *bytes, size_t n)
{
    prepare_once();
    return ~step(~0u, bytes, n);
}

uint32_t crc32c_by_table(const void *bytes, size_t n)
{
    prepare_once();
    return ~step_by_table(~0u, bytes, n);
}
