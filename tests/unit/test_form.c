#include "base/form.h"
#include "test.h"

static struct arena *arena;

static struct arena *fresh(void)
{
    if (!arena)
        arena = arena_new(65536);
    arena_reset(arena);
    return arena;
}

/* "name=value;name=value;" of all fields in order. */
static struct str all(struct str form)
{
    struct form_field field;
    struct str out = S("");
    while (form_next(arena, &form, &field))
        out = arena_fmt(arena, "%.*s%.*s=%.*s;", STR(out), STR(field.name), STR(field.value));
    return out;
}

TEST(form, keeps_order_and_repetition)
{
    fresh();
    STR_EQ(all(S("b=2&a=1&b=3")), "b=2;a=1;b=3;");
    STR_EQ(form_get(arena, S("b=2&a=1&b=3"), S("b")), "2");
    NO(str_given(form_get(arena, S("b=2&a=1"), S("c"))));
}

TEST(form, decodes_names_and_values)
{
    fresh();
    STR_EQ(all(S("a%20b=c+d%2B&%6dx=%e2%82%ac")), "a b=c d+;mx=\xe2\x82\xac;");
    struct str zero = form_get(arena, S("z=a%00b"), S("z"));
    EQ(zero.n, 3);
    EQ(zero.p[1], '\0');
}

TEST(form, takes_a_raw_blank_as_a_blank)
{
    fresh();
    STR_EQ(all(S("time=2016-07-10 15:17:00&reference=")), "time=2016-07-10 15:17:00;reference=;");
}

TEST(form, lets_a_lone_percent_stand_for_itself)
{
    fresh();
    STR_EQ(all(S("a=100%&b=%zz&c=%4")), "a=100%;b=%zz;c=%4;");
}

TEST(form, skips_empty_pairs_and_gives_empty_values)
{
    fresh();
    STR_EQ(all(S("&&a&b=&=c&")), "a=;b=;=c;");
    STR_EQ(all(S("")), "");
    STR_EQ(all((struct str){ NULL, 0 }), "");
    STR_EQ(all(S("a=b=c")), "a=b=c;");
}

TEST(form, tells_a_field_that_does_not_fit_its_arena)
{
    struct arena *tiny = arena_new(16);
    struct str form = S("a=%41%41%41%41%41%41%41%41%41%41%41%41&b=1");
    struct form_field field;
    YES(form_next(tiny, &form, &field));
    NO(str_given(field.name));
    YES(form_next(tiny, &form, &field));
    STR_EQ(field.name, "b");
    arena_free(tiny);
}

TEST(form, encodes_what_it_decodes)
{
    fresh();
    STR_EQ(form_encode(arena, S("a b/\xc3\xa9~-._%")), "a%20b%2F%C3%A9~-._%25");
    STR_EQ(form_decode(arena, form_encode(arena, S("a b/\xc3\xa9~-._%")), false), "a b/\xc3\xa9~-._%");
    STR_EQ(form_decode(arena, S("a+b"), false), "a+b");
}
