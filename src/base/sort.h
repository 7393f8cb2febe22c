/*
 * sort.h - numbers in order.
 *
 *     sort_u64(numbers, count);
 *     count = sort_unique_u64(numbers, count);
 *
 * Records are sorted by qsort; what it asks for is made of sort_cmp_*, which
 * cannot overflow as a difference could.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Negative, 0 or positive as qsort wants it. */
static inline int sort_cmp_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static inline int sort_cmp_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* Smallest first. numbers may be NULL when there are none. */
void sort_i64(int64_t *numbers, size_t count);
void sort_u64(uint64_t *numbers, size_t count);

/* The same, each number once; returns how many are left. */
size_t sort_unique_i64(int64_t *numbers, size_t count);
size_t sort_unique_u64(uint64_t *numbers, size_t count);
