#include "line_lab.h"

/* A server that says back what it hears; "hold" pauses, "end" finishes, "cut" closes, "big" answers much. */

#define BIG_BYTES (8 * 1024 * 1024)

static _Atomic(struct line_conn *) held_conn;
static _Atomic int opened_count, closed_count, ended_count, line_count_seen;
static _Atomic uint64_t sent_bytes;
static int64_t deadline_ms; /* for the first line; 0 = none */

static void on_opened(struct line_conn *conn)
{
    line_conn_deadline(conn, deadline_ms);
    atomic_fetch_add(&opened_count, 1);
    line_conn_add(conn, S("+HI\r\n"));
}

static void on_line(struct line_conn *conn, struct str line)
{
    atomic_fetch_add(&line_count_seen, 1);
    if (str_eq(line, S("hold"))) {
        line_conn_pause(conn);
        atomic_store(&held_conn, conn);
        return;
    }
    if (str_eq(line, S("end"))) {
        line_conn_add(conn, S("bye\r\n"));
        line_conn_finish(conn);
        return;
    }
    if (str_eq(line, S("cut"))) {
        line_conn_close(conn);
        return;
    }
    if (str_eq(line, S("big"))) {
        char *bytes = malloc(BIG_BYTES);
        memset(bytes, 'b', BIG_BYTES);
        line_conn_add(conn, (struct str){ bytes, BIG_BYTES });
        free(bytes);
        return;
    }
    line_conn_add(conn, S("["));
    line_conn_add(conn, line);
    line_conn_add(conn, S("]\r\n"));
}

static void on_too_long(struct line_conn *conn)
{
    line_conn_add(conn, S("-too long\r\n"));
    line_conn_finish(conn);
}

static void on_sent(struct line_conn *conn, uint64_t bytes)
{
    (void)conn;
    atomic_store(&sent_bytes, bytes);
}

static void on_ended(struct line_conn *conn)
{
    (void)conn;
    atomic_fetch_add(&ended_count, 1);
}

static void on_closed(struct line_conn *conn)
{
    (void)conn;
    atomic_fetch_add(&closed_count, 1);
}

static void release(void *data)
{
    (void)data;
    struct line_conn *conn = atomic_exchange(&held_conn, NULL);
    line_conn_add(conn, S("held\r\n"));
    line_conn_resume(conn);
}

static void echo_open(struct line_lab *lab, struct line_server_config config)
{
    atomic_store(&held_conn, NULL);
    atomic_store(&opened_count, 0);
    atomic_store(&closed_count, 0);
    atomic_store(&ended_count, 0);
    atomic_store(&line_count_seen, 0);
    atomic_store(&sent_bytes, 0);
    config.opened = on_opened;
    config.line = on_line;
    config.too_long = on_too_long;
    config.sent = on_sent;
    config.ended = on_ended;
    config.closed = on_closed;
    line_lab_open(lab, config);
}

static int echo_dial(const struct line_lab *lab)
{
    int fd = dial(line_server_addr(lab->server));
    lab_hear(fd, S("+HI\r\n"));
    return fd;
}

static void wait_for(const _Atomic int *count, int wanted)
{
    while (atomic_load(count) != wanted)
        usleep(200);
}

static struct str repeated(struct line_lab *lab, const char *text, size_t times)
{
    size_t n = strlen(text);
    char *bytes = arena_alloc_raw(lab->arena, n * times);
    assert_non_null(bytes);
    for (size_t i = 0; i < times; i++)
        memcpy(bytes + i * n, text, n);
    return (struct str){ bytes, n * times };
}

TEST(line_server, gives_lines_with_either_end_and_without_it)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ 0 });
    int fd = echo_dial(&lab);
    lab_say(fd, S("one\r\ntwo\n\r\n\r\r\nthr"));
    lab_hear(fd, S("[one]\r\n[two]\r\n[]\r\n[\r]\r\n"));
    lab_say(fd, S("ee\r\n"));
    lab_hear(fd, S("[three]\r\n"));
    close(fd);
    wait_for(&closed_count, 1);
    EQ(line_server_counts(lab.server).lines, 5);
    line_lab_close(&lab);
}

