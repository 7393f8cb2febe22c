#include "engine/provider_item.h"

#include <assert.h>
#include <string.h>

#include "base/fold.h"
#include "base/utf8.h"

enum err item_reserve(struct op *op, struct item_list *list, size_t room)
{
    struct provider_event *events = arena_alloc_raw(op->arena, room * sizeof *events);
    if (!events)
        return fail(op, ERR_TOO_LARGE, "no room for %zu events", room);
    if (list->n)
        memcpy(events, list->events, list->n * sizeof *events);
    list->events = events;
    list->room = room;
    return OK;
}

enum err item_add(struct op *op, struct item_list *list, struct provider_event **ret_event)
{
    if (list->n == list->room)
        TRY(item_reserve(op, list, list->room ? list->room * 2 : 4));
    struct provider_event *event = &list->events[list->n++];
    *event = (struct provider_event){ .type = "", .at_us = op->now_us, .code = EVENT_CODE_NONE };
    *ret_event = event;
    return OK;
}

void item_verdict(const struct item_list *list, struct provider_hook *hook)
{
    size_t malformed = 0;
    for (size_t i = 0; i < list->n; i++)
        malformed += list->events[i].kind == EVENT_MALFORMED;
    hook->verdict = list->n && malformed == list->n ? HOOK_UNUSABLE : HOOK_ACCEPTED;
    hook->complaint = NULL;
    hook->events = list->events;
    hook->n = list->n;
}

void item_refuse(struct provider_hook *hook, enum hook_verdict verdict, const char *complaint)
{
    *hook = (struct provider_hook){ .verdict = verdict, .complaint = complaint };
}

struct str item_first(struct str a, struct str b)
{
    return str_trim(a).n ? a : b;
}

enum err item_set_type(struct op *op, struct provider_event *event, const struct item_type *table, struct str word,
                       const struct item_type **ret_row)
{
    *ret_row = NULL;
    if (word.n == 0) {
        item_spoil(event, "no_type");
        return OK;
    }
    for (const struct item_type *row = table; row->word; row++)
        if (str_eq(str_of(row->word), word)) {
            event->type = row->type ? row->type : row->word;
            event->kind = row->kind;
            *ret_row = row;
            return OK;
        }
    struct str copy = arena_str(op->arena, str_clip(word, EVENT_TYPE_BYTES_MAX));
    if (!str_given(copy))
        return fail(op, ERR_TOO_LARGE, "no room for the type of an event");
    event->type = copy.p;
    event->kind = EVENT_UNHANDLED;
    return OK;
}

void item_spoil(struct provider_event *event, const char *reason)
{
    if (event->kind == EVENT_UNHANDLED || event->reason)
        return;
    event->kind = EVENT_MALFORMED;
    event->reason = reason;
}

void item_set_time(struct provider_event *event, int64_t at_us)
{
    event->at_us = at_us;
    event->is_reported = true;
}

struct str item_string(struct json *j)
{
    struct str text = { NULL, 0 };
    json_string(j, &text);
    return text;
}

struct str item_text(struct json *j)
{
    struct str text = { NULL, 0 };
    if (json_type(j) == JSON_NUMBER)
        json_number_text(j, &text);
    else
        json_string(j, &text);
    return text;
}

bool item_true(struct json *j)
{
    bool value = false;
    json_bool(j, &value);
    return value;
}

/* A reference that can be stored and compared: neither empty nor longer than any of ours, without NUL. */
static bool is_usable(struct str text, size_t max_bytes)
{
    return text.n > 0 && text.n <= max_bytes && !json_has_nul(text);
}

enum err item_mend(struct op *op, struct str text, struct str *ret)
{
    if (str_is_utf8(text)) {
        *ret = text;
        return OK;
    }
    size_t at = 0, n = 0, bad;
    char *out = arena_alloc_raw(op->arena, text.n * UTF8_REPLACEMENT_BYTES);
    if (!out)
        return fail(op, ERR_TOO_LARGE, "no room for %zu bytes of text", text.n);
    while (at < text.n) {
        size_t bytes = utf8_length(text.p + at, text.n - at, &bad);
        memcpy(out + n, bytes ? text.p + at : UTF8_REPLACEMENT, bytes ? bytes : UTF8_REPLACEMENT_BYTES);
        n += bytes ? bytes : UTF8_REPLACEMENT_BYTES;
        at += bytes ? bytes : bad;
    }
    *ret = (struct str){ out, n };
    return OK;
}

void item_variable(struct provider_event *event, struct str name, struct str value)
{
    if (!is_usable(value, EVENT_ID_BYTES_MAX))
        return;
    bool is_second_choice = str_eq(name, S("email-id")) && !str_given(event->mailing);
    if (str_eq(name, S("posthouse-message")))
        event->message = value;
    else if (is_second_choice || str_eq(name, S("posthouse-mailing")))
        event->mailing = value;
}

