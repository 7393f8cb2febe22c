#include "test.h"

#include "serve/worker_read.h"

static struct arena *arena;
static struct op op;

static void fresh(void)
{
    if (!arena)
        arena = arena_new(16 << 20);
    arena_reset(arena);
    op_init(&op, arena, 0);
}

#define READS(call)                                                                                                    \
    do {                                                                                                               \
        fresh();                                                                                                       \
        SUCCEEDS(&op, call);                                                                                           \
    } while (0)
#define REFUSED(call, sentence)                                                                                        \
    do {                                                                                                               \
        fresh();                                                                                                       \
        NE(call, OK);                                                                                                  \
        STR_EQ(str_of(op.error), sentence);                                                                            \
    } while (0)

TEST(worker_read, the_verb_ends_at_the_first_blank_and_the_rest_is_the_argument)
{
    struct worker_line line = worker_line_cut(S("PUSH  {\"a\": 1} "));
    STR_EQ(line.verb, "PUSH");
    STR_EQ(line.argument, " {\"a\": 1} ");
    line = worker_line_cut(S("END"));
    STR_EQ(line.verb, "END");
    STR_EQ(line.argument, "");
    line = worker_line_cut(S(""));
    STR_EQ(line.verb, "");
}

TEST(worker_read, takes_a_hello_with_everything_and_one_with_nothing)
{
    struct worker_hello hello;
    READS(worker_read_hello(&op,
                            S("{\"v\":2,\"wid\":\"w1\",\"hostname\":\"h\",\"pid\":7,\"labels\":[\"x\","
                              "\"y\"],\"pwdhash\":\"ab\",\"username\":null,\"more\":{}}"),
                            &hello));
    EQ(hello.version, 2);
    STR_EQ(hello.wid, "w1");
    STR_EQ(hello.hostname, "h");
    EQ(hello.pid, 7);
    STR_EQ(hello.labels, "[\"x\",\"y\"]");
    STR_EQ(hello.password_hash, "ab");

    READS(worker_read_hello(&op, S("{}"), &hello));
    EQ(hello.version, 0);
    EQ(hello.wid.n, 0);
    NO(str_given(hello.labels));
    READS(worker_read_hello(&op, S("{\"wid\":null,\"pid\":null,\"labels\":null,\"v\":null}"), &hello));
    EQ(hello.wid.n, 0);
}

TEST(worker_read, refuses_a_hello_of_wrong_types)
{
    static const char *const bad[] = { "{\"pid\":\"x\"}",  "{\"v\":-1}", "{\"v\":\"2\"}",      "{\"labels\":\"x\"}",
                                       "{\"labels\":[1]}", "[]",         " {\"v\":2}",         "{\"v\":2",
                                       "{\"v\":2} x",      "",           "{\"wid\":[\"w1\"]}", "{\"wid\":\"\xff\"}" };
    struct worker_hello hello;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fresh();
        if (worker_read_hello(&op, str_of(bad[i]), &hello) == OK)
            fprintf(stderr, "taken: %s\n", bad[i]);
        NE(worker_read_hello(&op, str_of(bad[i]), &hello), OK);
    }
}

TEST(worker_read, an_ack_is_an_object_of_texts_with_a_jid)
{
    struct str jid;
    READS(worker_read_ack(&op, S("{\"jid\":\"j-00000001\",\"note\":\"x\"}"), &jid));
    STR_EQ(jid, "j-00000001");
    READS(worker_read_ack(&op, S("{\"jid\":\"\"}"), &jid));
    EQ(jid.n, 0);
    REFUSED(worker_read_ack(&op, S(""), &jid), "invalid ACK ");
    REFUSED(worker_read_ack(&op, S("{}"), &jid), "invalid ACK {}");
    REFUSED(worker_read_ack(&op, S("{\"jid\":7}"), &jid), "invalid ACK {\"jid\":7}");
    REFUSED(worker_read_ack(&op, S("{\"jid\":\"j-00000001\",\"n\":1}"), &jid),
            "invalid ACK {\"jid\":\"j-00000001\",\"n\":1}");
    REFUSED(worker_read_ack(&op, S("[]"), &jid), "invalid ACK []");
    REFUSED(worker_read_ack(&op, S("{\"jid\":\"x\0y\"}"), &jid), "invalid ACK {\"jid\":\"x?y\"}");
    REFUSED(worker_read_ack(&op, S("{\"jid\":\"\xff\"}"), &jid), "invalid ACK {\"jid\":\"?\"}");
}

