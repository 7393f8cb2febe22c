/*
 * cmd_check.c - proves every counter by counting again.
 */
#include <stdio.h>

#include "base/json_write.h"
#include "engine/check.h"
#include "main/cli.h"
#include "main/progress.h"
#include "main/settings.h"
#include "main/show.h"

#define LIST_BYTES_MAX   (32u << 20)
#define DIFFERENCES_MAX  10000 /* named; all are counted */
#define ANSWER_BYTES_MAX (48u << 20)

struct check_view {
    bool json;
    struct buf lines; /* differences, each ends with a line feed */
    int64_t named;
    struct progress progress;
};

static void see_difference(void *data, const char *line)
{
    struct check_view *view = data;
    if (view->named++ >= DIFFERENCES_MAX)
        return;
    if (view->json) {
        buf_add_str(&view->lines, str_of(line));
        buf_add_char(&view->lines, '\n');
    } else {
        progress_end(&view->progress);
        puts(line);
    }
}

static void see_progress(void *data, uint64_t done, uint64_t all)
{
    struct check_view *view = data;
    view->progress.total = (int64_t)all;
    progress_at(&view->progress, (int64_t)done);
}

static void print_json(struct cli *cli, const struct check *check, struct str lines)
{
    struct buf out;
    struct json_writer w;
    buf_init_arena(&out, cli->op.arena, ANSWER_BYTES_MAX);
    json_write_init(&w, &out);
    json_object_begin(&w);
    json_member_int(&w, "compared", check->compared);
    json_member_int(&w, "differ", check->differ);
    json_put_name(&w, "differences");
    json_array_begin(&w);
    while (lines.n)
        json_put_str(&w, str_cut(&lines, '\n'));
    json_array_end(&w);
    json_object_end(&w);
    show_json(buf_str(&out));
}

static int check_store(struct cli *cli, struct store *store)
{
    struct check_view view = { .json = cli->json };
    struct check check = {
        .store = store,
        .repair = cli_has(cli, "repair"),
        .difference = see_difference,
        .progress = see_progress,
        .data = &view,
    };
    buf_init_arena(&view.lines, cli->op.arena, LIST_BYTES_MAX);
    progress_begin(&view.progress, "checking", 0, false);
    enum err err = check_run(&cli->op, &check);
    progress_end(&view.progress);
    if (err != OK)
        return cli_fail_op(cli);
    if (cli->json)
        print_json(cli, &check, buf_str(&view.lines));
    else
        printf("check: %lld facts compared, %lld differ%s\n", (long long)check.compared, (long long)check.differ,
               check.differ && check.repair ? "; repaired" : "");
    return check.differ ? CLI_REFUSED : CLI_DONE;
}

static int check_command(struct cli *cli)
{
    struct settings_flags flags = { .config = cli_option(cli, "config"),
                                    .data = cli_option(cli, "data"),
                                    .database = cli_option(cli, "database") };
    struct conf *conf;
    if (settings_read(&cli->op, &flags, &conf, NULL) != OK || settings_check(&cli->op, conf) != OK)
        return cli_fail(cli, CLI_USAGE, "%s", cli->op.error);
    struct store_config config;
    settings_store(&cli->op, conf, &config);
    config.read_only = !cli_has(cli, "repair");
    struct store *store;
    enum err err = store_open(&cli->op, &config, &store);
    if (err == ERR_CONFLICT && cli_has(cli, "repair"))
        return cli_fail(cli, CLI_REFUSED, "%s; --repair changes counters, so stop that daemon first", cli->op.error);
    if (err != OK)
        return cli_fail_op(cli);
    int code = check_store(cli, store);
    store_close(store);
    return code;
}

static const struct cli_option options[] = {
    { "data", "DIR", "where the database lies (POSTHOUSE_DATA, default ./posthouse-data)" },
    { "database", "URL", "a PostgreSQL database instead" },
    { "config", "FILE", "the configuration that names it (POSTHOUSE_CONFIG)" },
    { "repair", NULL, "set every counter that differs to what the rows say; on SQLite no daemon may run" },
    { 0 },
};

extern const struct command cmd_check;
const struct command cmd_check = {
    .noun = "check",
    .operands = "",
    .summary = "counts everything again and compares",
    .text = "It may run beside a daemon: it reads one snapshot. Exit 1 when a counter differs from its rows.\n",
    .options = options,
    .flags = CLI_JSON,
    .run = check_command,
};
