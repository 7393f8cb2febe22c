#include "test.h"

#include "base/json_fields.h"

enum { TENANT, SENT_AT, TRACK, LIMIT, TIMING, TAGS, TO, EXTRA, FIELD_COUNT };

struct put {
    struct str tenant, sent_at, timing, tags, extra;
    bool track;
    int64_t limit;
    struct json_strs to;
};

static const struct json_field fields[FIELD_COUNT] = {
    [TENANT] = { "tenant", JSON_FIELD_STR, offsetof(struct put, tenant), 8, JSON_REQUIRED, 1 },
    [SENT_AT] = { "sent_at", JSON_FIELD_STR, offsetof(struct put, sent_at), 40, JSON_NULLABLE },
    [TRACK] = { "track", JSON_FIELD_BOOL, offsetof(struct put, track) },
    [LIMIT] = { "limit", JSON_FIELD_INT, offsetof(struct put, limit), 100, 0, 1 },
    [TIMING] = { "timing", JSON_FIELD_OBJECT, offsetof(struct put, timing), 60 },
    [TAGS] = { "tags", JSON_FIELD_ARRAY, offsetof(struct put, tags) },
    [TO] = { "to", JSON_FIELD_STRS, offsetof(struct put, to), 5, 0, 1, 3 },
    [EXTRA] = { "extra/~", JSON_FIELD_RAW, offsetof(struct put, extra) },
};

static struct op op;
static struct put put;
static struct json_seen seen;
static struct json_problems problems;

static enum err read_body(const char *text)
{
    static struct arena *arena;
    arena_free(arena);
    arena = arena_new(1 << 16);
    op_init(&op, arena, 0);
    put = (struct put){ .track = true, .limit = 50 };
    problems.count = 0;
    seen = (struct json_seen){ 0 };
    return json_read_body(&op, str_of(text), fields, FIELD_COUNT, &put, &seen, &problems);
}

/* The one problem that the body has. */
static void refuses(const char *text, const char *pointer, const char *detail)
{
    EQ(read_body(text), ERR_INVALID);
    EQ(problems.count, 1);
    STR_EQ(problems.items[0].pointer, pointer);
    STR_EQ(problems.items[0].detail, detail);
    STR_EQ(str_of(op.pointer), pointer);
    YES(str_ends(str_of(op.error), str_of(detail)));
}

TEST(json_fields, reads_every_kind_of_field)
{
    SUCCEEDS(&op,
             read_body("{\"tenant\":\"t-\\u00e4\",\"sent_at\":\"2026-11-21T19:00:00Z\",\"track\":false,\"limit\":7,"
                       "\"timing\":{ \"every\" :\"30s\"},\"tags\":[1,{}],\"to\":[\"a\",\"b\\n\"],"
                       "\"extra/~\": [ null ] }"));
    STR_EQ(put.tenant, "t-\xC3\xA4");
    STR_EQ(put.sent_at, "2026-11-21T19:00:00Z");
    NO(put.track);
    EQ(put.limit, 7);
    STR_EQ(put.timing, "{ \"every\" :\"30s\"}");
    STR_EQ(put.tags, "[1,{}]");
    EQ(put.to.count, 2);
    STR_EQ(put.to.items[0], "a");
    STR_EQ(put.to.items[1], "b\n");
    STR_EQ(put.extra, "[ null ]");
    EQ(seen.given, (1u << FIELD_COUNT) - 1);
    EQ(seen.null, 0);
}

TEST(json_fields, leaves_defaults_where_nothing_is_given)
{
    SUCCEEDS(&op, read_body("{\"tenant\":\"t\"}"));
    NO(str_given(put.sent_at));
    YES(put.track);
    EQ(put.limit, 50);
    YES(json_given(&seen, TENANT));
    NO(json_given(&seen, SENT_AT));
}

TEST(json_fields, tells_null_from_absent)
{
    SUCCEEDS(&op, read_body("{\"tenant\":\"t\",\"sent_at\":null,\"extra/~\":null}"));
    NO(str_given(put.sent_at));
    YES(json_given(&seen, SENT_AT));
    YES(json_given_null(&seen, SENT_AT));
    NO(json_given_null(&seen, TENANT));
    STR_EQ(put.extra, "null");
    YES(json_given_null(&seen, EXTRA));
}