TEST(worker_read, a_fail_needs_a_jid_and_takes_a_hundred_lines_of_backtrace)
{
    struct worker_fail failure;
    READS(worker_read_fail(&op,
                           S("{\"jid\":\"j-00000001\",\"errtype\":\"E\",\"message\":\"m\",\"backtrace\":"
                             "[\"a\",\"b\"]}"),
                           &failure));
    STR_EQ(failure.errtype, "E");
    STR_EQ(failure.message, "m");
    EQ(failure.backtrace_lines, 2);
    STR_EQ(failure.backtrace[1], "b");
    READS(worker_read_fail(&op, S("{\"jid\":\"j-00000001\",\"backtrace\":null}"), &failure));
    NO(str_given(failure.errtype));
    EQ(failure.backtrace_lines, 0);
    REFUSED(worker_read_fail(&op, S("{}"), &failure), "missing JID");
    REFUSED(worker_read_fail(&op, S("{\"jid\":\"\"}"), &failure), "missing JID");
    REFUSED(worker_read_fail(&op, S("{\"jid\":\"j\",\"message\":1}"), &failure),
            "invalid FAIL {\"jid\":\"j\",\"message\":1}");
    REFUSED(worker_read_fail(&op, S("\"x\""), &failure), "invalid FAIL \"x\"");

    char lines[1024] = "{\"jid\":\"j-00000001\",\"backtrace\":[\"\"";
    for (int i = 1; i < 150; i++)
        strcat(lines, ",\"l\"");
    strcat(lines, "]}");
    READS(worker_read_fail(&op, str_of(lines), &failure));
    EQ(failure.backtrace_lines, WORKER_BACKTRACE_MAX);
}

TEST(worker_read, a_beat_needs_a_wid)
{
    struct worker_beat beat;
    READS(worker_read_beat(&op, S("{\"wid\":\"w1\",\"current_state\":\"quiet\",\"rss_kb\":5}"), &beat));
    STR_EQ(beat.wid, "w1");
    STR_EQ(beat.state, "quiet");
    EQ(beat.rss_kb, 5);
    REFUSED(worker_read_beat(&op, S("{}"), &beat), "invalid BEAT {}");
    REFUSED(worker_read_beat(&op, S("{\"wid\":1}"), &beat), "invalid BEAT {\"wid\":1}");
    REFUSED(worker_read_beat(&op, S(""), &beat), "invalid BEAT ");
}

TEST(worker_read, a_fetch_names_queues_in_order_and_repeated)
{
    struct worker_queues queues;
    READS(worker_read_fetch(&op, S("a b  a "), &queues));
    EQ(queues.count, 3);
    STR_EQ(queues.names[1], "b");
    STR_EQ(queues.names[2], "a");
    READS(worker_read_fetch(&op, S("  "), &queues));
    EQ(queues.count, 0);
    REFUSED(worker_read_fetch(&op, S(""), &queues), "must call fetch with at least one queue");

    char many[2048] = "";
    for (int i = 0; i <= WORKER_QUEUES_MAX; i++)
        strcat(many, "q ");
    REFUSED(worker_read_fetch(&op, str_of(many), &queues), "a command may name at most 256 queues");
}

TEST(worker_read, a_fetch_takes_memory_for_the_queues_it_names_only)
{
    struct worker_queues queues;
    READS(worker_read_fetch(&op, S("critical default"), &queues));
    EQ(queues.count, 2);
    YES(arena_used(op.arena) <= 64);
}

TEST(worker_read, queue_commands_have_their_word_in_any_case)
{
    struct worker_queue queue;
    READS(worker_read_queue(&op, S("pause a b"), &queue));
    EQ(queue.verb, QUEUE_PAUSE);
    EQ(queue.queues.count, 2);
    NO(queue.all);
    READS(worker_read_queue(&op, S("RESUME *"), &queue));
    YES(queue.all);
    READS(worker_read_queue(&op, S("Latency a"), &queue));
    EQ(queue.verb, QUEUE_LATENCY);
    REFUSED(worker_read_queue(&op, S("LATENCY *"), &queue), "QUEUE LATENCY does not support wildcards");
    REFUSED(worker_read_queue(&op, S("PAUSE"), &queue), "QUEUE PAUSE needs a queue name");
    REFUSED(worker_read_queue(&op, S("remove "), &queue), "QUEUE REMOVE needs a queue name");
    REFUSED(worker_read_queue(&op, S("paint a"), &queue), "no such QUEUE subcommand: PAINT");
    REFUSED(worker_read_queue(&op, S(""), &queue), "no such QUEUE subcommand: ");
}

