#include "net/multipart.h"

#include <string.h>

static struct str after(struct str s, size_t bytes)
{
    return (struct str){ s.p + bytes, s.n - bytes };
}

/*
 * Value of a parameter of a header such as `form-data; name="a; b"; filename=c`:
 * quoted or bare. Browsers write %22 for a quote inside and no backslash
 * escapes (RFC 7578 section 2), so a backslash stands for itself.
 */
static struct str header_param(struct str header, struct str name)
{
    struct str rest = after(header, str_find(header, ';'));
    while (rest.n) {
        rest = str_trim(after(rest, 1)); /* the semicolon */
        size_t equals = str_find(rest, '=');
        if (equals == rest.n)
            return (struct str){ NULL, 0 };
        bool wanted = str_eq_nocase(str_trim((struct str){ rest.p, equals }), name);
        rest = after(rest, equals + 1);
        struct str value;
        if (rest.n && rest.p[0] == '"') {
            rest = after(rest, 1);
            size_t quote = str_find(rest, '"');
            if (quote == rest.n)
                return (struct str){ NULL, 0 };
            value = (struct str){ rest.p, quote };
            rest = after(rest, quote + 1);
        } else {
            value = str_trim((struct str){ rest.p, str_find(rest, ';') });
        }
        if (wanted)
            return value;
        rest = after(rest, str_find(rest, ';'));
    }
    return (struct str){ NULL, 0 };
}

/* The word before the first semicolon. */
static struct str header_word(struct str header)
{
    return str_trim((struct str){ header.p, str_find(header, ';') });
}

static bool boundary_is_usable(struct str boundary)
{
    if (!boundary.n || boundary.n > MULTIPART_BOUNDARY_MAX)
        return false;
    for (size_t i = 0; i < boundary.n; i++)
        if (boundary.p[i] < ' ' || boundary.p[i] > '~')
            return false;
    return true;
}

enum err multipart_init(struct op *op, struct multipart *multipart, struct str content_type, struct str body)
{
    if (!str_eq_nocase(header_word(content_type), S("multipart/form-data")))
        return fail(op, ERR_MALFORMED, "the body is not multipart/form-data");
    struct str boundary = header_param(content_type, S("boundary"));
    if (!boundary_is_usable(boundary))
        return fail(op, ERR_MALFORMED, "the content type names no boundary of 1 to 70 characters");
    *multipart = (struct multipart){ .rest = body, .boundary = boundary };
    return OK;
}

enum delimiter { DELIMITER_NONE, DELIMITER_PART, DELIMITER_END };

/* What follows "--boundary" tells a delimiter from text that only begins like one (RFC 2046 section 5.1.1): "--" ends
 * the body, blanks and a line end begin a part. */
static enum delimiter delimiter_kind(struct str tail, size_t *ret_bytes)
{
    if (str_starts(tail, S("--"))) {
        *ret_bytes = 2;
        return DELIMITER_END;
    }
    size_t blanks = 0;
    while (blanks < tail.n && (tail.p[blanks] == ' ' || tail.p[blanks] == '\t'))
        blanks++;
    *ret_bytes = blanks + 2;
    return str_starts(after(tail, blanks), S("\r\n")) ? DELIMITER_PART : DELIMITER_NONE;
}

/* Place of the line end before the next delimiter; body.n when there is none. */
static size_t find_delimiter(struct str body, struct str boundary)
{
    for (size_t from = 0; from < body.n;) {
        size_t at = from + str_search(after(body, from), S("\r\n--"));
        if (at >= body.n)
            break;
        struct str line = after(body, at + 4);
        size_t bytes;
        if (str_starts(line, boundary) && delimiter_kind(after(line, boundary.n), &bytes) != DELIMITER_NONE)
            return at;
        from = at + 2;
    }
    return body.n;
}

/* Skips what stands before the first boundary (nothing, as a rule). */
static enum err skip_preamble(struct op *op, struct multipart *multipart)
{
    struct str body = multipart->rest;
    size_t skip = 2 + multipart->boundary.n;
    if (!str_starts(body, S("--")) || !str_starts(after(body, 2), multipart->boundary)) {
        size_t at = find_delimiter(body, multipart->boundary);
        if (at == body.n)
            return fail(op, ERR_MALFORMED, "the boundary does not occur in the body");
        skip = at + 4 + multipart->boundary.n;
    }
    multipart->rest = after(body, skip);
    return OK;
}

/* One header line of a part, taken off the head. */
static void read_part_header(struct str line, struct multipart_part *ret)
{
    size_t colon = str_find(line, ':');
    if (colon == line.n)
        return;
    struct str name = { line.p, colon };
    struct str value = str_trim(after(line, colon + 1));
    if (str_eq_nocase(name, S("Content-Type"))) {
        ret->content_type = value;
    } else if (str_eq_nocase(name, S("Content-Disposition")) && str_eq_nocase(header_word(value), S("form-data"))) {
        ret->name = header_param(value, S("name"));
        ret->filename = header_param(value, S("filename"));
    }
}

static enum err read_part_head(struct op *op, struct multipart *multipart, struct multipart_part *ret)
{
    size_t read = 0;
    for (;;) {
        size_t end = str_search(multipart->rest, S("\r\n"));
        if (end == multipart->rest.n)
            return fail(op, ERR_MALFORMED, "part %d is cut off in its headers", multipart->parts);
        read += end + 2;
        if (read > MULTIPART_HEAD_BYTES_MAX)
            return fail(op, ERR_TOO_LARGE, "the headers of part %d are larger than %d bytes", multipart->parts,
                        MULTIPART_HEAD_BYTES_MAX);
        struct str line = { multipart->rest.p, end };
        multipart->rest = after(multipart->rest, end + 2);
        if (!line.n)
            break;
        read_part_header(line, ret);
    }
    if (!str_given(ret->name))
        return fail(op, ERR_MALFORMED, "part %d has no name", multipart->parts);
    return OK;
}

enum err multipart_next(struct op *op, struct multipart *multipart, struct multipart_part *ret)
{
    *ret = (struct multipart_part){ 0 };
    if (multipart->ended)
        return OK;
    if (multipart->parts == 0)
        TRY(skip_preamble(op, multipart));

    size_t bytes;
    enum delimiter delimiter = delimiter_kind(multipart->rest, &bytes);
    if (delimiter == DELIMITER_NONE)
        return fail(op, ERR_MALFORMED, "the first boundary is broken");
    if (delimiter == DELIMITER_END) {
        multipart->ended = true; /* an epilogue is ignored */
        return OK;
    }
    multipart->rest = after(multipart->rest, bytes);
    if (++multipart->parts > MULTIPART_PARTS_MAX)
        return fail(op, ERR_TOO_LARGE, "the body has more than %d parts", MULTIPART_PARTS_MAX);
    struct multipart_part part = { 0 };
    TRY(read_part_head(op, multipart, &part));

    /* An empty value has its delimiter right behind the empty line, whose line end then belongs to it. */
    struct str value = { multipart->rest.p - 2, multipart->rest.n + 2 };
    size_t end = find_delimiter(value, multipart->boundary);
    if (end == value.n)
        return fail(op, ERR_MALFORMED, "part %d is cut off", multipart->parts);
    part.value = end < 2 ? S("") : (struct str){ multipart->rest.p, end - 2 };
    multipart->rest = after(value, end + 4 + multipart->boundary.n);
    *ret = part;
    return OK;
}
