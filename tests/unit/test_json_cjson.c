/*
 * test_json_cjson.c - the scanner and cJSON must read the same out of the same documents.
 *
 * Documents are generated from fixed seeds with our writer or by hand-made odd spelling, then walked with the scanner
 * side by side with cJSON's tree. cJSON is laxer than RFC 8259, so it judges well-formed documents only.
 */
#include "test.h"

#include <cjson/cJSON.h>
#include <ftw.h>
#include <unistd.h>

#include "base/json_write.h"
#include "base/utf8.h"

#define SEEDS       3000
#define DEPTH_MAX   8
#define MEMBERS_MAX 6

static uint64_t chance;
static struct op op;

static unsigned below(unsigned n)
{
    chance = chance * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(chance >> 33) % n;
}

static void add_blanks(struct buf *buf)
{
    static const char blanks[] = " \n\t\r";
    if (below(4) == 0)
        for (unsigned n = below(20); n > 0; n--)
            buf_add_char(buf, blanks[below(4)]);
}

static void add_escape(struct buf *buf, uint32_t code)
{
    if (code >= 0x10000) {
        code -= 0x10000;
        buf_add_fmt(buf, "\\u%04x\\u%04X", 0xD800 + (code >> 10), 0xDC00 + (code & 0x3FF));
    } else {
        buf_add_fmt(buf, below(2) ? "\\u%04x" : "\\u%04X", code);
    }
}

/* Any character but NUL, which cJSON cannot tell from the end. */
static uint32_t any_code(void)
{
    static const uint32_t edges[] = { 1,     0x1F,   '"',    '\\',   0x7F,    0x80,    0x7FF,
                                      0x800, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x10FFFF };
    return below(3) == 0 ? edges[below(sizeof edges / sizeof *edges)] : 1 + below(0x7E);
}

static void add_text(struct buf *buf)
{
    buf_add_char(buf, '"');
    for (unsigned n = below(40); n > 0; n--) {
        uint32_t code = any_code();
        char bytes[4];
        if (code < ' ' || code == '"' || code == '\\' || below(10) == 0)
            add_escape(buf, code);
        else
            buf_add(buf, bytes, utf8_put(bytes, code));
    }
    buf_add_char(buf, '"');
}

static void add_number(struct buf *buf)
{
    buf_add_fmt(buf, "%s%u", below(2) ? "-" : "", below(2) ? below(10) : below(1000000));
    if (below(2))
        buf_add_fmt(buf, ".%06u", below(1000000));
    if (below(3) == 0)
        buf_add_fmt(buf, "%c%s%u", below(2) ? 'e' : 'E', below(2) ? "-" : below(2) ? "+" : "", below(20));
}

static void add_value(struct buf *buf, int depth);

static void add_container(struct buf *buf, int depth, bool object)
{
    buf_add_char(buf, object ? '{' : '[');
    add_blanks(buf);
    for (unsigned i = 0, n = below(MEMBERS_MAX); i < n; i++) {
        if (i > 0)
            buf_add_char(buf, ',');
        if (object) {
            add_blanks(buf);
            add_text(buf);
            add_blanks(buf);
            buf_add_char(buf, ':');
        }
        add_value(buf, depth + 1);
    }
    buf_add_char(buf, object ? '}' : ']');
}

static void add_value(struct buf *buf, int depth)
{
    static const char *const words[] = { "true", "false", "null" };
    add_blanks(buf);
    unsigned kind = below(depth < DEPTH_MAX ? 8 : 5);
    if (kind < 2)
        add_text(buf);
    else if (kind < 4)
        add_number(buf);
    else if (kind == 4)
        buf_add_str(buf, str_of(words[below(3)]));
    else
        add_container(buf, depth, kind < 7);
    add_blanks(buf);
}

/* cJSON's texts end at a NUL character, which a changed document may hold. */
static void same_text(struct str text, const char *expected)
{
    text.n = str_find(text, '\0');
    STR_EQ(text, expected);
}

static void same(struct json *j, const cJSON *tree);

static void same_members(struct json *j, const cJSON *tree)
{
    const cJSON *child = tree->child;
    struct str name = { 0 };
    YES(json_enter_object(j));
    while (json_next_member(j, &name)) {
        YES(child != NULL);
        same_text(name, child->string);
        same(j, child);
        child = child->next;
    }
    YES(child == NULL);
}

static void same_items(struct json *j, const cJSON *tree)
{
    const cJSON *child = tree->child;
    YES(json_enter_array(j));
    while (json_next_item(j)) {
        YES(child != NULL);
        same(j, child);
        child = child->next;
    }
    YES(child == NULL);
}

static void same_number(struct json *j, const cJSON *tree)
{
    struct str text = { 0 };
    char copy[64];
    YES(cJSON_IsNumber(tree));
    YES(json_number_text(j, &text));
    snprintf(copy, sizeof copy, "%.*s", STR(text));
    YES(strtod(copy, NULL) == tree->valuedouble);
}

static void same(struct json *j, const cJSON *tree)
{
    struct str text = { 0 };
    bool flag = false;
    switch (json_type(j)) {
    case JSON_OBJECT:
        YES(cJSON_IsObject(tree));
        same_members(j, tree);
        break;
    case JSON_ARRAY:
        YES(cJSON_IsArray(tree));
        same_items(j, tree);
        break;
    case JSON_STRING:
        YES(cJSON_IsString(tree));
        YES(json_string(j, &text));
        same_text(text, tree->valuestring);
        break;
    case JSON_NUMBER:
        same_number(j, tree);
        break;
    case JSON_BOOL:
        YES(json_bool(j, &flag));
        YES(flag ? cJSON_IsTrue(tree) : cJSON_IsFalse(tree));
        break;
    case JSON_NULL:
        YES(cJSON_IsNull(tree));
        YES(json_null(j));
        break;
    case JSON_END:
        YES(false);
    }
}

