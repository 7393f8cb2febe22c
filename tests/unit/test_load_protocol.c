#include "main/load_protocol.h"
#include "test.h"

/* Given byte by byte, the answer is whole with its last byte, and says this. */
static void says(const struct load_protocol *protocol, const char *text, enum load_says expected, const char *id)
{
    struct str all = str_of(text);
    struct load_answer answer;
    for (size_t n = 0; n < all.n; n++)
        EQ(protocol->answer((struct str){ all.p, n }, &answer), 0);
    EQ(protocol->answer(all, &answer), all.n);
    EQ(answer.says, expected);
    if (id)
        STR_EQ(answer.id, id);
}

TEST(load_protocol, understands_the_worker_door)
{
    says(&load_faktory, "+OK\r\n", LOAD_SAYS_DONE, NULL);
    says(&load_faktory, "$2\r\n{}\r\n", LOAD_SAYS_DONE, NULL);
    says(&load_faktory, "$-1\r\n", LOAD_SAYS_NO_JOB, NULL);
    says(&load_faktory, "$25\r\n{\"jid\":\"j-000001\",\"x\":[]}\r\n", LOAD_SAYS_JOB, "j-000001");
    says(&load_faktory, "-ERR no\r\n", LOAD_SAYS_ERROR, NULL);
    says(&load_faktory, "$17\r\n{\"j-000001\":\"no\"}\r\n", LOAD_SAYS_ERROR, NULL);
}

TEST(load_protocol, understands_beanstalkd)
{
    says(&load_beanstalk, "USING bench\r\n", LOAD_SAYS_DONE, NULL);
    says(&load_beanstalk, "INSERTED 7\r\n", LOAD_SAYS_DONE, NULL);
    says(&load_beanstalk, "RESERVED 7 4\r\n{\r\n}\r\n", LOAD_SAYS_JOB, "7");
    says(&load_beanstalk, "TIMED_OUT\r\n", LOAD_SAYS_NO_JOB, NULL);
    says(&load_beanstalk, "NOT_FOUND\r\n", LOAD_SAYS_ERROR, NULL);
}

TEST(load_protocol, understands_redis)
{
    says(&load_redis, "+PONG\r\n", LOAD_SAYS_DONE, NULL);
    says(&load_redis, ":12\r\n", LOAD_SAYS_DONE, NULL);
    says(&load_redis, "$3\r\nj\r1\r\n", LOAD_SAYS_JOB, "j\r1");
    says(&load_redis, "$-1\r\n", LOAD_SAYS_NO_JOB, NULL);
    says(&load_redis, "-ERR no\r\n", LOAD_SAYS_ERROR, NULL);
}

static void pushes(const struct load_protocol *protocol, int n, const char *expected)
{
    struct buf out;
    buf_init(&out, 4096);
    for (int i = 0; i < n; i++)
        protocol->push(&out, S("q"), S("{}"), i, n);
    STR_EQ(buf_str(&out), expected);
    buf_done(&out);
}

TEST(load_protocol, pushes_one_job_or_many)
{
    pushes(&load_faktory, 1, "PUSH {}\r\n");
    pushes(&load_faktory, 2, "PUSHB [{},{}]\r\n");
    pushes(&load_redis, 2, "*4\r\n$5\r\nLPUSH\r\n$1\r\nq\r\n$2\r\n{}\r\n$2\r\n{}\r\n");
    pushes(&load_beanstalk, 1, "put 1024 0 60 2\r\n{}\r\n");
}