TEST(line_server, gives_bytes_as_they_are)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ 0 });
    int fd = echo_dial(&lab);
    lab_say(fd, S("a\0b\xff\r\n"));
    lab_hear(fd, S("[a\0b\xff]\r\n"));
    close(fd);
    line_lab_close(&lab);
}

TEST(line_server, answers_ten_thousand_lines_of_one_write_in_order)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ .out_bytes_high = 4096 });
    int fd = echo_dial(&lab);
    YES(lab_say(fd, repeated(&lab, "0123456789\r\n", 10000)));
    lab_hear(fd, repeated(&lab, "[0123456789]\r\n", 10000));
    close(fd);
    line_lab_close(&lab);
}

TEST(line_server, gives_no_line_of_a_paused_connection_and_sees_its_end)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ 0 });
    int fd = echo_dial(&lab);
    lab_say(fd, S("hold\r\nbehind\r\n"));
    shutdown(fd, SHUT_WR);
    wait_for(&ended_count, 1);
    EQ(atomic_load(&line_count_seen), 1);
    loop_call(lab.loop, release, NULL);
    lab_hear(fd, S("held\r\n[behind]\r\n"));
    lab_hear_end(fd);
    wait_for(&closed_count, 1);
    line_lab_close(&lab);
}

TEST(line_server, refuses_a_line_over_the_maximum_whether_it_ends_or_not)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ .line_bytes_max = 1000, .linger_ms = 60000 });
    int fd = echo_dial(&lab);
    struct str fits = repeated(&lab, "x", 1000), over = repeated(&lab, "x", 1001);
    lab_say(fd, fits);
    lab_say(fd, S("\r\n"));
    lab_hear(fd, S("["));
    lab_hear(fd, fits);
    lab_hear(fd, S("]\r\n"));
    lab_say(fd, over);
    lab_say(fd, S("\r\nnot heard\r\n"));
    lab_hear(fd, S("-too long\r\n"));
    lab_hear_end(fd);

    fd = echo_dial(&lab);
    lab_say(fd, repeated(&lab, "y", 300000));
    lab_hear(fd, S("-too long\r\n"));
    lab_hear_end(fd);
    wait_for(&closed_count, 2);
    line_lab_close(&lab);
}

TEST(line_server, takes_lines_of_sixteen_mebibytes)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ 0 });
    int fd = echo_dial(&lab);
    struct str line = repeated(&lab, "z", 16 * 1024 * 1024);
    lab_say(fd, line);
    lab_say(fd, S("\r\n"));
    lab_hear(fd, S("["));
    lab_hear(fd, line);
    lab_hear(fd, S("]\r\n"));
    close(fd);
    line_lab_close(&lab);
}

TEST(line_server, all_unfinished_lines_together_have_a_maximum)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ .held_bytes_max = 500000, .linger_ms = 60000 });
    int first = echo_dial(&lab), second = echo_dial(&lab);
    lab_say(first, repeated(&lab, "x", 400000));
    lab_say(second, repeated(&lab, "y", 400000));
    char byte;
    /* One of them is told so; which one is left to the network. */
    while (recv(first, &byte, 1, MSG_DONTWAIT) != 1 && recv(second, &byte, 1, MSG_DONTWAIT) != 1)
        usleep(200);
    EQ(byte, '-');
    close(first);
    close(second);
    wait_for(&closed_count, 2);

    int fd = echo_dial(&lab); /* and what they held is free again */
    struct str line = repeated(&lab, "z", 450000);
    lab_say(fd, line);
    lab_say(fd, S("\r\n"));
    lab_hear(fd, S("["));
    lab_hear(fd, line);
    close(fd);
    line_lab_close(&lab);
}

