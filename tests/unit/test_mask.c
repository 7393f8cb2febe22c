#include "test.h"

#include "base/mask.h"
#include "base/random.h"

static struct str masked(const char *text)
{
    static char out[1024];
    return (struct str){ out, mask_into(str_of(text), out, sizeof out) };
}

TEST(mask, shows_one_letter_and_the_domain)
{
    STR_EQ(masked("john@example.org"), "j***@example.org");
    STR_EQ(masked("j@example.org"), "j***@example.org");
    STR_EQ(masked("ÿrjö@example.org"), "ÿ***@example.org");
    STR_EQ(masked("first.last+tag@sub.example.org"), "f***@sub.example.org");
}

TEST(mask, finds_addresses_inside_a_longer_text)
{
    STR_EQ(masked("550 5.1.1 <john@example.org>: no such user (ann@x.org, \"bob\" <bob@y.org>)"),
           "550 5.1.1 <j***@example.org>: no such user (a***@x.org, \"bob\" <b***@y.org>)");
    STR_EQ(masked("DELETE /v1/suppressions/john%40example.org?tenant=t"),
           "DELETE /v1/suppressions/j***%40example.org?tenant=t");
    STR_EQ(masked("a@b@c"), "a***@b***@c");
    STR_EQ(masked("literal john@[192.0.2.1]"), "literal j***@[192.0.2.1]");
}

TEST(mask, hides_a_quoted_local_part_wholly)
{
    STR_EQ(masked("to \"john doe\"@example.org now"), "to ***@example.org now");
    STR_EQ(masked("broken doe\"@example.org"), "broken d***@example.org");
}

TEST(mask, hides_user_and_password_of_a_url)
{
    STR_EQ(masked("at postgres://user:secret@db.example/posthouse"), "at postgres://***@db.example/posthouse");
    STR_EQ(masked("amqp://guest:p(a)s%s@mq:5672"), "amqp://***@mq:5672");
    STR_EQ(masked("https://x.org/list/john@example.org"), "https://x.org/list/j***@example.org");
}

TEST(mask, leaves_text_without_addresses_alone)
{
    static const char *const same[] = {
        "", "plain text", "@", "@home", "mail @ noon", "name@", "100%", "%40", "50%40x"
    };
    for (size_t i = 0; i < sizeof same / sizeof *same - 1; i++)
        STR_EQ(masked(same[i]), same[i]);
    struct str text = S("plain text");
    YES(mask_text(NULL, text).p == text.p);
}

TEST(mask, copies_into_an_arena_or_says_it_is_full)
{
    static char large[5000];
    struct arena *arena = arena_new(4096);
    STR_EQ(mask_text(arena, S("to ann@x.org")), "to a***@x.org");
    memset(large, '@', sizeof large);
    NO(str_given(mask_text(arena, (struct str){ large, sizeof large })));
    arena_free(arena);
}

TEST(mask, stays_within_its_room)
{
    char out[12];
    EQ(mask_into(S("john@example.org"), out, 12), 12);
    STR_EQ(((struct str){ out, 12 }), "j***@example");
    EQ(mask_into(S("john@example.org"), out, 0), 0);
    EQ(mask_into(S("aaaaaaaaaaaé"), out, 12), 11); /* a character is not cut */
}

TEST(mask, never_needs_more_than_it_says_and_never_shows_a_second_letter)
{
    static const char letters[] = "ab@.%40\"<> \xc3\xa9";
    struct rng rng;
    rng_init(&rng, 1);
    for (int round = 0; round < 20000; round++) {
        char text[24], out[MASK_BYTES_MAX(24) + 1];
        size_t n = rng_below(&rng, sizeof text + 1);
        for (size_t i = 0; i < n; i++)
            text[i] = letters[rng_below(&rng, sizeof letters - 1)];
        size_t got = mask_into((struct str){ text, n }, out, sizeof out);
        YES(got <= MASK_BYTES_MAX(n));
        for (size_t i = 2; i + 1 < got; i++) /* "ab@d" must have become "a***@d" */
            NO(out[i] == '@' && strchr("ab", out[i + 1]) && strchr("ab", out[i - 1]) && strchr("ab", out[i - 2]));
    }
}
