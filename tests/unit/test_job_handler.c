#include <sched.h>
#include <stdatomic.h>

#include "base/thread.h"
#include "engine/job_handler.h"
#include "engine/job_policy.h"
#include "job_lab.h"

static struct lab lab;

/* HAND-2, the vector of the specification of Standard Webhooks' form. */
TEST(job_handler, signs_a_call)
{
    lab_start(&lab);
    struct job_handler handler = { .secret = S("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw") };
    struct str body = S("{\"jid\":\"j-00000001\",\"queue\":\"q\",\"jobtype\":\"mail\",\"args\":[1],\"attempt\":1}");
    STR_EQ(job_handler_sign(&lab.f.op, &handler, S("j-00000001"), S("1795374000"), body),
           "v1,S3pP/hsNyQvVQ6PJ3+F28Sg1jbFkve21irswBMJzz+I=");
    handler.old_secret = S("whsec_AAAAAAAAAAAAAAAAAAAAAA==");
    struct str both = job_handler_sign(&lab.f.op, &handler, S("j-00000001"), S("1795374000"), body);
    EQ(str_find(both, ' '), 47);
    EQ(both.n, 95);
    lab_end(&lab);
}

/* HAND-2. */
TEST(job_handler, says_who_set_it_and_hides_its_secrets)
{
    lab_start(&lab);
    struct op *op = &lab.f.op;
    struct str patch = S("{\"weight\":2,\"handler\":{\"kind\":\"http\",\"url\":\"http://x/\",\"secret\":\"whsec_x\"}}");
    struct str text, shown;
    SUCCEEDS(op, handler_patch(op, patch, true, &text));
    SUCCEEDS(op, policy_shown(op, text, &shown));
    STR_EQ(shown,
           "{\"weight\":2,\"handler\":{\"kind\":\"http\",\"url\":\"http://x/\",\"secret\":\"set\",\"internal\":true}}");
    SUCCEEDS(op, handler_patch(op, patch, false, &text));
    STR_EQ(text, "{\"weight\":2,\"handler\":{\"kind\":\"http\",\"url\":\"http://x/"
                 "\",\"secret\":\"whsec_x\",\"internal\":null}}");
    struct str other = S("{\"handler\":{\"timeout\":\"5s\"}}");
    SUCCEEDS(op, handler_patch(op, other, true, &text));
    STR_EQ(text, other.p); /* who prolongs the time does not answer for the URL */
    EQ(handler_patch(op, S("{\"handler\":{\"kind\":\"pull\",\"internal\":true}}"), false, &text), ERR_INVALID);
    lab_end(&lab);
}

/* --- leases of handlers --- */

struct beating {
    struct session_id id;
    bool behind, more;
};

static enum err beat(struct op *op, struct tx *tx, void *arg)
{
    struct beating *beating = arg;
    struct session_info info = { .name = S("posthouse@here"), .http = true };
    struct session_view view;
    enum session_state state;
    TRY(session_beat(op, tx, &info, SESSION_RUNNING, 0, &state, NULL, NULL));
    TRY(session_get(op, tx, info.name, &view));
    beating->id = view.id;
    return beating->behind ? job_left_behind(op, tx, view.id, &beating->more) : OK;
}

static enum err hand_over(struct op *op, struct tx *tx, void *arg)
{
    return job_hand_over(op, tx, arg);
}

/* HAND-2. */
TEST(job_handler, what_it_had_in_hand_is_lost_with_it_but_not_what_it_handed_over)
{
    struct beating beating = { 0 };
    lab_start_file(&lab);
    WRITES(&lab.f, beat, &beating);
    lab.session = beating.id;
    for (int i = 1; i <= 2; i++)
        lab_job(&lab, "q", i == 1 ? "job-0001" : "job-0002", "");
    EQ(lab_fetch(&lab, "q", 2), 2);
    struct job_lease over = lab_lease(&lab, &lab.jobs_out[1]);
    WRITES(&lab.f, hand_over, &over);
    lab_reopen(&lab);
    beating.behind = true;
    WRITES(&lab.f, beat, &beating);
    EQ(beating.more, false);
    EQ(lab_view(&lab, "q").ready, 1);
    EQ(lab_view(&lab, "q").leased, 1);
    EQ(lab_ack_lease(&lab, over), STALE_NOT);
    lab.session = beating.id;
    EQ(lab_fetch(&lab, "q", 2), 1);
    EQ(lab.jobs_out[0].attempt, 2);
    lab_end(&lab);
}

/* HAND-2: an application that took the job and is late did not crash. */
TEST(job_handler, a_lease_handed_over_that_ends_is_no_crash)
{
    struct beating beating = { 0 };
    lab_start(&lab);
    WRITES(&lab.f, beat, &beating);
    lab.session = beating.id;
    lab_policy(&lab, "q",
               "{\"crash_limit\":1,\"lease\":\"2m\",\"handler\":{\"kind\":\"http\",\"url\":\"http://x/\","
               "\"secret\":\"whsec_AAAAAAAAAAAAAAAAAAAAAA==\"}}");
    EQ(lab_view(&lab, "q").leased, 0);
    lab_job(&lab, "q", "job-0001", "");
    EQ(lab_fetch(&lab, "q", 1), 1);
    struct job_lease over = lab_lease(&lab, &lab.jobs_out[0]);
    WRITES(&lab.f, hand_over, &over);
    lab_tick(&lab);
    lab_pass_ms(&lab, 125000);
    EQ(lab_view(&lab, "q").dead, 0);
    EQ(lab_view(&lab, "q").retry, 1);
    lab_end(&lab);
}

/* --- who hears of changes --- */

#define LOOKS 20000 /* of one who is told, for the other to have left meanwhile */

struct listener {
    struct jobs *jobs;
    atomic_bool is_inside, has_left;
    bool was_alone; /* told, though it had left */
};

static void hear(void *data)
{
    struct listener *listener = data;
    atomic_store(&listener->is_inside, true);
    for (int i = 0; i < LOOKS && !listener->was_alone; i++, sched_yield())
        listener->was_alone = atomic_load(&listener->has_left);
}

static void leave(void *context)
{
    struct listener *listener = context;
    while (!atomic_load(&listener->is_inside))
        sched_yield();
    jobs_on_handlers(listener->jobs, NULL, NULL);
    atomic_store(&listener->has_left, true);
}

/* A daemon that stops takes its runner away while the writer works on. */
TEST(job_handler, who_leaves_is_told_nothing_any_more)
{
    lab_start(&lab);
    struct listener listener = { .jobs = lab.jobs };
    struct thread thread;
    SUCCEEDS(&lab.f.op, thread_start(&lab.f.op, &thread, "listener", leave, &listener));
    jobs_on_handlers(lab.jobs, hear, &listener);
    lab_policy(&lab, "q", "{\"handler\":{\"kind\":\"pull\"}}");
    thread_join(&thread);
    YES(listener.has_left);
    NO(listener.was_alone);
    lab_end(&lab);
}
