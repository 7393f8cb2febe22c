#include "test.h"

#include "base/json_write.h"

static struct buf buf;
static struct json_writer w;

static void start(void)
{
    buf_done(&buf);
    buf_init(&buf, 1 << 20);
    json_write_init(&w, &buf);
}

static struct str quoted(const char *bytes, size_t n)
{
    start();
    json_put_str(&w, (struct str){ bytes, n });
    return buf_str(&buf);
}

static struct str decimal(int64_t value, int places)
{
    start();
    json_put_decimal(&w, value, places);
    return buf_str(&buf);
}

static struct str integer(int64_t value)
{
    start();
    json_put_int(&w, value);
    return buf_str(&buf);
}

TEST(json_write, sets_commas_between_members_and_items)
{
    start();
    json_object_begin(&w);
    json_member_str(&w, "tenant", S("t-1"));
    json_put_name(&w, "items");
    json_array_begin(&w);
    json_put_int(&w, 1);
    json_object_begin(&w);
    json_object_end(&w);
    json_array_begin(&w);
    json_array_end(&w);
    json_put_bool(&w, true);
    json_array_end(&w);
    json_member_int(&w, "n", -7);
    json_member_bool(&w, "b", false);
    json_member_null(&w, "z");
    json_member_raw(&w, "raw", S("[ 1.50 ]"));
    json_object_end(&w);
    STR_EQ(buf_str(&buf),
           "{\"tenant\":\"t-1\",\"items\":[1,{},[],true],\"n\":-7,\"b\":false,\"z\":null,\"raw\":[ 1.50 ]}");
    NO(buf.full);
}

TEST(json_write, writes_lines_one_after_the_other)
{
    start();
    for (int i = 0; i < 2; i++) {
        json_object_begin(&w);
        json_member_int(&w, "line", i);
        json_object_end(&w);
        buf_add_char(&buf, '\n');
    }
    STR_EQ(buf_str(&buf), "{\"line\":0}\n{\"line\":1}\n");
}

TEST(json_write, escapes_what_must_be_escaped_and_nothing_else)
{
    STR_EQ(quoted("a\"b\\c/d", 7), "\"a\\\"b\\\\c/d\"");
    STR_EQ(quoted("\b\f\n\r\t", 5), "\"\\b\\f\\n\\r\\t\"");
    STR_EQ(quoted("\0\x01\x1F\x7F", 4), "\"\\u0000\\u0001\\u001f\x7F\"");
    STR_EQ(quoted("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80", 9), "\"\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\"");
}

TEST(json_write, replaces_bytes_that_are_no_utf8)
{
    STR_EQ(quoted("a\xFFz", 3), "\"a\xEF\xBF\xBDz\"");
    STR_EQ(quoted("\xE2\x82", 2), "\"\xEF\xBF\xBD\"");
    STR_EQ(quoted("\xED\xA0\x80", 3), "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

TEST(json_write, tells_empty_from_not_given)
{
    STR_EQ(quoted("", 0), "\"\"");
    STR_EQ(quoted(NULL, 0), "null");
}

TEST(json_write, escapes_names_that_come_from_outside)
{
    start();
    json_object_begin(&w);
    json_put_name_str(&w, S("a\"\n"));
    json_put_null(&w);
    json_put_name_str(&w, S(""));
    json_put_int(&w, 2);
    json_object_end(&w);
    STR_EQ(buf_str(&buf), "{\"a\\\"\\n\":null,\"\":2}");
}

TEST(json_write, writes_integers_to_the_ends_of_their_range)
{
    STR_EQ(integer(0), "0");
    STR_EQ(integer(-10), "-10");
    STR_EQ(integer(INT64_MAX), "9223372036854775807");
    STR_EQ(integer(INT64_MIN), "-9223372036854775808");
}

TEST(json_write, writes_decimals_without_trailing_zeros)
{
    STR_EQ(decimal(2500, 4), "0.25");
    STR_EQ(decimal(10000, 4), "1");
    STR_EQ(decimal(3333, 4), "0.3333");
    STR_EQ(decimal(1, 4), "0.0001");
    STR_EQ(decimal(0, 4), "0");
    STR_EQ(decimal(-2500, 4), "-0.25");
    STR_EQ(decimal(120, 0), "120");
    STR_EQ(decimal(1795287600123456, 6), "1795287600.123456");
    STR_EQ(decimal(INT64_MIN, 18), "-9.223372036854775808");
    STR_EQ(decimal(5, 18), "0.000000000000000005");
}

TEST(json_write, marks_the_buffer_when_it_is_full)
{
    buf_done(&buf);
    buf_init(&buf, 20);
    json_write_init(&w, &buf);
    json_array_begin(&w);
    for (int i = 0; i < 20; i++)
        json_put_str(&w, S("text"));
    json_array_end(&w);
    YES(buf.full);
    YES(buf.n <= 20);
}

static bool change_b(struct json_writer *out, struct str name, struct str value, void *data)
{
    if (str_eq(name, S("drop")))
        return true;
    if (!str_eq(name, S("b")))
        return false;
    *(struct str *)data = value;
    json_member_str(out, "c", S("changed"));
    return true;
}

static enum err copied(struct op *op, const char *object, bool changes, struct str *ret_b)
{
    start();
    json_object_begin(&w);
    json_member_int(&w, "first", 0);
    enum err err =
        json_copy_members(op, &w, object ? str_of(object) : (struct str){ 0 }, changes ? change_b : NULL, ret_b);
    if (err == OK)
        json_object_end(&w);
    return err;
}

TEST(json_write, copies_members_as_they_stand_but_for_those_a_change_takes)
{
    struct arena *arena = arena_new(1 << 16);
    struct op op = { .arena = arena };
    struct str b = { 0 };
    const char *given = "{ \"a\\n\" : [1.50, {}] , \"b\":-0, \"drop\":1}";
    SUCCEEDS(&op, copied(&op, given, false, NULL));
    STR_EQ(buf_str(&buf), "{\"first\":0,\"a\\n\":[1.50, {}],\"b\":-0,\"drop\":1}");
    SUCCEEDS(&op, copied(&op, given, true, &b));
    STR_EQ(buf_str(&buf), "{\"first\":0,\"a\\n\":[1.50, {}],\"c\":\"changed\"}");
    STR_EQ(b, "-0");
    SUCCEEDS(&op, copied(&op, NULL, true, &b));
    STR_EQ(buf_str(&buf), "{\"first\":0}");
    EQ(copied(&op, "{\"a\":1,}", false, NULL), ERR_MALFORMED);
    arena_free(arena);
}

/* Every byte at every place of texts around the steps of sixteen comes back from the scanner as it was. */
TEST(json_write, writes_what_the_scanner_reads_back)
{
    struct arena *arena = arena_new(1 << 16);
    for (size_t n = 1; n < 40; n++)
        for (size_t at = 0; at < n; at++)
            for (unsigned c = 0; c < 0x80; c++) {
                char text[40];
                struct json j;
                struct str read = { 0 };
                memset(text, 'x', n);
                text[at] = (char)c;
                struct str written = quoted(text, n);
                arena_reset(arena);
                json_init(&j, arena, written, JSON_STRICT);
                YES(json_string(&j, &read));
                YES(str_eq(read, (struct str){ text, n }));
            }
    arena_free(arena);
}
