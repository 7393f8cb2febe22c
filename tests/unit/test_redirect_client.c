#include "base/cidr.h"
#include "serve/api.h"
#include "serve/redirect_parts.h"
#include "test.h"

struct scene {
    struct api api;
    struct redirect *redirect;
    struct http_request request;
    char head[512];
};

static void start(struct scene *s, const char *proxies, const char *peer, const char *headers)
{
    struct cidr_list *list;
    memset(s, 0, sizeof *s);
    op_init(&s->request.op, arena_new(1 << 20), 0);
    SUCCEEDS(&s->request.op, cidr_list_new(&s->request.op, str_of(proxies), &list));
    s->redirect = calloc(1, sizeof *s->redirect);
    s->api.config.proxies = list;
    s->redirect->config.api = &s->api;
    SUCCEEDS(&s->request.op, addr_parse(&s->request.op, str_of(peer), &s->request.peer));
    snprintf(s->head, sizeof s->head, "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", headers);
    EQ(http_head_read(str_of(s->head), &s->request.head).status, 0);
}

static void client_is(const char *proxies, const char *peer, const char *headers, const char *expected)
{
    struct scene s;
    start(&s, proxies, peer, headers);
    STR_EQ(redirect_client_address(s.redirect, &s.request), expected);
    cidr_list_free((struct cidr_list *)(uintptr_t)s.api.config.proxies);
    free(s.redirect);
    arena_free(s.request.op.arena);
}

/* LNK-24 */
TEST(redirect_client, believes_trusted_proxies_from_the_right)
{
    const char *const own = "127.0.0.1/32, 10.0.0.0/8";
    client_is(own, "127.0.0.1:1", "X-Forwarded-For: 203.0.113.7\r\n", "203.0.113.7");
    client_is(own, "127.0.0.1:1", "X-Forwarded-For: 198.51.100.1, 203.0.113.7\r\n", "203.0.113.7");
    client_is(own, "127.0.0.1:1", "X-Forwarded-For: 198.51.100.1, 203.0.113.7, 10.1.2.3\r\n", "203.0.113.7");
    client_is(own, "127.0.0.1:1", "Forwarded: for=198.51.100.1, for=\"[2001:db8::7]:4711\";proto=https\r\n",
              "2001:db8::7");
    client_is(own, "127.0.0.1:1", "X-Forwarded-For: nonsense\r\n", "127.0.0.1");
    client_is(own, "127.0.0.1:1", "", "127.0.0.1");
}

TEST(redirect_client, does_not_believe_strangers)
{
    client_is("10.0.0.0/8", "203.0.113.9:1", "X-Forwarded-For: 198.51.100.1\r\n", "203.0.113.9");
    client_is("", "127.0.0.1:1", "X-Forwarded-For: 198.51.100.1\r\n", "127.0.0.1");
}
