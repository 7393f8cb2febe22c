/*
 * test_session.c - who is a worker process, what is a sign of its life, and what it owns.
 */
#include "job_lab.h"

static struct lab lab;

struct worker {
    struct session_info info;
    enum session_state wish, state;
    struct str *revoked;
    size_t revoked_count;
    struct session_view view;
};

static enum err beat_run(struct op *op, struct tx *tx, void *arg)
{
    struct worker *worker = arg;
    return session_beat(op, tx, &worker->info, worker->wish, 0, &worker->state, &worker->revoked,
                        &worker->revoked_count);
}

static enum err tell_run(struct op *op, struct tx *tx, void *arg)
{
    struct worker *worker = arg;
    return session_tell(op, tx, worker->info.name, worker->wish);
}

static enum err view_run(struct op *op, struct tx *tx, void *arg)
{
    struct worker *worker = arg;
    return session_get(op, tx, worker->info.name, &worker->view);
}

static enum err hear_run(struct op *op, struct tx *tx, void *arg)
{
    (void)op;
    session_heard(tx, *(struct session_id *)arg);
    return OK;
}

/* A beat over HTTP; who fetches and ends from here on. */
static struct worker beat(const char *name)
{
    struct worker worker = { .info = { .name = str_of(name), .http = true } };
    WRITES(&lab.f, beat_run, &worker);
    READS(&lab.f, view_run, &worker);
    lab.session = worker.view.id;
    return worker;
}

static void start_with_a_lease(void)
{
    lab_start(&lab);
    beat("w-1");
    lab_job(&lab, "q", "job-0001", "");
    EQ(lab_fetch(&lab, "q", 1), 1);
}

/* LEASE-4. */
TEST(session, of_a_name_begins_with_its_first_beat)
{
    lab_start(&lab);
    struct worker worker = { .info = { .name = S("w-1"), .http = true } };
    EQ(store_write(&lab.f.op, lab.f.store, view_run, &worker), ERR_NOT_FOUND);
    lab_job(&lab, "q", "job-0001", "");
    lab_fetch(&lab, "q", 1); /* of nobody: no silence ends it before its time */
    lab_pass_ms(&lab, 600000);
    EQ(lab_view(&lab, "q").leased, 1);
    worker = beat("w-1");
    EQ(worker.state, SESSION_RUNNING);
    EQ(worker.view.leased, 0);
    EQ(worker.revoked_count, 0);
    lab_end(&lab);
}

/* LEASE-4. */
TEST(session, hears_what_it_is_to_do_and_goes_forward_only)
{
    lab_start(&lab);
    struct worker worker = beat("w-1");
    worker.wish = SESSION_TERMINATE;
    WRITES(&lab.f, tell_run, &worker);
    EQ(beat("w-1").state, SESSION_TERMINATE);
    worker.wish = SESSION_QUIET;
    WRITES(&lab.f, tell_run, &worker);
    WRITES(&lab.f, beat_run, &worker);
    EQ(worker.state, SESSION_TERMINATE);
    lab_end(&lab);
}

/* LEASE-4, JOB-6. */
TEST(session, reads_once_which_of_its_leases_were_taken_back)
{
    char text[LEASE_TOKEN_BYTES];
    start_with_a_lease();
    struct job_lease lease = lab_lease(&lab, &lab.jobs_out[0]);
    EQ(lab_act(&lab, "job-0001", ACTION_CANCEL), JOB_DONE);
    struct worker worker = beat("w-1");
    EQ(worker.revoked_count, 1);
    STR_EQ(worker.revoked[0], job_token(&lease, text).p);
    EQ(beat("w-1").revoked_count, 0);
    EQ(lab_ack_lease(&lab, lease), STALE_CANCELLED);
    lab_end(&lab);
}

/* LEASE-4, LEASE-7. */
TEST(session, hears_of_leases_that_ran_out_or_were_lost)
{
    char text[LEASE_TOKEN_BYTES];
    lab_start(&lab);
    beat("w-1");
    lab_job(&lab, "q", "job-0001", ",\"timeout\":\"5s\"");
    EQ(lab_fetch(&lab, "q", 1), 1);
    struct job_lease lease = lab_lease(&lab, &lab.jobs_out[0]);
    lab_pass_ms(&lab, 6000);
    struct worker worker = beat("w-1");
    EQ(worker.revoked_count, 1);
    STR_EQ(worker.revoked[0], job_token(&lease, text).p);
    EQ(lab_ack_lease(&lab, lease), STALE_EXPIRED);
    lab_job(&lab, "q", "job-0002", "");
    EQ(lab_fetch(&lab, "q", 1), 1);
    lease = lab_lease(&lab, &lab.jobs_out[0]);
    lab_pass_ms(&lab, 121000);
    EQ(beat("w-2").revoked_count, 0);
    worker = beat("w-1"); /* it was lost meanwhile, and does not know */
    EQ(worker.revoked_count, 1);
    STR_EQ(worker.revoked[0], job_token(&lease, text).p);
    EQ(beat("w-1").revoked_count, 0);
    lab_end(&lab);
}

/* LEASE-4. */
TEST(session, that_was_given_up_and_comes_back_owns_nothing_of_before)
{
    start_with_a_lease();
    struct job_lease lease = lab_lease(&lab, &lab.jobs_out[0]);
    struct session_id before = lab.session;
    lab_pass_ms(&lab, 121000);
    EQ(lab_view(&lab, "q").ready, 1);
    struct worker worker = beat("w-1");
    YES(worker.view.id.no != before.no || worker.view.id.epoch != before.epoch);
    EQ(worker.view.leased, 0);
    EQ(lab_fetch(&lab, "q", 1), 1);
    EQ(lab_ack_lease(&lab, lease), STALE_REASSIGNED);
    lab.session = before; /* what it still sends in its former life is nobody's */
    EQ(lab_view(&lab, "q").leased, 1);
    lab_end(&lab);
}

/* What a worker of the name w-1 does instead of beating for five minutes. */
static void lives_by(void (*sign)(void))
{
    start_with_a_lease();
    for (int i = 0; i < 10; i++) {
        lab_pass_ms(&lab, 50000);
        sign();
    }
    EQ(lab_view(&lab, "q").leased, 1);
    lab_pass_ms(&lab, 121000);
    EQ(lab_view(&lab, "q").leased, 0);
    lab_end(&lab);
}

static void fetches_in_vain(void)
{
    EQ(lab_fetch(&lab, "empty", 1), 0);
}

static void acks_another_job(void)
{
    EQ(lab_ack(&lab, "job-9999"), STALE_UNKNOWN);
}

static void extends(void)
{
    struct lab_end_call call = { .ref = { .by_jid = true, .jid = S("job-0001"), .session = lab.session },
                                 .for_us = INT64_C(3600000000) };
    WRITES(&lab.f, lab_end_run, &call);
}

static void says_something_else(void)
{
    WRITES(&lab.f, hear_run, &lab.session);
}

/* LEASE-4. */
TEST(session, lives_by_whatever_it_says)
{
    lives_by(fetches_in_vain);
    lives_by(acks_another_job);
    lives_by(extends);
    lives_by(says_something_else);
}
