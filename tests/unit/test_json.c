#include "test.h"

#include "base/json.h"

#include "json_samples.h"

static struct op op;
static struct arena *arena;

/* A scanner over a copy in memory of exactly its size, so that a byte read too far is seen by the sanitizer. */
static struct json open_mode(const char *text, size_t n, enum json_mode mode)
{
    static char *copy;
    struct json j;
    free(copy);
    copy = malloc(n ? n : 1);
    if (n)
        memcpy(copy, text, n);
    if (!arena)
        arena = arena_new(1 << 20);
    arena_reset(arena);
    op_init(&op, arena, 0);
    json_init(&j, arena, (struct str){ copy, n }, mode);
    return j;
}

static struct json open_strict(const char *text)
{
    return open_mode(text, strlen(text), JSON_STRICT);
}

static enum err check(const char *text, enum json_mode mode)
{
    struct json j = open_mode(text, strlen(text), mode);
    return json_finish(&j, &op);
}

static void expect(const char *text, enum json_mode mode, enum err wanted)
{
    if (check(text, mode) != wanted)
        print_error("%s: %s\n", text, op.error);
    EQ(check(text, mode), wanted);
}

static const char *error_of(const char *text)
{
    EQ(check(text, JSON_STRICT), ERR_MALFORMED);
    return op.error;
}

static struct str text_of(const char *text, enum json_mode mode)
{
    struct json j = open_mode(text, strlen(text), mode);
    struct str s = { 0 };
    YES(json_string(&j, &s));
    SUCCEEDS(&op, json_finish(&j, &op));
    return s;
}

TEST(json, accepts_every_well_formed_sample)
{
    for (size_t i = 0; i < sizeof json_valid / sizeof *json_valid; i++) {
        expect(json_valid[i], JSON_STRICT, OK);
        expect(json_valid[i], JSON_TOLERANT, OK);
    }
}

TEST(json, refuses_every_broken_sample)
{
    for (size_t i = 0; i < sizeof json_invalid / sizeof *json_invalid; i++) {
        expect(json_invalid[i], JSON_STRICT, ERR_MALFORMED);
        expect(json_invalid[i], JSON_TOLERANT, ERR_MALFORMED);
    }
}

TEST(json, refuses_broken_samples_at_any_depth_and_place)
{
    char text[400];
    for (size_t i = 0; i < sizeof json_invalid / sizeof *json_invalid; i++) {
        snprintf(text, sizeof text, "{\"a\":[1,%s],\"b\":{}}", json_invalid[i]);
        EQ(check(text, JSON_STRICT), ERR_MALFORMED);
        snprintf(text, sizeof text, "[{\"a\":%s}]", json_invalid[i]);
        EQ(check(text, JSON_STRICT), ERR_MALFORMED);
    }
}

TEST(json, refuses_every_text_that_is_cut_off)
{
    static const char whole[] = "{\"id\":\"a\\u00e4\\n\",\"list\":[1.5e3,true,null,{}],\"size\":-12}";
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        struct json j = open_mode(whole, n, JSON_STRICT);
        EQ(json_finish(&j, &op), ERR_MALFORMED);
    }
    EQ(check(whole, JSON_STRICT), OK);
}

TEST(json, takes_a_str_that_is_not_given_as_empty)
{
    struct json j;
    open_strict("");
    json_init(&j, arena, str_of(NULL), JSON_STRICT);
    EQ(json_type(&j), JSON_END);
    EQ(json_finish(&j, &op), ERR_MALFORMED);
}

TEST(json, says_where_and_what_is_wrong)
{
    STR_EQ(str_of(error_of("{\n  \"a\": 1,\n  \"b\"  2}")), "line 3 column 8: expected ':' behind a name");
    STR_EQ(str_of(error_of("[1,]")), "line 1 column 4: expected a value");
    STR_EQ(str_of(error_of("{\"a\":1,}")), "line 1 column 8: expected a name in quotes");
    STR_EQ(str_of(error_of("[1 2]")), "line 1 column 4: expected ',' or ']'");
    STR_EQ(str_of(error_of("{\"a\":1 \"b\"}")), "line 1 column 8: expected ',' or '}'");
    STR_EQ(str_of(error_of("[\"abc")), "line 1 column 2: this text is never closed");
    STR_EQ(str_of(error_of("[1")), "line 1 column 3: the text ends inside an array");
    STR_EQ(str_of(error_of("{} x")), "line 1 column 4: something stands behind the end of the JSON text");
    STR_EQ(str_of(error_of("")), "line 1 column 1: the text ends where a value should stand");
    STR_EQ(str_of(error_of("\"\xC3\xA4\xE2\x82\xAC\x01\"")),
           "line 1 column 4: a control character inside a text must be escaped");
}

