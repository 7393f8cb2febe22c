#include "net/multipart.h"
#include "test.h"

#define TYPE "multipart/form-data; boundary=x1"

static struct op op;
static struct arena *arena;

static void begin(void)
{
    if (!arena)
        arena = arena_new(1 << 20);
    arena_reset(arena);
    op_init(&op, arena, 0);
}

/* "name=value;" of all parts, or the name of the error. */
static struct str all(const char *type, struct str body)
{
    struct multipart multipart;
    struct multipart_part part;
    struct str out = S("");
    begin();
    enum err err = multipart_init(&op, &multipart, str_of(type), body);
    while (err == OK) {
        err = multipart_next(&op, &multipart, &part);
        if (err == OK && !str_given(part.name))
            return out;
        out = arena_fmt(arena, "%.*s%.*s=%.*s;", STR(out), STR(part.name), STR(part.value));
    }
    return str_of(err_name(err));
}

#define PART(name, value) "--x1\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"

TEST(multipart, gives_fields_in_order_with_repetition)
{
    STR_EQ(all(TYPE,
               S(PART("to", "ann@example.org") PART("to", "bob@example.org") PART("text", "hi\r\nthere") "--x1--\r\n")),
           "to=ann@example.org;to=bob@example.org;text=hi\r\nthere;");
}

TEST(multipart, gives_empty_values)
{
    STR_EQ(all(TYPE, S(PART("a", "") PART("b", "\r\n") "--x1--")), "a=;b=\r\n;");
    STR_EQ(all(TYPE, S("--x1--\r\n")), "");
}

TEST(multipart, reads_filename_and_type_of_a_file)
{
    struct multipart multipart;
    struct multipart_part part;
    begin();
    struct str body = S("--x1\r\ncontent-type: image/png\r\nContent-Disposition: form-data; name=\"attachment\"; "
                        "filename=\"a;b \\ c.png\"\r\nX-Other: y\r\n\r\n\x89PNG\r\n--x1--\r\n");
    SUCCEEDS(&op, multipart_init(&op, &multipart, S(TYPE), body));
    SUCCEEDS(&op, multipart_next(&op, &multipart, &part));
    STR_EQ(part.name, "attachment");
    STR_EQ(part.filename, "a;b \\ c.png");
    STR_EQ(part.content_type, "image/png");
    STR_EQ(part.value, "\x89PNG");
    SUCCEEDS(&op, multipart_next(&op, &multipart, &part));
    NO(str_given(part.name));
}

TEST(multipart, keeps_what_only_looks_like_a_boundary)
{
    STR_EQ(all(TYPE, S(PART("a", "a--x1--\r\n--x1y\r\n--x\r\n-x1\r\n--x1 y\r\n--y") "--x1--")),
           "a=a--x1--\r\n--x1y\r\n--x\r\n-x1\r\n--x1 y\r\n--y;");
}

TEST(multipart, takes_quoted_boundaries_preamble_and_epilogue)
{
    STR_EQ(
        all("Multipart/Form-Data; charset=utf-8; boundary=\"a b:c\"",
            S("ignored\r\n--a b:c  \r\nContent-Disposition: form-data; name=n\r\n\r\nv\r\n--a b:c--\r\nalso ignored")),
        "n=v;");
}

TEST(multipart, refuses_other_types_and_bad_boundaries)
{
    STR_EQ(all("application/json", S("{}")), "malformed");
    STR_EQ(all("", S("{}")), "malformed");
    STR_EQ(all("multipart/form-data", S("--x1--")), "malformed");
    STR_EQ(all("multipart/form-data; boundary=", S("--x1--")), "malformed");
    STR_EQ(all("multipart/form-data; boundary=\"x1", S("--x1--")), "malformed");
    STR_EQ(all("multipart/form-data; boundary="
               "0123456789012345678901234567890123456789012345678901234567890123456789x",
               S("--x1--")),
           "malformed");
}

TEST(multipart, refuses_bodies_that_are_cut_off_or_broken)
{
    static const char whole[] = PART("a", "value") PART("b", "w") "--x1--";
    for (size_t n = 0; n < sizeof whole - 1; n++)
        STR_EQ(all(TYPE, (struct str){ whole, n }), "malformed");
    STR_EQ(all(TYPE, S(PART("a", "value") "--x1x--")), "malformed");
    STR_EQ(all(TYPE, S("--x1\r\nContent-Disposition: form-data\r\n\r\nv\r\n--x1--")), "malformed");
    STR_EQ(all(TYPE, S("--x1\r\nContent-Disposition: attachment; name=a\r\n\r\nv\r\n--x1--")), "malformed");
}

TEST(multipart, bounds_parts_and_their_heads)
{
    begin();
    char *many = arena_alloc(arena, 200000);
    size_t n = 0;
    for (int i = 0; i < MULTIPART_PARTS_MAX + 1; i++)
        n += (size_t)sprintf(many + n, "%s", PART("a", "v"));
    sprintf(many + n, "--x1--");
    struct multipart multipart;
    struct multipart_part part;
    SUCCEEDS(&op, multipart_init(&op, &multipart, S(TYPE), str_of(many)));
    for (int i = 0; i < MULTIPART_PARTS_MAX; i++)
        SUCCEEDS(&op, multipart_next(&op, &multipart, &part));
    EQ(multipart_next(&op, &multipart, &part), ERR_TOO_LARGE);

    n = (size_t)sprintf(many, "--x1\r\nX: ");
    memset(many + n, 'a', MULTIPART_HEAD_BYTES_MAX);
    sprintf(many + n + MULTIPART_HEAD_BYTES_MAX, "\r\n\r\nv\r\n--x1--");
    SUCCEEDS(&op, multipart_init(&op, &multipart, S(TYPE), str_of(many)));
    EQ(multipart_next(&op, &multipart, &part), ERR_TOO_LARGE);
}
