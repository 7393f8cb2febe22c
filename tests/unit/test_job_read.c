#include "engine/job_read.h"

#include "test.h"

struct reading {
    struct arena *arena;
    struct op op;
    struct job_reader reader;
    struct job_spec spec;
};

static void begin(struct reading *r, enum job_door door)
{
    memset(r, 0, sizeof *r);
    r->arena = arena_new(8 << 20);
    op_init(&r->op, r->arena, 1700000000000000);
    r->reader = (struct job_reader){ door, { 1, 2 }, JOB_BYTES_DEFAULT, false };
}

static enum err reads(struct reading *r, const char *text)
{
    return job_read(&r->op, &r->reader, str_of(text), &r->spec);
}

static void refuses(enum job_door door, const char *text, enum err err, const char *sentence, const char *pointer)
{
    struct reading r;
    begin(&r, door);
    EQ(reads(&r, text), err);
    STR_EQ(str_of(r.op.error), sentence);
    STR_EQ(str_of(r.op.pointer), pointer);
    arena_free(r.arena);
}

static struct str written(struct reading *r)
{
    struct buf buf;
    struct job_out out = { .jid = r->spec.jid,
                           .queue = r->spec.queue,
                           .jobtype = r->spec.jobtype,
                           .body = r->spec.body,
                           .has = r->spec.has,
                           .created_us = r->op.now_us,
                           .enqueued_us = r->op.now_us };
    buf_init_arena(&buf, r->arena, 1 << 16);
    job_write(&buf, &out, S(""));
    return buf_str(&buf);
}

/* JOB-2. */
TEST(job_read, gives_back_args_custom_and_unknown_members_byte_for_byte)
{
    struct reading r;
    begin(&r, JOB_WORKER);
    SUCCEEDS(&r.op,
             reads(&r, "{\"jid\":\"job-0001\",\"jobtype\":\"t\",\"args\":[12345678901234567890, 1.0,\"\\u003c\"],"
                       " \"custom\" : {\"a\": 1e0},\"mine\":[ ],\"retry\":3,\"created_at\":\"x\","
                       "\"failure\":{\"a\":1},\"enqueued_at\":\"y\"}"));
    STR_EQ(r.spec.body, "\"args\":[12345678901234567890, 1.0,\"\\u003c\"],\"custom\" : {\"a\": 1e0},\"mine\":[ ],"
                        "\"retry\":3,\"created_at\":\"x\"");
    STR_EQ(written(&r),
           "{\"jid\":\"job-0001\",\"queue\":\"default\",\"jobtype\":\"t\",\"args\":[12345678901234567890, 1.0,"
           "\"\\u003c\"],\"custom\" : {\"a\": 1e0},\"mine\":[ ],\"retry\":3,\"created_at\":\"x\","
           "\"enqueued_at\":\"2023-11-14T22:13:20.000000Z\"}");
    arena_free(r.arena);
}

TEST(job_read, writes_what_every_worker_needs_on_one_line)
{
    struct reading r;
    begin(&r, JOB_WORKER);
    SUCCEEDS(&r.op, reads(&r, "{\n\"jid\":\"job-0001\",\"queue\":\"q\",\n\"jobtype\":\"t\",\"args\":[\n1]}"));
    STR_EQ(written(&r),
           "{\"jid\":\"job-0001\",\"queue\":\"q\",\"jobtype\":\"t\",\"args\":[ 1],\"retry\":25,"
           "\"created_at\":\"2023-11-14T22:13:20.000000Z\",\"enqueued_at\":\"2023-11-14T22:13:20.000000Z\"}");
    arena_free(r.arena);
}

