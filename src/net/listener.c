#include "net/listener.h"

#include <stdlib.h>
#include <sys/socket.h>

#define BACKLOG 4096

/* --- open --- */

static void on_connection(uv_stream_t *stream, int status)
{
    struct listener *listener = stream->data;
    if (status < 0)
        return; /* the client gave up between, or descriptors ran out and libuv closed it */
    figure_add(&listener->accepted, 1);
    listener->hooks->connected(listener);
}

static int tcp_listen(struct listener *listener, const struct addr *addr, int fd)
{
    struct sockaddr_storage storage;
    addr_to_sockaddr(addr, &storage);
    int result = fd > 0 ? uv_tcp_open(&listener->tcp, fd) : uv_tcp_bind(&listener->tcp, (struct sockaddr *)&storage, 0);
    if (result == 0)
        result = uv_listen((uv_stream_t *)&listener->tcp, BACKLOG, on_connection);
    int n = sizeof storage;
    if (result == 0)
        result = uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&storage, &n);
    if (result == 0)
        addr_of_sockaddr((struct sockaddr *)&storage, &listener->addr);
    return result;
}

struct open_call {
    struct listener *listener;
    const struct addr *addr;
    int fd, result;
    uv_sem_t done;
};

static void on_open_failed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    uv_sem_post(listener->done);
}

static void open_on_loop(void *data)
{
    struct open_call *call = data;
    struct listener *listener = call->listener;
    uv_tcp_init(loop_uv(listener->loop), &listener->tcp);
    listener->tcp.data = listener;
    listener->done = &call->done;
    call->result = tcp_listen(listener, call->addr, call->fd);
    if (call->result == 0)
        uv_sem_post(&call->done);
    else
        uv_close((uv_handle_t *)&listener->tcp, on_open_failed);
}

enum err listener_open(struct op *op, struct listener *listener, const struct listener_hooks *hooks, struct loop *loop,
                       const struct addr *addr, int fd)
{
    struct open_call call = { .listener = listener, .addr = addr, .fd = fd };
    listener->hooks = hooks;
    listener->loop = loop;
    if (uv_sem_init(&call.done, 0))
        abort();
    loop_call(loop, open_on_loop, &call);
    uv_sem_wait(&call.done);
    uv_sem_destroy(&call.done);
    if (call.result == 0)
        return OK;
    char buffer[ADDR_TEXT_BYTES_MAX];
    return fail(op, ERR_IO, "cannot listen on %.*s: %s", STR(addr_text(addr, buffer)), uv_strerror(call.result));
}

/* --- connections --- */

static void learn_peer(const uv_tcp_t *tcp, struct addr *ret_peer)
{
    struct sockaddr_storage storage;
    int n = sizeof storage;
    if (uv_tcp_getpeername(tcp, (struct sockaddr *)&storage, &n) != 0 ||
        !addr_of_sockaddr((struct sockaddr *)&storage, ret_peer))
        *ret_peer = (struct addr){ 0 };
}

bool listener_accept(struct listener *listener, uv_tcp_t *tcp, struct addr *ret_peer)
{
    uv_tcp_init(loop_uv(listener->loop), tcp);
    if (uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)tcp) != 0)
        return false;
    uv_tcp_nodelay(tcp, 1); /* a turn's output leaves in one write already */
    learn_peer(tcp, ret_peer);
    return true;
}

static void on_turned_away(uv_handle_t *handle)
{
    free(handle);
}

void listener_turn_away(struct listener *listener)
{
    uv_tcp_t *tcp = malloc(sizeof *tcp);
    if (!tcp)
        abort();
    uv_tcp_init(loop_uv(listener->loop), tcp);
    uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)tcp);
    uv_close((uv_handle_t *)tcp, on_turned_away);
}

void listener_shut_side(uv_tcp_t *tcp)
{
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)tcp, &fd) == 0)
        shutdown(fd, SHUT_WR);
}

/* --- close --- */

static void on_end(struct errand *errand)
{
    struct listener *listener = MAIL_OF(errand, struct listener, end);
    uv_sem_t *done = listener->done;
    if (listener->hooks->drained)
        listener->hooks->drained(listener);
    uv_sem_post(done);
}

/* At the end of the turn, because whoever closed the last connection may still look at it. */
static void end_if_done(struct listener *listener)
{
    if (!listener->draining || !listener->closed || listener->connections || listener->ended)
        return;
    listener->ended = true;
    loop_timer_clear(listener->loop, &listener->end_timer);
    listener->end.run = on_end;
    loop_at_turn_end(listener->loop, &listener->end);
}

static void connections_are(struct listener *listener, int n)
{
    listener->connections = n;
    atomic_store_explicit(&listener->open_count, (uint64_t)n, memory_order_relaxed);
}

void listener_joined(struct listener *listener)
{
    connections_are(listener, listener->connections + 1);
}

void listener_left(struct listener *listener)
{
    connections_are(listener, listener->connections - 1);
    end_if_done(listener);
}

static void on_closed(uv_handle_t *handle)
{
    struct listener *listener = handle->data;
    listener->closed = true;
    end_if_done(listener);
}

static void stop_on_loop(void *data)
{
    struct listener *listener = data;
    if (listener->stopped)
        return;
    listener->stopped = true;
    uv_close((uv_handle_t *)&listener->tcp, on_closed);
}

void listener_stop(struct listener *listener)
{
    loop_call(listener->loop, stop_on_loop, listener);
}

static void on_end_timer(struct timer *timer)
{
    struct listener *listener = MAIL_OF(timer, struct listener, end_timer);
    listener->hooks->last_call(listener);
}

struct close_call {
    struct listener *listener;
    int64_t wait_ms;
    uv_sem_t done;
};

static void close_on_loop(void *data)
{
    struct close_call *call = data;
    struct listener *listener = call->listener;
    listener->draining = true;
    listener->done = &call->done;
    listener->end_timer.run = on_end_timer;
    loop_timer_set(listener->loop, &listener->end_timer, call->wait_ms);
    stop_on_loop(listener);
    if (listener->hooks->drain)
        listener->hooks->drain(listener);
    end_if_done(listener);
}

void listener_close(struct listener *listener, int64_t wait_ms)
{
    struct close_call call = { .listener = listener, .wait_ms = wait_ms };
    if (uv_sem_init(&call.done, 0))
        abort();
    loop_call(listener->loop, close_on_loop, &call);
    uv_sem_wait(&call.done);
    uv_sem_destroy(&call.done);
}
