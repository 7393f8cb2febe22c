#include "main/worker_load.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/sort.h"
#include "main/measure.h"

#define LINE_BYTES_MAX (4u << 20)
#define EVENTS         256
#define STALL_US       INT64_C(60000000)
#define LATENCIES_MAX  2000000 /* of each kind; later ones are not kept */

enum state { LOAD_GREETED, LOAD_HELLO, LOAD_IDLE, LOAD_PUSH, LOAD_FETCH, LOAD_ACK };

struct client {
    int fd;
    bool works;
    enum state state;
    struct buf in, out;
    size_t out_at;
    bool armed; /* waits for room to write */
    int64_t asked_us;
    int carries; /* jobs of the push under way */
};

struct latencies {
    int64_t *us;
    size_t count;
};

struct load {
    struct op *op;
    const struct load_config *config;
    const struct load_protocol *protocol;
    struct client *clients;
    int count, ready;
    int epoll;
    int64_t began_us, ends_us, moved_us;
    int64_t sent, pushed, fetched, acked, acked_in_time;
    struct buf job; /* the one that was written last */
    struct latencies push, fetch, work;
};

/* --- what is said --------------------------------------------------------- */

/* Digits of a number, with zeros before it up to width. By hand: printf takes as long as the server does with a job. */
static void put_number(struct buf *out, uint64_t number, unsigned base, int width)
{
    char digits[32];
    size_t at = sizeof digits;
    for (int i = 0; i < width || number; i++, number /= base)
        digits[--at] = "0123456789abcdef"[number % base];
    buf_add(out, digits + at, sizeof digits - at);
}

/* The job of this number, about 120 bytes of args as those of a report to one recipient. Until the next one. */
static struct str job_text(struct load *load, uint64_t no)
{
    struct buf *out = &load->job;
    uint64_t seed = load->config->seed & 0xffffffff;
    buf_reset(out);
    buf_add_str(out, S("{\"jid\":\""));
    put_number(out, seed, 16, 8);
    put_number(out, no, 16, 16);
    buf_add_str(out, S("\",\"jobtype\":\"noop\",\"queue\":\""));
    buf_add_str(out, load->config->queue);
    buf_add_str(out, S("\",\"args\":[{\"recipient\":"));
    put_number(out, no, 10, 1);
    buf_add_str(out, S(",\"mailing\":\"2026-11-01-monthly\",\"email\":\"user"));
    put_number(out, no, 10, 7);
    buf_add_str(out, S("@example.org\",\"template\":\"report\",\"site\":"));
    put_number(out, no % 977, 10, 1);
    buf_add_str(out, S(",\"k\":\""));
    put_number(out, seed, 16, 8);
    buf_add_str(out, S("\"}]}"));
    return buf_str(out);
}

static void say_push(struct load *load, struct client *client)
{
    const struct load_config *config = load->config;
    int batch = config->batch < load->protocol->batch_max ? config->batch : load->protocol->batch_max;
    int64_t left = config->jobs ? config->jobs - load->sent : INT64_MAX;
    client->carries = left < batch ? (int)left : batch;
    for (int i = 0; i < client->carries; i++)
        load->protocol->push(&client->out, config->queue, job_text(load, (uint64_t)load->sent++), i, client->carries);
    client->state = LOAD_PUSH;
    client->asked_us = clock_mono_us();
}

static bool is_time(const struct load *load)
{
    return load->ends_us && clock_mono_us() >= load->ends_us;
}

static bool may_push(const struct load *load)
{
    return !is_time(load) && (!load->config->jobs || load->sent < load->config->jobs);
}

/* Workers of a run with producers work until nothing is left; those of a run without, as long as they were told. */
static bool may_fetch(const struct load *load)
{
    if (load->config->producers > 0)
        return load->acked < load->sent || may_push(load);
    return !is_time(load) && (!load->config->jobs || load->acked < load->config->jobs);
}

static void say_next(struct load *load, struct client *client)
{
    client->state = LOAD_IDLE;
    if (!client->works && may_push(load)) {
        say_push(load, client);
    } else if (client->works && may_fetch(load)) {
        load->protocol->fetch(&client->out, load->config->queue);
        client->state = LOAD_FETCH;
        client->asked_us = clock_mono_us();
    }
}

static bool is_done(const struct load *load)
{
    if (load->config->producers > 0 && (may_push(load) || load->pushed < load->sent))
        return false;
    return load->config->workers == 0 || !may_fetch(load);
}

/* --- what is heard -------------------------------------------------------- */

