#include "serve/worker_read.h"

#include <string.h>

#include "base/instant.h"
#include "base/json.h"
#include "base/utf8.h"

/* --- lines and sentences -------------------------------------------------- */

struct worker_line worker_line_cut(struct str line)
{
    struct str verb = str_cut(&line, ' ');
    return (struct worker_line){ verb, str_given(line) ? line : S("") };
}

struct str worker_quote(struct op *op, struct str text)
{
    struct str cut = str_clip(text, WORKER_QUOTE_BYTES_MAX);
    char *out = arena_alloc_raw(op->arena, cut.n + 1);
    if (!out)
        return S("");
    bool whole = str_is_utf8(cut);
    for (size_t i = 0; i < cut.n; i++) {
        unsigned char c = (unsigned char)cut.p[i];
        out[i] = c < 0x20 || c == 0x7f || (c >= 0x80 && !whole) ? '?' : cut.p[i];
    }
    return (struct str){ out, cut.n };
}

/* "invalid ACK {...": the argument back, as far as it is shown. */
static enum err refuse(struct op *op, const char *verb, struct str argument)
{
    return fail(op, ERR_INVALID, "invalid %s %.*s", verb, STR(worker_quote(op, argument)));
}

/* A text, or null, which leaves *ret as it is. False: neither. */
static bool text_or_null(struct json *j, struct str *ret)
{
    return json_null(j) || json_string(j, ret);
}

/* Reads to the end and says whether all of it was JSON. */
static bool is_whole(struct op *op, struct json *j)
{
    return json_finish(j, op) == OK;
}

/* An array of texts, or null. Those above `max` are read and left out. */
static bool read_texts(struct op *op, struct json *j, size_t max, const struct str **ret, size_t *ret_count)
{
    *ret_count = 0;
    if (json_null(j))
        return true;
    struct str *items = NULL;
    size_t count = 0, room = 0;
    bool good = true;
    if (!json_enter_array(j))
        return false;
    while (json_next_item(j)) {
        struct str item;
        if (!json_string(j, &item))
            good = false;
        else if (count < max) {
            if (count == room) {
                struct str *more = arena_alloc_raw(op->arena, (room * 2 + 8) * sizeof *more);
                if (!more)
                    return false;
                if (count)
                    memcpy(more, items, count * sizeof *items);
                items = more;
                room = room * 2 + 8;
            }
            items[count++] = item;
        }
    }
    *ret = items;
    *ret_count = count;
    return good && json_ok(j);
}

/* --- HELLO, BEAT ---------------------------------------------------------- */

/* As the member's bytes, checked to be an array of texts. */
static bool read_labels(struct op *op, struct json *j, struct str *ret)
{
    const char *from = json_at(j);
    const struct str *labels;
    size_t count;
    if (!read_texts(op, j, WORKER_LABELS_MAX + 1, &labels, &count) || count > WORKER_LABELS_MAX)
        return false;
    if (count > 0)
        *ret = (struct str){ from, (size_t)(json_at(j) - from) };
    return true;
}

static bool read_hello_member(struct op *op, struct json *j, struct str name, struct worker_hello *ret)
{
    if (str_eq(name, S("v")))
        return json_null(j) || json_int(j, 0, INT32_MAX, &ret->version);
    if (str_eq(name, S("pid")))
        return json_null(j) || json_int(j, INT64_MIN, INT64_MAX, &ret->pid);
    if (str_eq(name, S("wid")))
        return text_or_null(j, &ret->wid);
    if (str_eq(name, S("hostname")))
        return text_or_null(j, &ret->hostname);
    if (str_eq(name, S("pwdhash")))
        return text_or_null(j, &ret->password_hash);
    if (str_eq(name, S("labels")))
        return read_labels(op, j, &ret->labels);
    json_skip(j);
    return true;
}

