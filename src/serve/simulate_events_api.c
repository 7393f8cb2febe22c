/*
 * simulate_events_api.c - the stand-in's Events API: a question, and the tokens that lead from page to page.
 */
#include "serve/simulate_door.h"

#include "base/hex.h"
#include "base/instant.h"
#include "base/form.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

/*
 * Pages are named by tokens that hold the whole question and the place reached,
 * as the provider's do, so nothing is kept between two requests. A token is the
 * struct below, the texts of the question, and a keyed hash over both.
 */
#define TOKEN_BYTES_MAX  2048
#define TOKEN_TEXTS_MAX  1024
#define ITEM_BYTES_GUESS 1350 /* room reserved per item; their mean is below 1,200 */

struct token {
    int64_t begin_us, end_us;
    int64_t issued_ms;
    struct sim_place place;
    uint32_t types;
    uint32_t page; /* makes the tokens of two pages differ even when their place does not */
    uint16_t limit;
    uint8_t descending, from_place, backwards;
    uint8_t tag_count;
    uint16_t recipient_bytes;
    uint16_t tag_bytes[8];
};

/* A question and how to read it. */
struct ask {
    struct sim_query query; /* in the direction the client reads */
    uint32_t page;
    size_t limit;
    bool backwards; /* "previous" and "last": the items before the place, in the client's order */
};

/* ------------------------------------------------------------------------------------------------- tokens */

static struct token token_of(const struct stand_in *stand_in, const struct ask *ask)
{
    struct token token;
    memset(&token, 0, sizeof token); /* padding is hashed too */
    token.begin_us = ask->query.begin_us;
    token.end_us = ask->query.end_us;
    token.issued_ms = loop_wall_us(stand_in->loop) / 1000;
    token.place = ask->query.place;
    token.types = ask->query.types;
    token.page = ask->page;
    token.limit = (uint16_t)ask->limit;
    token.descending = ask->query.descending;
    token.from_place = ask->query.from_place;
    token.backwards = ask->backwards;
    token.tag_count = (uint8_t)ask->query.tag_count;
    token.recipient_bytes = (uint16_t)ask->query.recipient.n;
    for (size_t i = 0; i < ask->query.tag_count; i++)
        token.tag_bytes[i] = (uint16_t)ask->query.tags[i].n;
    return token;
}

static void put_token(const struct stand_in *stand_in, const struct ask *ask, struct buf *buf)
{
    char raw[TOKEN_BYTES_MAX];
    struct token token = token_of(stand_in, ask);
    size_t n = sizeof token;
    memcpy(raw, &token, n);
    if (str_given(ask->query.recipient))
        memcpy(raw + n, ask->query.recipient.p, token.recipient_bytes);
    n += token.recipient_bytes;
    for (size_t i = 0; i < ask->query.tag_count; i++) {
        memcpy(raw + n, ask->query.tags[i].p, ask->query.tags[i].n);
        n += ask->query.tags[i].n;
    }
    uint64_t hash = siphash64(stand_in->token_key, raw, n);
    memcpy(raw + n, &hash, sizeof hash);
    n += sizeof hash;
    if (!buf_reserve(buf, BASE64URL_BYTES(n) + 2))
        return;
    base64url_encode(raw, n, buf->p + buf->n);
    buf->n += BASE64URL_BYTES(n);
    while (n % 3) { /* padded, like the provider's */
        buf->p[buf->n++] = '=';
        n++;
    }
}

/* The texts behind the struct; false when they do not add up. */
static bool read_texts(const struct token *token, struct str rest, struct sim_query *query)
{
    if (token->tag_count > 8 || token->recipient_bytes > rest.n)
        return false;
    query->recipient = (struct str){ token->recipient_bytes ? rest.p : NULL, token->recipient_bytes };
    rest = (struct str){ rest.p + token->recipient_bytes, rest.n - token->recipient_bytes };
    for (size_t i = 0; i < token->tag_count; i++) {
        if (token->tag_bytes[i] > rest.n)
            return false;
        query->tags[i] = (struct str){ rest.p, token->tag_bytes[i] };
        rest = (struct str){ rest.p + token->tag_bytes[i], rest.n - token->tag_bytes[i] };
    }
    query->tag_count = token->tag_count;
    return rest.n == 0;
}

enum token_state { TOKEN_GOOD, TOKEN_UNKNOWN, TOKEN_EXPIRED };

