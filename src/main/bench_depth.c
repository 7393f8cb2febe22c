#include "main/bench_depth.h"

#include "base/clock.h"
#include "base/process.h"
#include "main/progress.h"
#include "main/rig.h"

#define TURNS      5     /* of each kind */
#define TURN_JOBS  20000 /* pushed and fetched in a turn: 200 of them are its hundredth */
#define FILL_JOBS  100000
#define FILL_BATCH 100
#define QUEUE      S("bench")

struct depth_rig {
    struct op *op;
    const struct bench_depth *bench;
    char directory[256]; /* of the empty store */
    struct bench_daemon empty;
};

static enum err push(const struct bench_depth *bench, const struct addr *door, int64_t jobs, int64_t *took_us)
{
    struct load_result result;
    struct load_config config = { .producers = bench->clients, .batch = FILL_BATCH, .jobs = jobs, .queue = QUEUE };
    TRY(bench->run(bench->arg, door, config, &result));
    *took_us += result.took_us;
    return OK;
}

static enum err fill(const struct bench_depth *bench, double *ret_rate)
{
    struct progress progress;
    int64_t took_us = 0, piece;
    enum err err = OK;
    progress_begin(&progress, "filling", bench->jobs, false);
    for (int64_t done = 0; err == OK && done < bench->jobs; done += piece) {
        piece = bench->jobs - done < FILL_JOBS ? bench->jobs - done : FILL_JOBS;
        err = push(bench, &bench->deep->worker, piece, &took_us);
        progress_at(&progress, done + piece);
    }
    progress_end(&progress);
    *ret_rate = took_us > 0 ? (double)bench->jobs * 1e6 / (double)took_us : 0;
    return err;
}

/* --- turns ---------------------------------------------------------------- */

static enum err turn(const struct bench_depth *bench, const struct addr *door, struct load_series *turns)
{
    struct load_result result;
    struct load_config config = {
        .workers = bench->clients, .jobs = TURN_JOBS, .for_ms = bench->for_ms / TURNS, .queue = QUEUE
    };
    int64_t pushed_us = 0;
    TRY(push(bench, door, TURN_JOBS, &pushed_us));
    TRY(bench->run(bench->arg, door, config, &result));
    load_series_add(turns, &result);
    return OK;
}

static enum err turns(struct depth_rig *rig, struct depth_figures *ret)
{
    struct load_series empty = { .count = 0 }, deep = { .count = 0 };
    const struct bench_depth *bench = rig->bench;
    for (int i = 0; i < TURNS; i++) {
        TRY(turn(bench, &rig->empty.worker, &empty));
        TRY(turn(bench, &bench->deep->worker, &deep));
    }
    *ret = (struct depth_figures){
        .empty = load_series_medians(&empty),
        .deep = load_series_medians(&deep),
        .rss_bytes = process_rss_bytes(bench->deep->pid),
        .peak_bytes = process_peak_bytes(bench->deep->pid),
    };
    return OK;
}

/* --- servers -------------------------------------------------------------- */

static enum err start_again(struct depth_rig *rig, double *ret_seconds)
{
    const struct bench_depth *bench = rig->bench;
    bench_child_stop(&rig->empty.pid);
    bench_child_stop(&bench->deep->pid);
    int64_t began_us = clock_mono_us();
    TRY(bench_child_serve(rig->op, bench->directory, NULL, bench->deep));
    *ret_seconds = (double)(clock_mono_us() - began_us) / 1e6;
    return bench_child_serve(rig->op, rig->directory, NULL, &rig->empty);
}

static enum err measure(struct depth_rig *rig, struct bench_depth_result *ret)
{
    TRY(bench_child_serve(rig->op, rig->directory, NULL, &rig->empty));
    TRY(fill(rig->bench, &ret->fill_rate));
    TRY(turns(rig, &ret->filled));
    TRY(start_again(rig, &ret->start_seconds));
    return turns(rig, &ret->restarted);
}

enum err bench_depth(struct op *op, const struct bench_depth *bench, struct bench_depth_result *ret)
{
    struct depth_rig rig = { .op = op, .bench = bench };
    TRY(rig_directory(op, "posthouse-bench", rig.directory, sizeof rig.directory));
    enum err err = measure(&rig, ret);
    bench_child_stop(&rig.empty.pid);
    rig_remove(rig.directory);
    return err;
}

/* --- figures -------------------------------------------------------------- */

static void put_figures(struct json_writer *w, const char *name, const struct depth_figures *figures)
{
    double empty_ms = figures->empty.fetch_p99_ms;
    json_put_name(w, name);
    json_object_begin(w);
    measure_put(w, "rate_per_second", figures->deep.rate, 0);
    measure_put(w, "p50_ms", figures->deep.fetch_p50_ms, 3);
    measure_put(w, "p99_ms", figures->deep.fetch_p99_ms, 3);
    measure_put(w, "empty_p99_ms", empty_ms, 3);
    measure_put(w, "p99_of_empty", empty_ms > 0 ? figures->deep.fetch_p99_ms / empty_ms : 0, 3);
    json_member_int(w, "rss_bytes", figures->rss_bytes);
    json_member_int(w, "peak_rss_bytes", figures->peak_bytes);
    json_object_end(w);
}

void bench_depth_put(struct json_writer *w, const struct bench_depth_result *result)
{
    measure_put(w, "fill_per_second", result->fill_rate, 0);
    put_figures(w, "deep", &result->filled);
    measure_put(w, "start_seconds", result->start_seconds, 3);
    put_figures(w, "restarted", &result->restarted);
}
