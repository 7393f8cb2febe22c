#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "base/clock.h"
#include "base/instant.h"
#include "engine/simulate_render.h"
#include "engine/simulate_truth.h"
#include "engine/source_signal.h"
#include "node_test.h"
#include "relay/poller.h"
#include "serve/simulate_mailgun.h"
#include "source_lab.h"

/*
 * The poller against the stand-in provider over real sockets, with the store's own threads. A test waits until the
 * rows show what it wants; what never comes ends it after a deadline.
 */
static struct net_lab {
    struct fixture fixture;
    struct stand_in *provider;
    struct loop *loop;
    struct http_client *client;
    struct node_board *nodes;
    struct poller *poller;
    uint32_t mailing_no;
    uint32_t source_no;
    char base[64];
    char body[512];
    const char *api;
    struct sim_truth truth;
    struct mailing_stats stats;
    struct lane_row lanes[STORE_LANES];
    struct str status;
    struct arena *reading;
    struct store_faults faults;
    atomic_bool is_full; /* the disk */
    bool is_open;
} lab;

#define RECIPIENTS 1500

static enum err prepare(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct tenant tenant;
    struct mailing mailing;
    struct tenant_put tenant_put = { .timezone = S("UTC") };
    struct mailing_put mailing_put = { .tenant = S("acme"), .track_opens = true, .track_clicks = true };
    TRY(tenant_store(op, tx, S("acme"), &tenant_put, &tenant));
    TRY(mailing_store(op, tx, S("m"), &mailing_put, &mailing));
    lab.mailing_no = mailing.no;

    struct source_row row;
    struct str name;
    bool created;
    TRY(source_config_parse(op, S("mg"), str_of(lab.body), NULL, &row, &name));
    TRY(source_put(op, tx, &row, name, &created));
    lab.source_no = row.no;
    return OK;
}

static enum err import_all(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    static struct import_line lines[RECIPIENTS];
    struct import_chunk chunk = { .kind = IMPORT_MAILING, .mailing = S("m"), .lines = lines };
    struct buf buf;
    struct json_lines cut;
    struct json_line line;
    buf_init_arena(&buf, op->arena, 8 << 20);
    for (uint32_t i = 0; i < RECIPIENTS; i++)
        sim_render_message(stand_in_model(lab.provider), i, &buf);
    json_lines_init(&cut);
    json_lines_feed(&cut, buf_str(&buf), true);
    while (json_line_next(&cut, &line))
        import_line_parse(op, IMPORT_MAILING, &line, &lines[chunk.count++]);
    return import_apply(op, tx, &chunk);
}

static void provider_start(void)
{
    struct stand_in_config config = {
        .model = { .seed = 7,
                   .mailing = S("m"),
                   .recipients = RECIPIENTS,
                   .start_us = clock_wall_us() - 5 * MINUTE,
                   .compress_milli = 2000000,
                   .late_ppm = 50000,
                   .late_by_us = 40 * MINUTE,
                   .duplicate_ppm = 50000,
                   .garbage_ppm = 10000 },
        .listen = "127.0.0.1:0",
    };
    SUCCEEDS(&lab.fixture.op, stand_in_start(&lab.fixture.op, &config, &lab.provider));
    struct addr addr = stand_in_addr(lab.provider);
    char text[ADDR_TEXT_BYTES_MAX];
    snprintf(lab.base, sizeof lab.base, "http://%.*s", STR(addr_text(&addr, text)));
}

static void poller_begin(void)
{
    struct poller_config config = {
        .store = lab.fixture.store, .loop = lab.loop, .client = lab.client, .nodes = lab.nodes
    };
    lab.poller = poller_start(&config);
}

static enum store_fault ask_disk(void *data, enum store_point point)
{
    (void)data;
    (void)point;
    return atomic_load(&lab.is_full) ? STORE_FAIL_FULL : STORE_NO_FAULT;
}