enum err worker_read_hello(struct op *op, struct str argument, struct worker_hello *ret)
{
    struct json j;
    struct str name;
    bool good = argument.n > 0 && argument.p[0] == '{';
    *ret = (struct worker_hello){ .wid = S(""), .hostname = S(""), .password_hash = S("") };
    json_init(&j, op->arena, argument, JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            good = read_hello_member(op, &j, name, ret) && good;
    return is_whole(op, &j) && good ? OK : refuse(op, "HELLO", argument);
}

enum err worker_read_beat(struct op *op, struct str argument, struct worker_beat *ret)
{
    struct json j;
    struct str name;
    bool good = true;
    *ret = (struct worker_beat){ .wid = S(""), .state = S("") };
    json_init(&j, op->arena, argument, JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name)) {
            if (str_eq(name, S("wid")))
                good = json_string(&j, &ret->wid) && good;
            else if (str_eq(name, S("current_state")))
                good = text_or_null(&j, &ret->state) && good;
            else if (str_eq(name, S("rss_kb")))
                good = (json_null(&j) || json_int(&j, INT64_MIN, INT64_MAX, &ret->rss_kb)) && good;
        }
    return is_whole(op, &j) && good && ret->wid.n > 0 ? OK : refuse(op, "BEAT", argument);
}

/* --- ACK, FAIL, FETCH ----------------------------------------------------- */

