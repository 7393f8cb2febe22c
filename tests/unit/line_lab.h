/*
 * line_lab.h - a line server for tests, and a client that speaks raw bytes.
 *
 * The client blocks on its socket, so a test waits for what really comes and
 * never for a clock; a lost answer ends in a receive time-out of 10 s.
 */
#pragma once

#include <stdatomic.h>
#include <unistd.h>

#include "dial.h"
#include "net/line_server.h"

#define LINE_LAB_BYTES_MAX (64 * 1024 * 1024)

struct line_lab {
    struct loop *loop;
    struct line_server *server;
    struct arena *arena;
    struct op op;
};

static inline void line_lab_open(struct line_lab *lab, struct line_server_config config)
{
    lab->arena = arena_new(LINE_LAB_BYTES_MAX * 2);
    op_init(&lab->op, lab->arena, 0);
    lab->loop = loop_start("lab");
    SUCCEEDS(&lab->op, addr_parse(&lab->op, S("127.0.0.1:0"), &config.listen));
    SUCCEEDS(&lab->op, line_server_open(&lab->op, lab->loop, &config, &lab->server));
}

static inline void line_lab_close(struct line_lab *lab)
{
    line_server_close(lab->server, 0);
    loop_stop(lab->loop);
    arena_free(lab->arena);
}

/* False when the server has ended the connection meanwhile. */
static inline bool lab_say(int fd, struct str bytes)
{
    while (bytes.n) {
        ssize_t n = send(fd, bytes.p, bytes.n, MSG_NOSIGNAL);
        if (n <= 0)
            return false;
        bytes.p += n;
        bytes.n -= (size_t)n;
    }
    return true;
}

/* Exactly what is expected must come next. */
static inline void lab_hear(int fd, struct str expected)
{
    char buffer[65536];
    while (expected.n) {
        size_t want = expected.n < sizeof buffer ? expected.n : sizeof buffer;
        ssize_t n = recv(fd, buffer, want, 0);
        assert_true(n > 0);
        if (memcmp(buffer, expected.p, (size_t)n) != 0)
            STR_EQ(((struct str){ buffer, (size_t)n }), expected.p);
        expected.p += n;
        expected.n -= (size_t)n;
    }
}

/* Nothing more comes: the server has ended the connection. */
static inline void lab_hear_end(int fd)
{
    char byte;
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    close(fd);
}
