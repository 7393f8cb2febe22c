/*
 * simulate_messages.c - POST /messages of the stand-in: a message sent through it, and what then becomes of it.
 */
#include "serve/simulate_door.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RECIPIENTS_MAX 1000 /* of one call, as the provider has it */
#define VARIABLES_MAX  64
#define TAGS_MAX       10

/* A posted message as it comes in, fields in any order. */
struct posted {
    struct op *op;
    struct str to[RECIPIENTS_MAX]; /* bare addresses */
    size_t to_count;
    bool too_many;
    struct str from, subject, html;
    struct str recipient_variables; /* JSON object: address -> variables */
    struct str names[VARIABLES_MAX], values[VARIABLES_MAX];
    size_t variable_count;
    struct str tags[TAGS_MAX];
    size_t tag_count;
};

/* "Jo <jo@x.org>" is jo@x.org. */
static struct str bare_address(struct str text)
{
    text = str_trim(text);
    if (!str_ends(text, S(">")))
        return text;
    size_t at = text.n;
    while (at > 0 && text.p[at - 1] != '<')
        at--;
    return at ? str_trim((struct str){ text.p + at, text.n - at - 1 }) : text;
}

/* Addresses between commas; commas inside quotes do not part. */
static void take_recipients(struct posted *post, struct str text)
{
    bool quoted = false;
    size_t from = 0;
    for (size_t i = 0; i <= text.n; i++) {
        if (i < text.n && text.p[i] == '"')
            quoted = !quoted;
        if (i < text.n && (text.p[i] != ',' || quoted))
            continue;
        struct str address = bare_address((struct str){ text.p + from, i - from });
        from = i + 1;
        if (address.n == 0)
            continue;
        if (post->to_count == RECIPIENTS_MAX)
            post->too_many = true;
        else
            post->to[post->to_count++] = address;
    }
}

static void take_field(void *arg, struct str name, struct str value)
{
    struct posted *post = arg;
    if (str_eq(name, S("to")) || str_eq(name, S("cc")) || str_eq(name, S("bcc"))) {
        take_recipients(post, value);
    } else if (str_eq(name, S("from"))) {
        post->from = value;
    } else if (str_eq(name, S("subject"))) {
        post->subject = value;
    } else if (str_eq(name, S("html"))) {
        post->html = value;
    } else if (str_eq(name, S("recipient-variables"))) {
        post->recipient_variables = value;
    } else if (str_eq(name, S("o:tag")) || str_eq(name, S("o:tag[]"))) {
        if (post->tag_count < TAGS_MAX && value.n <= 128)
            post->tags[post->tag_count++] = value;
    } else if (str_starts(name, S("v:")) && post->variable_count < VARIABLES_MAX) {
        post->names[post->variable_count] = (struct str){ name.p + 2, name.n - 2 };
        post->values[post->variable_count++] = value;
    }
}

/* ---------------------------------------------------------------------------------- variables of a recipient */

/* The recipient's own object out of recipient-variables, raw; "{}" when there is none. */
static struct str own_object(struct posted *post, struct str address)
{
    struct json j;
    struct str name, object = S("{}");
    if (!str_given(post->recipient_variables))
        return object;
    json_init(&j, post->op->arena, post->recipient_variables, JSON_TOLERANT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            if (str_eq_nocase(name, address))
                json_raw(&j, &object);
    return object;
}

/* Value of one of the recipient's own variables as text; not given when there is none. */
static struct str own_variable(struct posted *post, struct str object, struct str wanted)
{
    struct json j;
    struct str name, value = { NULL, 0 };
    json_init(&j, post->op->arena, object, JSON_TOLERANT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name)) {
            if (!str_eq(name, wanted))
                continue;
            if (json_type(&j) == JSON_STRING)
                json_string(&j, &value);
            else
                json_raw(&j, &value);
        }
    return value;
}

/* The text with every %recipient.NAME% replaced by the recipient's own value (nothing, if he has none). */
static struct str fill_in(struct posted *post, struct str object, struct str address, struct str text)
{
    static const struct str mark = { "%recipient", 10 };
    if (str_search(text, mark) == text.n)
        return text;
    struct buf buf;
    buf_init_arena(&buf, post->op->arena, 65536);
    while (text.n) {
        size_t at = str_search(text, mark);
        buf_add_str(&buf, (struct str){ text.p, at });
        text = (struct str){ text.p + at, text.n - at };
        if (text.n == 0)
            break;
        struct str rest = { text.p + mark.n, text.n - mark.n };
        size_t end = str_find(rest, '%');
        if (end == rest.n) {
            buf_add_str(&buf, text);
            break;
        }
        struct str name = { rest.p, end };
        if (name.n == 0)
            buf_add_str(&buf, address);
        else
            buf_add_str(&buf, own_variable(post, object, (struct str){ name.p + 1, name.n - 1 }));
        text = (struct str){ rest.p + end + 1, rest.n - end - 1 };
    }
    return buf_str(&buf);
}

