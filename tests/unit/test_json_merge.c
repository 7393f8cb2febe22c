#include "test.h"

#include "base/json_merge.h"

static struct arena *arena;
static struct op op;

static struct str merged(const char *had, const char *patch)
{
    static struct buf buf;
    struct json_writer w;
    arena_free(arena);
    arena = arena_new(1 << 20);
    op_init(&op, arena, 0);
    buf_init_arena(&buf, arena, 4096);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    EQ(json_merge(&op, &w, str_of(had), str_of(patch)), OK);
    json_object_end(&w);
    return buf_str(&buf);
}

TEST(json_merge, replaces_values_and_keeps_what_is_not_named)
{
    STR_EQ(merged("{\"a\":1,\"b\":[1,2]}", "{\"b\":[3],\"c\":\"x\"}"), "{\"a\":1,\"b\":[3],\"c\":\"x\"}");
    STR_EQ(merged("", "{\"a\":1.0}"), "{\"a\":1.0}");
    STR_EQ(merged("{\"a\":1.0}", "{}"), "{\"a\":1.0}");
}

TEST(json_merge, null_removes_at_every_depth)
{
    STR_EQ(merged("{\"a\":1,\"b\":2}", "{\"a\":null,\"z\":null}"), "{\"b\":2}");
    STR_EQ(merged("{\"k\":{\"x\":{\"w\":1},\"y\":{\"w\":2}}}", "{\"k\":{\"x\":null}}"), "{\"k\":{\"y\":{\"w\":2}}}");
    STR_EQ(merged("{}", "{\"k\":{\"x\":null,\"y\":{\"z\":null}}}"), "{\"k\":{\"y\":{}}}");
}

TEST(json_merge, goes_into_objects_and_makes_one_of_what_was_none)
{
    STR_EQ(merged("{\"rate\":{\"limit\":40,\"per\":\"60s\"}}", "{\"rate\":{\"limit\":50}}"),
           "{\"rate\":{\"per\":\"60s\",\"limit\":50}}");
    STR_EQ(merged("{\"a\":[1]}", "{\"a\":{\"b\":1}}"), "{\"a\":{\"b\":1}}");
    STR_EQ(merged("{\"a\":{\"b\":1}}", "{\"a\":2}"), "{\"a\":2}");
}

TEST(json_merge, the_same_patch_again_changes_nothing)
{
    const char *patch = "{\"b\":{\"y\":2,\"x\":1},\"a\":null,\"c\":[{}]}";
    struct str once = merged("{\"a\":1,\"b\":{\"x\":0,\"z\":9}}", patch);
    char text[256];
    snprintf(text, sizeof text, "%.*s", STR(once));
    STR_EQ(merged(text, patch), text);
}

TEST(json_merge, refuses_what_is_no_json)
{
    struct buf buf;
    struct json_writer w;
    (void)merged("{}", "{}");
    buf_init_arena(&buf, arena, 4096);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    NE(json_merge(&op, &w, S("{}"), S("{\"a\":")), OK);
}
