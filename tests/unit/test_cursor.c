#include "serve/cursor.h"
#include "test.h"

static struct op *new_op(void)
{
    static struct op op;
    op_init(&op, arena_new(1 << 20), 0);
    return &op;
}

TEST(cursor, gives_back_the_number_and_the_text_it_was_made_from)
{
    struct op *op = new_op();
    struct str text = cursor_make(op, CURSOR_SOURCES, -7, S("mg/eu"));
    int64_t number = 0;
    struct str word = { 0 };
    YES(cursor_read(op, text, CURSOR_SOURCES, &number, &word));
    EQ(number, -7);
    STR_EQ(word, "mg/eu");
    arena_free(op->arena);
}

TEST(cursor, that_is_absent_means_the_first_page)
{
    struct op *op = new_op();
    int64_t number = 42;
    YES(cursor_read(op, (struct str){ 0 }, CURSOR_TOKENS, &number, NULL));
    EQ(number, 42);
    arena_free(op->arena);
}

TEST(cursor, of_another_list_or_version_is_foreign)
{
    struct op *op = new_op();
    struct str text = cursor_make(op, CURSOR_TOKENS, 1, S(""));
    int64_t number = 42;
    NO(cursor_read(op, text, CURSOR_AUDIT, &number, NULL));
    NO(cursor_read(op, S("AgEAAAAAAAAAAQ"), CURSOR_TOKENS, &number, NULL)); /* version 2 */
    NO(cursor_read(op, S(""), CURSOR_TOKENS, &number, NULL));
    NO(cursor_read(op, S("7"), CURSOR_TOKENS, &number, NULL));
    NO(cursor_read(op, S("no cursor at all!"), CURSOR_TOKENS, &number, NULL));
    EQ(number, 42);
    arena_free(op->arena);
}

TEST(cursor, longer_than_any_we_make_is_foreign)
{
    struct op *op = new_op();
    static char many[4096];
    memset(many, 'A', sizeof many);
    NO(cursor_read(op, (struct str){ many, sizeof many }, CURSOR_TOKENS, NULL, NULL));
    arena_free(op->arena);
}

static struct str a_list(struct op *op, bool more)
{
    struct json_writer w;
    struct buf *out = arena_alloc(op->arena, sizeof *out);
    buf_init_arena(out, op->arena, 4096);
    json_write_init(&w, out);
    list_begin(&w);
    json_put_int(&w, 1);
    SUCCEEDS(op, list_end(op, &w, more, CURSOR_TOKENS, 1, S("")));
    return buf_str(out);
}

TEST(cursor, ends_a_list_with_null_when_there_is_no_more)
{
    struct op *op = new_op();
    STR_EQ(a_list(op, false), "{\"items\":[1],\"next\":null}");
    STR_EQ(a_list(op, true), "{\"items\":[1],\"next\":\"AQEAAAAAAAAAAQ\"}");
    arena_free(op->arena);
}
