#include "test.h"

#include "base/buf.h"
#include "base/json_lines.h"

static struct json_lines lines;
static struct json_line line;

static void open_lines(const char *text, bool is_last)
{
    json_lines_init(&lines);
    json_lines_feed(&lines, str_of(text), is_last);
}

#define LINE(expected_number, expected_text)                                                                           \
    do {                                                                                                               \
        YES(json_line_next(&lines, &line));                                                                            \
        EQ(line.number, expected_number);                                                                              \
        NO(line.too_long);                                                                                             \
        STR_EQ(line.text, expected_text);                                                                              \
    } while (0)

TEST(json_lines, numbers_physical_lines_and_leaves_out_empty_ones)
{
    open_lines("{\"a\":1}\n\n  \r\n {\"b\":2} \r\n{}", true);
    LINE(1, "{\"a\":1}");
    LINE(4, "{\"b\":2}");
    LINE(5, "{}");
    NO(json_line_next(&lines, &line));
}

TEST(json_lines, gives_nothing_for_nothing)
{
    open_lines("", true);
    NO(json_line_next(&lines, &line));
    open_lines("\n\n", true);
    NO(json_line_next(&lines, &line));
    json_lines_feed(&lines, str_of(NULL), true);
    NO(json_line_next(&lines, &line));
}

TEST(json_lines, keeps_an_unfinished_line_for_what_follows)
{
    open_lines("1\n2", false);
    LINE(1, "1");
    NO(json_line_next(&lines, &line));
    STR_EQ(lines.rest, "2");
    json_lines_feed(&lines, S("23\n4"), false);
    LINE(2, "23");
    NO(json_line_next(&lines, &line));
    json_lines_feed(&lines, S("4"), true);
    LINE(3, "4");
    NO(json_line_next(&lines, &line));
}

static struct str long_line(size_t n, const char *tail)
{
    static char text[2 * JSON_LINE_BYTES_MAX];
    memset(text, 'x', n);
    strcpy(text + n, tail);
    return str_of(text);
}

TEST(json_lines, gives_a_line_of_the_maximum_whole)
{
    json_lines_init(&lines);
    json_lines_feed(&lines, long_line(JSON_LINE_BYTES_MAX, "\n2"), true);
    YES(json_line_next(&lines, &line));
    NO(line.too_long);
    EQ(line.text.n, JSON_LINE_BYTES_MAX);
    LINE(2, "2");
}

TEST(json_lines, names_a_line_that_is_too_long_and_goes_on)
{
    json_lines_init(&lines);
    json_lines_feed(&lines, long_line(JSON_LINE_BYTES_MAX + 1, "\n2"), true);
    YES(json_line_next(&lines, &line));
    YES(line.too_long);
    EQ(line.number, 1);
    NO(str_given(line.text));
    LINE(2, "2");
    NO(json_line_next(&lines, &line));
}

TEST(json_lines, forgets_the_bytes_of_a_line_that_is_too_long_while_it_arrives)
{
    json_lines_init(&lines);
    json_lines_feed(&lines, long_line(JSON_LINE_BYTES_MAX + 1, ""), false);
    YES(json_line_next(&lines, &line));
    YES(line.too_long);
    NO(json_line_next(&lines, &line));
    EQ(lines.rest.n, 0);
    json_lines_feed(&lines, S("still the same line"), false);
    NO(json_line_next(&lines, &line));
    EQ(lines.rest.n, 0);
    json_lines_feed(&lines, S("its end\n2\n"), true);
    LINE(2, "2");
    NO(json_line_next(&lines, &line));
}

/* However the bytes arrive, the lines are the same. */
TEST(json_lines, gives_the_same_lines_from_pieces_of_any_size)
{
    static const char text[] = "a\nbb\n\nccc\r\n\n dddd \ne";
    for (size_t step = 1; step < sizeof text; step++) {
        char out[100] = "", item[40];
        struct buf held;
        buf_init(&held, 1000);
        json_lines_init(&lines);
        for (size_t at = 0; at < sizeof text - 1; at += step) {
            size_t n = sizeof text - 1 - at < step ? sizeof text - 1 - at : step;
            buf_add(&held, text + at, n);
            json_lines_feed(&lines, buf_str(&held), at + n == sizeof text - 1);
            while (json_line_next(&lines, &line)) {
                snprintf(item, sizeof item, "%d:%.*s ", (int)line.number, STR(line.text));
                strcat(out, item);
            }
            buf_drop(&held, held.n - lines.rest.n);
        }
        buf_done(&held);
        STR_EQ(str_of(out), "1:a 2:bb 4:ccc 6:dddd 7:e ");
    }
}