static void lab_close_all(void)
{
    atomic_store(&lab.is_full, false);
    if (lab.poller)
        poller_stop(lab.poller);
    node_board_free(lab.nodes);
    http_client_close(lab.client);
    loop_stop(lab.loop);
    stand_in_stop(lab.provider);
    arena_free(lab.reading);
    fixture_end(&lab.fixture);
    lab.is_open = false;
}

/* A test that failed left its threads at work on what the next one, or the end of the program, takes away. */
static void lab_clear(void)
{
    if (lab.is_open)
        lab_close_all();
}

static void lab_open_with(const char *api)
{
    static bool is_told;
    lab_clear();
    memset(&lab, 0, sizeof lab);
    fixture_directory(&lab.fixture);
    lab.fixture.op.now_us = clock_wall_us();
    provider_start();
    snprintf(lab.body, sizeof lab.body,
             "{\"type\":\"mailgun\",\"api\":\"%s\",\"base_url\":\"%s\",\"domain\":\"" SIMULATE_DOMAIN
             "\",\"api_key\":\"" SIMULATE_KEY "\",\"tenant\":\"acme\",\"timing\":{\"every\":\"1s\",\"margin\":\"0s\","
             "\"recheck\":[\"1s\",\"3s\"]}}",
             api, lab.base);
    fixture_open(&lab.fixture);
    WRITES(&lab.fixture, prepare, NULL);
    WRITES(&lab.fixture, import_all, NULL);
    store_close(lab.fixture.store);
    struct store_config config = fixture_config(&lab.fixture);
    lab.faults = (struct store_faults){ ask_disk, NULL };
    config.faults = &lab.faults;
    config.threads = true;
    SUCCEEDS(&lab.fixture.op, store_open(&lab.fixture.op, &config, &lab.fixture.store));
    lab.reading = arena_new(16 << 20);
    lab.nodes = node_board_alone("n1");
    lab.loop = loop_start("relay");
    lab.client = http_client_open(lab.loop, &(struct http_client_config){ .allow_loopback = true });
    sim_truth(stand_in_model(lab.provider), &lab.truth);
    lab.is_open = true;
    if (!is_told)
        atexit(lab_clear); /* before those of libraries, which began earlier */
    is_told = true;
}

static enum err look(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct source_row row;
    static struct buf buf;
    struct json_writer w;
    TRY(store_mailing_stats_get(op, tx, lab.mailing_no, &lab.stats));
    TRY(store_lane_get(op, tx, lab.source_no, lab.lanes));
    TRY(store_source_get(op, tx, S("mg"), &row));
    buf_init_arena(&buf, op->arena, 4 << 20);
    json_write_init(&w, &buf);
    TRY(source_status_write(op, tx, &row, &w));
    lab.status = buf_str(&buf);
    return OK;
}

