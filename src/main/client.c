#include "main/client.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/form.h"
#include "net/http_reply.h"

#define CONNECT_MS 5000
#define HTTP_PORT  80
#define IDLE_MS    120000 /* an import may wait for the disk */

static const char *url_of(const struct cli *cli)
{
    const char *url = cli_option(cli, "url");
    if (!url)
        url = getenv("POSTHOUSE_URL");
    return url && *url ? url : CLIENT_URL;
}

static const char *token_of(const struct cli *cli)
{
    const char *token = cli_option(cli, "token");
    if (!token)
        token = getenv("POSTHOUSE_TOKEN");
    return token && *token ? token : NULL;
}

static const char *encode(struct cli *cli, const char *text)
{
    struct str encoded = form_encode(cli->op.arena, str_of(text));
    return arena_str(cli->op.arena, encoded).p; /* with a NUL, which form_encode does not promise */
}

const char *client_path(struct cli *cli, const char *format, ...)
{
    const char *segments[4] = { "", "", "", "" };
    va_list args;
    va_start(args, format);
    int count = 0;
    for (const char *p = format; (p = strstr(p, "%s")) && count < 4; p += 2)
        segments[count++] = encode(cli, va_arg(args, const char *));
    va_end(args);
    return arena_fmt(cli->op.arena, format, segments[0], segments[1], segments[2], segments[3]).p;
}

const char *client_query(struct cli *cli, const char *path, const char *name, const char *value)
{
    if (!value)
        return path;
    return arena_fmt(cli->op.arena, "%s%c%s=%s", path, strchr(path, '?') ? '&' : '?', name, encode(cli, value)).p;
}

/* --- refusals ------------------------------------------------------------- */

struct problem {
    struct str title, detail, errors;
};

static struct problem read_problem(struct cli *cli, struct str body)
{
    struct problem problem = { 0 };
    struct json j;
    struct str name;
    json_init(&j, cli->op.arena, body, JSON_TOLERANT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name)) {
            if (str_eq(name, S("title")))
                json_string(&j, &problem.title);
            else if (str_eq(name, S("detail")))
                json_string(&j, &problem.detail);
            else if (str_eq(name, S("errors")))
                json_raw(&j, &problem.errors);
        }
    return problem;
}

/* One line for each value at fault. */
static void print_errors(struct cli *cli, struct str errors)
{
    struct json j;
    json_init(&j, cli->op.arena, errors, JSON_TOLERANT);
    if (!str_given(errors) || !json_enter_array(&j))
        return;
    while (json_next_item(&j)) {
        struct str name, pointer = { 0 }, detail = { 0 };
        if (json_enter_object(&j))
            while (json_next_member(&j, &name)) {
                if (str_eq(name, S("pointer")))
                    json_string(&j, &pointer);
                else if (str_eq(name, S("detail")))
                    json_string(&j, &detail);
            }
        fprintf(stderr, "  %.*s: %.*s\n", STR(pointer), STR(detail));
    }
}

static int refused(struct cli *cli, const struct http_easy_answer *answer)
{
    struct problem problem = read_problem(cli, answer->body);
    struct str say = str_given(problem.detail) ? problem.detail : problem.title;
    if (!str_given(say))
        say = str_of(http_status_phrase(answer->status));
    cli_fail(cli, CLI_REFUSED, "%.*s (%d)", STR(say), answer->status);
    print_errors(cli, problem.errors);
    return CLI_REFUSED;
}

/* --- requests ------------------------------------------------------------- */

enum err client_open(struct cli *cli, struct http_easy **ret_easy)
{
    struct http_easy_config config = {
        .url = url_of(cli), .token = token_of(cli), .connect_ms = CONNECT_MS, .idle_ms = IDLE_MS
    };
    return http_easy_open(&cli->op, &config, ret_easy);
}

