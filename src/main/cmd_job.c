/*
 * cmd_job.c - pushing a job, and looking at jobs.
 */
#include "base/json_write.h"
#include "main/ask.h"

#include <stdio.h>

#define PUSH_BYTES_MAX (16u << 20)

/* --- push ------------------------------------------------------------------- */

/* An argument that is JSON goes as it is: 42, true, {"a":1}; anything else is a text. */
static void put_argument(struct cli *cli, struct json_writer *w, struct str text)
{
    struct json j;
    struct op op;
    op_init(&op, cli->op.arena, cli->op.now_us);
    json_init(&j, op.arena, text, JSON_STRICT);
    json_skip(&j);
    if (json_finish(&j, &op) == OK)
        json_put_raw(w, text);
    else
        json_put_str(w, text);
}

static int push_run(struct cli *cli)
{
    static const char *const texts[] = { "jid", "at", "key", "mutex", "expires-at", NULL };
    struct json_writer w;
    struct buf body;
    int64_t number;
    buf_init_arena(&body, cli->op.arena, PUSH_BYTES_MAX);
    json_write_init(&w, &body);
    json_object_begin(&w);
    json_member_str(&w, "queue", str_of(cli->operands[0]));
    json_member_str(&w, "jobtype", str_of(cli->operands[1]));
    json_put_name(&w, "args");
    json_array_begin(&w);
    for (int i = 2; i < cli->operand_count; i++)
        put_argument(cli, &w, str_of(cli->operands[i]));
    json_array_end(&w);
    for (const char *const *name = texts; *name; name++)
        if (cli_option(cli, *name))
            json_member_str(&w, str_eq(str_of(*name), S("expires-at")) ? "expires_at" : *name,
                            str_of(cli_option(cli, *name)));
    number = -2;
    if (!cli_int(cli, "retry", -1, 100000, &number))
        return CLI_USAGE;
    if (number != -2)
        json_member_int(&w, "retry", number);
    number = 0;
    if (!cli_int(cli, "priority", 1, 9, &number))
        return CLI_USAGE;
    if (number)
        json_member_int(&w, "priority", number);
    json_object_end(&w);
    return ask_object(cli, "POST", "/v1/jobs", buf_str(&body), NULL);
}

static const struct cli_option push_options[] = {
    { "jid", "ID", "its id, 8 to 128 bytes; made when not given" },
    { "at", "INSTANT", "not before, like 2026-11-21T19:00:00Z" },
    { "expires-at", "INSTANT", "not after" },
    { "retry", "N", "retries; 0 ends at the first failure, -1 is dead at the first" },
    { "priority", "N", "1 to 9, where the queue has priorities" },
    { "key", "KEY", "fairness key" },
    { "mutex", "KEY", "one job of this key at a time" },
    { 0 },
};

extern const struct command cmd_push, cmd_job_list, cmd_job_show, cmd_job_retry, cmd_job_run, cmd_job_kill,
    cmd_job_cancel;
const struct command cmd_push = {
    .noun = "push",
    .operands = "QUEUE TYPE [ARG...]",
    .operands_min = 2,
    .operands_max = CLI_OPERANDS_MAX,
    .summary = "pushes a job; an ARG that is JSON goes as it is, others as texts",
    .options = push_options,
    .flags = CLI_CLIENT,
    .run = push_run,
};

/* --- job list, show --------------------------------------------------------- */

static int list_run(struct cli *cli)
{
    static const char *const filters[] = { "state", "queue", "type", "key", "text", "limit", "after", NULL };
    static const struct show_column columns[] = {
        { "JID", "jid" },     { "QUEUE", "queue" },        { "TYPE", "jobtype" },
        { "STATE", "state" }, { "CREATED", "created_at" }, { 0 },
    };
    return ask_items(cli, ask_filter(cli, "/v1/jobs", filters), columns, "no such jobs");
}

static const struct cli_option list_options[] = {
    { "state", "STATE", "scheduled, ready, leased, retry, blocked, dead or done" },
    { "queue", "QUEUE", "of this queue" },
    { "type", "TYPE", "of this type" },
    { "key", "KEY", "of this fairness key" },
    { "text", "TEXT", "with this text somewhere" },
    { "limit", "N", "at most so many, 50 when not given" },
    { "after", "CURSOR", "go on where a page ended" },
    { 0 },
};

const struct command cmd_job_list = {
    .noun = "job",
    .verb = "list",
    .operands = "",
    .summary = "lists jobs of a state; without --state those that are not done",
    .options = list_options,
    .flags = CLI_CLIENT,
    .run = list_run,
};

static int show_run(struct cli *cli)
{
    return ask_named(cli, "GET", "/v1/jobs/%s", (struct str){ 0 });
}

static int retry_run(struct cli *cli)
{
    return ask_named(cli, "POST", "/v1/jobs/%s/retry", (struct str){ 0 });
}

static int run_run(struct cli *cli)
{
    return ask_named(cli, "POST", "/v1/jobs/%s/run", (struct str){ 0 });
}

static int kill_run(struct cli *cli)
{
    return ask_named(cli, "POST", "/v1/jobs/%s/kill", (struct str){ 0 });
}

static int cancel_run(struct cli *cli)
{
    return ask_named(cli, "POST", "/v1/jobs/%s/cancel", (struct str){ 0 });
}

#define JOB_COMMAND(name_, summary_)                                                                                   \
    const struct command cmd_job_##name_ = {                                                                           \
        .noun = "job",                                                                                                 \
        .verb = #name_,                                                                                                \
        .operands = "JID",                                                                                             \
        .operands_min = 1,                                                                                             \
        .operands_max = 1,                                                                                             \
        .summary = (summary_),                                                                                         \
        .flags = CLI_CLIENT,                                                                                           \
        .run = name_##_run,                                                                                            \
    }

JOB_COMMAND(show, "shows a job with its attempts");
JOB_COMMAND(retry, "runs a dead or cancelled job again");
JOB_COMMAND(run, "runs a scheduled job, or one in backoff, now");
JOB_COMMAND(kill, "moves a job to the dead; a worker that has it loses its lease");
JOB_COMMAND(cancel, "ends a job; a worker that has it loses its lease");
