#include "test.h"

#include "base/arena.h"

TEST(arena, gives_zeroed_aligned_memory_and_counts_it)
{
    struct arena *arena = arena_new(1 << 20);
    EQ(arena_used(arena), 0);
    for (size_t bytes = 1; bytes < 100; bytes++) {
        unsigned char *p = arena_alloc(arena, bytes);
        YES(p != NULL);
        EQ((uintptr_t)p % _Alignof(max_align_t), 0);
        for (size_t i = 0; i < bytes; i++)
            EQ(p[i], 0);
        memset(p, 0xAA, bytes);
    }
    YES(arena_used(arena) >= 99 * 100 / 2);
    arena_free(arena);
}

TEST(arena, zeroes_memory_again_after_a_reset)
{
    struct arena *arena = arena_new(1 << 20);
    memset(arena_alloc(arena, 1000), 0xFF, 1000);
    arena_reset(arena);
    EQ(arena_used(arena), 0);
    unsigned char *p = arena_alloc(arena, 1000);
    for (size_t i = 0; i < 1000; i++)
        EQ(p[i], 0);
    arena_free(arena);
}

TEST(arena, says_no_at_its_maximum_and_lives_on)
{
    struct arena *arena = arena_new(10000);
    YES(arena_alloc(arena, 9000) != NULL);
    YES(arena_alloc(arena, 2000) == NULL);
    YES(arena_alloc(arena, SIZE_MAX) == NULL);
    YES(arena_alloc(arena, SIZE_MAX - 5) == NULL);
    YES(arena_alloc(arena, 900) != NULL);
    arena_reset(arena);
    YES(arena_alloc(arena, 9000) != NULL);
    arena_free(arena);
}

TEST(arena, keeps_earlier_memory_while_it_grows_over_many_chunks)
{
    enum { COUNT = 5000, BYTES = 1000 };
    static unsigned char *blocks[COUNT];
    struct arena *arena = arena_new(COUNT * 1024);
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = arena_alloc(arena, BYTES);
        memset(blocks[i], i & 0xFF, BYTES);
    }
    for (int i = 0; i < COUNT; i++) {
        EQ(blocks[i][0], i & 0xFF);
        EQ(blocks[i][BYTES - 1], i & 0xFF);
    }
    arena_free(arena);
}

TEST(arena, gives_single_blocks_larger_than_a_chunk)
{
    struct arena *arena = arena_new(8 << 20);
    char *large = arena_alloc_raw(arena, 5 << 20);
    YES(large != NULL);
    memset(large, 1, 5 << 20);
    YES(arena_alloc(arena, 16) != NULL);
    arena_free(arena);
}

TEST(arena, copies_texts_with_a_nul_behind)
{
    struct arena *arena = arena_new(4096);
    struct str copy = arena_str(arena, S("tenant"));
    STR_EQ(copy, "tenant");
    EQ(copy.p[6], 0);
    YES(str_given(arena_str(arena, S(""))));
    NO(str_given(arena_str(arena, str_of(NULL))));
    arena_free(arena);
}

TEST(arena, formats_texts)
{
    struct arena *arena = arena_new(4096);
    STR_EQ(arena_fmt(arena, "%s:%d", "line", 42), "line:42");
    NO(str_given(arena_fmt(arena, "%5000d", 1)));
    arena_free(arena);
}

TEST(arena, frees_nothing_given_nothing)
{
    arena_free(NULL);
}