/* Reads the rows until they are as wanted, at most for 30 s. */
static bool eventually(bool (*is_so)(void))
{
    for (int i = 0; i < 3000; i++) {
        struct op op;
        arena_reset(lab.reading);
        op_init(&op, lab.reading, clock_wall_us());
        SUCCEEDS(&op, store_read(&op, lab.fixture.store, look, NULL));
        if (is_so())
            return true;
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    fprintf(stderr, "%.*s\n", STR(lab.status));
    return false;
}

static bool shows(const char *text)
{
    return str_search(lab.status, str_of(text)) < lab.status.n;
}

static bool figures_are_true(void)
{
    const int64_t *f = lab.stats.figure;
    const struct sim_truth *t = &lab.truth;
    return f[MAILING_MESSAGES] == t->messages && f[MAILING_DELIVERED] == t->delivered &&
           f[MAILING_OPENED] == t->opened && f[MAILING_OPENED_HUMAN] == t->opened_human &&
           f[MAILING_OPENED_MACHINE] == t->opened_machine && f[MAILING_CLICKED] == t->clicked &&
           f[MAILING_CLICKED_HUMAN] == t->clicked_human && f[MAILING_CLICKED_MACHINE] == t->clicked_machine &&
           f[MAILING_FAILED_PERMANENT] == t->failed_permanent && f[MAILING_FAILED_TEMPORARY] == t->failed_temporary &&
           f[MAILING_COMPLAINED] == t->complained && f[MAILING_UNSUBSCRIBED] == t->unsubscribed;
}

TEST(poller, reads_a_mailing_to_the_very_figures_through_the_events_api)
{
    lab_open_with("events");
    poller_begin();
    YES(eventually(figures_are_true));
    lab_close_all();
}

TEST(poller, reads_the_same_figures_through_the_logs_api)
{
    lab_open_with("logs");
    poller_begin();
    YES(eventually(figures_are_true));
    lab_close_all();
}

static bool has_begun(void)
{
    return lab.stats.figure[MAILING_DELIVERED] > 0;
}

TEST(poller, goes_on_where_it_stopped_at_once)
{
    lab_open_with("events");
    poller_begin();
    YES(eventually(has_begun));
    poller_stop(lab.poller);
    poller_begin();
    YES(eventually(figures_are_true));
    lab_close_all();
}

/* ---------------------------------------------------------------------------------------------------------- faults */

static bool is_stuck(void)
{
    return !store_is_ready(lab.fixture.store);
}

static bool is_well(void)
{
    return store_is_ready(lab.fixture.store) && figures_are_true();
}

TEST(poller, gets_over_a_full_disk_by_itself)
{
    lab_open_with("events");
    atomic_store(&lab.is_full, true); /* not even the lease can be written */
    poller_begin();
    YES(eventually(is_stuck));
    atomic_store(&lab.is_full, false);
    YES(eventually(has_begun));
    atomic_store(&lab.is_full, true);
    YES(eventually(is_stuck));
    atomic_store(&lab.is_full, false);
    YES(eventually(is_well));
    lab_close_all();
}

struct ask {
    struct fetch fetch;
    struct http_client *client;
    pthread_mutex_t lock;
    pthread_cond_t is_done;
    bool done;
};

static void asked(struct fetch *fetch)
{
    struct ask *ask = fetch->data;
    pthread_mutex_lock(&ask->lock);
    ask->done = true;
    pthread_cond_signal(&ask->is_done);
    pthread_mutex_unlock(&ask->lock);
}

static void ask_start(void *data)
{
    struct ask *ask = data;
    http_fetch(ask->client, &ask->fetch);
}

static void ask_provider(const char *method, const char *json)
{
    char url[96];
    snprintf(url, sizeof url, "%s/sim/faults", lab.base);
    struct ask ask = { .client = lab.client };
    pthread_mutex_init(&ask.lock, NULL);
    pthread_cond_init(&ask.is_done, NULL);
    ask.fetch = (struct fetch){ .method = str_of(method), .url = str_of(url), .body = str_of(json), .done = asked };
    ask.fetch.data = &ask;
    ask.fetch.headers[0] = (struct http_header){ S("Content-Type"), S("application/json") };
    ask.fetch.header_count = 1;
    loop_call(lab.loop, ask_start, &ask);
    pthread_mutex_lock(&ask.lock);
    while (!ask.done)
        pthread_cond_wait(&ask.is_done, &ask.lock);
    pthread_mutex_unlock(&ask.lock);
    EQ(ask.fetch.err, OK);
    YES(ask.fetch.status < 300);
    fetch_free(&ask.fetch);
}

/* Asks the provider to misbehave. */
static void fault(const char *json)
{
    ask_provider("POST", json);
}

static bool is_waiting(void)
{
    return lab.lanes[LANE_OPENS].state == LANE_WAITING && lab.lanes[LANE_OPENS].next_run_at_us != STORE_NO_INSTANT;
}

TEST(poller, waits_as_a_rate_limit_asks_and_loses_nothing)
{
    lab_open_with("events");
    fault("{\"status\":429,\"count\":2,\"retry_after\":2}");
    poller_begin();
    YES(eventually(is_waiting));
    YES(eventually(figures_are_true));
    lab_close_all();
}

TEST(poller, gets_over_errors_cut_bodies_garbage_and_a_next_on_another_host)
{
    lab_open_with("events");
    fault("{\"status\":500,\"count\":2}");
    fault("{\"status\":\"cut\",\"count\":2}");
    fault("{\"status\":\"broken\",\"count\":1}");
    fault("{\"status\":\"garbage\",\"count\":1}");
    fault("{\"status\":\"other_host\",\"host\":\"http://192.0.2.1\"}");
    poller_begin();
    YES(eventually(figures_are_true));
    lab_close_all();
}

static bool is_refused(void)
{
    return lab.lanes[LANE_OTHERS].state == LANE_ERROR && shows("\"credentials_refused\"");
}

struct repair {
    struct post post; /* first */
    struct loop *loop;
    pthread_mutex_t lock;
    pthread_cond_t is_done;
    bool done;
};

static enum err repair_write(struct post *post)
{
    struct source_row row;
    struct str tenant;
    bool created;
    TRY(source_config_parse(&post->op, S("mg"), str_of(lab.body), NULL, &row, &tenant));
    return source_put(&post->op, post->tx, &row, tenant, &created);
}

static enum err repair_done(struct post *post)
{
    struct repair *repair = (struct repair *)post;
    pthread_mutex_lock(&repair->lock);
    repair->done = true;
    pthread_cond_signal(&repair->is_done);
    pthread_mutex_unlock(&repair->lock);
    return OK;
}

static const struct hop repair_route[] = {
    { repair_write, THREAD_WRITER },
    { repair_done, THREAD_CALLER },
    { 0 },
};

/* PUT /v1/sources/mg with the present body, through the writer as in life. */
static void put_source(void)
{
    struct repair repair = { .loop = lab.loop };
    pthread_mutex_init(&repair.lock, NULL);
    pthread_cond_init(&repair.is_done, NULL);
    op_init(&repair.post.op, arena_new(1 << 20), clock_wall_us());
    loop_adopt(lab.loop, &repair.post);
    repair.post.hop = repair_route;
    post_send(&repair.post);
    pthread_mutex_lock(&repair.lock);
    while (!repair.done)
        pthread_cond_wait(&repair.is_done, &repair.lock);
    pthread_mutex_unlock(&repair.lock);
    EQ(repair.post.err, OK);
    arena_free(repair.post.op.arena);
    source_signal();
}

TEST(poller, tries_again_at_once_when_the_key_was_mended)
{
    lab_open_with("events");
    char good[sizeof lab.body];
    memcpy(good, lab.body, sizeof good);
    char *key = strstr(lab.body, SIMULATE_KEY);
    key[0] = 'X';
    poller_begin();
    put_source();
    YES(eventually(is_refused));
    NO(shows(SIMULATE_KEY));
    memcpy(lab.body, good, sizeof good);
    put_source();
    YES(eventually(figures_are_true));
    NO(shows("\"credentials_refused\""));
    lab_close_all();
}

static bool has_hole(void)
{
    return shows("\"code\":\"unread_gap\"") && lab.stats.figure[MAILING_DELIVERED] > RECIPIENTS / 2;
}

static bool has_healed(void)
{
    return figures_are_true() && !shows("\"code\":\"unread_gap\"");
}

TEST(poller, reads_around_a_page_that_is_cut_and_closes_the_hole_when_the_provider_heals)
{
    lab_open_with("events");
    struct sim_event events[SIM_EVENTS_MAX];
    char at[INSTANT_TEXT_BYTES], json[128];
    NE(sim_events(stand_in_model(lab.provider), 5, events), 0);
    snprintf(json, sizeof json, "{\"status\":\"poison\",\"at\":\"%.*s\",\"count\":1000}",
             STR(instant_text(events[0].at_us, 6, at)));
    fault(json);
    poller_begin();
    YES(eventually(has_hole));
    ask_provider("DELETE", "");
    YES(eventually(has_healed));
    lab_close_all();
}
