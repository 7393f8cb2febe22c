#include "test.h"

#include "base/near.h"

TEST(near, counts_changes_of_letters)
{
    EQ(near_distance(S("http"), S("http")), 0);
    EQ(near_distance(S("foo"), S("food")), 1);
    EQ(near_distance(S("food"), S("foo")), 1);
    EQ(near_distance(S("foot"), S("food")), 1);
    EQ(near_distance(S("htpt"), S("http")), 1); /* neighbours swapped */
    EQ(near_distance(S("kitten"), S("sitting")), 3);
    EQ(near_distance(S(""), S("abc")), 3);
    EQ(near_distance(S("abc"), S("")), 3);
}

TEST(near, finds_the_word_that_was_meant)
{
    struct near near = near_to(S("domian"));
    near_try(&near, S("tags"));
    near_try(&near, S("domain"));
    near_try(&near, S("remain"));
    STR_EQ(near_best(&near), "domain");
}

TEST(near, suggests_nothing_far_away)
{
    struct near near = near_to(S("foo"));
    near_try(&near, S("bar"));
    near_try(&near, S("fax"));
    NO(str_given(near_best(&near)));
    near = near_to(S("x"));
    near_try(&near, S("y"));
    STR_EQ(near_best(&near), "y");
}

TEST(near, takes_no_notice_of_endless_words)
{
    char word[100];
    memset(word, 'a', sizeof word);
    struct str endless = { word, sizeof word };
    struct near near = near_to(endless);
    near_try(&near, endless);
    near_try(&near, S("a"));
    NO(str_given(near_best(&near)));
}