static enum token_state token_read(struct stand_in *stand_in, struct http_request *request, struct str text,
                                   struct ask *ret)
{
    size_t n = 0;
    uint64_t hash;
    struct token token;
    char *raw = text.n <= 2 * TOKEN_BYTES_MAX ? arena_alloc_raw(request->op.arena, BASE64_RAW_MAX(text.n)) : NULL;
    if (!raw || !base64url_decode(text, raw, &n) || n < sizeof token + sizeof hash)
        return TOKEN_UNKNOWN;
    n -= sizeof hash;
    memcpy(&hash, raw + n, sizeof hash);
    memcpy(&token, raw, sizeof token);
    if (hash != siphash64(stand_in->token_key, raw, n))
        return TOKEN_UNKNOWN;
    *ret = (struct ask){ .page = token.page, .limit = token.limit, .backwards = token.backwards };
    ret->query = (struct sim_query){ .begin_us = token.begin_us,
                                     .end_us = token.end_us,
                                     .types = token.types,
                                     .descending = token.descending,
                                     .from_place = token.from_place,
                                     .place = token.place };
    if (!read_texts(&token, (struct str){ raw + sizeof token, n - sizeof token }, &ret->query))
        return TOKEN_UNKNOWN;
    bool expired = loop_wall_us(stand_in->loop) / 1000 - token.issued_ms > stand_in->token_ms;
    return expired ? TOKEN_EXPIRED : TOKEN_GOOD;
}

/* -------------------------------------------------------------------------------------------------- pages */

static void reverse(struct sim_event *events, size_t count)
{
    for (size_t i = 0; i < count / 2; i++) {
        struct sim_event event = events[i];
        events[i] = events[count - 1 - i];
        events[count - 1 - i] = event;
    }
}

/* The items of the page in the order the client reads them. */
static size_t take_page(struct stand_in *stand_in, const struct ask *ask)
{
    struct sim_query query = ask->query;
    if (ask->backwards)
        query.descending = !query.descending;
    size_t count = sim_page(stand_in->sim, &query, stand_in_now_us(stand_in), stand_in->page, ask->limit);
    if (ask->backwards)
        reverse(stand_in->page, count);
    return count;
}

static void put_link(const struct stand_in *stand_in, struct str base, const char *name, const struct ask *ask,
                     struct buf *buf)
{
    buf_add_fmt(buf, "\"%s\":\"%.*s/v3/%.*s/events/", name, STR(base), STR(sim_config(stand_in->sim)->domain));
    put_token(stand_in, ask, buf);
    buf_add_char(buf, '"');
}

/* The page behind `from` (or before it), as seen from the client's order. */
static struct ask step(const struct ask *ask, const struct sim_event *from, bool backwards)
{
    struct ask next = *ask;
    next.backwards = backwards;
    next.page++;
    if (from) {
        next.query.place = sim_place_of(from);
        next.query.from_place = true;
    } else if (backwards != ask->backwards && next.query.from_place) {
        /* An empty page turned round: the item at the place itself belongs to the other direction. */
        bool wants_later = backwards == next.query.descending;
        next.query.place.n = wants_later && next.query.place.n ? next.query.place.n - 1 : next.query.place.n + 1;
    }
    return next;
}

static void put_paging(struct stand_in *stand_in, struct http_request *request, const struct ask *ask, size_t count,
                       struct buf *buf)
{
    struct str base = door_base(request);
    struct str next_base = base;
    struct ask first = *ask, last = *ask;
    first.query.from_place = last.query.from_place = false;
    first.backwards = false;
    last.backwards = true;
    first.page = last.page = ask->page + 1;
    struct ask previous = step(ask, count ? &stand_in->page[0] : NULL, true);
    struct ask next = step(ask, count ? &stand_in->page[count - 1] : NULL, false);

    if (stand_in->fault.kind == FAULT_OTHER_HOST)
        next_base = str_of(stand_in->fault.host);
    if (stand_in->fault.kind == FAULT_MALFORMED_PAGE || stand_in->fault.kind == FAULT_NULL_HEADERS) {
        next = *ask; /* the real page comes behind the bad one */
        next.page++;
    }
    buf_add_str(buf, S("\"paging\":{"));
    put_link(stand_in, base, "previous", &previous, buf);
    buf_add_char(buf, ',');
    put_link(stand_in, base, "first", &first, buf);
    buf_add_char(buf, ',');
    put_link(stand_in, base, "last", &last, buf);
    buf_add_char(buf, ',');
    if (stand_in->fault.kind == FAULT_REPEAT_TOKEN && str_given(request->params[1]))
        buf_add_fmt(buf, "\"next\":\"%.*s/v3/%.*s/events/%.*s\"", STR(base), STR(request->params[0]),
                    STR(request->params[1]));
    else
        put_link(stand_in, next_base, "next", &next, buf);
    buf_add_char(buf, '}');
}

static void put_items(struct stand_in *stand_in, size_t count, struct buf *buf)
{
    for (size_t i = 0; i < count; i++) {
        if (i)
            buf_add_char(buf, ',');
        sim_render_item(stand_in->sim, &stand_in->page[i], SIM_STYLE_EVENTS, buf);
    }
}

static void answer_page(struct stand_in *stand_in, struct http_request *request, const struct ask *ask)
{
    struct buf buf = door_buf(request, ask->limit * ITEM_BYTES_GUESS + 4 * TOKEN_BYTES_MAX);
    size_t items = 0, count = 0;
    buf_add_str(&buf, S("{\"items\":["));
    int64_t middle_us = ask->query.begin_us / 2 + ask->query.end_us / 2; /* its begin may be rounded outward */
    if (!fault_write_items(stand_in, ask->query.types, middle_us, &buf, &items)) {
        items = count = take_page(stand_in, ask);
        put_items(stand_in, count, &buf);
    }
    buf_add_str(&buf, S("],"));
    put_paging(stand_in, request, ask, count, &buf);
    buf_add_char(&buf, '}');
    door_note_items(stand_in, request, items);
    fault_send_page(stand_in, request, &buf, count);
}

