#include "base/sort.h"

#include <stdlib.h>

static int by_i64(const void *a, const void *b)
{
    return sort_cmp_i64(*(const int64_t *)a, *(const int64_t *)b);
}

static int by_u64(const void *a, const void *b)
{
    return sort_cmp_u64(*(const uint64_t *)a, *(const uint64_t *)b);
}

void sort_i64(int64_t *numbers, size_t count)
{
    if (count > 1)
        qsort(numbers, count, sizeof *numbers, by_i64);
}

void sort_u64(uint64_t *numbers, size_t count)
{
    if (count > 1)
        qsort(numbers, count, sizeof *numbers, by_u64);
}

size_t sort_unique_i64(int64_t *numbers, size_t count)
{
    size_t kept = 0;
    sort_i64(numbers, count);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || numbers[i] != numbers[i - 1])
            numbers[kept++] = numbers[i];
    return kept;
}

size_t sort_unique_u64(uint64_t *numbers, size_t count)
{
    size_t kept = 0;
    sort_u64(numbers, count);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || numbers[i] != numbers[i - 1])
            numbers[kept++] = numbers[i];
    return kept;
}
