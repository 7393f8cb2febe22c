/*
 * cmd_config.c - is the configuration right, and what is it in the end?
 */
#include <stdio.h>

#include "base/json_write.h"
#include "main/cli.h"
#include "main/daemon.h"
#include "main/help.h"
#include "main/settings.h"
#include "serve/access.h"
#include "serve/api.h"

#define ROUTES_BYTES_MAX (1u << 20)

static int read_settings(struct cli *cli, struct conf **ret_conf, const char **ret_file)
{
    struct settings_flags flags = { .config = cli->operand_count ? cli->operands[0] : cli_option(cli, "config") };
    if (settings_read(&cli->op, &flags, ret_conf, ret_file) != OK || daemon_check(&cli->op, *ret_conf) != OK)
        return cli_fail_op(cli);
    return CLI_DONE;
}

static int check_run(struct cli *cli)
{
    struct conf *conf;
    const char *file;
    int code = read_settings(cli, &conf, &file);
    if (code == CLI_DONE)
        printf("%s: no mistakes\n", file ? file : "defaults and environment");
    return code;
}

static int show_run(struct cli *cli)
{
    struct conf *conf;
    struct str text;
    int code = read_settings(cli, &conf, NULL);
    if (code != CLI_DONE)
        return code;
    if (conf_show(&cli->op, conf, &text) != OK)
        return cli_fail_op(cli);
    printf("%.*s", STR(text));
    return CLI_DONE;
}

static const struct cli_option config_options[] = {
    { "config", "FILE", "the file (POSTHOUSE_CONFIG, default " SETTINGS_FILE " if it exists)" },
    { 0 },
};

extern const struct command cmd_config_check, cmd_config_show, cmd_config_routes, cmd_config_commands;
const struct command cmd_config_check = {
    .noun = "config",
    .verb = "check",
    .operands = "[FILE]",
    .operands_max = 1,
    .summary = "says what is wrong with the configuration, if anything",
    .options = config_options,
    .run = check_run,
};

const struct command cmd_config_show = {
    .noun = "config",
    .verb = "show",
    .operands = "[FILE]",
    .operands_max = 1,
    .summary = "prints the configuration in force, defaults as comments, secrets as \"set\"",
    .options = config_options,
    .run = show_run,
};

/* --- config routes: for the test that compares them with openapi.yaml ------ */

static void write_route(struct json_writer *w, const struct http_route *route)
{
    struct str words[4];
    size_t count = token_scopes_words((unsigned)route->scope & 15u, words);
    json_object_begin(w);
    json_member_str(w, "method", str_of(route->method));
    json_member_str(w, "path", str_of(route->pattern));
    json_member_str(w, "scope", count ? words[0] : (struct str){ 0 });
    json_member_int(w, "body_bytes_max", route->body_bytes_max);
    json_object_end(w);
}

static int routes_run(struct cli *cli)
{
    struct buf out;
    struct json_writer w;
    buf_init_arena(&out, cli->op.arena, ROUTES_BYTES_MAX);
    json_write_init(&w, &out);
    json_array_begin(&w);
    for (size_t i = 0; i < api_route_count; i++)
        write_route(&w, &api_routes[i]);
    json_array_end(&w);
    printf("%.*s\n", STR(buf_str(&out)));
    return CLI_DONE;
}

const struct command cmd_config_routes = {
    .noun = "config",
    .verb = "routes",
    .operands = "",
    .summary = "prints every route of the API as JSON",
    .flags = CLI_HIDDEN,
    .run = routes_run,
};

/* --- config commands: what shell completion reads ------------------------- */

static int commands_run(struct cli *cli)
{
    (void)cli;
    help_table(stdout);
    return CLI_DONE;
}

const struct command cmd_config_commands = {
    .noun = "config",
    .verb = "commands",
    .operands = "",
    .summary = "prints every command with its options, for shell completion",
    .flags = CLI_HIDDEN,
    .run = commands_run,
};
