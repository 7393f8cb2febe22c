#include <time.h>

#include "base/clock.h"
#include "engine/source_config.h"
#include "engine/source_task.h"
#include "http_lab.h"
#include "node_test.h"
#include "relay/poller.h"
#include "relay/task_runner.h"
#include "store_test.h"

/* The runner against a provider that answers as told. */
static struct tasks_lab {
    struct fixture fixture;
    struct lab web;
    struct loop *loop;
    struct http_client *client;
    struct node_board *nodes;
    struct poller *poller;
    char base[64];
    atomic_int status; /* the provider's next answers */
    pthread_mutex_t lock;
    char paths[8][128];
    int path_n;
    int64_t count, next_due_ms;
} lab;

static void answer(struct http_request *request)
{
    pthread_mutex_lock(&lab.lock);
    if (lab.path_n < 8)
        snprintf(lab.paths[lab.path_n++], sizeof lab.paths[0], "%.*s %.*s", STR(request->method), STR(request->path));
    pthread_mutex_unlock(&lab.lock);
    http_reply(request, atomic_load(&lab.status), S("application/json"), S("{}"));
}

static void no_events(struct http_request *request)
{
    http_reply(request, 200, S("application/json"), S("{\"items\":[],\"paging\":{}}"));
}

static const struct http_route routes[] = {
    { "DELETE", "/v3/{domain}/{list}/{address}", answer, 0, 0, 0, NULL },
    { "GET", "/v3/{domain}/events", no_events, 0, 0, 0, NULL },
};

static enum err put_sources(struct op *op, struct tx *tx, void *arg)
{
    const char *ids[] = { "mg-1", "mg-2" };
    for (int i = 0; i < 2; i++) {
        struct source_row row;
        struct str tenant;
        bool created;
        struct str body =
            arena_fmt(op->arena,
                      "{\"type\":\"mailgun\",\"domain\":\"%s.example\",\"api_key\":\"k\",\"base_url\":\"%s\"}", ids[i],
                      (const char *)arg);
        TRY(source_config_parse(op, str_of(ids[i]), body, NULL, &row, &tenant));
        TRY(source_put(op, tx, &row, tenant, &created));
    }
    return OK;
}

static enum err add_task(struct op *op, struct tx *tx, void *arg)
{
    uint64_t no;
    return store_task_add(op, tx, S(TASK_RELEASE), str_of(arg), 0, &no);
}

static void lab_end(void)
{
    poller_stop(lab.poller);
    node_board_free(lab.nodes);
    http_client_close(lab.client);
    loop_stop(lab.loop);
    lab_close(&lab.web);
    fixture_end(&lab.fixture);
    lab.poller = NULL;
}

/* A test that failed left its threads at work on what the next one, or the end of the program, takes away. */
static void lab_clear(void)
{
    if (lab.poller)
        lab_end();
}

static void lab_begin(const char *task, int status)
{
    static bool is_told;
    lab_clear();
    memset(&lab, 0, sizeof lab);
    pthread_mutex_init(&lab.lock, NULL);
    atomic_store(&lab.status, status);
    lab_open(&lab.web, (struct http_server_config){ 0 }, routes, 2);
    struct addr addr = http_server_addr(lab.web.server);
    char text[ADDR_TEXT_BYTES_MAX];
    snprintf(lab.base, sizeof lab.base, "http://%.*s", STR(addr_text(&addr, text)));

    char payload[256];
    snprintf(payload, sizeof payload, "%s", task);
    fixture_directory(&lab.fixture);
    lab.fixture.op.now_us = clock_wall_us();
    fixture_open(&lab.fixture);
    WRITES(&lab.fixture, put_sources, lab.base);
    WRITES(&lab.fixture, add_task, payload);
    store_close(lab.fixture.store);
    struct store_config config = fixture_config(&lab.fixture);
    config.threads = true;
    config.clock = NULL; /* the test moves the fixture's, beside the writer */
    SUCCEEDS(&lab.fixture.op, store_open(&lab.fixture.op, &config, &lab.fixture.store));

    lab.loop = loop_start("relay");
    lab.client = http_client_open(lab.loop, &(struct http_client_config){ .allow_loopback = true });
    lab.nodes = node_board_alone("n1");
    struct poller_config poller = {
        .store = lab.fixture.store, .loop = lab.loop, .client = lab.client, .nodes = lab.nodes
    };
    lab.poller = poller_start(&poller);
    if (!is_told)
        atexit(lab_clear); /* before those of libraries, which began earlier */
    is_told = true;
}

static enum err look(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    TRY(store_task_next(op, tx, &lab.next_due_ms));
    return store_task_count(op, tx, &lab.count);
}

/* Until no task is left, or the one that is was put off. */
static bool settled(bool wants_done)
{
    for (int i = 0; i < 2000; i++) {
        lab.fixture.op.now_us = clock_wall_us();
        READS(&lab.fixture, look, NULL);
        int64_t off_ms = lab.next_due_ms - op_now_ms(&lab.fixture.op);
        if (wants_done ? lab.count == 0 : lab.count == 1 && off_ms > 5000 && off_ms <= TASK_RETRY_MS)
            return true;
        nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
    }
    return false;
}

TEST(task_runner, takes_an_address_off_the_list_of_the_source_that_reported_it)
{
    lab_begin("{\"tenant_no\":1,\"source\":\"mg-2\",\"address\":\"jo+x@x.org\",\"reason\":\"complaint\"}", 200);
    YES(settled(true));
    EQ(lab.path_n, 1);
    STR_EQ(str_of(lab.paths[0]), "DELETE /v3/mg-2.example/complaints/jo%2Bx%40x.org");
    lab_end();
}

TEST(task_runner, not_there_is_success_and_without_a_source_every_account_is_asked)
{
    lab_begin("{\"tenant_no\":1,\"source\":null,\"address\":\"a@x.org\",\"reason\":\"bounce\"}", 404);
    YES(settled(true));
    EQ(lab.path_n, 2);
    lab_end();
}

TEST(task_runner, a_failure_puts_the_task_off)
{
    lab_begin("{\"tenant_no\":1,\"source\":\"mg-1\",\"address\":\"a@x.org\",\"reason\":\"unsubscribe\"}", 500);
    YES(settled(false));
    EQ(lab.path_n, 1);
    lab_end();
}

TEST(task_runner, a_task_nobody_understands_is_given_up)
{
    lab_begin("{\"tenant_no\":1}", 200);
    YES(settled(true));
    EQ(lab.path_n, 0);
    lab_end();
}