TEST(json, walks_members_and_items_in_their_order)
{
    struct json j = open_strict(" { \"a\" : 1 , \"b\" : [ true , \"x\" ] , \"c\" : null } ");
    struct str name, text;
    int64_t number;
    bool flag = false;
    YES(json_enter_object(&j));
    YES(json_next_member(&j, &name));
    STR_EQ(name, "a");
    YES(json_int(&j, 0, 9, &number));
    EQ(number, 1);
    YES(json_next_member(&j, &name));
    STR_EQ(name, "b");
    YES(json_enter_array(&j));
    YES(json_next_item(&j));
    YES(json_bool(&j, &flag));
    YES(flag);
    YES(json_next_item(&j));
    YES(json_string(&j, &text));
    STR_EQ(text, "x");
    NO(json_next_item(&j));
    YES(json_next_member(&j, &name));
    STR_EQ(name, "c");
    YES(json_null(&j));
    NO(json_next_member(&j, &name));
    SUCCEEDS(&op, json_finish(&j, &op));
}

TEST(json, skips_members_and_items_that_nobody_reads)
{
    struct json j = open_strict("{\"a\":{\"x\":[1,{}]},\"b\":[[],2],\"c\":7}");
    struct str name;
    int64_t number = 0;
    YES(json_enter_object(&j));
    while (json_next_member(&j, &name))
        if (str_eq(name, S("c")))
            YES(json_int(&j, 0, 9, &number));
    EQ(number, 7);
    SUCCEEDS(&op, json_finish(&j, &op));
}

TEST(json, eats_a_value_of_another_type_and_says_so)
{
    struct json j = open_strict("[{\"a\":[1]},\"text\",12,true,null,5]");
    struct str text = S("untouched");
    bool flag = true;
    int64_t number = 0;
    YES(json_enter_array(&j));
    YES(json_next_item(&j));
    NO(json_string(&j, &text));
    YES(json_next_item(&j));
    NO(json_enter_object(&j));
    YES(json_next_item(&j));
    NO(json_bool(&j, &flag));
    YES(json_next_item(&j));
    NO(json_number_text(&j, &text));
    YES(json_next_item(&j));
    NO(json_enter_array(&j));
    YES(json_next_item(&j));
    NO(json_null(&j));
    YES(json_int(&j, 0, 9, &number));
    NO(json_next_item(&j));
    EQ(number, 5);
    YES(flag);
    STR_EQ(text, "untouched");
    SUCCEEDS(&op, json_finish(&j, &op));
}

TEST(json, reads_a_value_once)
{
    struct json j = open_strict("[\"a\",\"b\"]");
    struct str text;
    YES(json_enter_array(&j));
    NO(json_string(&j, &text)); /* no item is in front yet */
    YES(json_next_item(&j));
    YES(json_string(&j, &text));
    NO(json_string(&j, &text));
    NO(json_raw(&j, &text));
    EQ(json_type(&j), JSON_END);
    STR_EQ(text, "a");
    YES(json_next_item(&j));
    YES(json_string(&j, &text));
    STR_EQ(text, "b");
    SUCCEEDS(&op, json_finish(&j, &op));
}

TEST(json, finds_the_raw_bytes_of_one_member)
{
    struct str object = S("{\"a\":1, \"b\": [2, {\"a\":3}] ,\"a\":\"x\",\"c\\u0064\":null}"), value = S("as it was");
    YES(json_find(arena, object, JSON_STRICT, S("b"), &value));
    STR_EQ(value, "[2, {\"a\":3}]");
    YES(json_find(arena, object, JSON_STRICT, S("a"), &value)); /* the last of that name */
    STR_EQ(value, "\"x\"");
    YES(json_find(arena, object, JSON_STRICT, S("cd"), &value));
    STR_EQ(value, "null");
    NO(json_find(arena, object, JSON_STRICT, S("d"), &value));
    NO(json_find(arena, S("[1]"), JSON_STRICT, S("a"), &value));
    STR_EQ(value, "null");
}

TEST(json, leaves_a_container_early)
{
    struct json j = open_strict("[[1,{\"a\":[2]},3],{\"b\":{}},[],4]");
    struct str name;
    int64_t number = 0;
    YES(json_enter_array(&j));
    YES(json_next_item(&j));
    YES(json_enter_array(&j));
    YES(json_next_item(&j));
    json_leave(&j);
    YES(json_next_item(&j));
    YES(json_enter_object(&j));
    YES(json_next_member(&j, &name));
    json_leave(&j); /* with a value in front */
    YES(json_next_item(&j));
    YES(json_enter_array(&j));
    json_leave(&j); /* just inside */
    YES(json_next_item(&j));
    YES(json_int(&j, 0, 9, &number));
    EQ(number, 4);
    NO(json_next_item(&j));
    SUCCEEDS(&op, json_finish(&j, &op));
}

