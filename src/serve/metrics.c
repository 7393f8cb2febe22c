#include "serve/metrics.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/metric.h"
#include "base/process.h"
#include "serve/worker_door.h"

#define CLASSES 5 /* 1xx to 5xx */

/* Cells of one route; the last one is for requests that found no route. */
struct route_cells {
    _Atomic(struct metric_cell *) by_class[CLASSES];
    _Atomic(struct metric_cell *) seconds;
};

static struct {
    struct store *store;
    _Atomic(const struct http_server *) server;
    _Atomic(const struct worker_door *) worker_door;
    const struct http_route *routes;
    size_t route_count;
    struct route_cells *cells;
    struct metric *requests, *seconds;
    bool declared;
} m;

/* --- requests ------------------------------------------------------------- */

static size_t route_index(const struct http_route *route)
{
    return route >= m.routes && route < m.routes + m.route_count ? (size_t)(route - m.routes) : m.route_count;
}

static struct str route_name(size_t index, char *ret_text, size_t room)
{
    if (index == m.route_count)
        return S("none");
    int n = snprintf(ret_text, room, "%s %s", m.routes[index].method, m.routes[index].pattern);
    return (struct str){ ret_text, (size_t)n };
}

/* Made when it is first needed: a route that nobody uses has no lines. */
static struct metric_cell *class_cell(size_t index, int class)
{
    struct metric_cell *found = atomic_load_explicit(&m.cells[index].by_class[class], memory_order_acquire);
    if (found)
        return found;
    char text[METRIC_LABEL_BYTES_MAX];
    const char *words[CLASSES] = { "1xx", "2xx", "3xx", "4xx", "5xx" };
    found = METRIC_AT(m.requests, route_name(index, text, sizeof text), str_of(words[class]));
    atomic_store_explicit(&m.cells[index].by_class[class], found, memory_order_release);
    return found;
}

static struct metric_cell *seconds_cell(size_t index)
{
    struct metric_cell *found = atomic_load_explicit(&m.cells[index].seconds, memory_order_acquire);
    if (found)
        return found;
    char text[METRIC_LABEL_BYTES_MAX];
    found = METRIC_AT(m.seconds, route_name(index, text, sizeof text));
    atomic_store_explicit(&m.cells[index].seconds, found, memory_order_release);
    return found;
}

void metrics_answered(const struct http_request *request, int status)
{
    size_t index = route_index(request->route);
    if (status >= 100 && status < 600)
        metric_add(class_cell(index, status / 100 - 1), 1);
    metric_observe(seconds_cell(index), clock_wall_us() - request->began_us);
}

/* --- what is read when somebody looks ------------------------------------- */

static struct {
    struct metric_cell *commits, *commands, *failures, *reruns, *commit_us, *reads;
    struct metric_cell *writer_waiting, *reader_waiting, *wal_bytes, *ready;
    struct metric_cell *connections, *accepted, *refused, *broken, *dropped;
    struct metric_cell *worker_connections, *worker_accepted, *worker_refused, *worker_dropped, *worker_commands;
    struct metric_cell *rss_bytes;
} cell;

/* Counters of others only grow; ours follows. */
static void follow(struct metric_cell *counter, uint64_t value)
{
    int64_t behind = (int64_t)value - metric_value(counter);
    if (behind > 0)
        metric_add(counter, behind);
}

static void refresh_store(void)
{
    struct store_figures figures = store_figures(m.store);
    follow(cell.commits, figures.commits);
    follow(cell.commands, figures.commands);
    follow(cell.failures, figures.failures);
    follow(cell.reruns, figures.reruns);
    follow(cell.commit_us, figures.commit_us);
    follow(cell.reads, figures.reads);
    metric_set(cell.writer_waiting, figures.writer_waiting);
    metric_set(cell.reader_waiting, figures.reader_waiting);
    metric_set(cell.wal_bytes, figures.wal_bytes);
    metric_set(cell.ready, store_is_ready(m.store));
}

static void refresh_server(const struct http_server *server)
{
    struct http_server_counts counts = http_server_counts(server);
    metric_set(cell.connections, (int64_t)counts.connections);
    follow(cell.accepted, counts.accepted);
    follow(cell.refused, counts.refused);
    follow(cell.broken, counts.broken);
    follow(cell.dropped, counts.dropped);
}

static void refresh_worker_door(const struct worker_door *door)
{
    struct worker_figures figures = worker_door_figures(door);
    metric_set(cell.worker_connections, (int64_t)figures.lines.connections);
    follow(cell.worker_accepted, figures.lines.accepted);
    follow(cell.worker_refused, figures.lines.refused);
    follow(cell.worker_dropped, figures.lines.dropped);
    follow(cell.worker_commands, figures.commands);
}

