#include "main/bench_nginx.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static enum err write_conf(struct op *op, const char *path, const char *d, int port)
{
    FILE *file = fopen(path, "we");
    if (!file)
        return fail(op, ERR_IO, "cannot write %s: %s", path, strerror(errno));
    fprintf(file,
            "daemon off; worker_processes auto; pid %s/nginx.pid; error_log %s/nginx-error.log;\n"
            "events { worker_connections 4096; }\n"
            "http {\n"
            "  access_log %s/nginx-access.log combined buffer=64k flush=1s;\n"
            "  client_body_temp_path %s/nginx-a; proxy_temp_path %s/nginx-b; fastcgi_temp_path %s/nginx-c;\n"
            "  uwsgi_temp_path %s/nginx-d; scgi_temp_path %s/nginx-e;\n"
            "  keepalive_requests 1000000000;\n"
            "  server { listen 127.0.0.1:%d backlog=4096; location /r/ { return 302 "
            "https://shop.example.org/new?u=$arg_m; } }\n"
            "}\n",
            d, d, d, d, d, d, d, d, port);
    return fclose(file) == 0 ? OK : fail(op, ERR_IO, "cannot write %s: %s", path, strerror(errno));
}

enum err bench_nginx_start(struct op *op, const char *program, const char *directory, struct bench_child *ret)
{
    static const char *const usual[] = { "nginx", "/usr/sbin/nginx", ".tools/nginx", NULL };
    const char *const named[] = { program, NULL };
    const char *conf = arena_fmt(op->arena, "%s/nginx.conf", directory).p;
    const char *const argv[] = { "nginx", "-c", conf, NULL };
    const struct bench_program nginx = {
        .name = program ? program : "nginx", .package = "nginx-light", .files = program ? named : usual, .argv = argv
    };
    TRY(bench_child_free_addr(op, &ret->addr));
    TRY(write_conf(op, conf, directory, ret->addr.port));
    return bench_child_start(op, &nginx, ret);
}
