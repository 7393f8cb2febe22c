#include "net/http_head.h"

#include <assert.h>
#include <string.h>

static const struct http_refusal fine = { 0, NULL };

static struct http_refusal refuse(int status, const char *detail)
{
    return (struct http_refusal){ status, detail };
}

/* The bytes up to the next CR LF, taken off *rest together with it; false without one. */
static bool take_line(struct str *rest, struct str *ret_line)
{
    const char *end = memchr(rest->p, '\n', rest->n);
    if (!end || end == rest->p || end[-1] != '\r')
        return false;
    *ret_line = (struct str){ rest->p, (size_t)(end - rest->p) - 1 };
    rest->n -= (size_t)(end - rest->p) + 1;
    rest->p = end + 1;
    return true;
}

static void split_target(struct http_head *head)
{
    struct str path = head->target;
    if (path.n && path.p[0] != '/') {
        size_t scheme = str_search(path, S("://"));
        if (scheme < path.n) { /* "http://host/path", as proxies send it */
            struct str rest = { path.p + scheme + 3, path.n - scheme - 3 };
            size_t slash = str_find(rest, '/');
            path = slash < rest.n ? (struct str){ rest.p + slash, rest.n - slash } : S("/");
        }
    }
    size_t hash = str_find(path, '#'); /* not for servers; some clients send it all the same */
    path.n = hash;
    size_t mark = str_find(path, '?');
    head->query = mark < path.n ? (struct str){ path.p + mark + 1, path.n - mark - 1 } : (struct str){ NULL, 0 };
    head->path = (struct str){ path.p, mark };
}

static struct http_refusal read_request_line(struct str line, struct http_head *head)
{
    struct str rest = line;
    head->method = str_cut(&rest, ' ');
    head->target = str_cut(&rest, ' ');
    if (!head->method.n || !str_given(head->target) || !head->target.n || !str_given(rest))
        return refuse(400, "the request line is not METHOD TARGET HTTP/1.1");
    if (!str_starts(rest, S("HTTP/")))
        return refuse(400, "the request line is not METHOD TARGET HTTP/1.1");
    if (!str_eq(rest, S("HTTP/1.1")) && !str_eq(rest, S("HTTP/1.0")))
        return refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    head->minor = rest.p[rest.n - 1] - '0';
    split_target(head);
    return fine;
}

static struct http_refusal read_header_line(struct str line, struct http_head *head)
{
    size_t colon = str_find(line, ':');
    if (colon == 0 || colon == line.n)
        return refuse(400, "a header line has no name");
    if (line.p[0] == ' ' || line.p[0] == '\t')
        return refuse(400, "a header is folded over two lines");
    if (head->line_count == HTTP_HEADERS_MAX)
        return refuse(431, "more than 100 header lines");

    struct str value = str_trim((struct str){ line.p + colon + 1, line.n - colon - 1 });
    head->lines[head->line_count++] = (struct http_line){
        .name_at = (uint16_t)(line.p - head->text.p),
        .name_bytes = (uint16_t)colon,
        .value_at = (uint16_t)(value.n ? value.p - head->text.p : line.p - head->text.p),
        .value_bytes = (uint16_t)value.n,
    };
    return fine;
}

static struct str line_name(const struct http_head *head, const struct http_line *line)
{
    return (struct str){ head->text.p + line->name_at, line->name_bytes };
}

static struct str line_value(const struct http_head *head, const struct http_line *line)
{
    return (struct str){ head->text.p + line->value_at, line->value_bytes };
}

/* Headers that decide how the message is read: told apart by length first, because this runs for every request. */
static struct http_refusal check_headers(struct http_head *head)
{
    int hosts = 0;
    for (int i = 0; i < head->line_count; i++) {
        const struct http_line *line = &head->lines[i];
        struct str name = line_name(head, line);
        if (name.n == 4 && str_eq_nocase(name, S("Host")))
            hosts++;
        else if (name.n == 6 && str_eq_nocase(name, S("Expect")))
            head->expects_continue = str_eq_nocase(line_value(head, line), S("100-continue"));
        else if (name.n == 17 && str_eq_nocase(name, S("Transfer-Encoding"))) {
            if (head->minor == 0)
                return refuse(400, "Transfer-Encoding does not belong to HTTP/1.0");
            if (!str_eq_nocase(line_value(head, line), S("chunked")))
                return refuse(501, "the only transfer coding understood here is chunked");
        }
    }
    if (hosts > 1 || (hosts == 0 && head->minor == 1))
        return refuse(400, "exactly one Host header is needed");
    return fine;
}

struct http_refusal http_head_read(struct str text, struct http_head *ret)
{
    assert(text.n <= HTTP_HEAD_BYTES_MAX);
    while (str_starts(text, S("\r\n"))) { /* RFC 9112 section 2.2: empty lines before a request are skipped */
        text.p += 2;
        text.n -= 2;
    }
    ret->text = text;
    ret->method = ret->target = ret->path = ret->query = (struct str){ NULL, 0 };
    ret->minor = 1;
    ret->expects_continue = false;
    ret->line_count = 0;

    struct str rest = text, line;
    if (!take_line(&rest, &line) || memchr(line.p, '\r', line.n)) /* llhttp skips lone CRs before the method */
        return refuse(400, "a line does not end in CR LF");
    struct http_refusal refusal = read_request_line(line, ret);
    while (!refusal.status) {
        if (!take_line(&rest, &line))
            return refuse(400, "a line does not end in CR LF");
        if (!line.n)
            return rest.n ? refuse(400, "the head is followed by other bytes") : check_headers(ret);
        refusal = read_header_line(line, ret);
    }
    return refusal;
}

struct str http_head_find(const struct http_head *head, struct str name)
{
    for (int i = 0; i < head->line_count; i++) {
        const struct http_line *line = &head->lines[i];
        if (line->name_bytes == name.n && str_eq_nocase(line_name(head, line), name))
            return line_value(head, line);
    }
    return (struct str){ NULL, 0 };
}