TEST(json, finishes_what_was_not_read_and_still_checks_it)
{
    struct json j = open_strict("{\"a\":[{\"b\":1},2],\"c\":3}");
    struct str name;
    YES(json_enter_object(&j));
    YES(json_next_member(&j, &name));
    YES(json_enter_array(&j));
    YES(json_next_item(&j));
    SUCCEEDS(&op, json_finish(&j, &op));

    j = open_strict("{\"a\":[{\"b\":1},2],\"c\":3,}");
    YES(json_enter_object(&j));
    YES(json_next_member(&j, &name));
    EQ(json_finish(&j, &op), ERR_MALFORMED);
}

TEST(json, stops_for_good_at_a_syntax_error)
{
    struct json j = open_strict("[1,x,\"a\",2]");
    struct str text;
    int64_t number;
    YES(json_enter_array(&j));
    YES(json_next_item(&j));
    YES(json_next_item(&j));
    NO(json_int(&j, 0, 9, &number));
    NO(json_ok(&j));
    NO(json_next_item(&j));
    NO(json_string(&j, &text));
    NO(json_raw(&j, &text));
    NO(json_enter_array(&j));
    NO(json_next_member(&j, &text));
    json_leave(&j);
    json_skip(&j);
    EQ(json_type(&j), JSON_END);
    EQ(json_finish(&j, &op), ERR_MALFORMED);
    STR_EQ(str_of(op.error), "line 1 column 4: expected a value");
}

TEST(json, peeks_at_types)
{
    struct json j = open_strict("[{},[],\"\",-1,0,true,false,null]");
    static const enum json_type types[] = { JSON_OBJECT, JSON_ARRAY, JSON_STRING, JSON_NUMBER,
                                            JSON_NUMBER, JSON_BOOL,  JSON_BOOL,   JSON_NULL };
    EQ(json_type(&j), JSON_ARRAY);
    YES(json_enter_array(&j));
    EQ(json_type(&j), JSON_END);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        YES(json_next_item(&j));
        EQ(json_type(&j), types[i]);
        EQ(json_type(&j), types[i]);
    }
    NO(json_next_item(&j));
    STR_EQ(str_of(json_type_name(JSON_OBJECT)), "an object");
}

TEST(json, keeps_numbers_as_they_are_written)
{
    static const char *const numbers[] = { "0",    "-0",   "1529692198.641821",    "1E+2",
                                           "0.10", "1e-7", "123456789012345678901" };
    char text[60];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        struct str s = { 0 };
        snprintf(text, sizeof text, " %s ", numbers[i]);
        struct json j = open_strict(text);
        YES(json_number_text(&j, &s));
        STR_EQ(s, numbers[i]);
    }
}

TEST(json, reads_integers_in_their_range_only)
{
    static const char *const refused[] = { "10", "-1", "1.0", "1e0", "\"5\"", "99999999999999999999", "true" };
    int64_t number = 7;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        struct json j = open_strict(refused[i]);
        NO(json_int(&j, 0, 9, &number));
        SUCCEEDS(&op, json_finish(&j, &op));
    }
    EQ(number, 7);
    struct json j = open_strict("-9223372036854775808");
    YES(json_int(&j, INT64_MIN, INT64_MAX, &number));
    YES(number == INT64_MIN);
}

TEST(json, gives_raw_values_byte_for_byte)
{
    struct json j = open_strict("{ \"args\" :  [ 1.50 , \"\\u0041\" ,{ } ]  , \"b\": 2 }");
    struct str name, raw;
    YES(json_enter_object(&j));
    YES(json_next_member(&j, &name));
    YES(json_raw(&j, &raw));
    STR_EQ(raw, "[ 1.50 , \"\\u0041\" ,{ } ]");
    YES(json_next_member(&j, &name));
    YES(json_raw(&j, &raw));
    STR_EQ(raw, "2");
    SUCCEEDS(&op, json_finish(&j, &op));
}

TEST(json, points_into_the_input_when_nothing_is_escaped)
{
    struct json j = open_strict("\"gr\xC3\xBC\xC3\x9F"
                                "e\"");
    struct str text;
    YES(json_string(&j, &text));
    STR_EQ(text, "gr\xC3\xBC\xC3\x9F"
                 "e");
    YES(text.p == j.begin + 1);
    EQ(arena_used(arena), 0);
}

