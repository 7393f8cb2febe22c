#include "serve/redirect.h"

#include <poll.h>

#include "base/clock.h"
#include "engine/links.h"
#include "engine/tenants.h"
#include "http_lab.h"
#include "serve/access.h"
#include "serve/api.h"
#include "store/core.h"
#include "store/spool.h"
#include "store_test.h"

#define PATIENCE_US 10000000

/* The API with its redirects over a store whose every turn is the test's; clicks go to a journal. */
struct scene {
    struct fixture fixture;
    struct api api;
    struct lab lab;
    char spool[96];
    struct link link;
};

static enum err make_link(struct op *op, struct tx *tx, void *arg)
{
    struct scene *s = arg;
    struct tenant tenant;
    bool made;
    struct tenant_put tenant_put = { .timezone = S("UTC") };
    struct link_put put = { .url = S("https://x.example/"), .tenant = S("acme") };
    TRY(tenant_store(op, tx, S("acme"), &tenant_put, &tenant));
    return link_store(op, tx, S("a"), &put, 0, &s->link, &made);
}

static void make_spool(struct scene *s)
{
    struct spool *spool;
    size_t count;
    snprintf(s->spool, sizeof s->spool, "%s/click-spool", s->fixture.directory);
    SUCCEEDS(&s->fixture.op, spool_open(&s->fixture.op, s->spool, S("test"), &spool, &count));
    spool_close(spool);
}

static void start(struct scene *s, int64_t wait_ms)
{
    struct http_server_config server = { .listen_fd = -1, .data = &s->api, .admit = access_admit };
    memset(s, 0, sizeof *s);
    fixture_start_file(&s->fixture);
    s->fixture.op.now_us = clock_wall_us();
    WRITES(&s->fixture, make_link, s);
    make_spool(s);
    s->api.config = (struct api_config){ .store = s->fixture.store, .tokens = tokens_new(), .dev = true };
    api_open(&s->api, s->fixture.op.now_us);
    lab_open(&s->lab, server, api_routes, api_route_count);
    struct redirect_config config = { .store = s->fixture.store,
                                      .loop = s->lab.loop,
                                      .api = &s->api,
                                      .node = S("test"),
                                      .spool_path = s->spool,
                                      .wait_ms = wait_ms,
                                      .stall_ms = INT64_MAX };
    SUCCEEDS(&s->fixture.op, redirect_open(&s->fixture.op, &config, &s->api.redirect));
}

static void end(struct scene *s)
{
    lab_close(&s->lab);
    redirect_close(s->api.redirect);
    api_close(&s->api);
    tokens_free(s->api.config.tokens);
    fixture_end(&s->fixture);
}

/* On the loop, which sends posts to the store: what was asked of it is read; nothing is written. */
static void read_turn(void *data)
{
    store_reads_turn(((struct scene *)data)->fixture.store);
}

static void write_turn(void *data)
{
    store_turn(((struct scene *)data)->fixture.store);
}

static int ask(struct scene *s, const char *path)
{
    int fd = lab_connect(&s->lab);
    lab_send(fd, arena_fmt(s->lab.arena, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", path));
    return fd;
}

static bool is_answered(int fd)
{
    struct pollfd look = { .fd = fd, .events = POLLIN };
    return poll(&look, 1, 0) > 0;
}

/* The head of the answer, which must come without anything being written. */
static struct str hear(struct scene *s, int fd)
{
    for (int64_t end_us = clock_mono_us() + PATIENCE_US; !is_answered(fd) && clock_mono_us() < end_us;)
        loop_call(s->lab.loop, read_turn, s);
    return lab_read_until(&s->lab, fd, S("\r\n\r\n"));
}

/* LNK-11 */
TEST(redirect, who_asks_for_figures_waits_for_the_clicks_before_him_and_nobody_else_does)
{
    struct scene s;
    static const char *const others[] = { "/v1/tokens", "/v1/sources", "/v1/messages", "/v1/suppressions" };
    start(&s, 0);
    if (store_is_shared(s.fixture.store)) {
        end(&s);
        SKIP("a database of several nodes has no journal");
    }
    int click = ask(&s, "/r/a?m=ann");
    YES(has(hear(&s, click), "302 Found"));
    int figures = ask(&s, "/v1/links/a");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        int other = ask(&s, others[i]);
        YES(has(hear(&s, other), "200 OK"));
        close(other);
    }
    NO(is_answered(figures));
    while (!is_answered(figures))
        loop_call(s.lab.loop, write_turn, &s);
    lab_read_until(&s.lab, figures, S("\r\n\r\n"));
    YES(has(lab_read_until(&s.lab, figures, S("}")), "\"clicks\":1"));
    close(figures);
    close(click);
    end(&s);
}
