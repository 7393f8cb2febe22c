/*
 * simulate_logs_api.c - the stand-in's Logs API: conditions, order, and pages of what they leave.
 */
#include "serve/simulate_door.h"

#include "base/hex.h"
#include "base/instant.h"

#include <string.h>

#define ITEM_BYTES_GUESS 1500
#define FILTERS_MAX      8

/* Where the next page begins; the question itself comes again with every request. */
struct token {
    struct sim_place place;
    uint32_t page;
    uint32_t unused;
};

#define TOKEN_BYTES (sizeof(struct token) + sizeof(uint64_t))

struct ask {
    struct sim_query query;
    int64_t start_us, end_us;
    size_t limit;
    uint32_t page;
    bool elsewhere; /* the filter names a domain that is not ours: nothing fits */
};

static struct str put_token(const struct stand_in *stand_in, struct sim_place place, uint32_t page,
                            char ret_text[BASE64URL_BYTES(TOKEN_BYTES)])
{
    struct token token;
    char raw[TOKEN_BYTES];
    memset(&token, 0, sizeof token);
    token.place = place;
    token.page = page;
    memcpy(raw, &token, sizeof token);
    uint64_t hash = siphash64(stand_in->token_key, raw, sizeof token);
    memcpy(raw + sizeof token, &hash, sizeof hash);
    base64url_encode(raw, sizeof raw, ret_text);
    return (struct str){ ret_text, BASE64URL_BYTES(TOKEN_BYTES) };
}

static bool read_token(const struct stand_in *stand_in, struct str text, struct ask *ask)
{
    char raw[BASE64_RAW_MAX(BASE64URL_BYTES(TOKEN_BYTES)) + 8];
    struct token token;
    size_t n = 0;
    uint64_t hash;
    if (text.n != BASE64URL_BYTES(TOKEN_BYTES) || !base64url_decode(text, raw, &n) || n != TOKEN_BYTES)
        return false;
    memcpy(&hash, raw + sizeof token, sizeof hash);
    if (hash != siphash64(stand_in->token_key, raw, sizeof token))
        return false;
    memcpy(&token, raw, sizeof token);
    ask->query.from_place = token.place.n != 0;
    ask->query.place = token.place;
    ask->page = token.page;
    return true;
}

/* One condition of filter.AND. Returns NULL, or what is wrong with it. */
static const char *read_condition(const struct stand_in *stand_in, struct json *j, struct ask *ask)
{
    struct str name, attribute = { 0 }, comparator = { 0 }, values[FILTERS_MAX];
    size_t count = 0;
    while (json_next_member(j, &name)) {
        if (str_eq(name, S("attribute")))
            json_string(j, &attribute);
        else if (str_eq(name, S("comparator")))
            json_string(j, &comparator);
        else if (str_eq(name, S("values")) && json_enter_array(j))
            while (json_next_item(j)) {
                struct str value = { 0 };
                if (json_enter_object(j))
                    while (json_next_member(j, &name))
                        if (str_eq(name, S("value")))
                            json_string(j, &value);
                if (str_given(value) && count < FILTERS_MAX)
                    values[count++] = value;
            }
    }
    if (!str_eq(comparator, S("=")) || count == 0)
        return "a condition has attribute, comparator '=' and values";
    if (str_eq(attribute, S("domain"))) {
        bool ours = false;
        for (size_t i = 0; i < count; i++)
            ours |= str_eq_nocase(values[i], sim_config(stand_in->sim)->domain);
        ask->elsewhere |= !ours;
    } else if (str_eq(attribute, S("tag")) && ask->query.tag_count < 8) {
        ask->query.tags[ask->query.tag_count++] = values[0]; /* any of several: the first stands for all */
    } else if (str_eq(attribute, S("recipient"))) {
        ask->query.recipient = values[0];
    } else {
        return "no such attribute";
    }
    return NULL;
}

static const char *read_filter(const struct stand_in *stand_in, struct json *j, struct ask *ask)
{
    struct str name;
    const char *wrong = NULL;
    if (!json_enter_object(j))
        return "filter is an object";
    while (json_next_member(j, &name))
        if (str_eq(name, S("AND")) && json_enter_array(j))
            while (json_next_item(j))
                if (json_enter_object(j)) {
                    const char *this = read_condition(stand_in, j, ask);
                    wrong = wrong ? wrong : this;
                }
    return wrong;
}

static const char *read_pagination(const struct stand_in *stand_in, struct json *j, struct ask *ask)
{
    struct str name, text;
    int64_t limit = 100;
    const char *wrong = NULL;
    if (!json_enter_object(j))
        return "pagination is an object";
    while (json_next_member(j, &name)) {
        if (str_eq(name, S("limit")) && !json_int(j, 1, STAND_IN_LOGS_MAX, &limit))
            wrong = "limit is a number between 1 and 100";
        else if (str_eq(name, S("sort")) && json_string(j, &text))
            ask->query.descending = str_eq(text, S("timestamp:desc"));
        else if (str_eq(name, S("token")) && json_string(j, &text) && text.n && !read_token(stand_in, text, ask))
            wrong = "pagination token is not valid";
    }
    ask->limit = (size_t)limit;
    return wrong;
}

