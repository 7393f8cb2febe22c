/*
 * fuzz_http.c - requests mean the same however a network cuts them into packets.
 *
 * The first byte of the input chooses the size of the packets, the rest is what
 * a client sends. Read at once and read in packets it must give the same heads,
 * bodies and refusals. Heads are indexed inside their own bytes, and what forms
 * and Authorization headers hold is decoded on the way.
 */
#include <stdlib.h>

#include "base/form.h"
#include "fuzz.h"
#include "net/http_auth.h"
#include "net/http_parse.h"

#define ARENA_BYTES_MAX (4 << 20)
#define LOG_BYTES_MAX   (4 << 20)
#define REQUESTS_MAX    1000
#define HOLDS(promise)                                                                                                 \
    do {                                                                                                               \
        if (!(promise))                                                                                                \
            abort();                                                                                                   \
    } while (0)

static bool lies_in(struct str part, struct str whole)
{
    return !str_given(part) || part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void read_form(struct arena *arena, struct str form)
{
    struct form_field field;
    while (form_next(arena, &form, &field) && str_given(field.name))
        HOLDS(str_given(field.value));
}

static void read_head(struct arena *arena, struct str text)
{
    struct http_head head;
    struct str user, password;
    HOLDS(text.n <= HTTP_HEAD_BYTES_MAX);
    if (http_head_read(text, &head).status)
        return;
    HOLDS(lies_in(head.method, text) && lies_in(head.target, text));
    HOLDS(lies_in(head.path, head.target) && lies_in(head.query, head.target));
    HOLDS(head.line_count <= HTTP_HEADERS_MAX && (head.minor == 0 || head.minor == 1));
    for (int i = 0; i < head.line_count; i++) {
        HOLDS((size_t)head.lines[i].name_at + head.lines[i].name_bytes <= text.n);
        HOLDS((size_t)head.lines[i].value_at + head.lines[i].value_bytes <= text.n);
    }
    struct str authorization = http_head_find(&head, S("Authorization"));
    HOLDS(lies_in(http_auth_bearer(authorization), text));
    http_auth_basic(arena, authorization, &user, &password);
    read_form(arena, head.query);
}

/* Notes the event; parts of one body follow each other without a mark. */
static void note(struct buf *log, enum http_event event, struct str piece, int status, bool *in_body)
{
    static const char marks[] = {
        [HTTP_EVENT_HEAD] = 'H', [HTTP_EVENT_BODY] = 'B', [HTTP_EVENT_END] = 'E', [HTTP_EVENT_BAD] = 'X'
    };
    if (event != HTTP_EVENT_BODY || !*in_body)
        buf_add_char(log, marks[event]);
    if (event == HTTP_EVENT_HEAD || event == HTTP_EVENT_BODY)
        buf_add_str(log, piece);
    if (event == HTTP_EVENT_BAD)
        buf_add_fmt(log, "%d", status);
    *in_body = event == HTTP_EVENT_BODY;
}

/* Everything the parser says about the bytes, read in packets. False when a flood of frames was refused, which is
 * judged packet by packet. */
static bool read_in_packets(struct arena *arena, struct str text, size_t packet_bytes, struct buf *log)
{
    struct http_parser parser;
    bool in_body = false, comparable = true;
    int requests = 0;

    http_parser_init(&parser);
    while (text.n > 0 && comparable) {
        size_t n = text.n < packet_bytes ? text.n : packet_bytes;
        struct str packet = { text.p, n }, piece = { NULL, 0 };
        enum http_event event;
        text = (struct str){ text.p + n, text.n - n };
        while ((event = http_parser_next(&parser, &packet, &piece)) != HTTP_EVENT_MORE) {
            if (event == HTTP_EVENT_HEAD && ++requests <= REQUESTS_MAX)
                read_head(arena, piece);
            note(log, event, piece, parser.refusal.status, &in_body);
            if (event == HTTP_EVENT_BAD) {
                comparable = parser.frame_bytes <= 16384;
                text.n = 0;
                break;
            }
        }
    }
    http_parser_done(&parser);
    return comparable && !log->full;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    if (bytes < 2)
        return 0;
    struct arena *arena = arena_new(ARENA_BYTES_MAX);
    struct str text = { (const char *)data + 1, bytes - 1 };
    struct buf whole, packets;
    buf_init(&whole, LOG_BYTES_MAX);
    buf_init(&packets, LOG_BYTES_MAX);

    bool comparable = read_in_packets(arena, text, text.n, &whole);
    if (read_in_packets(arena, text, 1 + data[0] % 64u, &packets) && comparable)
        HOLDS(str_eq(buf_str(&whole), buf_str(&packets)));

    read_form(arena, text);
    buf_done(&whole);
    buf_done(&packets);
    arena_free(arena);
    return 0;
}
