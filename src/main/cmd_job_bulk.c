/*
 * cmd_job_bulk.c - one action on all jobs that match.
 */
#include "base/json_write.h"
#include "main/client.h"
#include "main/show.h"

#include <unistd.h>

#define LOOK_US 200000 /* between two looks at how far it is */

extern const struct command cmd_job_bulk;

static struct str bulk_body(struct cli *cli)
{
    static const char *const filters[] = { "state", "queue", "type", "key", "text", "errtype", "before", NULL };
    struct json_writer w;
    struct buf body;
    buf_init_arena(&body, cli->op.arena, 1 << 20);
    json_write_init(&w, &body);
    json_object_begin(&w);
    json_member_str(&w, "action", str_of(cli->operands[0]));
    json_put_name(&w, "filter");
    json_object_begin(&w);
    for (const char *const *filter = filters; *filter; filter++)
        if (cli_option(cli, *filter))
            json_member_str(&w, *filter, str_of(cli_option(cli, *filter)));
    if (cli->operand_count > 1) {
        json_put_name(&w, "jids");
        json_array_begin(&w);
        for (int i = 1; i < cli->operand_count; i++)
            json_put_str(&w, str_of(cli->operands[i]));
        json_array_end(&w);
    }
    json_object_end(&w);
    if (cli_has(cli, "all"))
        json_member_bool(&w, "all", true);
    json_object_end(&w);
    return buf_str(&body);
}

static struct str member(struct cli *cli, struct str json, struct str wanted)
{
    struct str value = { 0 };
    json_find(cli->op.arena, json, JSON_STRICT, wanted, &value);
    return value;
}

/* Until the job is done or dead; then what became of it. */
static int wait_for(struct cli *cli, struct str jid)
{
    struct str json;
    for (;;) {
        int code = client_call(cli, "GET", client_path(cli, "/v1/jobs/%s", arena_str(cli->op.arena, jid).p),
                               (struct str){ 0 }, &json);
        if (code != CLI_DONE)
            return code;
        struct str state = show_value(cli, json, "state"), result = member(cli, json, S("result"));
        if (str_eq(state, S("done")) || str_eq(state, S("dead"))) {
            cli->json ? show_json(json) : show_object(cli, result.n ? result : json, NULL);
            return str_eq(state, S("done")) && result.n ? CLI_DONE : CLI_REFUSED;
        }
        usleep(LOOK_US);
    }
}

static int bulk_run(struct cli *cli)
{
    struct str json;
    int code = client_call(cli, "POST", "/v1/jobs/bulk", bulk_body(cli), &json);
    if (code == CLI_DONE && cli_has(cli, "wait"))
        return wait_for(cli, show_value(cli, json, "jid"));
    if (code == CLI_DONE)
        cli->json ? show_json(json) : show_object(cli, json, NULL);
    return code;
}

static const struct cli_option bulk_options[] = {
    { "state", "STATE", "scheduled, ready, leased, retry, blocked or dead" },
    { "queue", "QUEUE", "of this queue" },
    { "type", "TYPE", "of this type" },
    { "key", "KEY", "of this fairness key" },
    { "text", "TEXT", "with this text somewhere" },
    { "errtype", "TYPE", "that failed with this type of error" },
    { "before", "INSTANT", "pushed before, like 2026-11-21T19:00:00Z" },
    { "all", NULL, "all jobs: needed where nothing else is said" },
    { "wait", NULL, "wait until it is done, and show what was moved" },
    { 0 },
};

const struct command cmd_job_bulk = {
    .noun = "job",
    .verb = "bulk",
    .operands = "retry|kill|cancel|run [JID...]",
    .operands_min = 1,
    .operands_max = CLI_OPERANDS_MAX,
    .summary = "does one thing to all jobs that match, as a job of its own",
    .options = bulk_options,
    .flags = CLI_CLIENT,
    .run = bulk_run,
};