TEST(json, decodes_every_escape)
{
    STR_EQ(text_of("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", JSON_STRICT), "\"\\/\b\f\n\r\t");
    STR_EQ(text_of("\"\\u0041\\u00e4\\u20AC\\ud83d\\ude00 end\"", JSON_STRICT),
           "A\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80 end");
    STR_EQ(text_of("\"\\uDBFF\\uDFFF\"", JSON_STRICT), "\xF4\x8F\xBF\xBF");
}

TEST(json, decodes_names_too)
{
    struct json j = open_strict("{\"\\u0065vent\":1}");
    struct str name;
    YES(json_enter_object(&j));
    YES(json_next_member(&j, &name));
    STR_EQ(name, "event");
}

TEST(json, accepts_nul_characters_and_helps_to_see_them)
{
    struct str text = text_of("\"a\\u0000b\"", JSON_STRICT);
    EQ(text.n, 3);
    YES(json_has_nul(text));
    NO(json_has_nul(S("ab")));
}

TEST(json, refuses_bad_utf8_and_lone_surrogates_when_strict)
{
    for (size_t i = 0; i < sizeof json_bad_text / sizeof *json_bad_text; i++)
        EQ(check(json_bad_text[i].json, JSON_STRICT), ERR_MALFORMED);
}

TEST(json, replaces_bad_utf8_and_lone_surrogates_when_tolerant)
{
    for (size_t i = 0; i < sizeof json_bad_text / sizeof *json_bad_text; i++)
        STR_EQ(text_of(json_bad_text[i].json, JSON_TOLERANT), json_bad_text[i].text);
}

TEST(json, has_room_when_every_byte_of_a_text_is_replaced)
{
    char text[202];
    memset(text, 0xFF, sizeof text);
    text[0] = text[200] = '"';
    text[201] = '\0';
    struct str s = text_of(text, JSON_TOLERANT);
    EQ(s.n, 199 * 3);
    YES(str_is_utf8(s));
}

/* A quote, an escape, a control character or an umlaut at each place of texts of each length. */
TEST(json, finds_what_ends_a_plain_run_at_every_place)
{
    static const struct {
        const char *mark;
        bool valid;
    } marks[] = { { "\\n", true }, { "\xC3\xA4", true }, { "\x7F", true }, { "\n", false },
                  { "\"", false }, { "\x80", false },    { "\\", false } };
    char text[80];
    for (size_t m = 0; m < sizeof marks / sizeof *marks; m++)
        for (int before = 0; before < 36; before++)
            for (int after = 0; after < 20; after++) {
                snprintf(text, sizeof text, "\"%.*s%s%.*s\"", before, "abcdefghijklmnopqrstuvwxyzabcdefghijklmn",
                         marks[m].mark, after, " bcdefghijklmnopqrstuvwxyz");
                EQ(check(text, JSON_STRICT), marks[m].valid ? OK : ERR_MALFORMED);
            }
}

TEST(json, passes_blanks_of_any_length)
{
    char text[400];
    for (int n = 0; n < 50; n++) {
        snprintf(text, sizeof text, "%*s[%*s1%*s,\n\t\r%*s2]%*s", n, "", n, "", n, "", n, "", n, "");
        EQ(check(text, JSON_STRICT), OK);
        snprintf(text, sizeof text, "%*s\v[]", n, "");
        EQ(check(text, JSON_STRICT), ERR_MALFORMED);
    }
}

static void nest(char *text, size_t depth)
{
    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    text[2 * depth] = '\0';
}

TEST(json, goes_as_deep_as_the_maximum)
{
    char text[2 * JSON_DEPTH_MAX + 3];
    nest(text, JSON_DEPTH_MAX);
    EQ(check(text, JSON_STRICT), OK);
    nest(text, JSON_DEPTH_MAX + 1);
    STR_EQ(str_of(error_of(text)), "line 1 column 65: too many objects and arrays inside each other");
}

TEST(json, counts_the_depth_of_containers_that_were_entered)
{
    char text[2 * JSON_DEPTH_MAX + 3];
    for (int entered = 1; entered <= JSON_DEPTH_MAX; entered++) {
        for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
            nest(text, depth);
            struct json j = open_strict(text);
            for (int i = 0; i < entered; i++) {
                YES(json_enter_array(&j));
                EQ(json_next_item(&j), i + 1 < (int)depth);
            }
            EQ(json_finish(&j, &op), depth == JSON_DEPTH_MAX ? OK : ERR_MALFORMED);
        }
    }
}

TEST(json, tells_a_full_arena_from_a_broken_text)
{
    struct json j = open_strict("[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\\n\"]");
    struct arena *small = arena_new(32);
    struct str text;
    j.arena = small;
    YES(json_enter_array(&j));
    YES(json_next_item(&j));
    NO(json_string(&j, &text));
    EQ(json_finish(&j, &op), ERR_TOO_LARGE);
    arena_free(small);
}
