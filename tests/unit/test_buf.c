#include "test.h"

#include "base/buf.h"

TEST(buf, grows_with_what_is_added)
{
    struct buf buf;
    buf_init(&buf, 1 << 20);
    STR_EQ(buf_str(&buf), "");
    for (int i = 0; i < 1000; i++)
        buf_add_str(&buf, S("0123456789"));
    buf_add_char(&buf, '!');
    EQ(buf.n, 10001);
    NO(buf.full);
    YES(str_ends(buf_str(&buf), S("789!")));
    buf_done(&buf);
    EQ(buf.n, 0);
}

TEST(buf, stays_as_it_is_once_a_piece_did_not_fit)
{
    struct buf buf;
    buf_init(&buf, 10);
    buf_add_str(&buf, S("12345678"));
    buf_add_str(&buf, S("abc"));
    YES(buf.full);
    buf_add_char(&buf, 'x');
    buf_add_fmt(&buf, "%d", 1);
    STR_EQ(buf_str(&buf), "12345678");
    buf_done(&buf);
}

TEST(buf, fills_exactly_to_its_maximum)
{
    struct buf buf;
    buf_init(&buf, 10);
    buf_add_str(&buf, S("1234567890"));
    NO(buf.full);
    buf_add_char(&buf, 'x');
    YES(buf.full);
    EQ(buf.n, 10);
    buf_done(&buf);
}

TEST(buf, starts_again_after_a_reset)
{
    struct buf buf;
    buf_init(&buf, 4);
    buf_add_str(&buf, S("12345"));
    YES(buf.full);
    buf_reset(&buf);
    NO(buf.full);
    buf_add_str(&buf, S("1234"));
    STR_EQ(buf_str(&buf), "1234");
    buf_done(&buf);
}

TEST(buf, drops_bytes_from_its_front)
{
    struct buf buf;
    buf_init(&buf, 100);
    buf_drop(&buf, 0);
    buf_add_str(&buf, S("line one\nli"));
    buf_drop(&buf, 9);
    STR_EQ(buf_str(&buf), "li");
    buf_drop(&buf, 2);
    STR_EQ(buf_str(&buf), "");
    buf_done(&buf);
}

TEST(buf, lives_in_an_arena)
{
    struct arena *arena = arena_new(4096);
    struct buf buf;
    buf_init_arena(&buf, arena, 1 << 20);
    for (int i = 0; i < 100; i++)
        buf_add_str(&buf, S("0123456789"));
    EQ(buf.n, 1000);
    YES(str_starts(buf_str(&buf), S("01234567890123")));
    for (int i = 0; i < 1000; i++)
        buf_add_str(&buf, S("0123456789"));
    YES(buf.full); /* the arena's maximum counts too */
    buf_done(&buf);
    arena_free(arena);
}

TEST(buf, formats_text_to_its_end)
{
    struct buf buf;
    buf_init(&buf, 1000);
    buf_add_fmt(&buf, "%s=%d", "a", 1);
    buf_add_fmt(&buf, " %0*d", 600, 7);
    EQ(buf.n, 3 + 601);
    buf_add_fmt(&buf, "%0*d", 600, 7);
    YES(buf.full);
    EQ(buf.n, 604);
    buf_done(&buf);
}
