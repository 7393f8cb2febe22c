#include "main/load_protocol.h"

#include <unistd.h>

#define BODY_BYTES_MAX (4 << 20)

/* --- Posthouse, and whatever else speaks Faktory's protocol --- */

static void faktory_hello(struct buf *out, struct str queue, struct str worker)
{
    (void)queue;
    buf_add_fmt(out, "HELLO {\"v\":2,\"hostname\":\"bench\",\"pid\":%d,\"labels\":[],\"wid\":\"%.*s\"}\r\n", getpid(),
                STR(worker));
}

static void faktory_push(struct buf *out, struct str queue, struct str job, int i, int n)
{
    (void)queue;
    bool first = i == 0, last = i == n - 1;
    buf_add_str(out, !first ? S(",") : n > 1 ? S("PUSHB [") : S("PUSH "));
    buf_add_str(out, job);
    if (last)
        buf_add_str(out, n > 1 ? S("]\r\n") : S("\r\n"));
}

static void faktory_fetch(struct buf *out, struct str queue)
{
    buf_add_fmt(out, "FETCH %.*s\r\n", STR(queue));
}

static void faktory_ack(struct buf *out, struct str queue, struct str id)
{
    (void)queue;
    buf_add_fmt(out, "ACK {\"jid\":\"%.*s\"}\r\n", STR(id));
}

/* A line, or as Redis has it too: "$5", that many bytes, an end of line; *ret_body has them. */
static size_t line_or_bulk(struct str in, struct str *ret_body)
{
    size_t line = str_search(in, S("\r\n"));
    int64_t n;
    *ret_body = (struct str){ 0 };
    if (line == in.n)
        return 0;
    if (in.p[0] != '$' || !str_to_int((struct str){ in.p + 1, line - 1 }, 0, BODY_BYTES_MAX, &n))
        return line + 2;
    size_t whole = line + 2 + (size_t)n + 2;
    *ret_body = (struct str){ in.p + line + 2, (size_t)n };
    return in.n >= whole ? whole : 0;
}

static size_t faktory_answer(struct str in, struct load_answer *ret)
{
    struct str body;
    size_t bytes = line_or_bulk(in, &body);
    if (bytes == 0)
        return 0;
    size_t at = str_search(body, S("\"jid\":\""));
    *ret = (struct load_answer){ .says = LOAD_SAYS_DONE };
    if (str_given(body) && at < body.n) {
        struct str rest = { body.p + at + 7, body.n - at - 7 };
        *ret = (struct load_answer){ LOAD_SAYS_JOB, str_cut(&rest, '"') };
    } else if (in.p[0] == '-' || (str_given(body) && !str_eq(body, S("{}")))) {
        ret->says = LOAD_SAYS_ERROR; /* a push of many answers with those it refused */
    } else if (in.p[0] == '$' && !str_given(body)) {
        ret->says = LOAD_SAYS_NO_JOB;
    }
    return bytes;
}

const struct load_protocol load_faktory = {
    .name = "faktory",
    .greets = true,
    .batch_max = 1000,
    .hello = faktory_hello,
    .push = faktory_push,
    .fetch = faktory_fetch,
    .ack = faktory_ack,
    .answer = faktory_answer,
};

/* --- beanstalkd --- */

static void beanstalk_hello(struct buf *out, struct str queue, struct str worker)
{
    buf_add_fmt(out, "%s %.*s\r\n", worker.n > 0 ? "watch" : "use", STR(queue));
}

static void beanstalk_push(struct buf *out, struct str queue, struct str job, int i, int n)
{
    (void)queue, (void)i, (void)n;
    buf_add_fmt(out, "put 1024 0 60 %zu\r\n%.*s\r\n", job.n, STR(job));
}

static void beanstalk_fetch(struct buf *out, struct str queue)
{
    (void)queue;
    buf_add_str(out, S("reserve-with-timeout 2\r\n"));
}

static void beanstalk_ack(struct buf *out, struct str queue, struct str id)
{
    (void)queue;
    buf_add_fmt(out, "delete %.*s\r\n", STR(id));
}