TEST(json_fields, names_unknown_fields)
{
    refuses("{\"tenant\":\"t\",\"tenent\":1}", "/tenent", "there is no such field");
    STR_EQ(str_of(op.error), "tenent: there is no such field");
    refuses("{\"tenant\":\"t\",\"a/b~c\":1}", "/a~1b~0c", "there is no such field");
    refuses("{\"tenant\":\"t\",\"\":1}", "/", "there is no such field");
    refuses("{\"tenant\":\"t\",\"tenant\\u0000\":1}", "/tenant", "there is no such field");
}

TEST(json_fields, guesses_the_field_that_was_meant)
{
    refuses("{\"tenant\":\"t\",\"send_at\":null}", "/send_at", "there is no such field; did you mean 'sent_at'?");
    refuses("{\"send_at\":1,\"tenant\":\"t\",\"sent_at\":null}", "/send_at",
            "there is no such field"); /* it is there */
    EQ(read_body("{\"owner\":\"t\"}"), ERR_INVALID);
    STR_EQ(problems.items[0].detail, "there is no such field; did you mean 'tenant'?"); /* needed and missing */
    STR_EQ(problems.items[1].detail, "is required");
}

TEST(json_fields, cuts_the_names_of_long_unknown_fields)
{
    char text[400];
    snprintf(text, sizeof text, "{\"tenant\":\"t\",\"%0*d\":1}", 300, 7);
    EQ(read_body(text), ERR_INVALID);
    EQ(problems.items[0].pointer.n, 65);
}

TEST(json_fields, names_missing_fields)
{
    refuses("{}", "/tenant", "is required");
}

TEST(json_fields, names_fields_given_twice)
{
    refuses("{\"tenant\":\"t\",\"limit\":1,\"limit\":2}", "/limit", "is given twice");
}

TEST(json_fields, names_fields_of_a_wrong_type)
{
    refuses("{\"tenant\":5}", "/tenant", "must be text, not a number");
    refuses("{\"tenant\":null}", "/tenant", "must be text, not null");
    refuses("{\"tenant\":\"t\",\"track\":\"yes\"}", "/track", "must be true or false, not text");
    refuses("{\"tenant\":\"t\",\"track\":null}", "/track", "must be true or false, not null");
    refuses("{\"tenant\":\"t\",\"limit\":\"5\"}", "/limit", "must be a number, not text");
    refuses("{\"tenant\":\"t\",\"timing\":[]}", "/timing", "must be an object, not an array");
    refuses("{\"tenant\":\"t\",\"tags\":{}}", "/tags", "must be an array, not an object");
    refuses("{\"tenant\":\"t\",\"to\":\"a\"}", "/to", "must be an array of texts, not text");
}

TEST(json_fields, names_values_out_of_range)
{
    refuses("{\"tenant\":\"\"}", "/tenant", "must not be empty");
    refuses("{\"tenant\":\"123456789\"}", "/tenant", "is 9 bytes long, at most 8 are allowed");
    refuses("{\"tenant\":\"a\\u0000b\"}", "/tenant", "must not contain a NUL character");
    refuses("{\"tenant\":\"t\",\"limit\":0}", "/limit", "must be a whole number from 1 to 100");
    refuses("{\"tenant\":\"t\",\"limit\":1.5}", "/limit", "must be a whole number from 1 to 100");
    refuses("{\"tenant\":\"t\",\"limit\":1e99}", "/limit", "must be a whole number from 1 to 100");
    refuses("{\"tenant\":\"t\",\"timing\":{\"a\":\"01234567890123456789012345678901234567890123456789012345\"}}",
            "/timing", "is 64 bytes long, at most 60 are allowed");
}

TEST(json_fields, names_the_item_of_an_array)
{
    refuses("{\"tenant\":\"t\",\"to\":[\"a\",5]}", "/to/1", "must be text, not a number");
    refuses("{\"tenant\":\"t\",\"to\":[\"\"]}", "/to/0", "must not be empty");
    refuses("{\"tenant\":\"t\",\"to\":[\"a\",\"b\",\"c\",\"d\"]}", "/to", "has 4 items, at most 3 are allowed");
}