TEST(line_server, drops_a_line_that_begins_and_stands_still)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ .line_ms = 20 });
    int fd = echo_dial(&lab);
    lab_say(fd, S("half a li"));
    lab_hear_end(fd);
    EQ(line_server_counts(lab.server).dropped, 1);
    line_lab_close(&lab);
}

TEST(line_server, drops_who_does_not_greet_in_time_and_nobody_who_did)
{
    struct line_lab lab;
    deadline_ms = 50;
    echo_open(&lab, (struct line_server_config){ 0 });
    int silent = dial(line_server_addr(lab.server)), greets = echo_dial(&lab);
    lab_say(greets, S("hello\r\n"));
    lab_hear(silent, S("+HI\r\n"));
    lab_hear_end(silent);
    deadline_ms = 0;
    EQ(line_server_counts(lab.server).dropped, 1);
    lab_say(greets, S("again\r\n"));
    lab_hear(greets, S("[hello]\r\n[again]\r\n"));
    close(greets);
    line_lab_close(&lab);
}

TEST(line_server, drops_who_does_not_take_his_answers_and_gives_him_no_line_meanwhile)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ .write_ms = 50 });
    int fd = echo_dial(&lab);
    lab_say(fd, S("big\r\nbehind\r\n"));
    wait_for(&closed_count, 1);
    EQ(atomic_load(&line_count_seen), 1);
    EQ(line_server_counts(lab.server).dropped, 1);
    close(fd);
    line_lab_close(&lab);
}

TEST(line_server, a_slow_reader_gets_everything_and_the_lines_behind)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ 0 });
    int fd = echo_dial(&lab);
    lab_say(fd, S("big\r\nbehind\r\n"));
    wait_for(&line_count_seen, 1);
    lab_hear(fd, repeated(&lab, "b", BIG_BYTES));
    lab_hear(fd, S("[behind]\r\n"));
    while (atomic_load(&sent_bytes) != 5 + BIG_BYTES + 10)
        usleep(200);
    close(fd);
    line_lab_close(&lab);
}

TEST(line_server, a_finished_connection_hears_its_answer_though_more_was_sent)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ .linger_ms = 60000 });
    int fd = echo_dial(&lab);
    lab_say(fd, S("end\r\n"));
    lab_say(fd, repeated(&lab, "more\r\n", 50000));
    lab_hear(fd, S("bye\r\n"));
    lab_hear_end(fd);
    wait_for(&closed_count, 1);
    EQ(atomic_load(&line_count_seen), 1);
    line_lab_close(&lab);
}

TEST(line_server, closes_at_once_in_the_middle_of_a_pipeline)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ 0 });
    int fd = echo_dial(&lab);
    lab_say(fd, S("cut\r\nbehind\r\n"));
    wait_for(&closed_count, 1);
    EQ(atomic_load(&line_count_seen), 1);
    close(fd);
    line_lab_close(&lab);
}

TEST(line_server, turns_away_connections_above_the_maximum)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ .connections_max = 1 });
    int fd = echo_dial(&lab);
    lab_hear_end(dial(line_server_addr(lab.server)));
    EQ(line_server_counts(lab.server).refused, 1);
    close(fd);
    wait_for(&closed_count, 1);
    close(echo_dial(&lab));
    line_lab_close(&lab);
}

TEST(line_server, stopped_it_accepts_nobody_and_serves_those_it_has)
{
    struct line_lab lab;
    echo_open(&lab, (struct line_server_config){ 0 });
    int fd = echo_dial(&lab);
    struct addr addr = line_server_addr(lab.server);
    line_server_stop(lab.server);
    lab_say(fd, S("still here\r\n"));
    lab_hear(fd, S("[still here]\r\n"));
    struct sockaddr_storage to;
    socklen_t n = (socklen_t)addr_to_sockaddr(&addr, &to);
    int late = socket(AF_INET, SOCK_STREAM, 0);
    EQ(connect(late, (struct sockaddr *)&to, n), -1);
    close(late);
    line_lab_close(&lab);
    lab_hear_end(fd);
}
