#include "test.h"

#include "base/sort.h"

TEST(sort, puts_the_smallest_first)
{
    int64_t signs[] = { 3, INT64_MAX, -1, INT64_MIN, 0 };
    sort_i64(signs, 5);
    EQ(signs[0], INT64_MIN);
    EQ(signs[1], -1);
    EQ(signs[2], 0);
    EQ(signs[3], 3);
    EQ(signs[4], INT64_MAX);
}

TEST(sort, takes_a_set_top_bit_for_a_large_number)
{
    uint64_t keys[] = { UINT64_MAX, 1, UINT64_C(1) << 63, 0 };
    sort_u64(keys, 4);
    EQ(keys[0], 0);
    EQ(keys[1], 1);
    YES(keys[2] == UINT64_C(1) << 63);
    YES(keys[3] == UINT64_MAX);
}

TEST(sort, leaves_each_number_once)
{
    uint64_t keys[] = { 7, 3, 7, 7, 3, 9 };
    EQ(sort_unique_u64(keys, 6), 3);
    EQ(keys[0], 3);
    EQ(keys[1], 7);
    EQ(keys[2], 9);

    int64_t numbers[] = { -2, 5, -2 };
    EQ(sort_unique_i64(numbers, 3), 2);
    EQ(numbers[0], -2);
    EQ(numbers[1], 5);
}

TEST(sort, of_nothing_and_of_one_is_what_it_was)
{
    int64_t alone = 4;
    sort_i64(NULL, 0);
    EQ(sort_unique_u64(NULL, 0), 0);
    EQ(sort_unique_i64(&alone, 1), 1);
    EQ(alone, 4);
}

TEST(sort, compares_without_overflow)
{
    YES(sort_cmp_i64(INT64_MIN, INT64_MAX) < 0);
    YES(sort_cmp_i64(INT64_MAX, INT64_MIN) > 0);
    EQ(sort_cmp_i64(-7, -7), 0);
    YES(sort_cmp_u64(0, UINT64_MAX) < 0);
}
