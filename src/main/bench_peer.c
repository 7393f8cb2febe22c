#include "main/bench_peer.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define NOT_INSTALLED 127
#define READY_US      INT64_C(10000000)
#define LOOK_US       10000

static const struct bench_peer peers[] = {
    { .name = "beanstalkd", .package = "beanstalkd", .protocol = &load_beanstalk },
    { .name = "redis", .package = "redis-tools", .protocol = &load_redis },
};

static void run_beanstalkd(const char *directory, const char *port)
{
    execlp("beanstalkd", "beanstalkd", "-l", "127.0.0.1", "-p", port, "-b", directory, "-f", "0", (char *)NULL);
}

/* The package redis-tools, which starts no service, has the server by the name of its check. */
static void run_redis(const char *directory, const char *port)
{
    static const char *const files[] = { "redis-server", "redis-check-rdb" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        execlp(files[i], "redis-server", "--bind", "127.0.0.1", "--port", port, "--dir", directory, "--save", "",
               "--appendonly", "yes", "--appendfsync", "always", (char *)NULL);
}

static void run(const struct bench_peer *peer, const char *directory)
{
    char port[16];
    int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    snprintf(port, sizeof port, "%d", peer->addr.port);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* not left behind when this one is killed */
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    if (peer->protocol == &load_beanstalk)
        run_beanstalkd(directory, port);
    else
        run_redis(directory, port);
    _exit(NOT_INSTALLED);
}

/* One that nobody listens on, for the next moment at least. */
static enum err find_port(struct op *op, struct addr *ret)
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

static enum err await(struct op *op, struct bench_peer *peer)
{
    for (int64_t end_us = clock_mono_us() + READY_US; !is_open(&peer->addr); usleep(LOOK_US)) {
        int status = 0;
        bool ended = waitpid(peer->pid, &status, WNOHANG) == peer->pid;
        if (ended)
            peer->pid = 0;
        if (ended && WIFEXITED(status) && WEXITSTATUS(status) == NOT_INSTALLED)
            return fail(op, ERR_NOT_FOUND, "%s is not installed (Debian: %s)", peer->name, peer->package);
        if (ended || clock_mono_us() > end_us)
            return fail(op, ERR_IO, "%s did not start", peer->name);
    }
    return OK;
}

enum err bench_peer_start(struct op *op, const char *name, const char *directory, struct bench_peer *ret)
{
    *ret = (struct bench_peer){ 0 };
    for (size_t i = 0; i < sizeof peers / sizeof *peers; i++)
        if (strcmp(name, peers[i].name) == 0)
            *ret = peers[i];
    if (!ret->name)
        return fail(op, ERR_INVALID, "there is no peer \"%s\": beanstalkd or redis", name);
    TRY(find_port(op, &ret->addr));
    ret->pid = fork();
    if (ret->pid == 0)
        run(ret, directory);
    return ret->pid > 0 ? await(op, ret) : fail(op, ERR_IO, "cannot start a process: %s", strerror(errno));
}

void bench_peer_stop(struct bench_peer *peer)
{
    if (peer->pid <= 0)
        return;
    kill(peer->pid, SIGTERM);
    waitpid(peer->pid, NULL, 0);
    peer->pid = 0;
}
