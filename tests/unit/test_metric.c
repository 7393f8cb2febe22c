#include "test.h"

#include "base/buf.h"
#include "base/metric.h"
#include "base/thread.h"

static struct op op;

/* All metrics as text; the memory is the next call's. */
static struct str written(void)
{
    static struct buf out;
    buf_done(&out);
    buf_init(&out, 4 << 20);
    op_init(&op, NULL, 0);
    SUCCEEDS(&op, metric_write(&op, &out));
    return buf_str(&out);
}

/* True when these whole lines stand in the output, one behind the other. */
static bool shows(const char *lines)
{
    struct str text = written();
    size_t at = str_search(text, str_of(lines));
    return at < text.n && (at == 0 || text.p[at - 1] == '\n');
}

TEST(metric, counts_by_labels)
{
    struct metric *events = metric_counter("posthouse_test_events_total", "Items read.", "source,result", METRIC_ONE);
    metric_add(METRIC_AT(events, S("mg"), S("applied")), 3);
    metric_add(METRIC_AT(events, S("mg"), S("duplicate")), 1);
    metric_add(METRIC_AT(events, S("mg"), S("applied")), 4);
    EQ(metric_value(METRIC_AT(events, S("mg"), S("applied"))), 7);
    YES(shows("# HELP posthouse_test_events_total Items read.\n"
              "# TYPE posthouse_test_events_total counter\n"
              "posthouse_test_events_total{source=\"mg\",result=\"applied\"} 7\n"
              "posthouse_test_events_total{source=\"mg\",result=\"duplicate\"} 1\n"));
}

TEST(metric, finds_what_was_declared_before)
{
    struct metric *a = metric_gauge("posthouse_test_twice", "Once.", "", METRIC_ONE);
    YES(a == metric_gauge("posthouse_test_twice", "Once.", "", METRIC_ONE));
    YES(METRIC_PLAIN(a) == METRIC_PLAIN(a));
}

