#include "test.h"

#include "base/str.h"

TEST(str, tells_not_given_from_empty)
{
    NO(str_given(str_of(NULL)));
    YES(str_given(S("")));
    YES(str_eq(str_of(NULL), S("")));
}

TEST(str, compares_whole_texts)
{
    YES(str_eq(S("open"), S("open")));
    NO(str_eq(S("open"), S("opened")));
    YES(str_eq_secret(S("k3y"), S("k3y")));
    NO(str_eq_secret(S("k3y"), S("k3z")));
    NO(str_eq_secret(S("k3y"), S("k3")));
}

TEST(str, ignores_case_of_ascii_letters_only)
{
    YES(str_eq_nocase(S("Content-Type"), S("content-tYPE")));
    NO(str_eq_nocase(S("[a"), S("{a")));
    NO(str_eq_nocase(S("\xC3\x84"), S("\xC3\xA4")));
}

TEST(str, knows_how_a_text_starts_and_ends)
{
    YES(str_starts(S("Bearer x"), S("Bearer ")));
    NO(str_starts(S("Bear"), S("Bearer ")));
    YES(str_ends(S("page.json"), S(".json")));
    NO(str_ends(S("json"), S(".json")));
    YES(str_starts(str_of(NULL), S("")));
    YES(str_ends(str_of(NULL), S("")));
}

TEST(str, sorts_by_unsigned_bytes_and_prefixes_first)
{
    YES(str_cmp(S("a"), S("b")) < 0);
    YES(str_cmp(S("a"), S("ab")) < 0);
    YES(str_cmp(S("\xC3"), S("z")) > 0);
    EQ(str_cmp(str_of(NULL), S("")), 0);
}

TEST(str, trims_blanks_at_both_ends_only)
{
    STR_EQ(str_trim(S(" \t a b\r\n")), "a b");
    STR_EQ(str_trim(S(" \n ")), "");
}

TEST(str, finds_bytes_and_texts_or_gives_the_length)
{
    EQ(str_find(S("a=b=c"), '='), 1);
    EQ(str_find(S("abc"), '='), 3);
    EQ(str_search(S("one two"), S("two")), 4);
    EQ(str_search(S("one"), S("two")), 3);
    EQ(str_search(S("one"), S("")), 0);
}

TEST(str, cuts_at_separators_until_nothing_is_left)
{
    struct str rest = S("a,,b");
    STR_EQ(str_cut(&rest, ','), "a");
    STR_EQ(str_cut(&rest, ','), "");
    YES(str_given(rest));
    STR_EQ(str_cut(&rest, ','), "b");
    NO(str_given(rest));
}

TEST(str, eats_a_byte_only_when_it_stands_in_front)
{
    struct str text = S("-+");
    NO(str_eat(&text, '+'));
    STR_EQ(text, "-+");
    YES(str_eat(&text, '-'));
    YES(str_eat(&text, '+'));
    NO(str_eat(&text, '+'));
    STR_EQ(text, "");
}

TEST(str, leaves_an_empty_rest_behind_a_last_separator)
{
    struct str rest = S("a,");
    STR_EQ(str_cut(&rest, ','), "a");
    YES(str_given(rest));
    STR_EQ(str_cut(&rest, ','), "");
    NO(str_given(rest));
}

TEST(str, reads_integers_to_the_ends_of_their_range)
{
    int64_t v = 7;
    YES(str_to_int(S("-9223372036854775808"), INT64_MIN, INT64_MAX, &v));
    YES(v == INT64_MIN);
    YES(str_to_int(S("9223372036854775807"), INT64_MIN, INT64_MAX, &v));
    YES(v == INT64_MAX);
    YES(str_to_int(S("0012"), 0, 100, &v));
    EQ(v, 12);
}

TEST(str, refuses_what_is_no_integer_in_range_and_leaves_the_result)
{
    static const char *const refused[] = { "",
                                           "-",
                                           "+1",
                                           " 1",
                                           "1 ",
                                           "1.0",
                                           "x",
                                           "0x1",
                                           "101",
                                           "-11",
                                           "--1",
                                           "9223372036854775808",
                                           "-9223372036854775809",
                                           "99999999999999999999999" };
    int64_t v = 7;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        NO(str_to_int(str_of(refused[i]), -10, 100, &v));
    NO(str_to_int(S("9223372036854775808"), INT64_MIN, INT64_MAX, &v));
    EQ(v, 7);
}

TEST(str, accepts_well_formed_utf8)
{
    YES(str_is_utf8(S("")));
    YES(str_is_utf8(S("plain ascii of more than eight bytes")));
    YES(str_is_utf8(S("\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xF0\x90\x80\x80 \xF4\x8F\xBF\xBF")));
}

TEST(str, refuses_broken_utf8)
{
    static const char *const broken[] = {
        "\x80",             /* starts in the middle */
        "\xC0\x80",         /* long form of NUL */
        "\xC1\xBF",         /* long form of ASCII */
        "\xE0\x9F\xBF",     /* long form of two bytes */
        "\xED\xA0\x80",     /* surrogate */
        "\xF0\x8F\xBF\xBF", /* long form of three bytes */
        "\xF4\x90\x80\x80", /* above U+10FFFF */
        "\xF5\x80\x80\x80",
        "\xC3",
        "\xE2\x82",
        "\xF0\x9F\x98",
        "\xC3(",
        "\xE2(\xA1",
        "12345678\xFF",
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        NO(str_is_utf8(str_of(broken[i])));
}

TEST(str, clips_between_characters)
{
    STR_EQ(str_clip(S("abc"), 5), "abc");
    STR_EQ(str_clip(S("abc"), 2), "ab");
    STR_EQ(str_clip(S("a\xE2\x82\xAC"), 3), "a");
    STR_EQ(str_clip(S("a\xE2\x82\xAC"), 4), "a\xE2\x82\xAC");
    STR_EQ(str_clip(S("\xF0\x9F\x98\x80"), 3), "");
}