enum err worker_read_ack(struct op *op, struct str argument, struct str *ret_jid)
{
    struct json j;
    struct str name, jid = { 0 }, other;
    bool good = true;
    json_init(&j, op->arena, argument, JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            good = (str_eq(name, S("jid")) ? json_string(&j, &jid) : text_or_null(&j, &other)) && good;
    if (!is_whole(op, &j) || !good || !str_given(jid))
        return refuse(op, "ACK", argument);
    *ret_jid = jid;
    return OK;
}

enum err worker_read_fail(struct op *op, struct str argument, struct worker_fail *ret)
{
    struct json j;
    struct str name;
    bool good = true;
    *ret = (struct worker_fail){ .jid = S("") };
    json_init(&j, op->arena, argument, JSON_STRICT);
    good = json_type(&j) == JSON_OBJECT;
    if (json_enter_object(&j))
        while (json_next_member(&j, &name)) {
            if (str_eq(name, S("jid")))
                good = text_or_null(&j, &ret->jid) && good;
            else if (str_eq(name, S("errtype")))
                good = text_or_null(&j, &ret->errtype) && good;
            else if (str_eq(name, S("message")))
                good = text_or_null(&j, &ret->message) && good;
            else if (str_eq(name, S("backtrace")))
                good = read_texts(op, &j, WORKER_BACKTRACE_MAX, &ret->backtrace, &ret->backtrace_lines) && good;
        }
    if (!is_whole(op, &j) || !good)
        return refuse(op, "FAIL", argument);
    return ret->jid.n ? OK : fail(op, ERR_INVALID, "missing JID");
}

/* As many as there can be names: a command for one queue is the usual one, and memory is touched for each. */
static size_t names_at_most(struct str rest)
{
    size_t n = 1;
    for (size_t i = 0; i < rest.n && n < WORKER_QUEUES_MAX; i++)
        n += rest.p[i] == ' ';
    return n;
}

static enum err read_names(struct op *op, struct str rest, struct worker_queues *ret)
{
    struct str *names;
    size_t count = 0;
    TRY(op_alloc(op, names_at_most(rest) * sizeof *names, &names));
    while (str_given(rest)) {
        struct str name = str_cut(&rest, ' ');
        if (name.n == 0)
            continue;
        if (count == WORKER_QUEUES_MAX)
            return fail(op, ERR_INVALID, "a command may name at most %d queues", WORKER_QUEUES_MAX);
        names[count++] = name;
    }
    *ret = (struct worker_queues){ names, count };
    return OK;
}

enum err worker_read_fetch(struct op *op, struct str argument, struct worker_queues *ret)
{
    if (argument.n == 0)
        return fail(op, ERR_INVALID, "must call fetch with at least one queue");
    return read_names(op, argument, ret);
}

/* --- QUEUE ---------------------------------------------------------------- */

static const struct {
    const char *name;
    enum worker_queue_verb verb;
} queue_verbs[] = {
    { "PAUSE", QUEUE_PAUSE },
    { "RESUME", QUEUE_RESUME },
    { "REMOVE", QUEUE_REMOVE },
    { "LATENCY", QUEUE_LATENCY },
};

static struct str upper(struct op *op, struct str text)
{
    struct str copy = worker_quote(op, text);
    char *out = arena_alloc_raw(op->arena, copy.n + 1);
    for (size_t i = 0; out && i < copy.n; i++)
        out[i] = (char)(copy.p[i] >= 'a' && copy.p[i] <= 'z' ? copy.p[i] - 'a' + 'A' : copy.p[i]);
    return out ? (struct str){ out, copy.n } : S("");
}

enum err worker_read_queue(struct op *op, struct str argument, struct worker_queue *ret)
{
    struct str rest = argument, word = str_cut(&rest, ' ');
    const size_t verbs = sizeof queue_verbs / sizeof *queue_verbs;
    size_t i = 0;
    while (i < verbs && !str_eq_nocase(word, str_of(queue_verbs[i].name)))
        i++;
    if (i == verbs)
        return fail(op, ERR_INVALID, "no such QUEUE subcommand: %.*s", STR(upper(op, word)));
    *ret = (struct worker_queue){ .verb = queue_verbs[i].verb };
    TRY(read_names(op, rest, &ret->queues));
    for (size_t n = 0; n < ret->queues.count; n++)
        ret->all = ret->all || str_eq(ret->queues.names[n], S("*"));
    if (ret->verb == QUEUE_LATENCY && ret->all)
        return fail(op, ERR_INVALID, "QUEUE LATENCY does not support wildcards");
    if (ret->verb != QUEUE_LATENCY && ret->queues.count == 0)
        return fail(op, ERR_INVALID, "QUEUE %s needs a queue name", queue_verbs[i].name);
    return OK;
}

/* --- MUTATE --------------------------------------------------------------- */

static bool read_jids(struct op *op, struct json *j, struct worker_mutate *ret)
{
    if (json_type(j) == JSON_STRING) {
        struct str *one = arena_alloc(op->arena, sizeof *one);
        ret->jids = one;
        ret->jid_count = 1;
        return one && json_string(j, one);
    }
    return read_texts(op, j, WORKER_JIDS_MAX, &ret->jids, &ret->jid_count);
}

static bool read_filter(struct op *op, struct json *j, struct worker_mutate *ret)
{
    struct str name;
    bool good = true;
    if (json_null(j))
        return true;
    if (!json_enter_object(j))
        return false;
    while (json_next_member(j, &name)) {
        if (str_eq(name, S("jids"))) {
            ret->by_jids = json_type(j) != JSON_NULL;
            good = read_jids(op, j, ret) && good;
        } else if (str_eq(name, S("jobtype"))) {
            good = text_or_null(j, &ret->jobtype) && good;
        } else if (str_eq(name, S("regexp"))) {
            good = text_or_null(j, &ret->regexp) && good;
        }
    }
    return good;
}

static bool mutate_verb(struct str word, enum worker_mutate_verb *ret)
{
    static const char *const words[] = { "clear", "kill", "discard", "requeue" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_eq(word, str_of(words[i]))) {
            *ret = (enum worker_mutate_verb)i;
            return true;
        }
    return false;
}

static bool mutate_target(struct str word, enum worker_set *ret)
{
    static const char *const words[] = { "scheduled", "retries", "dead" };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (str_eq(word, str_of(words[i]))) {
            *ret = (enum worker_set)i;
            return true;
        }
    return false;
}

enum err worker_read_mutate(struct op *op, struct str argument, struct worker_mutate *ret)
{
    struct json j;
    struct str name, verb = S(""), target = S("");
    *ret = (struct worker_mutate){ .jobtype = S(""), .regexp = S("") };
    json_init(&j, op->arena, argument, JSON_STRICT);
    bool good = json_type(&j) == JSON_OBJECT;
    if (json_enter_object(&j))
        while (json_next_member(&j, &name)) {
            if (str_eq(name, S("cmd")))
                good = text_or_null(&j, &verb) && good;
            else if (str_eq(name, S("target")))
                good = text_or_null(&j, &target) && good;
            else if (str_eq(name, S("filter")))
                good = read_filter(op, &j, ret) && good;
        }
    if (!is_whole(op, &j) || !good)
        return fail(op, ERR_INVALID, "invalid format");
    if (!mutate_verb(verb, &ret->verb))
        return fail(op, ERR_INVALID, "unknown mutate operation");
    if (!mutate_target(target, &ret->target))
        return fail(op, ERR_INVALID, "invalid target for mutation command");
    return OK;
}

/* --- TRACK, BATCH --------------------------------------------------------- */

static bool read_track_member(struct json *j, struct str name, struct worker_track *ret)
{
    int64_t percent;
    struct str until = S("");
    if (str_eq(name, S("jid")))
        return json_string(j, &ret->jid);
    if (str_eq(name, S("desc")))
        return text_or_null(j, &ret->desc);
    if (str_eq(name, S("percent"))) {
        if (json_null(j))
            return true;
        if (!json_int(j, 0, 100, &percent))
            return false;
        ret->percent = (int)percent;
        return true;
    }
    if (str_eq(name, S("reserve_until")))
        return text_or_null(j, &until) && (until.n == 0 || instant_parse(until, &ret->until_us));
    json_skip(j);
    return true;
}

static enum err read_track_set(struct op *op, struct str json, struct worker_track *ret)
{
    struct json j;
    struct str name;
    bool good = true;
    json_init(&j, op->arena, json, JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            good = read_track_member(&j, name, ret) && good;
    return is_whole(op, &j) && good && ret->jid.n ? OK : refuse(op, "TRACK SET", json);
}

enum err worker_read_track(struct op *op, struct str argument, struct worker_track *ret)
{
    struct str rest = argument, word = str_cut(&rest, ' ');
    *ret = (struct worker_track){ .jid = S(""), .percent = -1 };
    ret->set = str_eq_nocase(word, S("SET"));
    if (ret->set)
        return read_track_set(op, str_given(rest) ? rest : S(""), ret);
    if (!str_eq_nocase(word, S("GET")))
        return fail(op, ERR_INVALID, "no such TRACK subcommand: %.*s", STR(upper(op, word)));
    ret->jid = str_given(rest) ? str_trim(rest) : S("");
    return ret->jid.n ? OK : fail(op, ERR_INVALID, "TRACK GET needs a jid");
}

enum err worker_read_batch(struct op *op, struct str argument, struct worker_batch *ret)
{
    static const char *const words[] = { "NEW", "OPEN", "COMMIT", "STATUS" };
    struct str rest = argument, word = str_cut(&rest, ' ');
    size_t i = 0;
    while (i < 4 && !str_eq_nocase(word, str_of(words[i])))
        i++;
    if (i == 4)
        return fail(op, ERR_INVALID, "no such BATCH subcommand: %.*s", STR(upper(op, word)));
    *ret = (struct worker_batch){ .verb = (enum worker_batch_verb)i, .bid = S(""), .json = S("") };
    rest = str_given(rest) ? str_trim(rest) : S("");
    if (ret->verb == BATCH_NEW)
        ret->json = rest;
    else
        ret->bid = rest;
    return rest.n ? OK : fail(op, ERR_INVALID, "BATCH %s needs an argument", words[i]);
}
