/*
 * cmd_schedule.c - jobs by the clock.
 */
#include <stdio.h>

#include "base/json_write.h"
#include "main/body.h"
#include "main/ask.h"

extern const struct command cmd_schedule_put, cmd_schedule_list, cmd_schedule_show, cmd_schedule_run,
    cmd_schedule_delete;

static const struct cli_option no_options[] = { { 0 } };

/* --- put -------------------------------------------------------------------- */

static const struct body_field put_fields[] = {
    { "cron", "cron", NULL, BODY_TEXT },
    { "timezone", "timezone", NULL, BODY_TEXT },
    { "overlap", "overlap", NULL, BODY_TEXT },
    { "catch-up", "catch_up", NULL, BODY_TEXT },
    { "jitter", "jitter", NULL, BODY_TEXT },
    { "after", "after", NULL, BODY_TEXT },
    { "paused", "paused", NULL, BODY_BOOL },
    { "queue", "queue", "job", BODY_TEXT },
    { "type", "jobtype", "job", BODY_TEXT },
    { "args", "args", "job", BODY_JSON },
    { 0 },
};

static int put_run(struct cli *cli)
{
    struct str body;
    int code = body_of(cli, put_fields, &body);
    return code == CLI_DONE ? ask_named(cli, "PUT", "/v1/schedules/%s", body) : code;
}

static const struct cli_option put_options[] = {
    { "cron", "FIELDS", "when: '30 0 * * *', @daily, '@every 90s'" },
    { "timezone", "ZONE", "IANA zone of these times; UTC" },
    { "queue", "QUEUE", "where its jobs go" },
    { "type", "TYPE", "their jobtype" },
    { "args", "JSON", "their arguments, an array" },
    { "overlap", "WORD", "the run before has not ended: skip, queue or allow" },
    { "catch-up", "WORD", "times that were missed: last, none or all" },
    { "jitter", "DURATION", "later by up to so much, the same each time" },
    { "after", "ID", "waits for the run of another schedule" },
    { "paused", "BOOL", "nothing falls due until it is put again" },
    BODY_OPTION,
    { 0 },
};

const struct command cmd_schedule_put = {
    .noun = "schedule",
    .verb = "put",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "creates or replaces a schedule",
    .options = put_options,
    .flags = CLI_CLIENT,
    .run = put_run,
};

/* --- list, show ------------------------------------------------------------- */

static int list_run(struct cli *cli)
{
    static const struct show_column columns[] = {
        { "SCHEDULE", "id" },     { "CRON", "cron" },
        { "ZONE", "timezone" },   { "NEXT", "next" },
        { "OVERLAP", "overlap" }, { "CATCH_UP", "catch_up" },
        { "SKIPPED", "skipped" }, { "PAUSED", "paused" },
        { "BUILTIN", "builtin" }, { 0 },
    };
    return ask_items(cli, "/v1/schedules?limit=1000", columns, "no schedules");
}

const struct command cmd_schedule_list = {
    .noun = "schedule",
    .verb = "list",
    .operands = "",
    .summary = "lists schedules",
    .flags = CLI_CLIENT,
    .run = list_run,
};

static int show_run(struct cli *cli)
{
    return ask_named(cli, "GET", "/v1/schedules/%s", (struct str){ 0 });
}

const struct command cmd_schedule_show = {
    .noun = "schedule",
    .verb = "show",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "shows one schedule with its next times and its runs",
    .flags = CLI_CLIENT,
    .run = show_run,
};

/* --- run, delete ------------------------------------------------------------ */

static const struct body_field run_fields[] = {
    { "at", "at", NULL, BODY_TEXT },
    { 0 },
};

static int run_run(struct cli *cli)
{
    struct str body;
    int code = body_of(cli, run_fields, &body);
    return code == CLI_DONE ? ask_named(cli, "POST", "/v1/schedules/%s/run", body) : code;
}

static const struct cli_option run_options[] = {
    { "at", "INSTANT", "for this time that has passed, instead of now" },
    BODY_OPTION,
    { 0 },
};

const struct command cmd_schedule_run = {
    .noun = "schedule",
    .verb = "run",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "runs a schedule once, now",
    .options = run_options,
    .flags = CLI_CLIENT,
    .run = run_run,
};

static int delete_run(struct cli *cli)
{
    struct str json;
    return client_call(cli, "DELETE", client_path(cli, "/v1/schedules/%s", cli->operands[0]), (struct str){ 0 }, &json);
}

const struct command cmd_schedule_delete = {
    .noun = "schedule",
    .verb = "delete",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "deletes a schedule; jobs it pushed run on",
    .options = no_options,
    .flags = CLI_CLIENT,
    .run = delete_run,
};