TEST(metric, writes_base_units_exactly)
{
    struct metric_cell *lag = METRIC_PLAIN(metric_gauge("posthouse_test_lag_seconds", "Lag.", "", METRIC_SECONDS));
    static const struct {
        int64_t us;
        const char *line;
    } cases[] = {
        { 0, "posthouse_test_lag_seconds 0\n" },
        { 1500000, "posthouse_test_lag_seconds 1.5\n" },
        { 1, "posthouse_test_lag_seconds 0.000001\n" },
        { -250000, "posthouse_test_lag_seconds -0.25\n" },
        { 60000000, "posthouse_test_lag_seconds 60\n" },
        { 1000010, "posthouse_test_lag_seconds 1.00001\n" },
        { INT64_MIN, "posthouse_test_lag_seconds -9223372036854.775808\n" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        metric_set(lag, cases[i].us);
        YES(shows(cases[i].line));
    }
}

TEST(metric, moves_gauges_both_ways)
{
    struct metric_cell *open = METRIC_PLAIN(metric_gauge("posthouse_test_open", "Open.", "", METRIC_ONE));
    metric_add(open, 5);
    metric_add(open, -7);
    YES(shows("posthouse_test_open -2\n"));
}

TEST(metric, sorts_observations_into_cumulative_buckets)
{
    static const int64_t bounds[] = { 1000, 500000 };
    struct metric_cell *cell =
        METRIC_AT(metric_histogram("posthouse_test_commit_seconds", "Commits.", "engine", METRIC_SECONDS, bounds, 2),
                  S("sqlite"));
    metric_observe(cell, 1000); /* a bound belongs to its bucket */
    metric_observe(cell, 1001);
    metric_observe(cell, 2000000);
    EQ(metric_value(cell), 3);
    YES(shows("# TYPE posthouse_test_commit_seconds histogram\n"
              "posthouse_test_commit_seconds_bucket{engine=\"sqlite\",le=\"0.001\"} 1\n"
              "posthouse_test_commit_seconds_bucket{engine=\"sqlite\",le=\"0.5\"} 2\n"
              "posthouse_test_commit_seconds_bucket{engine=\"sqlite\",le=\"+Inf\"} 3\n"
              "posthouse_test_commit_seconds_sum{engine=\"sqlite\"} 2.002001\n"
              "posthouse_test_commit_seconds_count{engine=\"sqlite\"} 3\n"));
}

TEST(metric, escapes_label_values_and_help)
{
    struct metric *odd = metric_gauge("posthouse_test_odd", "A \\ and\na line.", "name", METRIC_ONE);
    metric_set(METRIC_AT(odd, S("a\"b\\c\nd é")), 1);
    metric_set(METRIC_AT(odd, S("\xff")), 2);
    YES(shows("# HELP posthouse_test_odd A \\\\ and\\na line.\n"));
    YES(shows("posthouse_test_odd{name=\"a\\\"b\\\\c\\nd é\"} 1\nposthouse_test_odd{name=\"?\"} 2\n"));
}

TEST(metric, hides_what_is_gone_until_it_is_asked_for_again)
{
    struct metric *lag = metric_gauge("posthouse_test_hidden", "Hidden.", "source", METRIC_ONE);
    struct metric_cell *cell = METRIC_AT(lag, S("old"));
    metric_set(cell, 7);
    metric_hide(cell);
    struct str text = written();
    EQ(str_search(text, S("posthouse_test_hidden")), text.n); /* also without HELP and TYPE */
    METRIC_AT(lag, S("old"));
    YES(shows("posthouse_test_hidden{source=\"old\"} 7\n"));
}

TEST(metric, puts_label_sets_beyond_its_maximum_together)
{
    struct metric *many = metric_counter("posthouse_test_many_total", "Many.", "source,lane", METRIC_ONE);
    for (int i = 0; i < METRIC_CELLS_MAX + 50; i++) {
        char name[16];
        snprintf(name, sizeof name, "s-%d", i);
        metric_add(METRIC_AT(many, str_of(name), S("opens")), 1);
    }
    YES(shows("posthouse_test_many_total{source=\"s-999\",lane=\"opens\"} 1\n"
              "posthouse_test_many_total{source=\"other\",lane=\"other\"} 50\n"));
}

TEST(metric, cuts_long_label_values)
{
    static char value[4 * METRIC_LABEL_BYTES_MAX];
    struct metric *longest = metric_gauge("posthouse_test_long", "Long.", "a,b,c,d", METRIC_ONE);
    memset(value, '"', sizeof value); /* the worst: each is written as two bytes */
    struct str s = { value, sizeof value };
    metric_set(METRIC_AT(longest, s, s, s, s), 1);
    YES(str_search(written(), S("posthouse_test_long{a=\"\\\"")) < written().n);
}

static void set_to_42(void *context)
{
    metric_set(context, 42);
}

TEST(metric, refreshes_gauges_before_writing)
{
    struct metric_cell *cell = METRIC_PLAIN(metric_gauge("posthouse_test_fresh", "Fresh.", "", METRIC_ONE));
    metric_on_write(set_to_42, cell);
    YES(shows("posthouse_test_fresh 42\n"));
}

TEST(metric, says_so_when_the_output_has_no_room)
{
    struct buf small;
    METRIC_PLAIN(metric_gauge("posthouse_test_room", "Room.", "", METRIC_ONE));
    buf_init(&small, 64);
    op_init(&op, NULL, 0);
    EQ(metric_write(&op, &small), ERR_TOO_LARGE);
    buf_done(&small);
}

static void count_up(void *context)
{
    (void)context;
    struct metric *shared = metric_counter("posthouse_test_shared_total", "Shared.", "who", METRIC_ONE);
    for (int i = 0; i < 20000; i++)
        metric_add(METRIC_AT(shared, i % 2 ? S("a") : S("b")), 1);
}

TEST(metric, loses_no_increment_between_threads)
{
    struct thread threads[3];
    op_init(&op, NULL, 0);
    for (int i = 0; i < 3; i++)
        SUCCEEDS(&op, thread_start(&op, &threads[i], "counter", count_up, NULL));
    written();
    for (int i = 0; i < 3; i++)
        thread_join(&threads[i]);
    YES(shows("posthouse_test_shared_total{who=\"b\"} 30000\nposthouse_test_shared_total{who=\"a\"} 30000\n") ||
        shows("posthouse_test_shared_total{who=\"a\"} 30000\nposthouse_test_shared_total{who=\"b\"} 30000\n"));
}

TEST(metric, pleases_promtool)
{
    if (system("command -v promtool >/dev/null") != 0)
        skip();
    struct metric_cell *latency =
        METRIC_PLAIN(metric_histogram("posthouse_test_request_duration_seconds", "Requests.", "", METRIC_SECONDS,
                                      metric_latency_bounds, METRIC_LATENCY_BOUNDS_COUNT));
    metric_observe(latency, 300);
    struct str text = written();
    FILE *promtool = popen("promtool check metrics >&2", "w");
    YES(promtool != NULL);
    EQ(fwrite(text.p, 1, text.n, promtool), text.n);
    EQ(pclose(promtool), 0);
}