static void compare(struct str document, enum json_mode mode)
{
    struct json j;
    cJSON *tree = cJSON_ParseWithLength(document.p, document.n);
    YES(tree != NULL);
    json_init(&j, op.arena, document, mode);
    same(&j, tree);
    SUCCEEDS(&op, json_finish(&j, &op));
    cJSON_Delete(tree);
}

TEST(json_cjson, reads_the_same_from_generated_documents)
{
    struct buf buf;
    buf_init(&buf, 16 << 20);
    op_init(&op, arena_new(16 << 20), 0);
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        chance = seed;
        arena_reset(op.arena);
        buf_reset(&buf);
        add_value(&buf, 0);
        NO(buf.full);
        compare(buf_str(&buf), seed & 1 ? JSON_STRICT : JSON_TOLERANT);
    }
    arena_free(op.arena);
    buf_done(&buf);
}

/* Copies the value in front of j through the writer. */
static void rewrite(struct json *j, struct json_writer *w)
{
    struct str text = { 0 };
    switch (json_type(j)) {
    case JSON_OBJECT:
        YES(json_enter_object(j));
        json_object_begin(w);
        while (json_next_member(j, &text)) {
            json_put_name_str(w, text);
            rewrite(j, w);
        }
        json_object_end(w);
        break;
    case JSON_ARRAY:
        YES(json_enter_array(j));
        json_array_begin(w);
        while (json_next_item(j))
            rewrite(j, w);
        json_array_end(w);
        break;
    case JSON_STRING:
        YES(json_string(j, &text));
        json_put_str(w, text);
        break;
    case JSON_NUMBER:
    case JSON_BOOL:
    case JSON_NULL:
        YES(json_raw(j, &text));
        json_put_raw(w, text);
        break;
    case JSON_END:
        YES(false);
    }
}

TEST(json_cjson, finds_the_same_document_in_what_we_write)
{
    struct buf buf, copy;
    struct json_writer w;
    struct json j;
    buf_init(&buf, 16 << 20);
    buf_init(&copy, 16 << 20);
    op_init(&op, arena_new(16 << 20), 0);
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        chance = seed;
        arena_reset(op.arena);
        buf_reset(&buf);
        buf_reset(&copy);
        add_value(&buf, 0);
        json_init(&j, op.arena, buf_str(&buf), JSON_STRICT);
        json_write_init(&w, &copy);
        rewrite(&j, &w);

        cJSON *before = cJSON_ParseWithLength(buf.p, buf.n), *after = cJSON_ParseWithLength(copy.p, copy.n);
        YES(before && after);
        compare(buf_str(&copy), JSON_STRICT);
        char *one = cJSON_PrintUnformatted(before), *two = cJSON_PrintUnformatted(after);
        STR_EQ(str_of(two), one);
        cJSON_free(one);
        cJSON_free(two);
        cJSON_Delete(before);
        cJSON_Delete(after);
    }
    arena_free(op.arena);
    buf_done(&buf);
    buf_done(&copy);
}

/* What the scanner refuses cJSON may let pass, being laxer; what the scanner accepts cJSON must accept. */
TEST(json_cjson, accepts_no_changed_document_that_cjson_refuses)
{
    static const char bait[] = "\"{}[],:x0- ";
    struct buf buf;
    struct json j;
    unsigned refused = 0, accepted = 0;
    buf_init(&buf, 16 << 20);
    op_init(&op, arena_new(16 << 20), 0);
    for (unsigned seed = 0; seed < SEEDS; seed++) {
        chance = seed;
        arena_reset(op.arena);
        buf_reset(&buf);
        add_value(&buf, 0);
        buf.p[below((unsigned)buf.n)] = bait[below(sizeof bait - 1)];
        json_init(&j, op.arena, buf_str(&buf), JSON_STRICT);
        if (json_finish(&j, &op) != OK) {
            refused++;
            continue;
        }
        compare(buf_str(&buf), JSON_STRICT);
        accepted++;
    }
    YES(refused > 100 && accepted > 100);
    arena_free(op.arena);
    buf_done(&buf);
}

static unsigned recorded;

static int compare_file(const char *path, const struct stat *info, int type, struct FTW *ftw)
{
    (void)ftw;
    FILE *file = type == FTW_F && str_ends(str_of(path), S(".json")) ? fopen(path, "rb") : NULL;
    if (!file)
        return 0;
    char *text = calloc(1, (size_t)info->st_size + 1);
    size_t n = fread(text, 1, (size_t)info->st_size, file);
    arena_reset(op.arena);
    compare((struct str){ text, n }, JSON_STRICT);
    recorded++;
    free(text);
    fclose(file);
    return 0;
}

TEST(json_cjson, reads_the_same_from_recorded_provider_data)
{
    static const char data[] = "../shared/data";
    if (access(data, R_OK) != 0)
        SKIP("the recorded provider data is not here");
    op_init(&op, arena_new(16 << 20), 0);
    EQ(nftw(data, compare_file, 16, FTW_PHYS), 0);
    YES(recorded > 0);
    arena_free(op.arena);
}