/* user-variables of the recipient's events: the v: fields, filled in. Values that are JSON stay JSON. */
static struct str variables_of(struct posted *post, struct str address)
{
    struct buf buf;
    struct json_writer w;
    struct str object = own_object(post, address);
    buf_init_arena(&buf, post->op->arena, 65536);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    for (size_t i = 0; i < post->variable_count; i++) {
        struct str value = fill_in(post, object, address, post->values[i]);
        struct op scratch = { .arena = post->op->arena };
        struct json j;
        json_init(&j, post->op->arena, value, JSON_STRICT);
        bool is_container = json_type(&j) == JSON_OBJECT || json_type(&j) == JSON_ARRAY;
        json_put_name_str(&w, post->names[i]);
        if (is_container && json_finish(&j, &scratch) == OK)
            json_put_raw(&w, value);
        else
            json_put_str(&w, value);
    }
    json_object_end(&w);
    return buf.full ? S("{}") : buf_str(&buf);
}

/* --------------------------------------------------------------------------------------------- the message */

/* Links of the text, as the provider's click tracking would find them. */
static size_t find_links(struct str html, struct str ret_links[SIM_LINKS_MAX])
{
    size_t count = 0;
    while (count < SIM_LINKS_MAX) {
        size_t at = str_search(html, S("href=\"http"));
        if (at == html.n)
            break;
        html = (struct str){ html.p + at + 6, html.n - at - 6 };
        size_t end = str_find(html, '"');
        if (end < html.n && end <= 2048)
            ret_links[count++] = (struct str){ html.p, end };
        html = (struct str){ html.p + end, html.n - end };
    }
    return count;
}

static struct str tags_of(struct posted *post)
{
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, post->op->arena, 8192);
    json_write_init(&w, &buf);
    json_array_begin(&w);
    for (size_t i = 0; i < post->tag_count; i++)
        json_put_str(&w, post->tags[i]);
    json_array_end(&w);
    return buf.full ? S("[]") : buf_str(&buf);
}

static enum err play(struct stand_in *stand_in, struct http_request *request, struct posted *post,
                     struct str message_id)
{
    struct sim_posting posting = {
        .message_id = message_id,
        .from = post->from,
        .subject = str_given(post->subject) ? post->subject : S(""),
        .tags = tags_of(post),
        .start_us = stand_in_now_us(stand_in),
    };
    struct sim_posted_to *to;
    posting.link_count = find_links(post->html, posting.links);
    TRY(op_alloc(&request->op, post->to_count * sizeof *to, &to));
    for (size_t i = 0; i < post->to_count; i++)
        to[i] = (struct sim_posted_to){ post->to[i], variables_of(post, post->to[i]) };
    return sim_post(&request->op, stand_in->sim, &posting, to, post->to_count);
}

static const char *what_is_missing(const struct posted *post)
{
    if (!str_given(post->from) || post->from.n == 0)
        return "from parameter is missing";
    if (post->to_count == 0)
        return "to parameter is missing";
    if (post->too_many)
        return "to parameter has more than 1000 addresses";
    for (size_t i = 0; i < post->to_count; i++)
        if (str_find(post->to[i], '@') == post->to[i].n || !str_is_utf8(post->to[i]) || post->to[i].n > 320)
            return "to parameter is not a valid address. please check documentation";
    return NULL;
}

void messages_post(struct stand_in *stand_in, struct http_request *request)
{
    struct posted *post = arena_alloc(request->op.arena, sizeof *post);
    if (!post || !door_is_ours(stand_in, request, request->params[0]))
        return;
    post->op = &request->op;
    if (door_form(request, take_field, post) != OK) {
        door_message(request, 400, "%s", request->op.error);
        return;
    }
    const char *wrong = what_is_missing(post);
    if (wrong) {
        door_message(request, 400, "%s", wrong);
        return;
    }
    char id[SIM_DOMAIN_MAX + 64];
    int n = snprintf(id, sizeof id, "%" PRId64 ".%" PRIu64 ".%016" PRIx64 "@%.*s", stand_in_now_us(stand_in),
                     stand_in->posted_count, siphash64(stand_in->token_key, &stand_in->posted_count, 8),
                     STR(sim_config(stand_in->sim)->domain));
    stand_in->posted_count++;
    enum err err = play(stand_in, request, post, (struct str){ id, (size_t)n });
    if (err != OK) {
        http_fail(request, err);
        return;
    }
    struct buf buf = door_buf(request, 512);
    buf_add_fmt(&buf, "{\"id\":\"<%s>\",\"message\":\"Queued. Thank you.\"}", id);
    door_reply(request, 200, &buf);
}