static bool read_time(struct json *j, int64_t *ret_us, bool *ret_given)
{
    struct str text = { 0 };
    if (!json_string(j, &text) || text.n == 0)
        return true; /* left out */
    *ret_given = true;
    return instant_parse_mail(text, ret_us) || instant_parse(text, ret_us);
}

static uint32_t read_events(struct json *j)
{
    struct str words[32];
    size_t count = door_texts(j, words, 32);
    uint32_t types = count ? 0 : SIM_TYPES_ALL;
    for (size_t i = 0; i < count; i++)
        types |= door_types(words[i]);
    return types;
}

/* Returns NULL, or what is wrong with the question. */
static const char *read_question(struct stand_in *stand_in, struct http_request *request, struct ask *ret)
{
    struct json j;
    struct str name;
    const char *wrong = NULL;
    bool has_start = false, has_end = false;
    *ret = (struct ask){ .query.types = SIM_TYPES_ALL, .limit = 100, .end_us = stand_in_now_us(stand_in) };
    json_init(&j, request->op.arena, request->body, JSON_STRICT);
    if (!json_enter_object(&j))
        return "the body is a JSON object";
    while (json_next_member(&j, &name)) {
        const char *this = NULL;
        if (str_eq(name, S("start")))
            this = read_time(&j, &ret->start_us, &has_start) ? NULL : "start is not a time";
        else if (str_eq(name, S("end")))
            this = read_time(&j, &ret->end_us, &has_end) ? NULL : "end is not a time";
        else if (str_eq(name, S("events")))
            ret->query.types = read_events(&j);
        else if (str_eq(name, S("filter")))
            this = read_filter(stand_in, &j, ret);
        else if (str_eq(name, S("pagination")))
            this = read_pagination(stand_in, &j, ret);
        wrong = wrong ? wrong : this;
    }
    if (json_finish(&j, &request->op) != OK)
        return "the body is not JSON";
    if (!wrong && !has_start)
        return "start is required";
    ret->query.begin_us = ret->start_us;
    ret->query.end_us = ret->end_us + 1;
    return wrong;
}

static void put_times(const struct ask *ask, struct buf *buf)
{
    char text[INSTANT_TEXT_BYTES];
    buf_add_str(buf, S("{\"start\":\""));
    buf_add_str(buf, instant_text_mail(ask->start_us, text));
    buf_add_str(buf, S("\",\"end\":\""));
    buf_add_str(buf, instant_text_mail(ask->end_us, text));
    buf_add_str(buf, S("\",\"items\":["));
}

/* A token only while the page was full: without one the answer is at its end. */
static void put_pagination(struct stand_in *stand_in, const struct ask *ask, size_t count, bool bad_page,
                           struct buf *buf)
{
    char text[BASE64URL_BYTES(TOKEN_BYTES)];
    buf_add_str(buf, S("],\"pagination\":{"));
    if (count == ask->limit || bad_page) {
        struct sim_place place = bad_page ? ask->query.place : sim_place_of(&stand_in->page[count - 1]);
        bool again = stand_in->fault.kind == FAULT_REPEAT_TOKEN;
        place = again ? ask->query.place : place;
        buf_add_str(buf, S("\"next\":\""));
        buf_add_str(buf, put_token(stand_in, place, again ? ask->page : ask->page + 1, text));
        buf_add_str(buf, S("\""));
    }
    buf_add_str(buf, S("},\"aggregates\":{}}"));
}

static void answer_page(struct stand_in *stand_in, struct http_request *request, const struct ask *ask)
{
    struct buf buf = door_buf(request, ask->limit * ITEM_BYTES_GUESS + 4096);
    size_t items = 0, count = 0;
    put_times(ask, &buf);
    int64_t middle_us = ask->query.begin_us / 2 + ask->query.end_us / 2; /* its begin may be rounded outward */
    bool bad_page = fault_write_items(stand_in, ask->query.types, middle_us, &buf, &items);
    if (!bad_page && !ask->elsewhere)
        items = count = sim_page(stand_in->sim, &ask->query, stand_in_now_us(stand_in), stand_in->page, ask->limit);
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(&buf, ',');
        sim_render_item(stand_in->sim, &stand_in->page[i], SIM_STYLE_LOGS, &buf);
    }
    put_pagination(stand_in, ask, count, bad_page, &buf);
    door_note_items(stand_in, request, items);
    fault_send_page(stand_in, request, &buf, count);
}

void logs_query(struct stand_in *stand_in, struct http_request *request)
{
    struct ask ask;
    const char *wrong = read_question(stand_in, request, &ask);
    if (wrong)
        door_message(request, 400, "%s", wrong);
    else
        answer_page(stand_in, request, &ask);
}
