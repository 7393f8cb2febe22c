/*
 * job_news.c - what the log of events hears of jobs: that one died, a batch expired, a handler is down or up again.
 *
 * An event is part of the transaction that made it happen. What a group has to tell is gathered in RAM and recorded at
 * its end in one go, or as soon as it is many; a group that is taken back has told nothing.
 */
#include "engine/jobs_own.h"

#include "base/instant.h"
#include "base/json_write.h"
#include "engine/events.h"
#include "engine/job_own.h"

#define NEWS_MAX       256 /* gathered before they are recorded */
#define NEWS_BYTES_MAX (32u << 20)
#define DATA_BYTES_MAX (64u << 10)

enum err news_flush(struct op *op, struct tx *tx, struct jobs *jobs)
{
    if (jobs->news_count == 0)
        return OK;
    enum err err = events_record(op, tx, jobs->news, jobs->news_count);
    news_drop(jobs);
    return err;
}

void news_drop(struct jobs *jobs)
{
    if (jobs->news_count == 0)
        return;
    arena_reset(jobs->news_arena);
    jobs->news = NULL;
    jobs->news_count = 0;
}

void news_free(struct jobs *jobs)
{
    if (jobs->news_arena)
        arena_free(jobs->news_arena);
}

/* --- one event --- */

struct news {
    struct buf buf;
    struct json_writer w;
};

/* Begins the object of its data. */
static void news_begin(struct jobs *jobs, struct news *news)
{
    if (!jobs->news_arena)
        jobs->news_arena = arena_new(NEWS_BYTES_MAX);
    buf_init_arena(&news->buf, jobs->news_arena, DATA_BYTES_MAX);
    json_write_init(&news->w, &news->buf);
    json_object_begin(&news->w);
}

static enum err news_add(struct op *op, struct jobs *jobs, const char *type, struct str subject, struct str data)
{
    struct arena *arena = jobs->news_arena;
    if (!jobs->news)
        jobs->news = arena_alloc(arena, NEWS_MAX * sizeof *jobs->news);
    struct event_row row = {
        .type = str_of(type),
        .source = S(EVENTS_SOURCE_OWN),
        .tenant = S(""),
        .subject = arena_str(arena, subject),
        .data = data,
        .time_us = op->now_us,
        .time_given = true,
    };
    if (!jobs->news || !str_given(row.subject))
        return fail(op, ERR_TOO_LARGE, "the events of one group need more memory than they may have");
    jobs->news[jobs->news_count++] = row;
    return OK;
}

static enum err news_end(struct op *op, struct tx *tx, struct jobs *jobs, const char *type, struct str subject,
                         struct news *news)
{
    json_object_end(&news->w);
    if (news->buf.full)
        return fail(op, ERR_TOO_LARGE, "the events of one group need more memory than they may have");
    jobs_touch(jobs, tx);
    TRY(news_add(op, jobs, type, subject, buf_str(&news->buf)));
    return jobs->news_count == NEWS_MAX ? news_flush(op, tx, jobs) : OK;
}

/* --- which there are --- */

/* What the newest failure said. */
static void put_failure(struct op *op, struct json_writer *w, struct str failure)
{
    struct json j;
    struct str name, value, errtype = { 0 }, message = { 0 };
    json_init(&j, op->arena, str_given(failure) ? failure : S("{}"), JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name) && json_raw(&j, &value)) {
            errtype = str_eq(name, S("errtype")) ? value : errtype;
            message = str_eq(name, S("message")) ? value : message;
        }
    json_put_name(w, "errtype");
    json_put_raw(w, str_given(errtype) ? errtype : S("null"));
    json_put_name(w, "message");
    json_put_raw(w, str_given(message) ? message : S("null"));
}

static enum err job_event(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job,
                          enum job_death death, const char *type)
{
    struct news news;
    news_begin(jobs, &news);
    json_member_str(&news.w, "jid", job->row.jid);
    json_member_str(&news.w, "queue", job->queue->name);
    json_member_str(&news.w, "jobtype", job->row.type);
    json_member_str(&news.w, "reason", str_of(job_death_name(death)));
    json_member_int(&news.w, "attempts", job->aside.attempts);
    put_failure(op, &news.w, job->aside.failure);
    return news_end(op, tx, jobs, type, job->row.jid, &news);
}

enum err news_died(struct op *op, struct tx *tx, struct jobs *jobs, const struct job_known *job, enum job_death death)
{
    TRY(job_event(op, tx, jobs, job, death, "job.dead"));
    if (str_eq(job->queue->name, S(KEEP_QUEUE)))
        TRY(job_event(op, tx, jobs, job, death, "keep.blocked")); /* KEEP-7 */
    return death == DEATH_POISON ? job_event(op, tx, jobs, job, death, "job.poisoned") : OK;
}

enum err news_batch_expired(struct op *op, struct tx *tx, struct jobs *jobs, struct str bid, struct str description,
                            int64_t total, int64_t pending)
{
    struct news news;
    news_begin(jobs, &news);
    json_member_str(&news.w, "batch", bid);
    json_member_str(&news.w, "description", description);
    json_member_int(&news.w, "total", total);
    json_member_int(&news.w, "pending", pending);
    return news_end(op, tx, jobs, "batch.expired", bid, &news);
}

enum err news_held(struct op *op, struct tx *tx, struct jobs *jobs, struct str schedule, struct str run, struct str why,
                   int64_t since_us)
{
    struct news news;
    char text[INSTANT_TEXT_BYTES];
    news_begin(jobs, &news);
    json_member_str(&news.w, "schedule", schedule);
    json_member_str(&news.w, "run", run);
    json_member_str(&news.w, "why", why);
    json_member_str(&news.w, "since", instant_text(since_us, 3, text));
    return news_end(op, tx, jobs, "keep.blocked", schedule, &news);
}

enum err news_handler(struct op *op, struct tx *tx, struct jobs *jobs, const struct handler_word *word)
{
    struct news news;
    char text[INSTANT_TEXT_BYTES];
    news_begin(jobs, &news);
    json_member_str(&news.w, "queue", word->queue);
    json_member_str(&news.w, "url", word->url);
    json_member_str(&news.w, "worker", word->worker);
    if (word->until_us)
        json_member_str(&news.w, "until", instant_text(word->until_us, 3, text));
    return news_end(op, tx, jobs, word->until_us ? "handler.down" : "handler.up", word->queue, &news);
}
