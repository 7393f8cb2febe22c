#include "main/bench_peer.h"

#include <string.h>

static const char *const beanstalkd_files[] = { "beanstalkd", NULL };
/* The package redis-tools, which starts no service, has the server by the name of its check. */
static const char *const redis_files[] = { "redis-server", "redis-check-rdb", NULL };

static const struct bench_peer peers[] = {
    { .name = "beanstalkd", .package = "beanstalkd", .files = beanstalkd_files, .protocol = &load_beanstalk },
    { .name = "redis", .package = "redis-tools", .files = redis_files, .protocol = &load_redis },
};

enum err bench_peer_start(struct op *op, const char *name, const char *directory, struct bench_peer *ret)
{
    *ret = (struct bench_peer){ 0 };
    for (size_t i = 0; i < sizeof peers / sizeof *peers; i++)
        if (strcmp(name, peers[i].name) == 0)
            *ret = peers[i];
    if (!ret->name)
        return fail(op, ERR_INVALID, "there is no peer \"%s\": beanstalkd or redis", name);
    TRY(bench_child_free_addr(op, &ret->child.addr));
    const char *port = arena_fmt(op->arena, "%d", ret->child.addr.port).p;
    const char *const beanstalkd[] = { "beanstalkd", "-l", "127.0.0.1", "-p", port, "-b", directory, "-f", "0", NULL };
    const char *const redis[] = { "redis-server", "--bind",        "127.0.0.1", "--port", port,
                                  "--dir",        directory,       "--save",    "",       "--appendonly",
                                  "yes",          "--appendfsync", "always",    NULL };
    const struct bench_program program = { .name = ret->name,
                                           .package = ret->package,
                                           .files = ret->files,
                                           .argv = ret->protocol == &load_redis ? redis : beanstalkd };
    return bench_child_start(op, &program, &ret->child);
}

void bench_peer_stop(struct bench_peer *peer)
{
    bench_child_stop(&peer->child.pid);
}