int client_send(struct cli *cli, const struct http_easy_request *request, struct str *ret_json)
{
    struct http_easy *easy;
    struct http_easy_answer answer;
    if (client_open(cli, &easy) != OK)
        return cli_fail(cli, CLI_USAGE, "--url: %s", cli->op.error);
    enum err err = http_easy_send(&cli->op, easy, request, &answer);
    http_easy_close(easy);
    if (err == ERR_UNAVAILABLE)
        return cli_fail(cli, CLI_UNREACHABLE,
                        "%s; is 'posthouse serve' running there? --url or POSTHOUSE_URL name "
                        "another place",
                        cli->op.error);
    if (err != OK)
        return cli_fail_op(cli);
    if (answer.status < 200 || answer.status > 299)
        return refused(cli, &answer);
    *ret_json = answer.body;
    return CLI_DONE;
}

int client_call(struct cli *cli, const char *method, const char *path, struct str body, struct str *ret_json)
{
    struct http_easy_request request = {
        .method = method,
        .path = path,
        .content_type = str_given(body) ? "application/json" : NULL,
        .body = body,
    };
    return client_send(cli, &request, ret_json);
}

static const char *next_of(struct cli *cli, struct str json)
{
    struct json j;
    struct str name, next = { 0 };
    json_init(&j, cli->op.arena, json, JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            if (str_eq(name, S("next")))
                json_string(&j, &next);
    return str_given(next) ? arena_str(cli->op.arena, next).p : NULL;
}

int client_pages(struct cli *cli, const char *path, int (*see)(struct cli *cli, struct str json, void *data),
                 void *data)
{
    const char *first = client_query(cli, path, "limit", "1000");
    for (const char *after = NULL;;) {
        struct str json = { 0 };
        int code = client_call(cli, "GET", client_query(cli, first, "after", after), (struct str){ 0 }, &json);
        if (code == CLI_DONE)
            code = see(cli, json, data);
        after = code == CLI_DONE ? next_of(cli, json) : NULL;
        if (!after)
            return code;
    }
}

/* --- which daemon --------------------------------------------------------- */

enum err client_addr(struct cli *cli, int port, struct addr *ret)
{
    struct op *op = &cli->op;
    struct str url = str_of(url_of(cli)), scheme = S("http://");
    if (!str_starts(url, scheme))
        return fail(op, ERR_INVALID, "--url: only a URL that begins with http:// can be loaded");
    struct str rest = { url.p + scheme.n, url.n - scheme.n };
    rest = str_cut(&rest, '/');
    bool is_ipv6 = rest.n > 0 && rest.p[0] == '[';
    size_t host = is_ipv6 ? str_find(rest, ']') + 1 : str_find(rest, ':');
    bool has_port = host < rest.n;
    if (has_port && !port)
        return addr_parse(op, rest, ret);
    return addr_parse(op,
                      arena_fmt(op->arena, "%.*s:%d", (int)(has_port ? host : rest.n), rest.p, port ? port : HTTP_PORT),
                      ret);
}

int client_about(struct cli *cli, struct client_about *ret)
{
    struct str overview = { 0 }, metrics = { 0 }, name = S("\nposthouse_resident_memory_bytes ");
    int code = client_call(cli, "GET", "/v1/overview", (struct str){ 0 }, &overview);
    if (code == CLI_DONE)
        code = client_call(cli, "GET", "/metrics", (struct str){ 0 }, &metrics);
    if (code != CLI_DONE)
        return code;
    bool is_postgres = str_search(overview, S("\"database\":\"postgres")) < overview.n;
    *ret = (struct client_about){ .engine = is_postgres ? "postgresql" : "sqlite" };
    size_t at = str_search(metrics, name);
    if (at == metrics.n)
        return CLI_DONE;
    struct str rest = { metrics.p + at + name.n, metrics.n - at - name.n };
    str_to_int(str_cut(&rest, '\n'), 0, INT64_MAX, &ret->rss_bytes);
    return CLI_DONE;
}
