#include "net/http_head.h"
#include "test.h"

static struct http_head head;

static int status_of(const char *text)
{
    return http_head_read(str_of(text), &head).status;
}

TEST(http_head, finds_request_line_and_headers)
{
    EQ(status_of("GET /a/b?c=d&e HTTP/1.1\r\nHost: x\r\nX-One:  1\t\r\nx-one: 2\r\nEmpty:\r\n\r\n"), 0);
    STR_EQ(head.method, "GET");
    STR_EQ(head.target, "/a/b?c=d&e");
    STR_EQ(head.path, "/a/b");
    STR_EQ(head.query, "c=d&e");
    EQ(head.minor, 1);
    STR_EQ(http_head_find(&head, S("X-ONE")), "1");
    STR_EQ(http_head_find(&head, S("Empty")), "");
    YES(str_given(http_head_find(&head, S("Empty"))));
    NO(str_given(http_head_find(&head, S("X-Two"))));
}

TEST(http_head, tells_an_empty_query_from_none)
{
    EQ(status_of("GET /a? HTTP/1.1\r\nHost: x\r\n\r\n"), 0);
    YES(str_given(head.query));
    EQ(head.query.n, 0);
    EQ(status_of("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"), 0);
    NO(str_given(head.query));
    EQ(status_of("GET /a#b?c HTTP/1.1\r\nHost: x\r\n\r\n"), 0);
    STR_EQ(head.path, "/a");
    NO(str_given(head.query));
}

TEST(http_head, takes_the_path_out_of_a_whole_url)
{
    EQ(status_of("GET http://h:1/a?b HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    STR_EQ(head.path, "/a");
    STR_EQ(head.query, "b");
    EQ(status_of("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    STR_EQ(head.path, "/");
    EQ(status_of("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), 0);
    STR_EQ(head.path, "*");
}

TEST(http_head, skips_empty_lines_before_the_request)
{
    EQ(status_of("\r\n\r\nGET / HTTP/1.0\r\n\r\n"), 0);
    STR_EQ(head.path, "/");
    EQ(head.minor, 0);
}

TEST(http_head, wants_one_host_in_http_1_1)
{
    EQ(status_of("GET / HTTP/1.1\r\n\r\n"), 400);
    EQ(status_of("GET / HTTP/1.1\r\nHost: a\r\nhost: a\r\n\r\n"), 400);
    EQ(status_of("GET / HTTP/1.1\r\nHost:\r\n\r\n"), 0);
    EQ(status_of("GET / HTTP/1.0\r\n\r\n"), 0);
}

TEST(http_head, knows_who_waits_to_be_asked_for_the_body)
{
    EQ(status_of("POST / HTTP/1.1\r\nHost: x\r\nEXPECT: 100-Continue\r\n\r\n"), 0);
    YES(head.expects_continue);
    EQ(status_of("POST / HTTP/1.1\r\nHost: x\r\n\r\n"), 0);
    NO(head.expects_continue);
}

TEST(http_head, refuses_what_can_be_read_in_two_ways)
{
    EQ(status_of("GET  / HTTP/1.1\r\nHost: x\r\n\r\n"), 400);
    EQ(status_of("GET / HTTP/1.1 \r\nHost: x\r\n\r\n"), 505);
    EQ(status_of("GET / HTTP/1.1\nHost: x\r\n\r\n"), 400);
    EQ(status_of("GET / HTTP/1.1\r\nHost: x\n\r\n"), 400);
    EQ(status_of("GET / HTTP/1.1\r\nHost: x\r\n\n"), 400);
    EQ(status_of("GET / HTTP/1.1\r\nHost: x\r\n y\r\n\r\n"), 400);
    EQ(status_of("GET / HTTP/1.1\r\nHost: x\r\n\ty: z\r\n\r\n"), 400);
    EQ(status_of("GET / HTTP/1.1\r\nHost: x\r\n: y\r\n\r\n"), 400);
    EQ(status_of("GET / HTTP/1.1\r\nHost: x\r\nnothing\r\n\r\n"), 400);
    EQ(status_of("GET /\r\n\r\n"), 400);
    EQ(status_of("GET / HTTP/1.2\r\nHost: x\r\n\r\n"), 505);
    EQ(status_of("GET / HTTP/1.1\r\nHost: x\r\n\r\nmore"), 400);
    EQ(status_of(""), 400);
}

TEST(http_head, refuses_transfer_codings_besides_chunked)
{
    EQ(status_of("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"), 0);
    EQ(status_of("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"), 501);
    EQ(status_of("POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}