TEST(worker_read, a_mutation_names_its_verb_and_its_set)
{
    struct worker_mutate mutate;
    READS(worker_read_mutate(&op,
                             S("{\"cmd\":\"requeue\", \"target\":\"retries\",\"filter\":{\"jids\":[\"a\","
                               "\"b\"],\"jobtype\":\"t\"}}"),
                             &mutate));
    EQ(mutate.verb, MUTATE_REQUEUE);
    EQ(mutate.target, SET_RETRIES);
    YES(mutate.by_jids);
    EQ(mutate.jid_count, 2);
    READS(worker_read_mutate(&op, S("{\"cmd\":\"kill\",\"target\":\"dead\",\"filter\":{\"jids\":\"a\"}}"), &mutate));
    EQ(mutate.jid_count, 1);
    STR_EQ(mutate.jids[0], "a");
    READS(worker_read_mutate(&op, S("{\"cmd\":\"clear\",\"target\":\"scheduled\",\"filter\":null}"), &mutate));
    NO(mutate.by_jids);
    REFUSED(worker_read_mutate(&op, S("{\"cmd\":\"melt\",\"target\":\"dead\"}"), &mutate), "unknown mutate operation");
    REFUSED(worker_read_mutate(&op, S("{\"cmd\":\"kill\",\"target\":\"x\"}"), &mutate),
            "invalid target for mutation command");
    REFUSED(worker_read_mutate(&op, S(""), &mutate), "invalid format");
    REFUSED(worker_read_mutate(&op, S("kill all"), &mutate), "invalid format");
    REFUSED(worker_read_mutate(&op, S("[]"), &mutate), "invalid format");
    REFUSED(worker_read_mutate(&op, S("{\"cmd\":\"kill\",\"target\":\"dead\",\"filter\":[]}"), &mutate),
            "invalid format");
}

TEST(worker_read, tracking_is_asked_by_jid_and_set_by_an_object)
{
    struct worker_track track;
    READS(worker_read_track(&op, S("GET j-00000001"), &track));
    NO(track.set);
    STR_EQ(track.jid, "j-00000001");
    READS(worker_read_track(&op,
                            S("SET {\"jid\":\"j-00000001\",\"percent\":40,\"desc\":null,\"reserve_until\":"
                              "\"2026-11-22T00:00:00Z\"}"),
                            &track));
    YES(track.set);
    EQ(track.percent, 40);
    NO(str_given(track.desc));
    EQ(track.until_us, INT64_C(1795305600000000));
    READS(worker_read_track(&op, S("SET {\"jid\":\"j-00000001\"}"), &track));
    EQ(track.percent, -1);
    REFUSED(worker_read_track(&op, S("SET {\"percent\":4}"), &track), "invalid TRACK SET {\"percent\":4}");
    REFUSED(worker_read_track(&op, S("SET"), &track), "invalid TRACK SET ");
    REFUSED(worker_read_track(&op, S("GET "), &track), "TRACK GET needs a jid");
    REFUSED(worker_read_track(&op, S(""), &track), "no such TRACK subcommand: ");
}

TEST(worker_read, batches_are_made_by_an_object_and_named_by_their_id)
{
    struct worker_batch batch;
    READS(worker_read_batch(&op, S("NEW {\"success\":{}}"), &batch));
    EQ(batch.verb, BATCH_NEW);
    STR_EQ(batch.json, "{\"success\":{}}");
    READS(worker_read_batch(&op, S("COMMIT b-1 "), &batch));
    STR_EQ(batch.bid, "b-1");
    REFUSED(worker_read_batch(&op, S("OPEN"), &batch), "BATCH OPEN needs an argument");
    REFUSED(worker_read_batch(&op, S("BURN b-1"), &batch), "no such BATCH subcommand: BURN");
}

TEST(worker_read, what_is_quoted_is_cut_and_cannot_end_a_line)
{
    char text[2000] = "a\r\nb";
    memset(text + 4, 'x', 1990);
    fresh();
    struct str quote = worker_quote(&op, str_of(text));
    EQ(quote.n, WORKER_QUOTE_BYTES_MAX);
    EQ(memcmp(quote.p, "a??bx", 5), 0);
}