static void refresh_process(void)
{
    metric_set(cell.rss_bytes, process_rss_bytes(getpid()));
}

static void refresh(void *context)
{
    (void)context;
    const struct http_server *server = atomic_load(&m.server);
    if (m.store)
        refresh_store();
    if (server)
        refresh_server(server);
    const struct worker_door *door = atomic_load(&m.worker_door);
    if (door)
        refresh_worker_door(door);
    refresh_process();
}

/* --- declaring ------------------------------------------------------------ */

static struct metric_cell *counter(const char *name, const char *help, int64_t scale)
{
    return METRIC_PLAIN(metric_counter(name, help, "", scale));
}

static struct metric_cell *gauge(const char *name, const char *help)
{
    return METRIC_PLAIN(metric_gauge(name, help, "", METRIC_ONE));
}

static void declare_store(void)
{
    cell.commits =
        counter("posthouse_store_commits_total", "Transactions committed that changed something.", METRIC_ONE);
    cell.commands = counter("posthouse_store_commands_total", "Commands committed in them.", METRIC_ONE);
    cell.failures = counter("posthouse_store_failures_total", "Groups of commands lost to the disk.", METRIC_ONE);
    cell.reruns =
        counter("posthouse_store_reruns_total", "Groups run again because one command failed late.", METRIC_ONE);
    cell.commit_us = counter("posthouse_store_commit_seconds_total",
                             "Time spent committing, sync and checkpoint included.", METRIC_SECONDS);
    cell.reads = counter("posthouse_store_reads_total", "Reads answered by the reader pool.", METRIC_ONE);
    cell.writer_waiting = gauge("posthouse_store_writer_waiting", "Commands waiting for the writer.");
    cell.reader_waiting = gauge("posthouse_store_reader_waiting", "Reads waiting for a reader.");
    cell.wal_bytes = gauge("posthouse_store_wal_bytes", "Size of the write-ahead log.");
    cell.ready = gauge("posthouse_store_ready", "1 while commits succeed, 0 while the disk refuses them.");
}

static void declare_server(void)
{
    cell.connections = gauge("posthouse_http_connections", "HTTP connections open.");
    cell.accepted = counter("posthouse_http_connections_accepted_total", "HTTP connections accepted.", METRIC_ONE);
    cell.refused =
        counter("posthouse_http_connections_refused_total", "HTTP connections above the maximum.", METRIC_ONE);
    cell.broken = counter("posthouse_http_broken_requests_total", "Requests that were no proper HTTP.", METRIC_ONE);
    cell.dropped =
        counter("posthouse_http_connections_dropped_total", "Connections closed for being slow.", METRIC_ONE);
    cell.rss_bytes = gauge("posthouse_resident_memory_bytes", "Resident memory of the process.");
}

static void declare_worker_door(void)
{
    cell.worker_connections = gauge("posthouse_worker_connections", "Connections of workers open.");
    cell.worker_accepted =
        counter("posthouse_worker_connections_accepted_total", "Connections of workers accepted.", METRIC_ONE);
    cell.worker_refused =
        counter("posthouse_worker_connections_refused_total", "Connections of workers above the maximum.", METRIC_ONE);
    cell.worker_dropped = counter("posthouse_worker_connections_dropped_total",
                                  "Connections of workers closed for being slow.", METRIC_ONE);
    cell.worker_commands = counter("posthouse_worker_commands_total", "Commands of workers.", METRIC_ONE);
}

static void declare_routes(const struct http_route *routes, size_t route_count)
{
    m.routes = routes;
    m.route_count = route_count;
    m.cells = calloc(route_count + 1, sizeof *m.cells);
    if (!m.cells)
        abort();
    m.requests = metric_counter("posthouse_http_requests_total", "Requests answered.", "route,code", METRIC_ONE);
    m.seconds = metric_histogram("posthouse_http_request_duration_seconds", "From the head of a request to its answer.",
                                 "route", METRIC_SECONDS, metric_latency_bounds, METRIC_LATENCY_BOUNDS_COUNT);
}

void metrics_open(struct store *store, const struct http_route *routes, size_t route_count)
{
    m.store = store;
    if (m.declared)
        return; /* a daemon started again in one process: demo, tests */
    m.declared = true;
    declare_routes(routes, route_count);
    declare_store();
    declare_server();
    declare_worker_door();
    metric_set(METRIC_AT(metric_gauge("posthouse_build_info", "Always 1; the version is a label.", "version",
                                      METRIC_ONE),
                         S(POSTHOUSE_VERSION)),
               1);
    metric_on_write(refresh, NULL);
}

void metrics_close(void)
{
    m.store = NULL;
}

void metrics_server(const struct http_server *server)
{
    atomic_store(&m.server, server);
}

void metrics_worker_door(const struct worker_door *door)
{
    atomic_store(&m.worker_door, door);
}
