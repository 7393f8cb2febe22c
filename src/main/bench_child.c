#include "main/bench_child.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define NOT_INSTALLED 127
#define REACHED_US    INT64_C(10000000)
#define LOOK_US       10000
#define READY_BYTES   1024

/* In the new process. An error of its own is told by the exit code. */
static void run(const char *const files[], const char *const argv[])
{
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* not left behind when this one is killed */
    for (; *files; files++)
        execvp(*files, (char *const *)(uintptr_t)argv); /* it does not change them */
    _exit(NOT_INSTALLED);
}

static enum err started(struct op *op, pid_t pid)
{
    return pid > 0 ? OK : fail(op, ERR_IO, "cannot start a process: %s", strerror(errno));
}

void bench_child_stop(pid_t *pid)
{
    if (*pid <= 0)
        return;
    kill(*pid, SIGTERM);
    waitpid(*pid, NULL, 0);
    *pid = 0;
}

/* --- ports -------------------------------------------------------------------- */

enum err bench_child_free_addr(struct op *op, struct addr *ret)
{
    struct sockaddr_storage to;
    TRY(addr_parse(op, S("127.0.0.1:0"), ret));
    socklen_t n = (socklen_t)addr_to_sockaddr(ret, &to);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool found = fd >= 0 && bind(fd, (struct sockaddr *)&to, n) == 0 &&
                 getsockname(fd, (struct sockaddr *)&to, &n) == 0 && addr_of_sockaddr((struct sockaddr *)&to, ret);
    if (fd >= 0)
        close(fd);
    return found ? OK : fail(op, ERR_IO, "there is no free port: %s", strerror(errno));
}

static bool is_open(const struct addr *addr)
{
    struct sockaddr_storage to;
    socklen_t n = (socklen_t)addr_to_sockaddr(addr, &to);
    int fd = socket(to.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool open = fd >= 0 && connect(fd, (struct sockaddr *)&to, n) == 0;
    if (fd >= 0)
        close(fd);
    return open;
}

/* --- other servers ------------------------------------------------------------ */

static enum err await(struct op *op, const struct bench_program *program, struct bench_child *child)
{
    for (int64_t end_us = clock_mono_us() + REACHED_US; !is_open(&child->addr); usleep(LOOK_US)) {
        int status = 0;
        bool ended = waitpid(child->pid, &status, WNOHANG) == child->pid;
        if (ended)
            child->pid = 0;
        if (ended && WIFEXITED(status) && WEXITSTATUS(status) == NOT_INSTALLED)
            return fail(op, ERR_NOT_FOUND, "%s is not installed (Debian: %s)", program->name, program->package);
        if (ended || clock_mono_us() > end_us)
            return fail(op, ERR_IO, "%s did not start", program->name);
    }
    return OK;
}

enum err bench_child_start(struct op *op, const struct bench_program *program, struct bench_child *ret)
{
    ret->pid = fork();
    if (ret->pid == 0) {
        int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        run(program->files, program->argv);
    }
    TRY(started(op, ret->pid));
    return await(op, program, ret);
}

/* --- a daemon ----------------------------------------------------------------- */

/* The address behind " http=" or its like. */
static enum err ready_addr(struct op *op, struct str line, struct str name, struct addr *ret)
{
    size_t at = str_search(line, name);
    if (at == line.n)
        return fail(op, ERR_IO, "the daemon did not say where it listens");
    struct str rest = { line.p + at + name.n, line.n - at - name.n };
    return addr_parse(op, str_cut(&rest, ' '), ret);
}

/* The ready line names the doors. */
static enum err await_ready(struct op *op, int in, struct bench_daemon *ret)
{
    char line[READY_BYTES];
    size_t n = 0;
    do {
        ssize_t got = read(in, line + n, sizeof line - n);
        if (got <= 0)
            return fail(op, ERR_IO, "the daemon did not start");
        n += (size_t)got;
    } while (n < sizeof line && !memchr(line, '\n', n));
    struct str text = { line, str_find((struct str){ line, n }, '\n') };
    TRY(ready_addr(op, text, S(" http="), &ret->http));
    return ready_addr(op, text, S(" worker="), &ret->worker);
}

static void run_daemon(const char *directory, const char *database, int out)
{
    static const char *const self[] = { "/proc/self/exe", NULL };
    const char *argv[] = { "posthouse",
                           "serve",
                           "--dev",
                           "--config",
                           "/dev/null",
                           "--http",
                           "127.0.0.1:0",
                           "--worker",
                           "127.0.0.1:0",
                           database ? "--database" : "--data",
                           database ? database : directory,
                           NULL };
    dup2(out, STDOUT_FILENO);
    setenv("POSTHOUSE_LOG_LEVEL", "error", 1);
    run(self, argv);
}

enum err bench_child_serve(struct op *op, const char *directory, const char *database, struct bench_daemon *ret)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return fail(op, ERR_IO, "cannot make a pipe: %s", strerror(errno));
    ret->pid = fork();
    if (ret->pid == 0)
        run_daemon(directory, database, ends[1]);
    close(ends[1]);
    enum err err = started(op, ret->pid);
    if (err == OK)
        err = await_ready(op, ends[0], ret);
    close(ends[0]);
    return err;
}
