/*
 * dial.h - a client's socket: it waits at most 10 s for what must come, and sends at once.
 */
#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "net/addr.h"
#include "test.h"

static inline int dial(struct addr addr)
{
    struct sockaddr_storage to;
    socklen_t n = (socklen_t)addr_to_sockaddr(&addr, &to);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    struct timeval patience = { .tv_sec = 10 };
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, n), 0);
    return fd;
}
