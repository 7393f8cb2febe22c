/*
 * test_schedule.c - schedules: which nominal times run, once each, and what becomes of those that were missed.
 */
#include "job_lab.h"
#include "schedule_year.h"

static struct lab lab;

#define S_US  INT64_C(1000000)
#define M_US  (60 * S_US)
#define H_US  (3600 * S_US)
#define JOB   "\"job\":{\"jobtype\":\"t\",\"queue\":\"q\",\"args\":[]}"
#define DAILY "{\"cron\":\"30 1 * * *\",\"timezone\":\"Europe/London\"," JOB "}"

struct schedule_call {
    struct str id, body;
    int64_t at_us;
    struct str run, view;
};

static enum err run_put(struct op *op, struct tx *tx, void *arg)
{
    struct schedule_call *call = arg;
    struct schedule_put put = { 0 };
    struct job_reader reader = lab_reader(&lab);
    TRY(json_read_body(op, call->body, schedule_put_fields, SCHEDULE_PUT_FIELDS, &put, NULL, NULL));
    TRY(schedule_builtin_fill(op, call->id, &put, NULL));
    TRY(schedule_check(op, &reader, &put, NULL, NULL));
    return schedule_store(op, tx, call->id, &put);
}

static enum err run_view(struct op *op, struct tx *tx, void *arg)
{
    struct schedule_call *call = arg;
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, op->arena, 1 << 20);
    json_write_init(&w, &buf);
    TRY(schedule_view(op, tx, call->id, &w));
    call->view = buf_str(&buf);
    return OK;
}

static enum err run_run(struct op *op, struct tx *tx, void *arg)
{
    struct schedule_call *call = arg;
    return schedule_run(op, tx, call->id, call->at_us, &call->run);
}

static enum err run_delete(struct op *op, struct tx *tx, void *arg)
{
    return schedule_delete(op, tx, ((struct schedule_call *)arg)->id);
}

static enum err put(const char *id, const char *body)
{
    struct schedule_call call = { .id = str_of(id), .body = str_of(body) };
    return store_write(&lab.f.op, lab.f.store, run_put, &call);
}

static enum err run_now(const char *id, int64_t at_us)
{
    struct schedule_call call = { .id = str_of(id), .at_us = at_us };
    return store_write(&lab.f.op, lab.f.store, run_run, &call);
}

static enum err drop(const char *id)
{
    struct schedule_call call = { .id = str_of(id) };
    return store_write(&lab.f.op, lab.f.store, run_delete, &call);
}