static bool begins_with(struct str text, const char *beginning)
{
    struct str wanted = str_of(beginning);
    return text.n >= wanted.n && str_eq((struct str){ text.p, wanted.n }, wanted);
}

static size_t beanstalk_answer(struct str in, struct load_answer *ret)
{
    static const char *const done[] = { "USING", "WATCHING", "INSERTED", "DELETED" };
    size_t line = str_search(in, S("\r\n"));
    if (line == in.n)
        return 0;
    *ret = (struct load_answer){ .says = LOAD_SAYS_ERROR };
    struct str rest = { in.p, line };
    for (size_t i = 0; i < sizeof done / sizeof *done; i++)
        if (begins_with(rest, done[i]))
            ret->says = LOAD_SAYS_DONE;
    if (begins_with(rest, "TIMED_OUT"))
        ret->says = LOAD_SAYS_NO_JOB;
    int64_t n;
    if (!str_eq(str_cut(&rest, ' '), S("RESERVED")))
        return line + 2;
    struct str id = str_cut(&rest, ' ');
    if (!str_to_int(rest, 0, BODY_BYTES_MAX, &n))
        return line + 2;
    *ret = (struct load_answer){ LOAD_SAYS_JOB, id };
    size_t whole = line + 2 + (size_t)n + 2;
    return in.n >= whole ? whole : 0;
}

const struct load_protocol load_beanstalk = {
    .name = "beanstalkd",
    .batch_max = 1,
    .hello = beanstalk_hello,
    .push = beanstalk_push,
    .fetch = beanstalk_fetch,
    .ack = beanstalk_ack,
    .answer = beanstalk_answer,
};

/* --- Redis --- */

static void redis_word(struct buf *out, struct str word)
{
    buf_add_fmt(out, "$%zu\r\n%.*s\r\n", word.n, STR(word));
}

/* The list of what is under way. */
static void redis_taken(struct buf *out, struct str queue)
{
    buf_add_fmt(out, "$%zu\r\n%.*s:taken\r\n", queue.n + 6, STR(queue));
}

static void redis_hello(struct buf *out, struct str queue, struct str worker)
{
    (void)queue, (void)worker;
    buf_add_str(out, S("PING\r\n"));
}

static void redis_push(struct buf *out, struct str queue, struct str job, int i, int n)
{
    if (i == 0) {
        buf_add_fmt(out, "*%d\r\n$5\r\nLPUSH\r\n", n + 2);
        redis_word(out, queue);
    }
    redis_word(out, job);
}

static void redis_fetch(struct buf *out, struct str queue)
{
    buf_add_str(out, S("*6\r\n$6\r\nBLMOVE\r\n"));
    redis_word(out, queue);
    redis_taken(out, queue);
    buf_add_str(out, S("$5\r\nRIGHT\r\n$4\r\nLEFT\r\n$1\r\n2\r\n"));
}

static void redis_ack(struct buf *out, struct str queue, struct str id)
{
    buf_add_str(out, S("*4\r\n$4\r\nLREM\r\n"));
    redis_taken(out, queue);
    buf_add_str(out, S("$1\r\n1\r\n"));
    redis_word(out, id);
}

static size_t redis_answer(struct str in, struct load_answer *ret)
{
    struct str body;
    size_t bytes = line_or_bulk(in, &body);
    if (bytes == 0)
        return 0;
    *ret = (struct load_answer){ .says = LOAD_SAYS_DONE };
    if (str_given(body))
        *ret = (struct load_answer){ LOAD_SAYS_JOB, body };
    else if (in.p[0] == '-')
        ret->says = LOAD_SAYS_ERROR;
    else if (in.p[0] == '$' || in.p[0] == '*')
        ret->says = LOAD_SAYS_NO_JOB;
    return bytes;
}

const struct load_protocol load_redis = {
    .name = "redis",
    .batch_max = 1000,
    .hello = redis_hello,
    .push = redis_push,
    .fetch = redis_fetch,
    .ack = redis_ack,
    .answer = redis_answer,
};
