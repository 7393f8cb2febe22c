/*
 * test_job_done_keys.c - a finished job is found by its jid, however long the history is.
 */
#include "engine/jobs_own.h"
#include "job_lab.h"
#include "store/store_done.h"

static struct lab lab;

#define JOBS 10000 /* more than two rows of keys cover */
#define EACH 500

static enum err note_row(void *arg, const struct done_keys *row, bool *stop)
{
    (void)row;
    (void)stop;
    ++*(int *)arg;
    return OK;
}

static enum err count_rows(struct op *op, struct tx *tx, void *arg)
{
    return store_done_keys_each(op, tx, note_row, arg);
}

static int rows(void)
{
    int count = 0;
    WRITES(&lab.f, count_rows, &count);
    return count;
}

struct wanted {
    struct str jid;
    struct done_record record;
    bool found;
};

static enum err find(struct op *op, struct tx *tx, void *arg)
{
    struct wanted *w = arg;
    return done_find(op, tx, NULL, jobs_hash(lab.jobs, w->jid), w->jid, &w->record, &w->found);
}

static struct wanted look(struct str jid)
{
    struct wanted wanted = { .jid = jid };
    SUCCEEDS(&lab.f.op, store_read(&lab.f.op, lab.f.store, find, &wanted));
    return wanted;
}

static struct str jid_of(int i)
{
    return arena_fmt(lab.f.arena, "job-%05d", i);
}

static enum err push_some(struct op *op, struct tx *tx, void *arg)
{
    int first = *(int *)arg;
    struct job_reader reader = lab_reader(&lab);
    for (int i = first; i < first + EACH; i++) {
        struct job_spec spec;
        struct job_pushed pushed;
        struct str jid = jid_of(i);
        struct str text =
            arena_fmt(op->arena, "{\"jid\":\"%.*s\",\"jobtype\":\"t\",\"queue\":\"q\",\"args\":[]}", STR(jid));
        TRY(job_read(op, &reader, text, &spec));
        TRY(job_push(op, tx, &spec, 1, false, &pushed));
        EQ(pushed.result, JOB_PUSHED);
    }
    return OK;
}

static enum err cancel_some(struct op *op, struct tx *tx, void *arg)
{
    int first = *(int *)arg;
    for (int i = first; i < first + EACH; i++) {
        enum job_state state;
        TRY(job_act(op, tx, jid_of(i), ACTION_CANCEL, &state));
    }
    return OK;
}

/* So many jobs that ended, a chunk for each EACH of them. */
static void finish(int count)
{
    for (int i = 0; i < count; i += EACH) {
        WRITES(&lab.f, push_some, &i);
        WRITES(&lab.f, cancel_some, &i);
    }
}

/* HIST-3. */
TEST(job_done_keys, a_job_is_found_among_many_and_one_that_was_never_there_is_not)
{
    lab_start(&lab);
    finish(JOBS);
    EQ(rows(), 0);
    lab_pass_ms(&lab, 30000);
    EQ(rows(), 2); /* the last ones are young: read as they are */
    for (int i = 0; i < JOBS; i += 331) {
        struct wanted wanted = look(jid_of(i));
        YES(wanted.found);
        STR_EQ(wanted.record.jid, jid_of(i).p);
    }
    NO(look(S("job-99999")).found);
    NO(look(S("somebody-else")).found);
    lab_end(&lab);
}

/* HIST-3. */
TEST(job_done_keys, of_several_lives_of_a_jid_the_newest_is_found)
{
    lab_start(&lab);
    for (int life = 0; life < 3; life++) {
        EQ(lab_job(&lab, "q", "job-again", ",\"retry\":0"), JOB_PUSHED);
        EQ(lab_fetch(&lab, "q", 1), 1);
        EQ(lab_ack(&lab, "job-again"), STALE_NOT);
        lab_pass_ms(&lab, 130000);
    }
    int64_t last_us = look(S("job-again")).record.ended_us;
    finish(JOBS);
    lab_pass_ms(&lab, 30000);
    YES(rows() > 0);
    YES(look(S("job-again")).found);
    EQ(look(S("job-again")).record.ended_us, last_us);
    lab_end(&lab);
}

static enum err flush(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    return jobs_flush(op, tx);
}

/* HIST-3. */
TEST(job_done_keys, keys_go_with_the_chunks_they_are_of_and_with_a_flush)
{
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"retain\":{\"done\":\"5m\"}}");
    finish(JOBS);
    lab_pass_ms(&lab, 30000);
    EQ(rows(), 2);
    lab_pass_ms(&lab, 400000);
    EQ(rows(), 0);
    NO(look(jid_of(7)).found);
    finish(JOBS / 2);
    lab_pass_ms(&lab, 30000);
    EQ(rows(), 1);
    YES(look(jid_of(7)).found);
    WRITES(&lab.f, flush, NULL);
    EQ(rows(), 0);
    NO(look(jid_of(7)).found);
    lab_end(&lab);
}

static enum err put_chunk(struct op *op, struct tx *tx, void *arg)
{
    struct done_chunk chunk = { .no = *(const uint64_t *)arg, .records = S("") };
    return store_done_add(op, tx, &chunk);
}

static enum err oldest_no(struct op *op, struct tx *tx, void *arg)
{
    struct done_chunk chunk;
    TRY(store_done_oldest(op, tx, 0, &chunk));
    *(uint64_t *)arg = chunk.no;
    return OK;
}

/* HIST-3. While somebody holds an old snapshot, rows that are gone are walked over by whoever looks from the first on:
 * a row that lies there tells whether somebody does. */
TEST(job_done_keys, the_sweep_looks_for_old_chunks_behind_those_it_dropped)
{
    uint64_t lost = 1, oldest = 0;
    lab_start(&lab);
    lab_policy(&lab, "q", "{\"retain\":{\"done\":\"5m\"}}");
    for (int i = 0; i < 3; i++) {
        finish(2 * EACH);
        lab_pass_ms(&lab, 400000);
    }
    WRITES(&lab.f, put_chunk, &lost);
    finish(EACH);
    lab_pass_ms(&lab, 400000);
    WRITES(&lab.f, oldest_no, &oldest);
    EQ(oldest, lost);
    lab_end(&lab);
}

/* HIST-3. A machine that begins anew has nothing of this in RAM. */
TEST(job_done_keys, keys_outlive_a_restart)
{
    lab_start_file(&lab);
    finish(JOBS);
    lab_pass_ms(&lab, 30000);
    lab_reopen(&lab);
    EQ(rows(), 2);
    YES(look(jid_of(1)).found);
    lab_pass_ms(&lab, 30000);
    EQ(rows(), 2);
    lab_end(&lab);
}