static void keep_latency(struct latencies *latencies, int64_t us)
{
    if (latencies->count < LATENCIES_MAX)
        latencies->us[latencies->count++] = us;
}

static void say_hello(struct load *load, struct client *client)
{
    char name[64] = "";
    if (client->works)
        snprintf(name, sizeof name, "bench-%d-%d", getpid(), client->fd);
    load->protocol->hello(&client->out, load->config->queue, str_of(name));
    client->state = LOAD_HELLO;
}

static enum err hear_job(struct load *load, struct client *client, const struct load_answer *answer)
{
    if (answer->says != LOAD_SAYS_JOB) { /* none within two seconds */
        say_next(load, client);
        return OK;
    }
    load->fetched++;
    keep_latency(&load->fetch, load->moved_us - client->asked_us);
    load->protocol->ack(&client->out, load->config->queue, answer->id);
    client->state = LOAD_ACK;
    return OK;
}

static enum err hear(struct load *load, struct client *client, struct str text, const struct load_answer *answer)
{
    load->moved_us = clock_mono_us();
    bool is_job = answer->says == LOAD_SAYS_JOB || answer->says == LOAD_SAYS_NO_JOB;
    if (answer->says == LOAD_SAYS_ERROR || (is_job && client->state != LOAD_FETCH))
        return fail(load->op, ERR_IO, "the server answered: %.*s", STR(str_trim(str_clip(text, 200))));
    switch (client->state) {
    case LOAD_GREETED:
        say_hello(load, client);
        break;
    case LOAD_HELLO:
        client->state = LOAD_IDLE;
        load->ready++;
        break;
    case LOAD_PUSH:
        keep_latency(&load->push, load->moved_us - client->asked_us);
        load->pushed += client->carries;
        say_next(load, client);
        break;
    case LOAD_FETCH:
        return hear_job(load, client, answer);
    case LOAD_ACK:
        keep_latency(&load->work, load->moved_us - client->asked_us);
        load->acked++;
        load->acked_in_time += !load->ends_us || load->moved_us < load->ends_us;
        say_next(load, client);
        break;
    case LOAD_IDLE:
        return fail(load->op, ERR_IO, "the server said something unasked");
    }
    return OK;
}

/* --- sockets -------------------------------------------------------------- */

static enum err dial(struct load *load, struct client *client)
{
    struct sockaddr_storage to;
    socklen_t n = (socklen_t)addr_to_sockaddr(&load->config->door, &to);
    int on = 1;
    char text[ADDR_TEXT_BYTES_MAX];
    client->fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->fd < 0 || connect(client->fd, (struct sockaddr *)&to, n) != 0)
        return fail(load->op, ERR_IO, "cannot connect to %.*s: %s", STR(addr_text(&load->config->door, text)),
                    strerror(errno));
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    buf_init(&client->in, LINE_BYTES_MAX);
    buf_init(&client->out, LINE_BYTES_MAX);
    struct epoll_event event = { .events = EPOLLIN, .data.ptr = client };
    epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event);
    return OK;
}

