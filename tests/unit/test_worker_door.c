#include "door_lab.h"

static struct door_lab lab;

/* Asks until the answer begins like this; others take their time. */
static void ask_until(int fd, const char *command, const char *beginning)
{
    char answer[4096];
    size_t n;
    do {
        lab_say(fd, str_of(command));
        lab_say(fd, S("\r\n"));
        for (n = 0; n < 2 || memcmp(answer + n - 2, "\r\n", 2) != 0; n++)
            assert_int_equal(recv(fd, answer + n, 1, 0), 1);
    } while (n < strlen(beginning) || memcmp(answer, beginning, strlen(beginning)) != 0);
}

static void push(int fd, const char *jid)
{
    char command[256];
    snprintf(command, sizeof command, "PUSH {\"jid\":\"%s\",\"jobtype\":\"t\",\"args\":[],\"queue\":\"q\"}", jid);
    door_ask(fd, command, "+OK");
}

/* The next answer is a job with this jid. */
static void hear_job(int fd, const char *jid)
{
    char answer[4096], expected[64];
    size_t n = 0;
    int lines = 0;
    snprintf(expected, sizeof expected, "\"jid\":\"%s\"", jid);
    while (lines < 2) {
        assert_int_equal(recv(fd, answer + n, 1, 0), 1);
        lines += answer[n++] == '\n';
    }
    struct str text = { answer, n };
    if (str_search(text, str_of(expected)) == n)
        STR_EQ(text, expected);
}

TEST(worker_door, answers_the_commands_of_one_write_in_their_order)
{
    door_open(&lab, (struct worker_door_config){ 0 });
    int fd = door_enter(&lab, "w1");
    lab_say(fd, S("nonsense\r\nPUSH {\"jid\":\"j-00000001\",\"jobtype\":\"t\",\"args\":[],\"queue\":\"q\"}\r\nACK 1\r\n"
                  "FETCH q\r\nACK {\"jid\":\"j-00000001\"}\r\nFAIL {\"jid\":\"j-00000001\"}\r\nEND\r\nPUSH\r\n"));
    lab_hear(fd, S("-ERR unknown command nonsense\r\n+OK\r\n-ERR invalid ACK 1\r\n"));
    hear_job(fd, "j-00000001");
    lab_hear(fd, S("+OK\r\n-ERR Job not found j-00000001\r\n"));
    lab_hear_end(fd);
    door_close(&lab);
}

TEST(worker_door, a_fetch_holds_the_commands_behind_it_and_nobody_else)
{
    door_open(&lab, (struct worker_door_config){ 0 });
    int waits = door_enter(&lab, "w1"), other = door_enter(&lab, NULL);
    lab_say(waits, S("FETCH q\r\nnonsense\r\n"));
    for (int i = 0; i < 100; i++)
        door_ask(other, "ACK {\"jid\":\"never-was\"}", "+OK");
    push(other, "j-00000001");
    hear_job(waits, "j-00000001");
    lab_hear(waits, S("-ERR unknown command nonsense\r\n"));
    close(waits);
    close(other);
    door_close(&lab);
}