void item_variables(struct json *j, struct provider_event *event)
{
    struct str name;
    if (!json_enter_object(j))
        return;
    while (json_next_member(j, &name))
        if (str_eq(name, S("email-id")) || str_starts(name, S("posthouse-")))
            item_variable(event, name, item_text(j));
}

void item_variables_text(struct op *op, struct provider_event *event, struct str text)
{
    struct provider_event found = { 0 };
    struct json j;
    text = str_trim(text);
    if (text.n == 0 || text.p[0] != '{')
        return;
    json_init(&j, op->arena, text, JSON_TOLERANT);
    item_variables(&j, &found);

    /* Sentences of the provider may begin like JSON; op keeps no error that is none of ours. */
    struct op aside = { .arena = op->arena };
    if (json_finish(&j, &aside) != OK)
        return;
    item_variable(event, S("posthouse-message"), found.message);
    item_variable(event, S("posthouse-mailing"), found.mailing);
}

void item_set_reference(struct provider_event *event, struct str id)
{
    id = fold_message_id(id);
    if (is_usable(id, EVENT_REF_BYTES_MAX))
        event->provider_message_id = id;
}

void item_set_recipient(struct provider_event *event, struct str recipient)
{
    recipient = str_trim(recipient);
    if (is_usable(recipient, EVENT_RECIPIENT_BYTES_MAX))
        event->recipient = recipient;
}

/* Where the quoted text or comment that begins at p[at] ends: at its closing mark, or at the end of the text. */
static size_t quoted_end(struct str s, size_t at)
{
    char close = s.p[at] == '"' ? '"' : ')';
    for (at++; at < s.n && s.p[at] != close; at++)
        if (s.p[at] == '\\')
            at++;
    return at < s.n ? at : s.n - 1;
}

/* The next entry of a list of mailboxes: up to a comma that stands outside of quotes, comments and angle brackets. */
static struct str mailbox_cut(struct str *rest)
{
    bool angle = false;
    for (size_t at = 0; at < rest->n; at++) {
        char c = rest->p[at];
        if (c == '"' || c == '(')
            at = quoted_end(*rest, at);
        else if (c == '<' || c == '>')
            angle = c == '<';
        else if (c == ',' && !angle) {
            struct str head = { rest->p, at };
            *rest = (struct str){ rest->p + at + 1, rest->n - at - 1 };
            return str_trim(head);
        }
    }
    struct str head = *rest;
    *rest = (struct str){ NULL, 0 };
    return str_trim(head);
}

/* "jo@x.org" out of "Jo <jo@x.org>" or of itself; not given when there is no "@". */
static struct str mailbox_address(struct str mailbox)
{
    size_t open = mailbox.n;
    for (size_t at = 0; at < mailbox.n; at++) {
        if (mailbox.p[at] == '"' || mailbox.p[at] == '(')
            at = quoted_end(mailbox, at);
        else if (mailbox.p[at] == '<')
            open = at;
    }
    if (open < mailbox.n) {
        mailbox = (struct str){ mailbox.p + open + 1, mailbox.n - open - 1 };
        mailbox = str_trim((struct str){ mailbox.p, str_find(mailbox, '>') });
    }
    bool is_one = str_find(mailbox, '@') < mailbox.n && str_find(mailbox, ' ') == mailbox.n;
    return is_one ? mailbox : (struct str){ NULL, 0 };
}

struct str item_address(struct str header)
{
    struct str found = { NULL, 0 };
    int entries = 0;
    while (str_given(header) && entries < 2) {
        struct str mailbox = mailbox_cut(&header);
        if (mailbox.n == 0)
            continue; /* "jo@x.org," */
        found = mailbox_address(mailbox);
        entries++;
    }
    return entries == 1 ? found : (struct str){ NULL, 0 };
}

/* "5.1.1": three numbers of one to three digits (RFC 3463). */
static bool is_enhanced(struct str text)
{
    int dots = 0, digits = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] >= '0' && text.p[i] <= '9') {
            if (++digits > 3)
                return false;
        } else if (text.p[i] == '.' && digits > 0) {
            dots++;
            digits = 0;
        } else {
            return false;
        }
    }
    return dots == 2 && digits > 0;
}

/* The longest beginning of at most max characters. Bytes that are no UTF-8 count as characters of their own. */
static struct str clip_chars(struct str text, size_t max)
{
    size_t chars = 0;
    if (text.n <= max)
        return text;
    for (size_t i = 0; i < text.n; i++)
        if (((uint8_t)text.p[i] & 0xC0) != 0x80 && chars++ == max)
            return (struct str){ text.p, i };
    return text;
}

