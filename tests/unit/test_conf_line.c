#include "test.h"

#include "base/conf_line.h"

static struct op op;

/* A fresh op; the arena of the last one goes. */
static void start(void)
{
    static struct arena *arena;
    if (arena)
        arena_free(arena);
    arena = arena_new(1 << 20);
    op_init(&op, arena, 0);
}

static struct conf_line parsed(const char *text)
{
    struct conf_line line = { 0 };
    start();
    SUCCEEDS(&op, conf_line_parse(&op, str_of(text), &line));
    return line;
}

static void refused(const char *text, const char *sentence)
{
    struct conf_line line;
    start();
    EQ(conf_line_parse(&op, str_of(text), &line), ERR_INVALID);
    STR_EQ(str_of(op.error), sentence);
}

TEST(conf_line, passes_over_blanks_and_comments)
{
    EQ(parsed("").kind, CONF_LINE_EMPTY);
    EQ(parsed(" \t\r").kind, CONF_LINE_EMPTY);
    EQ(parsed("# http = x").kind, CONF_LINE_EMPTY);
    EQ(parsed("  ; old style").kind, CONF_LINE_EMPTY);
}

TEST(conf_line, reads_sections_with_and_without_name)
{
    struct conf_line line = parsed(" [server]  # the daemon\r");
    EQ(line.kind, CONF_LINE_SECTION);
    STR_EQ(line.section, "server");
    NO(str_given(line.name));
    STR_EQ(parsed("[source mg]").name, "mg");
    STR_EQ(parsed("[ source  a b ]").name, "a b");
    STR_EQ(parsed("[report \"weekly ] # \\\"x\\\"\"] # note").name, "weekly ] # \"x\"");
}

TEST(conf_line, reads_keys_and_keeps_values_raw)
{
    struct conf_line line = parsed("  http = 127.0.0.1:7420  ");
    EQ(line.kind, CONF_LINE_KEY);
    STR_EQ(line.key, "http");
    STR_EQ(line.value, "127.0.0.1:7420");
    STR_EQ(parsed("empty =").value, "");
    STR_EQ(parsed("delivered.permanent-failure=never").key, "delivered.permanent-failure");
    STR_EQ(parsed("keep.\"order.paid x\" = 90d").key, "keep.order.paid x");
    STR_EQ(parsed("url = http://x/?a=b").value, "http://x/?a=b");
}

TEST(conf_line, takes_comments_off_values_but_not_out_of_quotes)
{
    STR_EQ(parsed("a = b # c").value, "b");
    STR_EQ(parsed("a = b#c").value, "b#c");
    STR_EQ(parsed("a = # nothing").value, "");
    STR_EQ(parsed("a = \"b # c\" # d").value, "\"b # c\"");
    STR_EQ(parsed("a = x, \"b # c\", d # e").value, "x, \"b # c\", d");
    STR_EQ(parsed("a = it is 6\" long # e").value, "it is 6\" long");
}

TEST(conf_line, explains_what_it_cannot_read)
{
    refused("[server", "the closing bracket of the section is missing");
    refused("[", "the closing bracket of the section is missing");
    refused("[source \"mg]", "the closing bracket of the section is missing");
    refused("[]", "a section reads [section] or [section name]");
    refused("[se!ver]", "a section reads [section] or [section name]");
    refused("[server] x", "something stands behind the closing bracket");
    refused("[source \"\"]", "the name of [source] is empty");
    refused("[source \"a\" b]", "something stands behind the closing quote");
    refused("http", "expected KEY = VALUE, [section] or # comment");
    refused("= x", "expected KEY = VALUE, [section] or # comment");
    refused("two words = x", "expected KEY = VALUE, [section] or # comment");
    refused("keep.\"a = x", "the closing quote of the key is missing");
}

static struct str unquoted(const char *raw)
{
    struct str text = S("?");
    start();
    SUCCEEDS(&op, conf_line_unquote(&op, str_of(raw), &text));
    return text;
}

TEST(conf_line, takes_quotes_off)
{
    STR_EQ(unquoted("bare text"), "bare text");
    STR_EQ(unquoted("\"a \\\"b\\\" \\\\ \\n\\t\""), "a \"b\" \\ \n\t");
    STR_EQ(unquoted("\"\""), "");
    STR_EQ(unquoted(""), "");
}

TEST(conf_line, refuses_broken_quotes)
{
    struct str text;
    start();
    EQ(conf_line_unquote(&op, S("\"a"), &text), ERR_INVALID);
    EQ(conf_line_unquote(&op, S("\""), &text), ERR_INVALID);
    EQ(conf_line_unquote(&op, S("\"a\\\""), &text), ERR_INVALID);
    EQ(conf_line_unquote(&op, S("\"a\"b"), &text), ERR_INVALID);
    EQ(conf_line_unquote(&op, S("\"\\x\""), &text), ERR_INVALID);
    STR_EQ(str_of(op.error), "'\\x' means nothing in quotes (known: \\\" \\\\ \\n \\t)");
}

TEST(conf_line, parts_lists_at_commas_outside_quotes)
{
    struct str *items;
    size_t count;
    start();
    SUCCEEDS(&op, conf_line_items(&op, S("news, \"spring, sale\" ,x y"), &items, &count));
    EQ(count, 3);
    STR_EQ(items[0], "news");
    STR_EQ(items[1], "spring, sale");
    STR_EQ(items[2], "x y");
    SUCCEEDS(&op, conf_line_items(&op, S(" "), &items, &count));
    EQ(count, 0);
}

TEST(conf_line, refuses_empty_items)
{
    static const char *const bad[] = { ",", "a,", ",a", "a,,b", "a, ,b" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct str *items;
        size_t count;
        start();
        EQ(conf_line_items(&op, str_of(bad[i]), &items, &count), ERR_INVALID);
        STR_EQ(str_of(op.error), "an item of the list is empty");
    }
    struct str *items;
    size_t count;
    SUCCEEDS(&op, conf_line_items(&op, S("\"\""), &items, &count)); /* said so on purpose */
    EQ(count, 1);
}
