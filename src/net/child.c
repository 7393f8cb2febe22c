#include "net/child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#define PIECE_BYTES 16384

/* --- the end ------------------------------------------------------------------ */

static void tail_put(struct child *child, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        child->tail[child->tail_bytes++ % CHILD_ERROR_BYTES] = bytes[i];
}

/* The ring in its order. */
static void tail_turn(struct child *child)
{
    char turned[CHILD_ERROR_BYTES] = { 0 };
    size_t n = child->tail_bytes < CHILD_ERROR_BYTES ? child->tail_bytes : CHILD_ERROR_BYTES;
    size_t first = child->tail_bytes - n;
    for (size_t i = 0; i < n; i++)
        turned[i] = child->tail[(first + i) % CHILD_ERROR_BYTES];
    memcpy(child->tail, turned, n);
    child->errors = (struct str){ child->tail, n };
}

static void on_finish(struct errand *errand)
{
    struct child *child = (struct child *)((char *)errand - offsetof(struct child, finish));
    child->output_cut = child->output_buffer.full;
    child->output = child->output_cut ? S("") : buf_str(&child->output_buffer);
    tail_turn(child);
    child->done(child);
}

static void end_soon(struct child *child)
{
    loop_timer_clear(child->loop, &child->timer);
    child->finish.run = on_finish;
    loop_send(child->loop, &child->finish);
}

static void on_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    free(handle);
    if (--child->open == 0)
        end_soon(child);
}

static void pipe_close(struct child_pipe *pipe)
{
    uv_poll_t *poll = pipe->poll;
    if (!poll)
        return;
    pipe->poll = NULL;
    uv_poll_stop(poll);
    close(pipe->fd);
    uv_close((uv_handle_t *)poll, on_closed);
}

static void kill_group(struct child *child, int signal)
{
    if (!child->has_ended)
        kill(-child->pid, signal);
}

static void on_timer(struct timer *timer)
{
    struct child *child = (struct child *)((char *)timer - offsetof(struct child, timer));
    if (!child->is_killing)
        child->timed_out = true;
    kill_group(child, child->is_killing ? SIGKILL : SIGTERM);
    if (!child->is_killing)
        loop_timer_set(child->loop, timer, CHILD_GRACE_MS);
    child->is_killing = true;
}

void child_stop(struct child *child)
{
    if (child->is_killing || child->has_ended)
        return;
    child->was_stopped = child->is_killing = true;
    kill_group(child, SIGTERM);
    loop_timer_set(child->loop, &child->timer, CHILD_GRACE_MS);
}

/* --- what it says ---------------------------------------------------------------- */

static void read_all(struct child *child, struct child_pipe *pipe)
{
    char piece[PIECE_BYTES];
    for (;;) {
        ssize_t n = read(pipe->fd, piece, sizeof piece);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            pipe_close(pipe);
            return;
        }
        if (pipe == &child->err_out)
            tail_put(child, piece, (size_t)n);
        else if (!child->output_buffer.full)
            buf_add(&child->output_buffer, piece, (size_t)n);
    }
}

static void on_out(uv_poll_t *poll, int status, int events)
{
    struct child *child = poll->data;
    (void)status;
    (void)events;
    read_all(child, &child->out);
}

static void on_errors(uv_poll_t *poll, int status, int events)
{
    struct child *child = poll->data;
    (void)status;
    (void)events;
    read_all(child, &child->err_out);
}

