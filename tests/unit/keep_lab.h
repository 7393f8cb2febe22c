/*
 * keep_lab.h - housekeeping by hand: its schedules, its jobs, and a kind of it without jobs.
 */
#pragma once

#include "base/instant.h"
#include "base/json_write.h"
#include "engine/keep_run.h"
#include "engine/schedule_builtin.h"
#include "lab_events.h"

/* --- without jobs --- */

struct keep_all {
    const char *jobtype;
    int parts, gone; /* the answer */
};

/* What is found at the op's instant is done. */
static inline enum err keep_all(struct op *op, struct tx *tx, void *arg)
{
    struct keep_all *all = arg;
    const struct keep_kind *kind = keep_kind(str_of(all->jobtype));
    struct keep_page *page;
    TRY(op_alloc(op, sizeof *page, &page));
    *page = (struct keep_page){ .nominal_us = op->now_us, .after = S(""), .max = KEEP_PAGE };
    TRY(kind->find(op, tx, page));
    all->parts = page->count;
    all->gone = 0;
    for (int i = 0; i < page->count; i++)
        for (bool more = true; more;) {
            struct keep_chunk chunk = { .part = page->parts[i], .rows = 10 };
            TRY(kind->chunk(op, tx, &chunk));
            all->gone += chunk.gone;
            more = chunk.more;
        }
    return OK;
}

/* --- schedules and jobs --- */

static inline enum err keep_make_run(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return schedules_builtin_make(op, tx);
}

static inline void keep_go_to(struct lab *lab, const char *instant)
{
    YES(instant_parse(str_of(instant), &lab->f.op.now_us));
    lab_tick(lab);
    lab_tick(lab);
}

static inline void keep_begin_at(struct lab *lab, const char *instant)
{
    keep_go_to(lab, instant);
    WRITES(&lab->f, keep_make_run, NULL);
}

static inline void keep_start_at(struct lab *lab, const char *instant)
{
    lab_start(lab);
    keep_begin_at(lab, instant);
}

struct keep_pause {
    struct str id;
    bool paused;
};

static inline enum err keep_pause_run(struct op *op, struct tx *tx, void *arg)
{
    const struct keep_pause *pause = arg;
    const struct builtin_schedule *builtin = schedule_builtin(pause->id);
    struct schedule_put put = { .cron = str_of(builtin->cron), .timezone = S("UTC"), .paused = pause->paused };
    TRY(schedule_builtin_fill(op, pause->id, &put, NULL));
    return schedule_store(op, tx, pause->id, &put);
}

static inline void keep_pause(struct lab *lab, const char *id, bool paused)
{
    struct keep_pause pause = { str_of(id), paused };
    WRITES(&lab->f, keep_pause_run, &pause);
}

/* Of what is ours only this schedule falls due. */
static inline void keep_only(struct lab *lab, const char *id)
{
    static const char *const all[] = { "keep.log", "keep.parked", "keep.keys" };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (strcmp(all[i], id) != 0)
            keep_pause(lab, all[i], true);
}

struct keep_by_hand {
    struct str id, run;
};

static inline enum err keep_by_hand_run(struct op *op, struct tx *tx, void *arg)
{
    struct keep_by_hand *by_hand = arg;
    return schedule_run(op, tx, by_hand->id, 0, &by_hand->run);
}

struct keep_view {
    struct str id, json;
};

static inline enum err keep_view_run(struct op *op, struct tx *tx, void *arg)
{
    struct keep_view *view = arg;
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, op->arena, 1 << 20);
    json_write_init(&w, &buf);
    TRY(schedule_view(op, tx, view->id, &w));
    view->json = buf_str(&buf);
    return OK;
}

/* Is the text in what the newest run of the schedule says of itself. */
static inline bool keep_shows(struct lab *lab, const char *id, const char *text)
{
    struct keep_view view = { .id = str_of(id) };
    struct str last = S("");
    READS(&lab->f, keep_view_run, &view);
    json_find(lab->f.arena, view.json, JSON_STRICT, S("last"), &last);
    return str_search(last, str_of(text)) < last.n;
}

static inline int64_t keep_ready(struct lab *lab)
{
    return lab_view(lab, KEEP_QUEUE).ready;
}

/* The next job of housekeeping, parent or child, to its end; in how many steps of so many rows. */
static inline int keep_work(struct lab *lab, int rows)
{
    struct own_turn turn = lab_own_begin(lab, KEEP_QUEUE, rows);
    return lab_own_finish(lab, &turn);
}

static inline void keep_work_all(struct lab *lab)
{
    while (keep_ready(lab))
        keep_work(lab, KEEP_PAGE);
}

/* The next job of housekeeping fails for good. */
static inline struct str keep_fail(struct lab *lab)
{
    struct own_turn turn = lab_own_begin(lab, KEEP_QUEUE, KEEP_PAGE);
    struct lab_end_call call = { .ref = { .lease = turn.lease }, .fails = true, .failure = { .final = true } };
    WRITES(&lab->f, lab_end_run, &call);
    return turn.body;
}
