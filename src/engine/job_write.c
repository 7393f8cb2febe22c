/*
 * job_write.c - the job object as a worker gets it.
 */
#include "base/instant.h"
#include "engine/job_read.h"

#define OTHER_BYTES 256 /* names, instants, jid, queue and jobtype, as they mostly are */

/* The names come with all that stands before their value: this is written for each job that is fetched. */
static void put_text(struct buf *buf, struct str name, struct str text)
{
    struct json_writer w;
    buf_add_str(buf, name);
    json_write_init(&w, buf);
    json_put_str(&w, text);
}

static void put_instant(struct buf *buf, struct str name, int64_t us)
{
    char text[INSTANT_TEXT_BYTES];
    buf_add_str(buf, name);
    buf_add_str(buf, instant_text(us, 6, text));
    buf_add_char(buf, '"');
}

/* Raw line breaks stand only between values, where a blank means the same. */
static void put_one_line(struct buf *buf, struct str body)
{
    size_t from = buf->n;
    buf_add_str(buf, body);
    if (!memchr(body.p, '\n', body.n) && !memchr(body.p, '\r', body.n))
        return;
    for (size_t i = from; i < buf->n; i++)
        if (buf->p[i] == '\n' || buf->p[i] == '\r')
            buf->p[i] = ' ';
}

void job_write(struct buf *buf, const struct job_out *job, struct str extra)
{
    buf_reserve(buf, OTHER_BYTES + job->body.n + job->failure.n + extra.n); /* grown once, not three times */
    put_text(buf, S("{\"jid\":"), job->jid);
    put_text(buf, S(",\"queue\":"), job->queue);
    put_text(buf, S(",\"jobtype\":"), job->jobtype);
    buf_add_char(buf, ',');
    put_one_line(buf, job->body);
    if (!(job->has & JOB_HAS_RETRY))
        buf_add_str(buf, S(",\"retry\":25"));
    if (!(job->has & JOB_HAS_CREATED))
        put_instant(buf, S(",\"created_at\":\""), job->created_us);
    put_instant(buf, S(",\"enqueued_at\":\""), job->enqueued_us);
    if (str_given(job->failure)) {
        buf_add_str(buf, S(",\"failure\":"));
        buf_add_str(buf, job->failure);
    }
    if (extra.n) {
        buf_add_char(buf, ',');
        buf_add_str(buf, extra);
    }
    buf_add_char(buf, '}');
}

bool job_custom_out(struct json_writer *w, struct str name, struct str value, void *data)
{
    struct str *custom = data;
    (void)w;
    if (!str_eq(name, S("custom")))
        return false;
    if (value.p[0] == '{')
        *custom = value;
    return true;
}
