#include "main/bench_hold.h"

#include "main/measure.h"
#include "store/db.h"
#include "store/sizes.h"

#define HOLD_IDLE_MS (24 * 3600 * 1000)
#define SIZES        8 /* tables shown */

struct sizes {
    struct store_size size[SIZES];
    size_t count;
};

struct held {
    const struct bench_hold *hold;
    struct bench_part parts[HOLD_PARTS];
};

static enum err sizes_run(struct op *op, struct tx *tx, void *arg)
{
    struct sizes *sizes = arg;
    return store_sizes(op, tx, sizes->size, SIZES, &sizes->count);
}

static enum err part(const struct bench_hold *hold, struct bench_part *ret)
{
    return hold->work(hold->arg, hold->for_us / HOLD_PARTS, ret);
}

static enum err parts(struct held *held)
{
    for (int i = 0; i < HOLD_PARTS; i++)
        TRY(part(held->hold, &held->parts[i]));
    return OK;
}

/* The snapshot is open as long as this runs. */
static enum err held_run(struct op *op, struct tx *tx, void *arg)
{
    struct store_size first[1];
    size_t count;
    TRY(store_sizes(op, tx, first, 1, &count)); /* a snapshot begins with its first look */
    return parts(arg);
}

static void put_sizes(struct json_writer *w, const char *name, const struct sizes *sizes)
{
    json_put_name(w, name);
    json_object_begin(w);
    for (size_t i = 0; i < sizes->count; i++) {
        json_put_name_str(w, sizes->size[i].table);
        json_put_int(w, sizes->size[i].bytes);
    }
    json_object_end(w);
}

static void put_rates(struct json_writer *w, const struct bench_part *before, const struct held *held,
                      const struct bench_part *after)
{
    double sum = 0;
    measure_put(w, "before_per_second", before->rate, 0);
    json_put_name(w, "held_parts_per_second");
    json_array_begin(w);
    for (int i = 0; i < HOLD_PARTS; i++) {
        sum += held->parts[i].rate;
        json_put_int(w, (int64_t)(held->parts[i].rate + 0.5));
    }
    json_array_end(w);
    measure_put(w, "after_per_second", after->rate, 0);
    measure_put(w, "held_per_second", sum / HOLD_PARTS, 0);
    measure_put(w, "held_of_free", sum / HOLD_PARTS / ((before->rate + after->rate) / 2), 3);
}

static void put_costs(struct json_writer *w, const struct bench_part *before, const struct held *held,
                      const struct bench_part *after)
{
    if (before->database_us == 0)
        return;
    measure_put(w, "before_database_cpu_us", before->database_us, 1);
    json_put_name(w, "held_parts_database_cpu_us");
    json_array_begin(w);
    for (int i = 0; i < HOLD_PARTS; i++)
        json_put_decimal(w, (int64_t)(held->parts[i].database_us * 10 + 0.5), 1);
    json_array_end(w);
    measure_put(w, "after_database_cpu_us", after->database_us, 1);
}

static enum err hold_in(struct op *op, const struct bench_hold *hold, struct store *store, struct json_writer *w)
{
    struct held held = { .hold = hold };
    struct sizes sizes[2];
    struct bench_part before, after;
    TRY(part(hold, &before));
    TRY(store_read(op, store, sizes_run, &sizes[0]));
    TRY(hold->without ? parts(&held) : store_read(op, store, held_run, &held));
    TRY(store_read(op, store, sizes_run, &sizes[1]));
    TRY(part(hold, &after));
    json_member_int(w, hold->without ? "not_held_seconds" : "held_seconds", hold->for_us / 1000000);
    put_rates(w, &before, &held, &after);
    put_costs(w, &before, &held, &after);
    put_sizes(w, "bytes_before", &sizes[0]);
    put_sizes(w, "bytes_held", &sizes[1]);
    return OK;
}

enum err bench_hold(struct op *op, const struct bench_hold *hold, struct json_writer *w)
{
    struct store_config config = { .url = hold->database, .idle_timeout_ms = HOLD_IDLE_MS };
    struct store *store;
    TRY(store_open(op, &config, &store));
    enum err err = hold_in(op, hold, store, w);
    store_close(store);
    return err;
}
