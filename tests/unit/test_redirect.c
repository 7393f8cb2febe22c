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
    SUCCEEDS(&s->fixture.op, spool_open(&s->fixture.op, s->spool, S("test"), SPOOL_PLACES_MIN, &spool, &count));
    spool_close(spool);
}

/* wait_ms, max_waiting: 0 = default. */
static void start(struct scene *s, int64_t wait_ms, int64_t max_waiting)
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
                                      .max_waiting = max_waiting,
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
    start(&s, 0, 0);
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

/* LNK-43: the store is not read while the first one waits. */
TEST(redirect, look_up_that_takes_too_long_is_refused_as_any_wait_is)
{
    struct scene s;
    start(&s, 50, 0);
    int click = ask(&s, "/r/a?m=ann");
    struct str answer = lab_read_until(&s.lab, click, S("</html>\n"));
    YES(has(answer, "503 Service Unavailable"));
    YES(has(answer, "Retry-After: 5\r\n"));
    YES(has(answer, "Cache-Control: no-store\r\n"));
    NO(str_search(answer, S("href")) < answer.n); /* nobody knows where it leads */
    close(click);
    loop_call(s.lab.loop, read_turn, &s); /* the read comes home to nobody, and was not in vain */
    click = ask(&s, "/r/a");
    YES(has(lab_read_until(&s.lab, click, S("\r\n\r\n")), "302 Found"));
    close(click);
    end(&s);
}

static bool is_status(struct str answer, const char *status)
{
    return str_starts(answer, S("HTTP/1.1 ")) && str_starts((struct str){ answer.p + 9, answer.n - 9 }, str_of(status));
}

/* Of two that asked, the one that has its answer. */
static int answered_of(const int fds[2])
{
    struct pollfd look[] = { { .fd = fds[0], .events = POLLIN }, { .fd = fds[1], .events = POLLIN } };
    EQ(poll(look, 2, PATIENCE_US / 1000), 1);
    return look[0].revents ? 0 : 1;
}

static void close_at_once(int fd)
{
    struct linger no_linger = { .l_onoff = 1 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &no_linger, sizeof no_linger);
    close(fd);
}

/* LNK-40 */
TEST(redirect, who_leaves_while_he_is_looked_up_frees_his_place)
{
    struct scene s;
    start(&s, 0, 1);
    int both[] = { ask(&s, "/r/a?m=ann"), ask(&s, "/r/a?m=bob") };
    int refused = answered_of(both);
    YES(is_status(lab_read_until(&s.lab, both[refused], S("\r\n\r\n")), "503"));
    close(both[refused]);
    close_at_once(both[1 - refused]);
    struct str answer = S("");
    for (int64_t end_us = clock_mono_us() + PATIENCE_US; !is_status(answer, "302") && clock_mono_us() < end_us;) {
        int next = ask(&s, "/r/a");
        answer = hear(&s, next);
        close(next);
    }
    YES(is_status(answer, "302"));
    end(&s);
}

static int scan(struct scene *s, int fd, int from, int count)
{
    int refused = 0;
    arena_reset(s->lab.arena);
    for (int i = 0; i < count; i++)
        lab_send(fd, arena_fmt(s->lab.arena, "HEAD /r/no-%d HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", from + i));
    for (int i = 0; i < count; i++) {
        struct str answer = hear(s, fd);
        bool is_refused = is_status(answer, "429");
        YES(is_refused ? has(answer, "Retry-After: 1\r\n") : is_status(answer, "404"));
        refused += is_refused;
    }
    return refused;
}

/* LNK-21: until they are more than a thousand in one second. */
TEST(redirect, network_that_asks_for_unknown_codes_by_the_thousand_is_refused)
{
    struct scene s;
    start(&s, 0, 0);
    int fd = lab_connect(&s.lab), asked = 0, refused = 0;
    for (; refused == 0 && asked < 100000; asked += 100)
        refused = scan(&s, fd, asked, 100);
    YES(refused > 0);
    YES(asked > 1000);
    close(fd);
    end(&s);
}