TEST(worker_door, a_job_whose_client_is_gone_is_given_to_the_next_one)
{
    door_open(&lab, (struct worker_door_config){ 0 });
    int producer = door_enter(&lab, NULL);
    for (int i = 0; i < 50; i++) {
        char jid[32], ack[64];
        snprintf(jid, sizeof jid, "j-%08d", i);
        snprintf(ack, sizeof ack, "ACK {\"jid\":\"%s\"}", jid);
        int gone = door_enter(&lab, "w1");
        lab_say(gone, S("FETCH q\r\n"));
        struct linger at_once = { 1, 0 };
        setsockopt(gone, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        close(gone);
        push(producer, jid); /* leased, perhaps, to who is known to be gone only when it comes home */
        int next = door_enter(&lab, "w1");
        lab_say(next, S("FETCH q\r\n"));
        hear_job(next, jid);
        door_ask(next, ack, "+OK");
        close(next);
    }
    close(producer);
    door_close(&lab);
}

TEST(worker_door, a_client_that_shut_its_side_gets_no_job)
{
    door_open(&lab, (struct worker_door_config){ 0 });
    int fd = door_enter(&lab, "w1"), producer = door_enter(&lab, NULL);
    push(producer, "j-00000001");
    int shut = door_enter(&lab, "w1");
    lab_say(fd, S("FETCH q\r\n"));
    hear_job(fd, "j-00000001");
    lab_say(shut, S("FETCH q\r\n"));
    shutdown(shut, SHUT_WR);
    lab_hear(shut, S("$-1\r\n"));
    lab_hear_end(shut);
    close(fd);
    close(producer);
    door_close(&lab);
}

TEST(worker_door, a_worker_is_known_as_long_as_it_has_a_connection)
{
    door_open(&lab, (struct worker_door_config){ 0 });
    int one = door_enter(&lab, "w1"), two = door_enter(&lab, "w1"), other = door_enter(&lab, NULL);
    door_ask(other, "BEAT {\"wid\":\"w1\"}", "+OK");
    close(one);
    door_ask(two, "BEAT {\"wid\":\"w1\"}", "+OK");
    close(two);
    ask_until(other, "BEAT {\"wid\":\"w1\"}", "-ERR unknown worker w1");
    close(other);
    door_close(&lab);
}

TEST(worker_door, closes_a_connection_above_the_maximum_with_a_word)
{
    door_open(&lab, (struct worker_door_config){ .connections_max = 1 });
    int fd = door_enter(&lab, NULL), above = door_dial(&lab);
    lab_say(above, S("HELLO {}\r\n"));
    lab_hear(above, S("+OK\r\n-ERR too many connections: 1\r\n"));
    lab_hear_end(above);
    door_ask(fd, "ACK {\"jid\":\"\"}", "+OK");
    close(fd);
    door_close(&lab);
}

TEST(worker_door, the_last_word_about_a_command_too_long_comes_behind_the_answers_before_it)
{
    door_open(&lab, (struct worker_door_config){ .command_bytes_max = 1000 });
    int fd = door_enter(&lab, NULL);
    char line[4000];
    memset(line, 'x', sizeof line);
    lab_say(fd, S("PUSH {\"jid\":\"j-00000001\",\"jobtype\":\"t\",\"args\":[],\"queue\":\"q\"}\r\n"));
    lab_say(fd, (struct str){ line, sizeof line });
    lab_say(fd, S("\r\nPUSH\r\n"));
    lab_hear(fd, S("+OK\r\n-ERR command too long\r\n"));
    lab_hear_end(fd);
    door_close(&lab);
}

TEST(worker_door, tells_a_wrong_password_and_ends)
{
    door_open(&lab, (struct worker_door_config){ .password = S("posthouse") });
    int fd = dial(worker_door_addr(lab.door));
    lab_hear(fd, S("+HI {\"v\":2,\"i\":"));
    lab_say(fd, S("HELLO {\"v\":2,\"pwdhash\":\"00\"}\r\nPUSH\r\n"));
    char byte;
    while (recv(fd, &byte, 1, 0) == 1 && byte != '\n')
        continue; /* the rest of the greeting */
    lab_hear(fd, S("-ERR Invalid password\r\n"));
    lab_hear_end(fd);
    door_close(&lab);
}

TEST(worker_door, stopping_it_hears_acks_and_beats_only)
{
    door_open(&lab, (struct worker_door_config){ 0 });
    int fd = door_enter(&lab, "w1");
    worker_door_stop(lab.door);
    door_ask(fd, "PUSH {}", "-ERR shutdown in progress");
    door_ask(fd, "FETCH q", "-ERR shutdown in progress");
    door_ask(fd, "QUEUE PAUSE q", "-ERR shutdown in progress");
    door_ask(fd, "ACK {\"jid\":\"never-was\"}", "+OK");
    door_ask(fd, "BEAT {\"wid\":\"w1\"}", "$17\r\n{\"state\":\"quiet\"}");
    door_close(&lab);
    lab_hear_end(fd);
}