TEST(json_fields, collects_all_problems_and_speaks_of_the_first)
{
    EQ(read_body("{\"track\":1,\"limit\":-5,\"what\":{}}"), ERR_INVALID);
    EQ(problems.count, 4);
    STR_EQ(problems.items[0].pointer, "/track");
    STR_EQ(problems.items[1].pointer, "/limit");
    STR_EQ(problems.items[2].pointer, "/what");
    STR_EQ(problems.items[3].pointer, "/tenant");
    STR_EQ(str_of(op.pointer), "/track");
    STR_EQ(str_of(op.error), "track: must be true or false, not a number");
}

TEST(json_fields, stops_collecting_at_the_maximum)
{
    char text[600] = "{\"tenant\":\"t\"", item[20];
    for (int i = 0; i < 30; i++) {
        snprintf(item, sizeof item, ",\"x%d\":0", i);
        strcat(text, item);
    }
    strcat(text, "}");
    EQ(read_body(text), ERR_INVALID);
    EQ(problems.count, JSON_PROBLEMS_MAX);
    STR_EQ(problems.items[JSON_PROBLEMS_MAX - 1].pointer, "/x15");
}

TEST(json_fields, speaks_of_the_first_problem_when_nobody_collects)
{
    struct put mine = { 0 };
    read_body("{}");
    EQ(json_read_body(&op, S("{\"a\":1,\"b\":2}"), fields, FIELD_COUNT, &mine, NULL, NULL), ERR_INVALID);
    STR_EQ(str_of(op.pointer), "/a");
}

TEST(json_fields, calls_a_body_that_is_not_json_malformed)
{
    static const char *const bodies[] = { "",
                                          "{",
                                          "{\"tenant\":\"t\"",
                                          "{\"what\":1,}",
                                          "{\"tenant\":\"t\"} x",
                                          "{\"tenant\":\"\xFF\"}",
                                          "{\"to\":[\"a\",}",
                                          "{\"track\":tru}" };
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        EQ(read_body(bodies[i]), ERR_MALFORMED);
        STR_EQ(str_of(op.pointer), "");
        YES(str_starts(str_of(op.error), S("line 1 column ")));
    }
}

TEST(json_fields, wants_an_object)
{
    refuses("[]", "", "must be an object, not an array");
    refuses("\"text\"", "", "must be an object, not text");
    STR_EQ(str_of(op.error), "body: must be an object, not text");
}

TEST(json_fields, reads_nested_objects_under_their_own_pointer)
{
    static const struct json_field timing[] = { [0] = { "every", JSON_FIELD_STR, 0, 10 } };
    struct str every = { 0 };
    SUCCEEDS(&op, read_body("{\"tenant\":\"t\",\"timing\":{\"every\":\"30s\",\"margin\":1}}"));
    EQ(json_read_nested(&op, put.timing, "/timing", timing, 1, &every, NULL, &problems), ERR_INVALID);
    STR_EQ(every, "30s");
    STR_EQ(problems.items[0].pointer, "/timing/margin");
    STR_EQ(str_of(op.error), "timing/margin: there is no such field");
}

TEST(json_fields, lets_callers_add_problems_of_their_own)
{
    SUCCEEDS(&op, read_body("{\"tenant\":\"t\"}"));
    EQ(json_problem(&op, &problems, "/sent_at", "%s is no instant", "noon"), ERR_INVALID);
    EQ(json_problem(&op, &problems, "/limit", "is odd"), ERR_INVALID);
    EQ(problems.count, 2);
    STR_EQ(problems.items[1].detail, "is odd");
    STR_EQ(str_of(op.error), "sent_at: noon is no instant");
    EQ(json_problem(&op, NULL, "/limit", "is odd"), ERR_INVALID);
    STR_EQ(str_of(op.pointer), "/limit");
}

TEST(json_fields, reads_one_object_among_others)
{
    struct json j;
    struct put mine;
    int read = 0, refused = 0;
    read_body("{}");
    json_init(&j, op.arena, S("[{\"tenant\":\"a\"},{\"tenant\":[[1]]},{\"tenant\":\"b\"}]"), JSON_STRICT);
    YES(json_enter_array(&j));
    while (json_next_item(&j)) {
        enum err err = json_fields(&op, &j, "", fields, FIELD_COUNT, &mine, NULL, NULL);
        read += err == OK;
        refused += err == ERR_INVALID;
    }
    SUCCEEDS(&op, json_finish(&j, &op));
    EQ(read, 2);
    EQ(refused, 1);
}
