#include "base/metric.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define LABELS_TEXT_MAX (METRIC_LABELS_MAX * (2 * METRIC_LABEL_BYTES_MAX + 64))
#define REFRESHERS_MAX  32

enum kind { COUNTER, GAUGE, HISTOGRAM };

struct metric_cell {
    const struct metric *metric;
    struct metric_cell *next; /* in the order of making */
    const char *labels;       /* as written: source="mg",lane="opens" */
    _Atomic bool hidden;
    _Atomic int64_t value;     /* of a histogram: the sum of what it saw */
    _Atomic int64_t buckets[]; /* of a histogram: how many fell in each; the last has no bound */
};

struct metric {
    const char *name, *help;
    enum kind kind;
    int64_t scale;
    size_t label_count, bound_count, cell_count;
    struct str labels[METRIC_LABELS_MAX];
    int64_t bounds[METRIC_BOUNDS_MAX];
    struct metric_cell *first, **end;
};

static struct metric metrics[METRICS_MAX];
static size_t metric_count;
static struct refresher {
    void (*refresh)(void *context);
    void *context;
} refreshers[REFRESHERS_MAX];
static size_t refresher_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* over the lists above; cells move without it */

const int64_t metric_latency_bounds[METRIC_LATENCY_BOUNDS_COUNT] = { 100,     250,     500,     1000,    2500,   5000,
                                                                     10000,   25000,   50000,   100000,  250000, 500000,
                                                                     1000000, 2500000, 5000000, 10000000 };

/* Prometheus' rules, as far as a program can know them; promtool checks the rest in the tests. */
static bool name_is_sound(const char *name, enum kind kind)
{
    struct str text = str_of(name);
    for (size_t i = 0; i < text.n; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= '0' && name[i] <= '9') || name[i] == '_'))
            return false;
    return str_starts(text, S("posthouse_")) && (kind == COUNTER) == str_ends(text, S("_total"));
}

static void set_labels(struct metric *metric, const char *labels)
{
    struct str rest = str_of(labels);
    while (rest.n > 0) {
        assert(metric->label_count < METRIC_LABELS_MAX);
        metric->labels[metric->label_count++] = str_cut(&rest, ',');
    }
}

static struct metric *find(const char *name)
{
    for (size_t i = 0; i < metric_count; i++)
        if (strcmp(metrics[i].name, name) == 0)
            return &metrics[i];
    return NULL;
}

static struct metric *declare(const char *name, const char *help, const char *labels, int64_t scale, enum kind kind)
{
    assert(name_is_sound(name, kind) && help[0] && scale > 0);
    pthread_mutex_lock(&lock);
    struct metric *metric = find(name);
    if (!metric) {
        assert(metric_count < METRICS_MAX);
        metric = &metrics[metric_count++];
        *metric = (struct metric){ .name = name, .help = help, .kind = kind, .scale = scale };
        metric->end = &metric->first;
        set_labels(metric, labels);
    }
    pthread_mutex_unlock(&lock);
    assert(metric->kind == kind && metric->scale == scale);
    return metric;
}

struct metric *metric_counter(const char *name, const char *help, const char *labels, int64_t scale)
{
    return declare(name, help, labels, scale, COUNTER);
}

struct metric *metric_gauge(const char *name, const char *help, const char *labels, int64_t scale)
{
    return declare(name, help, labels, scale, GAUGE);
}

struct metric *metric_histogram(const char *name, const char *help, const char *labels, int64_t scale,
                                const int64_t *bounds, size_t count)
{
    assert(count > 0 && count <= METRIC_BOUNDS_MAX);
    struct metric *metric = declare(name, help, labels, scale, HISTOGRAM);
    pthread_mutex_lock(&lock);
    if (metric->bound_count == 0) {
        memcpy(metric->bounds, bounds, count * sizeof *bounds);
        metric->bound_count = count;
    }
    pthread_mutex_unlock(&lock);
    return metric;
}

/* In label values and help texts (quotes only matter in the first) backslash and line feed are written as two bytes. */
static void add_escaped(struct buf *out, struct str text, bool quoted)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '\\' || c == '\n' || (quoted && c == '"'))
            buf_add_char(out, '\\');
        buf_add_char(out, c == '\n' ? 'n' : c);
    }
}

/* source="mg",lane="opens"; NULL values stand for "other". */
static void render_labels(const struct metric *metric, const struct str *values, struct buf *out)
{
    for (size_t i = 0; i < metric->label_count; i++) {
        struct str value = values ? str_clip(values[i], METRIC_LABEL_BYTES_MAX) : S("other");
        buf_add_fmt(out, "%s%.*s=\"", i > 0 ? "," : "", STR(metric->labels[i]));
        add_escaped(out, str_is_utf8(value) ? value : S("?"), true);
        buf_add_char(out, '"');
    }
    buf_add_char(out, '\0');
}

static struct metric_cell *find_cell(const struct metric *metric, const char *labels)
{
    for (struct metric_cell *cell = metric->first; cell; cell = cell->next)
        if (strcmp(cell->labels, labels) == 0)
            return cell;
    return NULL;
}

static struct metric_cell *make_cell(struct metric *metric, const char *labels)
{
    size_t buckets = metric->kind == HISTOGRAM ? metric->bound_count + 1 : 0;
    struct metric_cell *cell = calloc(1, sizeof *cell + buckets * sizeof cell->buckets[0]);
    char *kept = strdup(labels);
    if (!cell || !kept)
        abort(); /* a few hundred bytes at start: nothing would run without them */
    cell->metric = metric;
    cell->labels = kept;
    *metric->end = cell;
    metric->end = &cell->next;
    metric->cell_count++;
    return cell;
}

