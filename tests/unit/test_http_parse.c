#include "net/http_parse.h"
#include "test.h"

/* All events of the bytes, cut into packets of `step` bytes: "head(31) body=abc end head(20) " or "bad(400)". */
static struct str events(struct arena *arena, struct str bytes, size_t step)
{
    struct http_parser parser;
    struct buf out;
    arena_reset(arena);
    buf_init_arena(&out, arena, 65536);
    http_parser_init(&parser);
    bool in_body = false;
    while (bytes.n) {
        struct str packet = { bytes.p, step < bytes.n ? step : bytes.n };
        bytes.p += packet.n;
        bytes.n -= packet.n;
        for (;;) {
            struct str piece = { NULL, 0 };
            enum http_event event = http_parser_next(&parser, &packet, &piece);
            if (event == HTTP_EVENT_MORE)
                break;
            if (event == HTTP_EVENT_BAD) {
                buf_add_fmt(&out, "bad(%d)", parser.refusal.status);
                http_parser_done(&parser);
                return buf_str(&out);
            }
            if (event == HTTP_EVENT_HEAD)
                buf_add_fmt(&out, "head(%zu,%s%d) ", piece.n, parser.keep_alive ? "" : "close,",
                            (int)parser.content_length);
            if (event == HTTP_EVENT_BODY)
                buf_add_fmt(&out, "%s%.*s", in_body ? "" : "body=", STR(piece));
            if (event == HTTP_EVENT_END)
                buf_add_str(&out, in_body ? S(" end ") : S("end "));
            in_body = event == HTTP_EVENT_BODY;
        }
    }
    http_parser_done(&parser);
    return buf_str(&out);
}

static void gives(struct str bytes, const char *expected)
{
    struct arena *arena = arena_new(1 << 20);
    for (size_t step = 1; step <= bytes.n; step++)
        STR_EQ(events(arena, bytes, step), expected);
    arena_free(arena);
}

TEST(http_parse, gives_the_same_events_however_the_bytes_are_cut)
{
    gives(S("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"), "head(28,0) ");
    gives(S("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: y\r\nA: b\r\n\r\n"), "head(27,0) head(33,0) ");
    gives(S("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
          "head(38,3) body=abc end head(38,0) ");
    gives(S("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0a\r\n0123456789\r\n0\r\nT: "
            "1\r\n\r\n"
            "GET / HTTP/1.1\r\n\r\n"),
          "head(47,0) body=abc0123456789 end head(18,0) ");
    gives(S("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "head(47,0) end ");
}

TEST(http_parse, tells_who_wants_to_go_on)
{
    gives(S("GET / HTTP/1.1\r\nConnection: close\r\n\r\n"), "head(37,close,0) ");
    gives(S("GET / HTTP/1.0\r\n\r\n"), "head(18,close,0) ");
    gives(S("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), "head(42,0) ");
}

TEST(http_parse, takes_no_offer_to_speak_something_else)
{
    gives(S("GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n"
            "GET / HTTP/1.1\r\n\r\n"),
          "head(89,0) head(18,0) ");
}

TEST(http_parse, refuses_broken_heads_and_chunks)
{
    gives(S("GET / HTTP/1.1\nHost: x\n\n"), "bad(400)");
    gives(S("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "bad(400)");
    gives(S("POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"), "bad(400)");
    gives(S("POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\nabc"), "bad(400)");
    gives(S("POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\nabc"), "bad(400)");
    gives(S("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\r\n"), "head(47,0) bad(400)");
    gives(S("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n"), "head(47,0) body=abcbad(400)");
    gives(S("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\nabc"), "head(47,0) bad(400)");
    gives(S("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\nabc"), "head(47,0) bad(400)");
    gives(S("POST / HTTP/1.1\r\nTransfer-Encoding: chunkedx\r\n\r\n3\r\nabc"), "head(48,0) bad(400)");
    gives(S("HELLO / HTTP/1.1\r\n\r\n"), "bad(400)");
    gives(S("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), "bad(400)");
}

TEST(http_parse, stays_broken)
{
    struct http_parser parser;
    struct str piece, bytes = S("nonsense"), more = S("GET / HTTP/1.1\r\n\r\n");
    http_parser_init(&parser);
    EQ(http_parser_next(&parser, &bytes, &piece), HTTP_EVENT_BAD);
    EQ(http_parser_next(&parser, &more, &piece), HTTP_EVENT_BAD);
    http_parser_done(&parser);
}
