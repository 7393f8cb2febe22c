#include "test.h"

#include "base/glob.h"

TEST(glob, covers_the_whole_text)
{
    static const struct {
        const char *glob, *text;
        bool covers;
    } cases[] = {
        { "*", "", true },
        { "", "", true },
        { "", "a", false },
        { "a?c", "abc", true },
        { "a?c", "ac", false },
        { "*\"x\"*", "[\"x\"]", true },
        { "*b*d", "abcd", true },
        { "*b*d", "abcde", false },
        { "[a-c]x", "bx", true },
        { "[a-c]x", "dx", false },
        { "[^a]x", "bx", true },
        { "[^a]x", "ax", false },
        { "\\*", "*", true },
        { "\\*", "a", false },
        { "[", "[", true },
        { "[a", "[a", true },
        { "[a-]", "-", true },
        { "a\\", "a\\", true },
        { "*a*a*a*b", "aaaaaaaaaa", false },
        { "[\\]]", "]", true },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (glob_covers(str_of(cases[i].glob), str_of(cases[i].text)) != cases[i].covers)
            fprintf(stderr, "%s on %s\n", cases[i].glob, cases[i].text);
        EQ(glob_covers(str_of(cases[i].glob), str_of(cases[i].text)), cases[i].covers);
    }
}