static enum err client_write(struct load *load, struct client *client)
{
    while (client->out_at < client->out.n) {
        ssize_t n = send(client->fd, client->out.p + client->out_at, client->out.n - client->out_at,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return fail(load->op, ERR_IO, "writing to the server: %s", strerror(errno));
        client->out_at += (size_t)n;
    }
    bool wants = client->out_at < client->out.n;
    if (!wants) {
        buf_reset(&client->out);
        client->out_at = 0;
    }
    if (wants != client->armed) {
        struct epoll_event event = { .events = EPOLLIN | (wants ? EPOLLOUT : 0), .data.ptr = client };
        epoll_ctl(load->epoll, EPOLL_CTL_MOD, client->fd, &event);
        client->armed = wants;
    }
    return OK;
}

static enum err client_read(struct load *load, struct client *client)
{
    if (!buf_reserve(&client->in, 65536))
        return fail(load->op, ERR_IO, "an answer of the server is too long");
    ssize_t n = recv(client->fd, client->in.p + client->in.n, 65536, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return OK;
    if (n <= 0)
        return fail(load->op, ERR_IO, "the server ended a connection");
    client->in.n += (size_t)n;
    size_t used = 0, whole;
    struct load_answer answer;
    while ((whole = load->protocol->answer((struct str){ client->in.p + used, client->in.n - used }, &answer)) > 0) {
        TRY(hear(load, client, (struct str){ client->in.p + used, whole }, &answer));
        used += whole;
    }
    buf_drop(&client->in, used);
    return OK;
}

static enum err turn(struct load *load)
{
    struct epoll_event events[EVENTS];
    int n = epoll_wait(load->epoll, events, EVENTS, 100);
    for (int i = 0; i < n; i++) {
        struct client *client = events[i].data.ptr;
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            TRY(client_read(load, client));
        TRY(client_write(load, client));
    }
    if (clock_mono_us() - load->moved_us > STALL_US)
        return fail(load->op, ERR_IO, "the server did not answer for 60 s");
    return OK;
}

/* --- a run ---------------------------------------------------------------- */

static enum err run(struct load *load)
{
    load->moved_us = clock_mono_us();
    for (int i = 0; i < load->count; i++) {
        load->clients[i].works = i >= load->config->producers;
        TRY(dial(load, &load->clients[i]));
        if (load->protocol->greets)
            continue;
        say_hello(load, &load->clients[i]);
        TRY(client_write(load, &load->clients[i]));
    }
    while (load->ready < load->count)
        TRY(turn(load));
    load->began_us = clock_mono_us();
    load->ends_us = load->config->for_ms ? load->began_us + load->config->for_ms * 1000 : 0;
    for (int i = 0; i < load->count; i++) {
        say_next(load, &load->clients[i]);
        TRY(client_write(load, &load->clients[i]));
    }
    while (!is_done(load))
        TRY(turn(load));
    return OK;
}

static void percentiles(struct latencies *latencies, double *ret_p50_ms, double *ret_p99_ms)
{
    size_t n = latencies->count;
    *ret_p50_ms = *ret_p99_ms = 0;
    if (n == 0)
        return;
    sort_i64(latencies->us, n);
    size_t half = n / 2, nearly_all = n * 99 / 100;
    *ret_p50_ms = (double)latencies->us[half] / 1000;
    *ret_p99_ms = (double)latencies->us[nearly_all] / 1000;
}

static void load_end(struct load *load)
{
    for (int i = 0; i < load->count; i++) {
        if (load->clients[i].fd > 0)
            close(load->clients[i].fd);
        buf_done(&load->clients[i].in);
        buf_done(&load->clients[i].out);
    }
    buf_done(&load->job);
    close(load->epoll);
    free(load->clients);
    free(load->push.us);
    free(load->fetch.us);
    free(load->work.us);
}

enum err worker_load(struct op *op, const struct load_config *config, struct load_result *ret)
{
    struct load load = { .op = op, .config = config, .count = config->producers + config->workers };
    load.protocol = config->protocol ? config->protocol : &load_faktory;
    load.clients = calloc((size_t)load.count, sizeof *load.clients);
    load.push.us = malloc(LATENCIES_MAX * sizeof *load.push.us);
    load.fetch.us = malloc(LATENCIES_MAX * sizeof *load.fetch.us);
    load.work.us = malloc(LATENCIES_MAX * sizeof *load.work.us);
    load.epoll = epoll_create1(EPOLL_CLOEXEC);
    buf_init(&load.job, LOAD_JOB_BYTES_MAX);
    if (!load.clients || !load.push.us || !load.fetch.us || !load.work.us || load.epoll < 0)
        abort();
    enum err err = run(&load);
    if (err == OK) {
        *ret = (struct load_result){ .pushed = load.pushed,
                                     .acked = load.acked,
                                     .acked_in_time = load.acked_in_time,
                                     .took_us = clock_mono_us() - load.began_us };
        percentiles(&load.push, &ret->push_p50_ms, &ret->push_p99_ms);
        percentiles(&load.fetch, &ret->fetch_p50_ms, &ret->fetch_p99_ms);
        percentiles(&load.work, &ret->work_p50_ms, &ret->work_p99_ms);
    }
    load_end(&load);
    return err;
}

void load_series_add(struct load_series *series, const struct load_result *result)
{
    assert(series->count < LOAD_TURNS_MAX);
    series->rate[series->count] = (double)result->acked * 1e6 / (double)result->took_us;
    series->fetch_p50_ms[series->count] = result->fetch_p50_ms;
    series->fetch_p99_ms[series->count] = result->fetch_p99_ms;
    series->count++;
    series->took_us += result->took_us;
}

struct load_turns load_series_medians(struct load_series *series)
{
    return (struct load_turns){
        measure_median(series->rate, series->count),
        measure_median(series->fetch_p50_ms, series->count),
        measure_median(series->fetch_p99_ms, series->count),
    };
}
