/*
 * bench_http.c - what a request costs the server, and what an idle connection costs.
 *
 *     bench_http [CONNECTIONS] [SECONDS]
 *
 * The clients are a child process, so the CPU time of the loop's thread is the
 * server's alone: requests per CPU-second do not depend on how fast the clients
 * are or on what else runs. Each client has one request under way. Three kinds:
 * a plain GET, a redirect with a param, a query and three headers, and the same
 * answered one turn later, as after a commit. Then 9,000 connections that have
 * asked once and stay idle, and the growth of resident memory for each.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "net/http_reply.h"

#define IDLE_CONNECTIONS 9000

/* --- the server --------------------------------------------------------- */

static void on_plain(struct http_request *request)
{
    http_reply(request, 200, S("text/plain"), S("hello\n"));
}

static void redirect(struct http_request *request)
{
    struct str member = http_query(request, S("m"));
    http_reply_header(request, S("Location"),
                      arena_fmt(request->op.arena, "https://shop.example.org/new?u=%.*s", STR(member)));
    http_reply_header(request, S("X-Robots-Tag"), S("noindex, nofollow"));
    http_reply_header(request, S("Cache-Control"), S("no-store"));
    http_reply(request, 302, S(""), S(""));
}

/* Redirects that wait for the next turn, all answered by one errand, as after a group commit. */
static struct http_request *waiting[4096];
static int waiting_count;
static struct errand commit;

static void on_commit(struct errand *errand)
{
    (void)errand;
    int count = waiting_count;
    waiting_count = 0;
    for (int i = 0; i < count; i++)
        redirect(waiting[i]);
}

static void on_durable(struct http_request *request)
{
    if (waiting_count == 0) {
        commit.run = on_commit;
        loop_send(request->loop, &commit);
    }
    waiting[waiting_count++] = request;
}

static const struct http_route routes[] = {
    { .method = "GET", .pattern = "/plain", .handle = on_plain },
    { .method = "GET", .pattern = "/r/{code}", .handle = redirect },
    { .method = "GET", .pattern = "/d/{code}", .handle = on_durable },
};

/* --- the clients, in a child process ------------------------------------ */

#define BROWSER_HEADERS                                                                                                \
    "Host: t.news.example\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"   \
    "Accept: text/html,application/xhtml+xml,*/*;q=0.8\r\nAccept-Language: de,en;q=0.5\r\n"                            \
    "Accept-Encoding: gzip, deflate\r\n\r\n"

static const char *const requests[] = {
    "GET /plain HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /r/7hQk2mXw9P?m=2f1c7c1e-58f0-4a52-9d5e-0e6b7f1c9a10 HTTP/1.1\r\n" BROWSER_HEADERS,
    "GET /d/7hQk2mXw9P?m=2f1c7c1e-58f0-4a52-9d5e-0e6b7f1c9a10 HTTP/1.1\r\n" BROWSER_HEADERS,
};
static const char *const names[] = { "plain GET", "redirect", "redirect, one turn later" };

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int dial(const struct addr *addr)
{
    struct sockaddr_storage to;
    socklen_t n = (socklen_t)addr_to_sockaddr(addr, &to);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, n) != 0) {
        perror("connect");
        _exit(1);
    }
    return fd;
}

static void ask(int fd, const char *request)
{
    if (send(fd, request, strlen(request), MSG_NOSIGNAL) < 0)
        _exit(1);
}

/* Keeps every connection busy for some seconds; prints nothing, the server counts. */
static void run_clients(const struct addr *addr, const char *request, int connections, double for_s)
{
    int epoll = epoll_create1(0);
    for (int i = 0; i < connections; i++) {
        int fd = dial(addr);
        struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
        epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
        ask(fd, request);
    }
    double end_s = seconds() + for_s;
    while (seconds() < end_s) {
        struct epoll_event events[256];
        int n = epoll_wait(epoll, events, 256, 100);
        for (int i = 0; i < n; i++) {
            char answer[4096];
            if (recv(events[i].data.fd, answer, sizeof answer, 0) <= 0)
                _exit(1);
            ask(events[i].data.fd, request);
        }
    }
    _exit(0);
}

/* Opens connections, asks once on each, tells the parent, and waits to be let go. */
static void run_idle(const struct addr *addr, int ready, int leave)
{
    char byte = 0, answer[4096];
    for (int i = 0; i < IDLE_CONNECTIONS; i++) {
        int fd = dial(addr);
        ask(fd, requests[0]);
        if (recv(fd, answer, sizeof answer, 0) <= 0)
            _exit(1);
    }
    if (write(ready, &byte, 1) != 1 || read(leave, &byte, 1) < 0)
        _exit(1);
    _exit(0);
}

/* --- measuring ---------------------------------------------------------- */

static void read_cpu(void *ret_seconds)
{
    struct rusage usage;
    getrusage(RUSAGE_THREAD, &usage);
    *(double *)ret_seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                             (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static long resident_kb(void)
{
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%*s %ld", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void measure(struct loop *loop, struct http_server *server, int kind, int connections, double for_s)
{
    struct addr addr = http_server_addr(server);
    double cpu_before, cpu_after;
    uint64_t before = http_server_counts(server).requests;
    loop_call(loop, read_cpu, &cpu_before);
    double begin_s = seconds();
    pid_t child = fork();
    if (child == 0)
        run_clients(&addr, requests[kind], connections, for_s);
    int status;
    waitpid(child, &status, 0);
    double took_s = seconds() - begin_s;
    loop_call(loop, read_cpu, &cpu_after);
    double count = (double)(http_server_counts(server).requests - before);
    printf("%-26s %4d connections  %7.0f requests/s  %7.0f requests/CPU-s\n", names[kind], connections, count / took_s,
           count / (cpu_after - cpu_before));
}

static void measure_idle(struct http_server *server)
{
    struct addr addr = http_server_addr(server);
    int ready[2], leave[2];
    char byte;
    assert(pipe(ready) == 0 && pipe(leave) == 0);
    long before_kb = resident_kb();
    pid_t child = fork();
    if (child == 0) {
        close(leave[1]);
        run_idle(&addr, ready[1], leave[0]);
    }
    close(ready[1]);
    if (read(ready[0], &byte, 1) != 1)
        puts("idle connections: not all could be opened (ulimit -n)");
    else
        printf("%-26s %4d connections  %7.0f bytes each\n", "idle", IDLE_CONNECTIONS,
               (double)(resident_kb() - before_kb) * 1024 / IDLE_CONNECTIONS);
    close(leave[1]);
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    int connections = argc > 1 ? atoi(argv[1]) : 64;
    double for_s = argc > 2 ? atof(argv[2]) : 1.5;
    struct arena *arena = arena_new(65536);
    struct op op;
    op_init(&op, arena, 0);
    struct http_server_config config = { 0 };
    struct http_server *server;
    struct loop *loop = loop_start("bench");
    if (connections < 1 || connections > 4096 || addr_parse(&op, S("127.0.0.1:0"), &config.listen) != OK ||
        http_server_open(&op, loop, &config, routes, sizeof routes / sizeof *routes, &server) != OK) {
        fprintf(stderr, "%s\n", op.error);
        return 1;
    }
    for (int kind = 0; kind < 3; kind++)
        measure(loop, server, kind, connections, for_s);
    measure_idle(server);
    http_server_close(server, 0);
    loop_stop(loop);
    arena_free(arena);
    return 0;
}
