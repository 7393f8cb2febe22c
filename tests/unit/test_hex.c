#include "test.h"

#include "base/hex.h"
#include "base/random.h"

static struct arena *arena;

static struct str base64(struct str s)
{
    return base64_str(arena, s.p, s.n);
}

TEST(hex, writes_lower_case_and_reads_either)
{
    uint8_t bytes[4] = { 0 };
    arena = arena_new(4096);
    STR_EQ(hex_str(arena, "\x00\x7f\xab\xff", 4), "007fabff");
    YES(hex_decode(S("007FabFf"), bytes, 4));
    EQ(memcmp(bytes, "\x00\x7f\xab\xff", 4), 0);
    STR_EQ(hex_str(arena, "", 0), "");
    YES(hex_decode(S(""), bytes, 0));
    arena_free(arena);
}

TEST(hex, refuses_other_lengths_and_digits)
{
    uint8_t bytes[2] = { 7, 7 };
    NO(hex_decode(S("00f"), bytes, 2));
    NO(hex_decode(S("00ff0"), bytes, 2));
    NO(hex_decode(S("00fg"), bytes, 2));
    NO(hex_decode(S("00 f"), bytes, 2));
    NO(hex_decode(S("0x0f"), bytes, 2));
    EQ(bytes[0], 7);
}

TEST(base64, gives_the_results_of_rfc_4648)
{
    static const char *const cases[][2] = { { "", "" },
                                            { "f", "Zg==" },
                                            { "fo", "Zm8=" },
                                            { "foo", "Zm9v" },
                                            { "foob", "Zm9vYg==" },
                                            { "fooba", "Zm9vYmE=" },
                                            { "foobar", "Zm9vYmFy" } };
    arena = arena_new(4096);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t bytes[BASE64_RAW_MAX(8)];
        size_t n = 99;
        STR_EQ(base64(str_of(cases[i][0])), cases[i][1]);
        YES(base64_decode(str_of(cases[i][1]), bytes, &n));
        STR_EQ(((struct str){ (char *)bytes, n }), cases[i][0]);
    }
    arena_free(arena);
}

TEST(base64, has_a_url_form_without_padding)
{
    uint8_t bytes[8];
    size_t n = 99;
    arena = arena_new(4096);
    STR_EQ(base64_str(arena, "\xfb\xff\xfe\xff", 4), "+//+/w==");
    STR_EQ(base64url_str(arena, "\xfb\xff\xfe\xff", 4), "-__-_w");
    YES(base64url_decode(S("-__-_w"), bytes, &n));
    EQ(n, 4);
    YES(base64url_decode(S("-__-_w=="), bytes, &n));
    EQ(n, 4);
    NO(base64url_decode(S("-__-_w="), bytes, &n));
    NO(base64url_decode(S("+//+/w"), bytes, &n));
    arena_free(arena);
}

TEST(base64, refuses_what_has_another_spelling)
{
    static const char *const bad[] = { "Zg",    "Zg=",   "Zg===",  "Z", "Zh==", "Zm9=", "Zg==Zg==",
                                       "Zm9v=", "Zm 9v", "Zm9v\n", "=", "====", "-__-", "Zm9vY" };
    uint8_t bytes[BASE64_RAW_MAX(16)];
    size_t n = 99;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        NO(base64_decode(str_of(bad[i]), bytes, &n));
    EQ(n, 99);
}

TEST(base64, brings_every_length_back)
{
    struct rng rng;
    rng_init(&rng, 1);
    arena = arena_new(1 << 20);
    for (size_t n = 0; n < 200; n++) {
        uint8_t bytes[200], back[BASE64_RAW_MAX(300)];
        size_t got = 0;
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)rng_next(&rng);
        YES(base64_decode(base64_str(arena, bytes, n), back, &got));
        EQ(got, n);
        EQ(memcmp(bytes, back, n), 0);
        got = 0;
        YES(base64url_decode(base64url_str(arena, bytes, n), back, &got));
        EQ(got, n);
        EQ(memcmp(bytes, back, n), 0);
    }
    arena_free(arena);
}

TEST(base64, says_so_when_the_arena_is_full)
{
    static char bytes[8192];
    arena = arena_new(4096);
    NO(str_given(base64_str(arena, bytes, sizeof bytes)));
    NO(str_given(hex_str(arena, bytes, sizeof bytes)));
    arena_free(arena);
}
