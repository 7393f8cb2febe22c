/*
 * schedule_year.h - twelve schedules in zones that have something peculiar about them, for a whole year.
 *
 * Each run says its nominal time; whoever gets it looks whether it is the very
 * next one that its schedule owes. In the end none may be left.
 */
#pragma once

#include "base/instant.h"
#include "engine/cron.h"
#include "engine/schedule_builtin.h"
#include "job_lab.h"

#define YEAR_US INT64_C(31536000000000)

static const struct {
    const char *zone, *cron;
} year_plans[] = {
    { "Europe/London", "30 1 * * *" },       { "America/New_York", "30 2 * * *" },
    { "Australia/Lord_Howe", "15 2 * * *" }, { "Africa/Cairo", "0 0 * * *" },
    { "America/Santiago", "0 0 * * *" },     { "Asia/Kathmandu", "45 23 * * 1-5" },
    { "Pacific/Apia", "0 12 1,15 * *" },     { "Africa/Casablanca", "30 2 * * *" },
    { "America/St_Johns", "1 0 * * *" },     { "Pacific/Chatham", "30 2,3 * * *" },
    { "Asia/Tehran", "0 */6 * * *" },        { "Antarctica/Troll", "0 1-3 * * 0" },
};
#define YEAR_ZONES (sizeof year_plans / sizeof *year_plans)

struct year {
    int64_t met[YEAR_ZONES], times[YEAR_ZONES];
};

/* The next nominal time of the schedule behind what was met; false: none. */
static inline bool year_owes(struct lab *lab, const struct year *year, size_t z, int64_t *ret_us)
{
    struct cron cron;
    const struct zone *zone;
    SUCCEEDS(&lab->f.op, cron_parse(&lab->f.op, str_of(year_plans[z].cron), &cron));
    SUCCEEDS(&lab->f.op, zone_get(&lab->f.op, str_of(year_plans[z].zone), &zone));
    return cron_next(&cron, zone, 0, year->met[z], ret_us);
}

static inline enum err year_put_run(struct op *op, struct tx *tx, void *arg)
{
    size_t z = *(size_t *)arg;
    struct schedule_put put = {
        .cron = str_of(year_plans[z].cron),
        .timezone = str_of(year_plans[z].zone),
        .overlap = S("allow"),
        .catch_up = S("all"),
        .job = arena_fmt(op->arena, "{\"jobtype\":\"%c\",\"queue\":\"q\",\"args\":[]}", (char)('a' + z)),
    };
    return schedule_store(op, tx, arena_fmt(op->arena, "z-%zu", z), &put);
}

/* All of them, from now on. */
static inline void year_begin(struct lab *lab, struct year *year)
{
    for (size_t z = 0; z < YEAR_ZONES; z++) {
        WRITES(&lab->f, year_put_run, &z);
        year->met[z] = lab->f.op.now_us;
        year->times[z] = 0;
    }
}

static inline void year_meet(struct lab *lab, struct year *year, const struct job_out *job)
{
    size_t at = str_search(job->body, S("nominal_at\":\"")), z = (size_t)(job->jobtype.p[0] - 'a');
    struct str nominal = { job->body.p + at + 13, job->body.n - at - 13 };
    int64_t got_us = 0, owed_us = 0;
    YES(instant_parse(str_cut(&nominal, '"'), &got_us));
    YES(year_owes(lab, year, z, &owed_us));
    EQ(got_us, owed_us);
    year->met[z] = got_us;
    year->times[z]++;
}

/* Everything that waits is fetched by one machine, met, and acked by another, or the same. */
static inline void year_work(struct lab *from, struct lab *to, struct year *year)
{
    for (int n; (n = lab_fetch(from, "q", 100)) > 0;)
        for (int i = 0; i < n; i++) {
            struct job_out job = from->jobs_out[i];
            struct job_lease lease = lab_lease(from, &job);
            year_meet(from, year, &job);
            lab_ack_lease(to, lease);
        }
}

static inline void year_end(struct lab *lab, const struct year *year, int64_t end_us)
{
    for (size_t z = 0; z < YEAR_ZONES; z++) {
        int64_t owed_us = 0;
        YES(year->times[z] > 20);
        YES(!year_owes(lab, year, z, &owed_us) || owed_us > end_us);
    }
}