/* A command that does not want its input closes it, and that is all right. */
static void on_in(uv_poll_t *poll, int status, int events)
{
    struct child *child = poll->data;
    (void)events;
    ssize_t n = status < 0 ? -1
                           : send(child->in.fd, child->input.p + child->sent, child->input.n - child->sent,
                                  MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    child->sent += n > 0 ? (size_t)n : 0;
    if (n <= 0 || child->sent == child->input.n)
        pipe_close(&child->in);
}

/* What others of its group still hold open is not waited for. */
static void on_life(uv_poll_t *poll, int status, int events)
{
    struct child *child = poll->data;
    int how;
    (void)status;
    (void)events;
    if (waitpid(child->pid, &how, WNOHANG) != child->pid)
        return;
    kill(-child->pid, SIGKILL); /* whoever it left behind */
    child->has_ended = true;
    child->exit_code = WIFEXITED(how) ? WEXITSTATUS(how) : -1;
    child->signal = WIFSIGNALED(how) ? WTERMSIG(how) : 0;
    if (child->out.poll)
        read_all(child, &child->out);
    if (child->err_out.poll)
        read_all(child, &child->err_out);
    pipe_close(&child->in);
    pipe_close(&child->out);
    pipe_close(&child->err_out);
    pipe_close(&child->life);
}

/* --- the start -------------------------------------------------------------------- */

/* Between fork and exec only what is safe after a fork of many threads. */
__attribute__((noreturn)) static void become(const struct child *child, int in, int out, int err_out)
{
    sigset_t none;
    struct rlimit memory = { (rlim_t)child->memory_bytes, (rlim_t)child->memory_bytes };
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    bool ok = setsid() >= 0 && dup2(in, 0) >= 0 && dup2(out, 1) >= 0 && dup2(err_out, 2) >= 0 &&
              syscall(SYS_close_range, 3u, ~0u, 0u) == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
    if (ok && child->memory_bytes)
        ok = setrlimit(RLIMIT_AS, &memory) == 0;
    if (ok && child->has_user)
        ok = setgroups(0, NULL) == 0 && setgid(child->group) == 0 && setuid(child->user) == 0;
    if (ok)
        execve(child->argv[0], (char *const *)(uintptr_t)child->argv, (char *const *)(uintptr_t)child->envp);
    const char *why = strerrordesc_np(errno);
    (void)!write(2, why, strlen(why));
    _exit(127);
}

static void watch(struct child *child, struct child_pipe *pipe, int fd, int events,
                  void (*fn)(uv_poll_t *poll, int status, int events))
{
    uv_poll_t *poll = malloc(sizeof *poll);
    if (!poll || uv_poll_init(loop_uv(child->loop), poll, fd) != 0)
        abort();
    poll->data = child;
    *pipe = (struct child_pipe){ poll, fd };
    child->open++;
    uv_poll_start(poll, events, fn);
}

static enum err launch(struct child *child)
{
    int in[2] = { -1, -1 }, out[2] = { -1, -1 }, errors[2] = { -1, -1 }, life = -1;
    bool ok = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, in) == 0 && pipe2(out, O_CLOEXEC) == 0 &&
              pipe2(errors, O_CLOEXEC) == 0;
    child->pid = ok ? fork() : -1;
    if (child->pid == 0)
        become(child, in[1], out[1], errors[1]);
    if (child->pid > 0)
        life = (int)syscall(SYS_pidfd_open, child->pid, 0);
    if (life < 0) {
        snprintf(child->error, sizeof child->error, "%s: %s", child->argv[0], strerrordesc_np(errno));
        if (child->pid > 0) {
            kill(child->pid, SIGKILL);
            waitpid(child->pid, NULL, 0);
        }
    }
    for (int i = 0; i < 2; i++) {
        int *const ends[] = { &in[i], &out[i], &errors[i] };
        for (int k = 0; k < 3; k++)
            if (*ends[k] >= 0 && (life < 0 || ends[k] == &in[1] || ends[k] == &out[1] || ends[k] == &errors[1]))
                close(*ends[k]);
    }
    if (life < 0)
        return ERR_IO;
    fcntl(life, F_SETFD, FD_CLOEXEC);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    fcntl(errors[0], F_SETFL, O_NONBLOCK);
    watch(child, &child->in, in[0], UV_WRITABLE, on_in);
    watch(child, &child->out, out[0], UV_READABLE, on_out);
    watch(child, &child->err_out, errors[0], UV_READABLE, on_errors);
    watch(child, &child->life, life, UV_READABLE, on_life);
    return OK;
}

void child_start(struct loop *loop, struct child *child)
{
    child->loop = loop;
    child->timer = (struct timer){ .run = on_timer };
    child->exit_code = -1;
    buf_init(&child->output_buffer, child->output_max ? child->output_max : 1);
    child->err = launch(child);
    if (child->err != OK)
        end_soon(child);
    else
        loop_timer_set(loop, &child->timer, child->timeout_ms);
}

void child_free(struct child *child)
{
    buf_done(&child->output_buffer);
}