TEST(job_read, reads_our_words_from_custom_on_the_worker_door_and_from_the_job_over_http)
{
    struct reading r;
    begin(&r, JOB_WORKER);
    SUCCEEDS(&r.op, reads(&r, "{\"jid\":\"job-0001\",\"jobtype\":\"t\",\"args\":[],\"key\":\"a\",\"priority\":5,"
                              "\"custom\":{\"posthouse\":{\"mutex\":\"m\",\"timeout\":\"90s\"},\"expires_in\":10,"
                              "\"track\":1,\"bid\":\"b-1\",\"unique_for\":60,\"unique_until\":\"start\"}}"));
    EQ(r.spec.key, 0);
    NE(r.spec.mutex, 0);
    EQ(r.spec.timeout_us, 90000000);
    EQ(r.spec.expires_at_us, 1700000010000000);
    EQ(r.spec.priority, 5);
    YES(r.spec.track);
    STR_EQ(r.spec.batch, "b-1");
    EQ(r.spec.unique.for_us, 60000000);
    EQ(r.spec.unique.until, UNIQUE_START);
    uint64_t mutex = r.spec.mutex;
    arena_free(r.arena);
    begin(&r, JOB_HTTP);
    SUCCEEDS(&r.op, reads(&r, "{\"jobtype\":\"t\",\"args\":[],\"key\":\"a\",\"mutex\":\"m\",\"batch\":\"b-2\"}"));
    NE(r.spec.key, 0);
    EQ(r.spec.mutex, mutex);
    STR_EQ(r.spec.batch, "b-2");
    NO(str_given(r.spec.jid));
    arena_free(r.arena);
}

TEST(job_read, refuses_with_the_sentences_of_the_worker_protocol)
{
    refuses(JOB_WORKER, "{\"jobtype\":\"t\",\"args\":[]}", ERR_INVALID, "jobs must have a reasonable jid parameter",
            "/jid");
    refuses(JOB_WORKER, "{\"jid\":\"job-001\",\"jobtype\":\"t\",\"args\":[]}", ERR_INVALID,
            "jobs must have a reasonable jid parameter", "/jid");
    refuses(JOB_WORKER, "{\"jid\":\"job-0001\",\"args\":[]}", ERR_INVALID, "jobs must have a jobtype parameter",
            "/jobtype");
    refuses(JOB_WORKER, "{\"jid\":\"job-0001\",\"jobtype\":\"t\",\"args\":null}", ERR_INVALID,
            "jobs must have an args parameter", "/args");
    refuses(JOB_WORKER, "{\"jid\":\"job-0001\",\"jobtype\":\"t\",\"args\":[],\"reserve_for\":86401}", ERR_INVALID,
            "jobs cannot be reserved for more than one day", "/reserve_for");
    refuses(JOB_WORKER, "{\"jid\":\"job-0001\",\"jobtype\":\"t\",\"args\":[],\"at\":\"soon\"}", ERR_INVALID,
            "invalid timestamp for 'at': \"soon\"", "/at");
    refuses(JOB_WORKER, "{\"jid\":\"job-0001\",\"jobtype\":\"t\",\"args\":[],\"queue\":\"a b\"}", ERR_INVALID,
            "cannot get \"a b\" queue: queue names must match [A-Za-z0-9._-]+", "/queue");
}

TEST(job_read, calls_wrong_types_invalid_json_on_the_worker_door)
{
    struct reading r;
    begin(&r, JOB_WORKER);
    EQ(reads(&r, "{\"jid\":7}"), ERR_MALFORMED);
    YES(str_starts(str_of(r.op.error), S("invalid JSON: ")));
    EQ(reads(&r, "[]"), ERR_MALFORMED);
    YES(str_starts(str_of(r.op.error), S("invalid JSON: ")));
    EQ(reads(&r, "{\"jid\":\"job-0001\",\"jobtype\":\"t\",\"args\":[]} x"), ERR_MALFORMED);
    YES(str_starts(str_of(r.op.error), S("invalid JSON: ")));
    EQ(reads(&r, "{\"jid\":\"job-0001\",\"jobtype\":\"t\",\"args\":{}}"), ERR_MALFORMED);
    arena_free(r.arena);
}

