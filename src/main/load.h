/*
 * load.h - asks an HTTP server for something again and again over many connections, for bench.
 *
 * One thread, epoll, one request under way on each connection, keep-alive; as
 * cheap as it can be, because it shares the machine with what it measures.
 * Every answer must have the status that is expected.
 */
#pragma once

#include "net/addr.h"

#define LOAD_REQUEST_BYTES_MAX 1024

struct load {
    struct addr addr;
    int clients;
    int64_t seconds;
    int status; /* that every answer must have */
    /* Writes the next request; returns its bytes. */
    size_t (*next)(void *data, char ret_request[LOAD_REQUEST_BYTES_MAX]);
    void *data;
    /* Written. */
    int64_t requests;
    double rate_per_second, p50_ms, p99_ms, max_ms;
};

/* ERR_IO when a connection breaks or an answer is another one. */
enum err load_run(struct op *op, struct load *load);
