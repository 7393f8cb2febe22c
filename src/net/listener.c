#include "net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG         4096
#define ACCEPTS_AT_ONCE 256 /* then those who are connected get their turn */

/* --- clients --- */

/* No descriptor is left, and a client whom nobody lets in would wake the loop for ever: the spare one lets him in and
 * out. False: nobody waits. */
static bool turn_away_one(struct listener *listener)
{
    close(listener->spare_fd);
    int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    listener->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

/* False: nobody waits any more. */
static bool accept_one(struct listener *listener)
{
    struct sockaddr_storage storage;
    socklen_t n = sizeof storage;
    int fd = accept4(listener->fd, (struct sockaddr *)&storage, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        return turn_away_one(listener);
    if (fd < 0)
        return errno == EINTR || errno == ECONNABORTED;
    if (!addr_of_sockaddr((struct sockaddr *)&storage, &listener->client))
        listener->client = (struct addr){ 0 };
    figure_add(&listener->accepted, 1);
    listener->client_fd = fd;
    listener->hooks->connected(listener);
    if (listener->client_fd >= 0)
        close(listener->client_fd);
    return true;
}

static void on_clients(uv_poll_t *poll, int status, int events)
{
    struct listener *listener = poll->data;
    (void)events;
    for (int n = 0; status == 0 && n < ACCEPTS_AT_ONCE && accept_one(listener); n++)
        ;
}

int listener_take(struct listener *listener, struct addr *ret_peer)
{
    int fd = listener->client_fd;
    listener->client_fd = -1;
    *ret_peer = listener->client;
    return fd;
}

bool listener_attach(struct loop *loop, uv_tcp_t *tcp, int fd)
{
    uv_tcp_init(loop_uv(loop), tcp);
    if (uv_tcp_open(tcp, fd) != 0) {
        close(fd);
        return false;
    }
    uv_tcp_nodelay(tcp, 1); /* a turn's output leaves in one write already */
    return true;
}

/* --- open --- */

/* Returns the socket, or an error number below zero. */
static int bound_socket(const struct addr *addr)
{
    struct sockaddr_storage storage;
    socklen_t n = (socklen_t)addr_to_sockaddr(addr, &storage);
    int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    int yes = 1, no = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (storage.ss_family == AF_INET6) /* "[::]" is for those of IPv4, too, whatever the system prefers */
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    if (bind(fd, (struct sockaddr *)&storage, n) == 0)
        return fd;
    int error = errno;
    close(fd);
    return -error;
}

static int learn_own_addr(struct listener *listener)
{
    struct sockaddr_storage storage;
    socklen_t n = sizeof storage;
    if (getsockname(listener->fd, (struct sockaddr *)&storage, &n) != 0)
        return -errno;
    addr_of_sockaddr((struct sockaddr *)&storage, &listener->addr);
    return 0;
}

struct open_call {
    struct listener *listener;
    int result;
};

static void open_on_loop(void *data)
{
    struct open_call *call = data;
    struct listener *listener = call->listener;
    call->result = uv_poll_init(loop_uv(listener->loop), &listener->poll, listener->fd);
    if (call->result == 0)
        uv_poll_start(&listener->poll, UV_READABLE, on_clients);
    listener->poll.data = listener;
}

static int listen_on(struct listener *listener, const struct addr *addr, int fd)
{
    listener->fd = fd > 0 ? fd : bound_socket(addr);
    if (listener->fd < 0)
        return listener->fd;
    if (listen(listener->fd, BACKLOG) != 0)
        return -errno;
    int result = learn_own_addr(listener);
    if (result != 0)
        return result;
    struct open_call call = { .listener = listener };
    loop_call(listener->loop, open_on_loop, &call);
    return call.result;
}

enum err listener_open(struct op *op, struct listener *listener, const struct listener_hooks *hooks, struct loop *loop,
                       const struct addr *addr, int fd)
{
    listener->hooks = hooks;
    listener->loop = loop;
    listener->client_fd = -1;
    listener->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int result = listen_on(listener, addr, fd);
    if (result == 0)
        return OK;
    if (listener->fd >= 0)
        close(listener->fd);
    close(listener->spare_fd);
    char buffer[ADDR_TEXT_BYTES_MAX];
    return fail(op, ERR_IO, "cannot listen on %.*s: %s", STR(addr_text(addr, buffer)), uv_strerror(result));
}

/* --- connections --- */

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
    close(listener->fd);
    close(listener->spare_fd);
    listener->closed = true;
    end_if_done(listener);
}

static void stop_on_loop(void *data)
{
    struct listener *listener = data;
    if (listener->stopped)
        return;
    listener->stopped = true;
    uv_close((uv_handle_t *)&listener->poll, on_closed);
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