/* NUL characters would cut the text short wherever C or SQL reads it. */
static enum err text_clean(struct op *op, struct str text, struct str *ret)
{
    if (json_has_nul(text)) {
        struct str copy = arena_str(op->arena, text);
        if (!str_given(copy))
            return fail(op, ERR_TOO_LARGE, "no room for the text of a failure");
        char *bytes = (char *)(uintptr_t)copy.p;
        for (size_t i = 0; i < copy.n; i++)
            if (bytes[i] == '\0')
                bytes[i] = ' ';
        text = copy;
    }
    *ret = text;
    return OK;
}

static struct str fallback_text(struct op *op, const struct provider_event *event)
{
    if (event->enhanced.n)
        return arena_fmt(op->arena, "Error %.*s", STR(event->enhanced));
    if (event->code != EVENT_CODE_NONE)
        return arena_fmt(op->arena, "Error %d", event->code);
    return S("Error unknown");
}

enum err item_set_failure(struct op *op, struct provider_event *event, struct str code, struct str enhanced,
                          struct str text)
{
    int64_t number;
    code = str_trim(code);
    enhanced = str_trim(enhanced);
    text = str_trim(text).n ? text : (struct str){ NULL, 0 };

    if (str_to_int(code, EVENT_CODE_NONE + 1, INT32_MAX, &number))
        event->code = (int32_t)number;
    else if (is_enhanced(code) && enhanced.n == 0)
        enhanced = code;
    else if (code.n && !str_eq(code, enhanced))
        text = arena_fmt(op->arena, str_given(text) ? "%.*s %.*s" : "%.*s%.*s", STR(code), STR(text));
    if (enhanced.n)
        TRY(text_clean(op, str_clip(enhanced, EVENT_ENHANCED_BYTES_MAX), &event->enhanced));
    if (!str_given(text))
        text = fallback_text(op, event);
    if (!str_given(text))
        return fail(op, ERR_TOO_LARGE, "no room for the text of a failure");
    return text_clean(op, clip_chars(text, EVENT_TEXT_CHARS_MAX), &event->text);
}

static bool is_one_of(struct str text, const char *const *list)
{
    for (; *list; list++)
        if (str_eq(text, str_of(*list)))
            return true;
    return false;
}

bool item_is_dead_address(struct str enhanced)
{
    static const char *const dead[] = { "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10", "5.2.1", "5.4.4", NULL };
    return is_one_of(enhanced, dead);
}

bool item_is_policy(struct str enhanced)
{
    static const char *const size[] = { "5.2.3", "5.3.4", NULL };
    return str_starts(enhanced, S("5.7.")) || str_starts(enhanced, S("5.6.")) || is_one_of(enhanced, size);
}

static void check_usable(struct provider_event *event, bool is_dated)
{
    bool by_mailing = str_given(event->mailing) && str_given(event->recipient);
    /* A suppression needs no message: its address is enough (SRC-48). */
    bool by_address = event->kind == EVENT_SUPPRESSED && str_given(event->recipient);
    if (is_dated && !event->is_reported)
        item_spoil(event, "no_time");
    else if (!str_given(event->message) && !str_given(event->provider_message_id) && !by_mailing && !by_address)
        item_spoil(event, str_given(event->mailing) ? "no_recipient" : "no_message");
}

static void collect_evidence(const struct provider_source *source, struct provider_event *event)
{
    uint8_t ip[16];
    event->agent = str_clip(event->agent, EVENT_AGENT_BYTES_MAX);
    if (str_given(event->ip) && !cidr_ip_parse(event->ip, ip))
        event->ip = (struct str){ NULL, 0 };
    event->bits |= agent_bits(source->agents, event->agent, event->kind == EVENT_OPENED);
    if (source->networks && str_given(event->ip) && cidr_list_has(source->networks, event->ip))
        event->bits |= BIT_RANGE;
}

enum err item_finish(struct op *op, const struct provider_source *source, struct provider_event *event, struct str raw,
                     bool is_dated)
{
    event->is_future = event->is_reported && event->at_us > op->now_us + EVENT_FUTURE_US;
    if (event->kind == EVENT_OPENED || event->kind == EVENT_CLICKED)
        collect_evidence(source, event);
    if (str_given(event->recipient)) {
        event->folded = fold_address(op->arena, event->recipient);
        if (!str_given(event->folded))
            return fail(op, ERR_TOO_LARGE, "no room for a recipient");
    }
    check_usable(event, is_dated);

    if (event->kind == EVENT_MALFORMED)
        event->raw = raw;
    else if (event->kind != EVENT_UNHANDLED)
        provider_event_key(event, source->hash_key, source->id);
    return OK;
}