/* JOB-4, JOB-5. */
TEST(job_read, keeps_our_own_types_and_large_jobs_out)
{
    struct reading r;
    refuses(JOB_HTTP, "{\"jobtype\":\"t\",\"args\":[],\"queue\":\"posthouse.background\"}", ERR_INVALID,
            "queues that begin with posthouse. are Posthouse's own", "/queue");
    refuses(JOB_HTTP, "{\"jobtype\":\"posthouse.bulk\",\"args\":[]}", ERR_INVALID,
            "jobtypes beginning with posthouse. are Posthouse's own", "/jobtype");
    begin(&r, JOB_HTTP);
    r.reader.bytes_max = 20;
    EQ(reads(&r, "{\"jobtype\":\"t\",\"args\":[1,2,3,4,5,6,7,8,9,10]}"), ERR_TOO_LARGE);
    YES(str_starts(str_of(r.op.error), S("job too big: ")));
    arena_free(r.arena);
}

TEST(job_read, clamps_the_reservation)
{
    struct reading r;
    begin(&r, JOB_WORKER);
    SUCCEEDS(&r.op, reads(&r, "{\"jid\":\"job-0001\",\"jobtype\":\"t\",\"args\":[],\"reserve_for\":5}"));
    EQ(r.spec.lease_us, 60000000);
    SUCCEEDS(&r.op, reads(&r, "{\"jid\":\"job-0001\",\"jobtype\":\"t\",\"args\":[],\"reserve_for\":-1}"));
    EQ(r.spec.lease_us, 60000000);
    SUCCEEDS(&r.op, reads(&r, "{\"jid\":\"job-0001\",\"jobtype\":\"t\",\"args\":[],\"reserve_for\":0}"));
    EQ(r.spec.lease_us, 0);
    arena_free(r.arena);
}

/* UNI-1. */
TEST(job_read, makes_the_unique_key_of_the_canonical_args)
{
    struct reading r;
    char hex[33];
    begin(&r, JOB_HTTP);
    SUCCEEDS(&r.op, reads(&r, "{\"jobtype\":\"mail\",\"queue\":\"q\",\"args\":[1.0, {\"b\":\"x\",\"a\":null}],"
                              "\"unique\":{\"for\":\"10m\"}}"));
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", r.spec.unique.key[i]);
    STR_EQ(str_of(hex), "6cc9718cadcb62d3329c39e59d3722dd");
    EQ(r.spec.unique.for_us, 600000000);
    arena_free(r.arena);
}

static struct str canonical(struct reading *r, const char *text)
{
    struct buf buf;
    buf_init_arena(&buf, r->arena, 1 << 16);
    SUCCEEDS(&r->op, job_canonical(&r->op, str_of(text), &buf));
    return buf_str(&buf);
}

TEST(job_read, writes_equal_values_as_one_canonical_text)
{
    struct reading r;
    begin(&r, JOB_HTTP);
    STR_EQ(canonical(&r, "[1, 1.0, 1e0, 10e-1, 0.1e1]"), "[1,1,1,1,1]");
    STR_EQ(canonical(&r, "[12345678901234567890, -0, 0.50, 1e3, 1.5e-3]"), "[12345678901234567890,0,0.5,1000,0.0015]");
    STR_EQ(canonical(&r, "{\"b\":1,\"a\":{\"d\":[],\"c\":\"\\u0041\\/\"},\"b\":2}"),
           "{\"a\":{\"c\":\"A/\",\"d\":[]},\"b\":2}");
    STR_EQ(canonical(&r, "[1e300, 1E+300]"), "[1e300,1e300]");
    arena_free(r.arena);
}

TEST(job_read, refuses_a_unique_without_its_time)
{
    refuses(JOB_HTTP, "{\"jobtype\":\"t\",\"args\":[],\"unique\":{}}", ERR_INVALID,
            "unique needs \"for\", from 1s to 30d", "/unique/for");
}