/* -------------------------------------------------------------------------------------------- the question */

/* "opened OR clicked": the words' types together. */
static uint32_t read_or(struct str text)
{
    uint32_t types = 0;
    while (str_given(text)) {
        struct str word = str_cut(&text, ' ');
        if (word.n && !str_eq(word, S("OR")))
            types |= door_types(word);
    }
    return types;
}

/* "a and b": each a tag that must be there. False when there are too many. */
static bool read_and(struct str text, struct sim_query *query)
{
    size_t bytes = 0;
    while (str_given(text)) {
        struct str word = str_cut(&text, ' ');
        if (word.n == 0 || str_eq_nocase(word, S("AND")))
            continue;
        if (word.n >= 2 && word.p[0] == '"' && word.p[word.n - 1] == '"')
            word = (struct str){ word.p + 1, word.n - 2 };
        bytes += word.n;
        if (query->tag_count == 8 || bytes > TOKEN_TEXTS_MAX / 2)
            return false;
        query->tags[query->tag_count++] = word;
    }
    return true;
}

static bool read_instant(struct str text, int64_t *ret_us)
{
    return instant_parse_seconds(text, ret_us) || instant_parse_mail(text, ret_us) || instant_parse(text, ret_us);
}

/* begin, end and ascending as they depend on each other. Returns NULL, or what is wrong. */
static const char *read_window(struct stand_in *stand_in, struct http_request *request, struct sim_query *query)
{
    struct str begin = http_query(request, S("begin")), end = http_query(request, S("end"));
    struct str ascending = http_query(request, S("ascending"));
    int64_t now_us = stand_in_now_us(stand_in), begin_us = now_us, end_us = 0;
    bool up = str_eq(ascending, S("yes")) || str_eq(ascending, S("true"));

    if (str_given(begin) && !read_instant(begin, &begin_us))
        return "begin is not a time";
    if (str_given(end) && !read_instant(end, &end_us))
        return "end is not a time";
    if (str_given(begin) && !str_given(end) && !str_given(ascending))
        return "'ascending' must be given when 'end' is not";
    if (!str_given(end))
        end_us = up ? INSTANT_US_MAX : 0;
    if (str_given(ascending) && up != (begin_us <= end_us) && begin_us != end_us)
        return "'ascending' does not agree with 'begin' and 'end'";
    query->descending = begin_us > end_us;
    query->begin_us = query->descending ? end_us : begin_us;
    query->end_us = (query->descending ? begin_us : end_us) + 1; /* both ends belong to the range */
    return NULL;
}

static const char *read_question(struct stand_in *stand_in, struct http_request *request, struct ask *ret)
{
    struct str event = http_query(request, S("event")), tags = http_query(request, S("tags"));
    struct str limit = http_query(request, S("limit")), severity = http_query(request, S("severity"));
    int64_t items = 100;
    *ret = (struct ask){ .query.types = SIM_TYPES_ALL };
    if (str_given(limit) && !str_to_int(limit, 1, STAND_IN_PAGE_MAX, &items))
        return "limit is a number between 1 and 300";
    ret->limit = (size_t)items;
    if (event.n)
        ret->query.types = read_or(event);
    if (str_eq(severity, S("permanent")))
        ret->query.types &= ~(1u << SIM_DELAYED);
    else if (str_eq(severity, S("temporary")))
        ret->query.types &= ~(1u << SIM_FAILED | 1u << SIM_REJECTED);
    if (str_given(tags) && !read_and(tags, &ret->query))
        return "too many tags";
    ret->query.recipient = http_query(request, S("recipient"));
    if (ret->query.recipient.n > TOKEN_TEXTS_MAX / 2)
        return "no such recipient";
    if (ret->query.recipient.n == 0)
        ret->query.recipient = (struct str){ NULL, 0 };
    return read_window(stand_in, request, &ret->query);
}

void events_first(struct stand_in *stand_in, struct http_request *request)
{
    struct ask ask;
    if (!door_is_ours(stand_in, request, request->params[0]))
        return;
    const char *wrong = read_question(stand_in, request, &ask);
    if (wrong)
        door_message(request, 400, "%s", wrong);
    else
        answer_page(stand_in, request, &ask);
}

void events_token(struct stand_in *stand_in, struct http_request *request)
{
    struct ask ask;
    if (!door_is_ours(stand_in, request, request->params[0]))
        return;
    enum token_state state = token_read(stand_in, request, request->params[1], &ask);
    if (stand_in->fault.kind == FAULT_EXPIRED_TOKEN)
        state = TOKEN_EXPIRED;
    if (state == TOKEN_GOOD)
        answer_page(stand_in, request, &ask);
    else
        door_message(request, 400, state == TOKEN_EXPIRED ? "page token has expired" : "page token is not valid");
}