struct metric_cell *metric_at(struct metric *metric, const struct str *values, size_t count)
{
    struct buf labels;
    assert(count == metric->label_count);
    buf_init(&labels, LABELS_TEXT_MAX);
    render_labels(metric, values, &labels);
    assert(!labels.full);

    pthread_mutex_lock(&lock);
    struct metric_cell *cell = find_cell(metric, labels.p);
    if (!cell && metric->cell_count >= METRIC_CELLS_MAX) {
        buf_reset(&labels);
        render_labels(metric, NULL, &labels);
        cell = find_cell(metric, labels.p);
    }
    if (!cell)
        cell = make_cell(metric, labels.p);
    atomic_store_explicit(&cell->hidden, false, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    buf_done(&labels);
    return cell;
}

void metric_hide(struct metric_cell *cell)
{
    atomic_store_explicit(&cell->hidden, true, memory_order_relaxed);
}

void metric_add(struct metric_cell *cell, int64_t n)
{
    assert(n >= 0 || cell->metric->kind == GAUGE);
    atomic_fetch_add_explicit(&cell->value, n, memory_order_relaxed);
}

void metric_set(struct metric_cell *cell, int64_t value)
{
    assert(cell->metric->kind == GAUGE);
    atomic_store_explicit(&cell->value, value, memory_order_relaxed);
}

void metric_observe(struct metric_cell *cell, int64_t value)
{
    const struct metric *metric = cell->metric;
    size_t bucket = 0;
    assert(metric->kind == HISTOGRAM);
    while (bucket < metric->bound_count && value > metric->bounds[bucket])
        bucket++;
    atomic_fetch_add_explicit(&cell->buckets[bucket], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&cell->value, value, memory_order_relaxed);
}

int64_t metric_value(const struct metric_cell *cell)
{
    if (cell->metric->kind != HISTOGRAM)
        return atomic_load_explicit(&cell->value, memory_order_relaxed);
    int64_t count = 0;
    for (size_t i = 0; i <= cell->metric->bound_count; i++)
        count += atomic_load_explicit(&cell->buckets[i], memory_order_relaxed);
    return count;
}

void metric_on_write(void (*refresh)(void *context), void *context)
{
    pthread_mutex_lock(&lock);
    assert(refresher_count < REFRESHERS_MAX);
    refreshers[refresher_count++] = (struct refresher){ refresh, context };
    pthread_mutex_unlock(&lock);
}

/* A value in base units, exactly: 1500000 at a scale of 1000000 is "1.5". */
static void add_number(struct buf *out, int64_t value, int64_t scale)
{
    uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    uint64_t rest = size % (uint64_t)scale;
    buf_add_fmt(out, "%s%" PRIu64, value < 0 ? "-" : "", size / (uint64_t)scale);
    if (rest == 0)
        return;
    buf_add_char(out, '.');
    for (uint64_t unit = (uint64_t)scale / 10; rest > 0; rest %= unit, unit /= 10)
        buf_add_char(out, (char)('0' + rest / unit));
}

/* name_suffix{labels} */
static void add_name(struct buf *out, const struct metric_cell *cell, const char *suffix)
{
    buf_add_fmt(out, "%s%s", cell->metric->name, suffix);
    if (cell->labels[0])
        buf_add_fmt(out, "{%s}", cell->labels);
    buf_add_char(out, ' ');
}

static void add_histogram(struct buf *out, const struct metric_cell *cell)
{
    const struct metric *metric = cell->metric;
    int64_t below = 0;
    for (size_t i = 0; i <= metric->bound_count; i++) {
        below += atomic_load_explicit(&cell->buckets[i], memory_order_relaxed);
        buf_add_fmt(out, "%s_bucket{%s%sle=\"", metric->name, cell->labels, cell->labels[0] ? "," : "");
        if (i < metric->bound_count)
            add_number(out, metric->bounds[i], metric->scale);
        else
            buf_add_str(out, S("+Inf"));
        buf_add_fmt(out, "\"} %" PRId64 "\n", below);
    }
    add_name(out, cell, "_sum");
    add_number(out, atomic_load_explicit(&cell->value, memory_order_relaxed), metric->scale);
    buf_add_char(out, '\n');
    add_name(out, cell, "_count");
    buf_add_fmt(out, "%" PRId64 "\n", below);
}

static void add_cell(struct buf *out, const struct metric_cell *cell)
{
    if (cell->metric->kind == HISTOGRAM) {
        add_histogram(out, cell);
        return;
    }
    add_name(out, cell, "");
    add_number(out, metric_value(cell), cell->metric->scale);
    buf_add_char(out, '\n');
}

static void add_metric(struct buf *out, const struct metric *metric)
{
    static const char *const types[] = { "counter", "gauge", "histogram" };
    bool named = false;
    for (const struct metric_cell *cell = metric->first; cell; cell = cell->next) {
        if (atomic_load_explicit(&cell->hidden, memory_order_relaxed))
            continue;
        if (!named) {
            buf_add_fmt(out, "# HELP %s ", metric->name);
            add_escaped(out, str_of(metric->help), false);
            buf_add_fmt(out, "\n# TYPE %s %s\n", metric->name, types[metric->kind]);
            named = true;
        }
        add_cell(out, cell);
    }
}

enum err metric_write(struct op *op, struct buf *out)
{
    pthread_mutex_lock(&lock);
    size_t count = refresher_count;
    pthread_mutex_unlock(&lock);
    for (size_t i = 0; i < count; i++)
        refreshers[i].refresh(refreshers[i].context); /* outside the lock: it may ask for cells */

    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < metric_count; i++)
        add_metric(out, &metrics[i]);
    pthread_mutex_unlock(&lock);
    return out->full ? fail(op, ERR_TOO_LARGE, "metrics need more than %zu bytes", out->max) : OK;
}
