#include "main/load.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#define EVENTS_MAX   512
#define BUCKETS      40000 /* of 5 us: 0.2 s; slower ones go into the last */
#define BUCKET_US    5
#define ANSWER_BYTES 4096

struct client {
    int fd;
    int64_t asked_us;
};

struct run {
    struct load *load;
    struct client *clients;
    int epoll;
    int64_t end_us;
    int open; /* clients with a request under way */
    int64_t max_us;
    uint32_t buckets[BUCKETS];
};

static enum err ask(struct op *op, struct run *run, struct client *client)
{
    char request[LOAD_REQUEST_BYTES_MAX];
    size_t n = run->load->next(run->load->data, request);
    client->asked_us = clock_mono_us();
    if (send(client->fd, request, n, MSG_NOSIGNAL) != (ssize_t)n)
        return fail(op, ERR_IO, "a connection broke: %s", strerror(errno));
    return OK;
}

/* Answers are small and have no body, so they come in one piece. */
static enum err hear(struct op *op, struct run *run, struct client *client)
{
    char answer[ANSWER_BYTES + 1];
    ssize_t got = recv(client->fd, answer, ANSWER_BYTES, 0);
    if (got <= 12)
        return fail(op, ERR_IO, "a connection was closed after %lld requests", (long long)run->load->requests);
    answer[got] = '\0';
    if (strtol(answer + 9, NULL, 10) != run->load->status)
        return fail(op, ERR_IO, "an answer was %.40s", answer);
    int64_t now_us = clock_mono_us(), took_us = now_us - client->asked_us;
    size_t bucket = (size_t)(took_us / BUCKET_US);
    run->buckets[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    run->max_us = took_us > run->max_us ? took_us : run->max_us;
    run->load->requests++;
    if (now_us < run->end_us)
        return ask(op, run, client);
    run->open--;
    return OK;
}

static double percentile_ms(const struct run *run, double share)
{
    int64_t below = (int64_t)((double)run->load->requests * share);
    for (size_t i = 0; i < BUCKETS; i++) {
        below -= run->buckets[i];
        if (below < 0)
            return (double)((int64_t)i * BUCKET_US) / 1000;
    }
    return (double)run->max_us / 1000;
}

static enum err connect_all(struct op *op, struct run *run)
{
    struct sockaddr_storage storage;
    socklen_t n = (socklen_t)addr_to_sockaddr(&run->load->addr, &storage);
    int one = 1;
    for (int i = 0; i < run->load->clients; i++) {
        struct client *client = &run->clients[i];
        struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
        client->fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&storage, n) != 0)
            return fail(op, ERR_IO, "cannot connect: %s", strerror(errno));
        setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        epoll_ctl(run->epoll, EPOLL_CTL_ADD, client->fd, &event);
    }
    return OK;
}

static enum err run_all(struct op *op, struct run *run)
{
    struct epoll_event events[EVENTS_MAX];
    TRY(connect_all(op, run));
    int64_t began_us = clock_mono_us();
    run->end_us = began_us + run->load->seconds * 1000000;
    for (int i = 0; i < run->load->clients; i++)
        TRY(ask(op, run, &run->clients[i]));
    run->open = run->load->clients;
    while (run->open > 0) {
        int n = epoll_wait(run->epoll, events, EVENTS_MAX, 30000);
        if (n <= 0)
            return fail(op, ERR_IO, "no answer within 30 s");
        for (int i = 0; i < n; i++)
            TRY(hear(op, run, events[i].data.ptr));
    }
    double seconds = (double)(clock_mono_us() - began_us) / 1e6;
    run->load->rate_per_second = (double)run->load->requests / seconds;
    run->load->p50_ms = percentile_ms(run, 0.5);
    run->load->p99_ms = percentile_ms(run, 0.99);
    run->load->max_ms = (double)run->max_us / 1000;
    return OK;
}

enum err load_run(struct op *op, struct load *load)
{
    struct run *run = calloc(1, sizeof *run);
    if (!run)
        abort();
    run->load = load;
    run->clients = calloc((size_t)load->clients, sizeof *run->clients);
    run->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!run->clients || run->epoll < 0)
        abort();
    for (int i = 0; i < load->clients; i++)
        run->clients[i].fd = -1;
    load->requests = 0;
    enum err err = run_all(op, run);
    for (int i = 0; i < load->clients; i++)
        if (run->clients[i].fd >= 0)
            close(run->clients[i].fd);
    close(run->epoll);
    free(run->clients);
    free(run);
    return err;
}