/* One member of the schedule as JSON. */
static struct str show(const char *id, const char *member)
{
    struct schedule_call call = { .id = str_of(id) };
    struct json j;
    struct str name, value = S("");
    READS(&lab.f, run_view, &call);
    json_init(&j, lab.f.arena, call.view, JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            if (str_eq(name, str_of(member)))
                json_raw(&j, &value);
    return arena_str(lab.f.arena, value);
}

static void start_at(const char *instant)
{
    lab_start(&lab);
    YES(instant_parse(str_of(instant), &lab.f.op.now_us));
    lab_tick(&lab);
}

static void go_to(const char *instant)
{
    YES(instant_parse(str_of(instant), &lab.f.op.now_us));
    lab_tick(&lab);
    lab_tick(&lab);
}

/* Nominal times of the jobs that wait, each acked; "" = none. */
static struct str runs(void)
{
    struct str all = S("");
    while (lab_fetch(&lab, "q", 1)) {
        struct str body = lab.jobs_out[0].body;
        size_t at = str_search(body, S("nominal_at\":\""));
        struct str nominal = { body.p + at + 13, body.n - at - 13 };
        nominal = str_cut(&nominal, '"');
        all = arena_fmt(lab.f.arena, "%.*s%s%.*s", STR(all), all.n ? " " : "", STR(nominal));
        lab_ack(&lab, arena_str(lab.f.arena, lab.jobs_out[0].jid).p);
    }
    return all;
}

/* --- when --- */

/* SCHED-3, SCHED-4. */
TEST(schedule, pushes_its_job_at_the_nominal_time_and_says_which)
{
    start_at("2026-03-27T12:00:00Z");
    EQ(put("nightly", DAILY), OK);
    STR_EQ(show("nightly", "next"), "[\"2026-03-28T01:30:00Z\",\"2026-03-29T01:00:00Z\",\"2026-03-30T00:30:00Z\","
                                    "\"2026-03-31T00:30:00Z\",\"2026-04-01T00:30:00Z\"]");
    go_to("2026-03-28T01:29:59Z");
    STR_EQ(runs(), "");
    go_to("2026-03-28T01:30:00Z");
    STR_EQ(runs(), "2026-03-28T01:30:00Z");
    go_to("2026-03-28T01:30:00Z");
    STR_EQ(runs(), "");
    go_to("2026-03-29T01:00:00Z");
    STR_EQ(runs(), "2026-03-29T01:00:00Z");
    lab_end(&lab);
}

/* SCHED-3. */
TEST(schedule, a_clock_that_steps_back_fires_nothing_again)
{
    start_at("2026-06-01T10:59:00Z");
    EQ(put("hourly", "{\"cron\":\"@hourly\"," JOB "}"), OK);
    go_to("2026-06-01T11:00:00Z");
    STR_EQ(runs(), "2026-06-01T11:00:00Z");
    go_to("2026-06-01T10:30:00Z");
    go_to("2026-06-01T11:00:01Z");
    STR_EQ(runs(), "");
    go_to("2026-06-01T12:00:00Z");
    STR_EQ(runs(), "2026-06-01T12:00:00Z");
    lab_end(&lab);
}

/* SCHED-4. */
TEST(schedule, fires_later_by_its_jitter_and_keeps_its_nominal_time)
{
    start_at("2026-11-21T00:31:00Z");
    EQ(put("nightly", "{\"cron\":\"30 0 * * *\",\"jitter\":\"5m\"," JOB "}"), OK);
    int64_t nominal_us;
    YES(instant_parse(S("2026-11-22T00:30:00Z"), &nominal_us));
    int64_t due_us = nominal_us + cron_jitter_ms(S("nightly"), nominal_us / 1000, 300000) * 1000;
    YES(due_us > nominal_us);
    lab.f.op.now_us = due_us - 1000;
    lab_tick(&lab);
    STR_EQ(runs(), "");
    lab.f.op.now_us = due_us;
    lab_tick(&lab);
    STR_EQ(runs(), "2026-11-22T00:30:00Z");
    lab_end(&lab);
}

/* SCHED-5. */
TEST(schedule, catches_up_with_missed_times_as_it_is_told)
{
    start_at("2026-06-01T00:30:00Z");
    EQ(put("last", "{\"cron\":\"@hourly\",\"overlap\":\"allow\"," JOB "}"), OK);
    EQ(put("none", "{\"cron\":\"@hourly\",\"overlap\":\"allow\",\"catch_up\":\"none\"," JOB "}"), OK);
    EQ(put("all", "{\"cron\":\"@hourly\",\"overlap\":\"allow\",\"catch_up\":\"all\"," JOB "}"), OK);
    go_to("2026-06-02T19:30:00Z"); /* 43 hours */
    EQ(lab_view(&lab, "q").ready, 1 + 0 + 43);
    EQ(show("last", "missed").n, 42 * 23 + 1);
    EQ(show("none", "missed").n, 43 * 23 + 1);
    STR_EQ(show("all", "missed"), "[]");
    STR_EQ(show("all", "next"), show("none", "next").p);
    YES(str_starts(show("last", "last"), S("{\"run\":\"r-")));
    go_to("2026-06-02T20:00:00Z");
    EQ(lab_view(&lab, "q").ready, 44 + 3);
    go_to("2026-06-13T20:30:00Z"); /* 264 hours: all runs the newest hundred */
    EQ(lab_view(&lab, "q").ready, 47 + 1 + 0 + 100);
    lab_end(&lab);
}

/* SCHED-5. */
TEST(schedule, runs_once_with_the_newest_time_after_days_without_a_daemon)
{
    lab_start_file(&lab);
    EQ(put("nightly", DAILY), OK);
    lab_reopen(&lab);
    go_to("2023-11-18T12:00:00Z");
    STR_EQ(runs(), "2023-11-18T01:30:00Z");
    STR_EQ(show("nightly", "missed"), "[\"2023-11-15T01:30:00Z\",\"2023-11-16T01:30:00Z\",\"2023-11-17T01:30:00Z\"]");
    lab_end(&lab);
}

/* --- runs and others --- */

/* SCHED-6. */
TEST(schedule, a_run_that_has_not_ended_skips_the_next_or_lets_one_wait)
{
    start_at("2026-06-01T00:30:00Z");
    EQ(put("skip", "{\"cron\":\"@hourly\",\"job\":{\"jobtype\":\"t\",\"queue\":\"s\",\"args\":[]}}"), OK);
    EQ(put("queue", "{\"cron\":\"@hourly\",\"overlap\":\"queue\"," JOB "}"), OK);
    go_to("2026-06-01T01:00:00Z");
    go_to("2026-06-01T02:00:00Z");
    go_to("2026-06-01T03:00:00Z");
    EQ(lab_view(&lab, "s").ready, 1);
    EQ(lab_view(&lab, "q").ready, 1);
    STR_EQ(show("skip", "skipped"), "2");
    STR_EQ(show("queue", "skipped"), "1");
    STR_EQ(runs(), "2026-06-01T01:00:00Z");
    lab_tick(&lab);
    STR_EQ(runs(), "2026-06-01T02:00:00Z");
    EQ(lab_fetch(&lab, "s", 1), 1);
    struct job_failure final = { .final = true };
    lab_fail_with(&lab, arena_str(lab.f.arena, lab.jobs_out[0].jid).p, &final); /* dead is an end, too */
    go_to("2026-06-01T04:00:00Z");
    EQ(lab_view(&lab, "s").ready, 1);
    lab_end(&lab);
}

/* SCHED-7. */
TEST(schedule, waits_until_the_other_ended_done_and_a_cycle_is_refused)
{
    start_at("2026-06-01T00:00:01Z");
    EQ(put("first", "{\"cron\":\"5 0 * * *\",\"job\":{\"jobtype\":\"t\",\"queue\":\"s\",\"args\":[]}}"), OK);
    EQ(put("second", "{\"cron\":\"15 0 * * *\",\"after\":\"first\"," JOB "}"), OK);
    go_to("2026-06-01T00:05:00Z");
    go_to("2026-06-01T00:15:00Z");
    STR_EQ(runs(), "");
    EQ(str_search(show("second", "last"), S("\"state\":\"waiting\"")) < show("second", "last").n, true);
    EQ(lab_fetch(&lab, "s", 1), 1);
    const char *jid = arena_str(lab.f.arena, lab.jobs_out[0].jid).p;
    struct job_failure final = { .final = true };
    lab_fail_with(&lab, jid, &final);
    lab_tick(&lab);
    STR_EQ(runs(), ""); /* dead: it waits on */
    EQ(lab_act(&lab, jid, ACTION_RETRY), JOB_READY);
    EQ(lab_fetch(&lab, "s", 1), 1);
    lab_ack(&lab, jid);
    lab_tick(&lab);
    STR_EQ(runs(), "2026-06-01T00:15:00Z");
    EQ(put("first", "{\"cron\":\"5 0 * * *\",\"after\":\"second\"," JOB "}"), ERR_INVALID);
    STR_EQ(str_of(lab.f.op.pointer), "/after");
    EQ(put("first", "{\"cron\":\"5 0 * * *\",\"after\":\"first\"," JOB "}"), ERR_INVALID);
    EQ(put("third", "{\"cron\":\"5 0 * * *\",\"after\":\"nobody\"," JOB "}"), ERR_INVALID);
    EQ(drop("first"), ERR_CONFLICT);
    EQ(drop("second"), OK);
    EQ(drop("first"), OK);
    EQ(drop("first"), ERR_NOT_FOUND);
    lab_end(&lab);
}

/* SCHED-8. */
TEST(schedule, runs_by_hand_and_changed_times_leave_the_past_alone)
{
    start_at("2026-06-10T12:00:00Z");
    EQ(put("nightly", DAILY), OK);
    struct str next = show("nightly", "next");
    EQ(run_now("nightly", 0), OK);
    EQ(run_now("nightly", lab.f.op.now_us - 48 * H_US), OK); /* skipped: the first has not ended */
    STR_EQ(show("nightly", "skipped"), "1");
    STR_EQ(runs(), "2026-06-10T12:00:00Z");
    EQ(run_now("nightly", lab.f.op.now_us - 48 * H_US), OK);
    STR_EQ(runs(), "2026-06-08T12:00:00Z");
    STR_EQ(show("nightly", "next"), next.p);
    EQ(put("nightly", "{\"cron\":\"*/5 * * * *\",\"catch_up\":\"all\"," JOB "}"), OK);
    go_to("2026-06-10T12:01:00Z");
    STR_EQ(runs(), "");
    go_to("2026-06-10T12:05:00Z");
    STR_EQ(runs(), "2026-06-10T12:05:00Z");
    EQ(run_now("none", 0), ERR_NOT_FOUND);
    lab_end(&lab);
}

/* SCHED-1. */
TEST(schedule, refuses_what_will_never_be_due_and_names_zones_near_by)
{
    lab_start(&lab);
    EQ(put("s", "{\"cron\":\"0 0 * *\"," JOB "}"), ERR_INVALID);
    STR_EQ(str_of(lab.f.op.pointer), "/cron");
    EQ(put("s", "{\"cron\":\"0 0 30 2 *\"," JOB "}"), ERR_INVALID);
    EQ(put("s", "{\"cron\":\"@daily\",\"timezone\":\"Europe/Lodnon\"," JOB "}"), ERR_INVALID);
    STR_EQ(str_of(lab.f.op.pointer), "/timezone");
    YES(strstr(lab.f.op.error, "Europe/London") != NULL);
    EQ(put("s", "{\"cron\":\"@daily\",\"timezone\":\"BST\"," JOB "}"), ERR_INVALID);
    EQ(put("s", "{\"cron\":\"@daily\",\"job\":{\"jobtype\":\"t\",\"args\":{}}}"), ERR_INVALID);
    STR_EQ(str_of(lab.f.op.pointer), "/job/args");
    EQ(put("s", "{\"cron\":\"@daily\",\"overlap\":\"maybe\"," JOB "}"), ERR_INVALID);
    EQ(put("s", "{\"cron\":\"@daily\",\"jitter\":\"25h\"," JOB "}"), ERR_INVALID);
    lab_end(&lab);
}

/* --- paused --- */

/* KEEP-12. */
TEST(schedule, what_falls_due_in_a_pause_is_neither_run_nor_missed)
{
    start_at("2026-05-01T00:00:00Z");
    EQ(put("s", DAILY), OK);
    EQ(put("s", "{\"cron\":\"30 1 * * *\",\"timezone\":\"Europe/London\",\"paused\":true," JOB "}"), OK);
    STR_EQ(show("s", "next"), "[]");
    STR_EQ(show("s", "paused"), "true");
    go_to("2026-05-03T12:00:00Z");
    STR_EQ(runs(), "");
    EQ(run_now("s", 0), OK); /* by hand it runs all the same */
    STR_EQ(runs(), "2026-05-03T12:00:00Z");
    EQ(put("s", DAILY), OK);
    go_to("2026-05-03T12:01:00Z");
    STR_EQ(runs(), "");
    STR_EQ(show("s", "missed"), "[]");
    go_to("2026-05-04T00:30:00Z");
    STR_EQ(runs(), "2026-05-04T00:30:00Z");
    lab_end(&lab);
}

/* --- our own --- */

static enum err make_builtin(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return schedules_builtin_make(op, tx);
}

/* KEEP-12. */
TEST(schedule, of_our_own_is_there_from_the_start_and_only_its_times_can_be_changed)
{
    start_at("2026-05-01T00:00:00Z");
    WRITES(&lab.f, make_builtin, NULL);
    STR_EQ(show("keep.log", "builtin"), "true");
    STR_EQ(show("keep.log", "cron"), "\"10 3 * * *\"");
    EQ(put("keep.log", "{\"cron\":\"@daily\"," JOB "}"), ERR_INVALID);
    STR_EQ(str_of(lab.f.op.pointer), "/job");
    EQ(put("s", DAILY), OK);
    EQ(put("keep.log", "{\"cron\":\"@daily\",\"after\":\"s\"}"), ERR_INVALID);
    STR_EQ(str_of(lab.f.op.pointer), "/after");
    EQ(put("keep.nothing", DAILY), ERR_INVALID);
    EQ(put("t", "{\"cron\":\"@daily\"}"), ERR_INVALID);
    STR_EQ(str_of(lab.f.op.pointer), "/job");
    EQ(put("keep.log", "{\"cron\":\"30 4 * * *\",\"timezone\":\"Europe/London\"}"), OK);
    WRITES(&lab.f, make_builtin, NULL);
    STR_EQ(show("keep.log", "cron"), "\"30 4 * * *\"");
    EQ(drop("keep.log"), ERR_CONFLICT);
    EQ(drop("s"), OK);
    lab_end(&lab);
}

/* --- a year --- */

/* SCHED-2, SCHED-3. */
TEST(schedule, each_nominal_time_of_a_year_in_twelve_zones_fires_once_through_restarts_and_clock_steps)
{
    struct year year;
    lab_start_file(&lab); /* so that there is something to open again */
    YES(instant_parse(S("2026-01-01T00:00:00Z"), &lab.f.op.now_us));
    lab_reopen(&lab);
    year_begin(&lab, &year);
    int64_t begin_us = lab.f.op.now_us, end_us = begin_us + YEAR_US;
    for (int hour = 1; lab.f.op.now_us < end_us; hour++) {
        arena_reset(lab.f.arena);
        lab.f.op.now_us = begin_us + hour * H_US;
        if (hour % 97 == 0)
            lab.f.op.now_us -= 2 * H_US; /* for one look the clock is wrong */
        if (hour % 500 == 0)
            lab_reopen(&lab);
        lab_tick(&lab);
        lab_tick(&lab);
        year_work(&lab, &lab, &year);
    }
    year_end(&lab, &year, end_us);
    lab_end(&lab);
}
