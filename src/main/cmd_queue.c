/*
 * cmd_queue.c - queues, budgets and workers.
 */
#include "main/body.h"
#include "main/ask.h"

extern const struct command cmd_queue_list, cmd_queue_show, cmd_queue_set, cmd_queue_pause, cmd_queue_resume,
    cmd_queue_drain, cmd_queue_delete, cmd_budget_list, cmd_budget_set, cmd_worker_list, cmd_worker_quiet,
    cmd_worker_terminate;

/* --- queues ----------------------------------------------------------------- */

static int queue_list_run(struct cli *cli)
{
    static const struct show_column columns[] = {
        { "QUEUE", "name" },
        { "READY", "ready" },
        { "LEASED", "leased" },
        { "SCHEDULED", "scheduled" },
        { "RETRY", "retrying" },
        { "BLOCKED", "blocked" },
        { "DEAD", "dead" },
        { "LATENCY_S", "latency_seconds" },
        { "PAUSED", "paused" },
        { "DRAINING", "draining" },
        { 0 },
    };
    return ask_items(cli, "/v1/queues?limit=1000", columns, "no queues");
}

const struct command cmd_queue_list = {
    .noun = "queue",
    .verb = "list",
    .operands = "",
    .summary = "lists queues with what is in them",
    .flags = CLI_CLIENT,
    .run = queue_list_run,
};

static const struct body_field queue_fields[] = {
    { "concurrency", "concurrency", NULL, BODY_NUMBER, true },
    { "node-concurrency", "node_concurrency", NULL, BODY_NUMBER, true },
    { "worker-concurrency", "worker_concurrency", NULL, BODY_NUMBER, true },
    { "rate", "rate", NULL, BODY_RATE, true },
    { "budget", "budget", NULL, BODY_TEXT, true },
    { "budget-cost", "budget_cost", NULL, BODY_NUMBER, true },
    { "weight", "weight", NULL, BODY_NUMBER, true },
    { "key-concurrency", "key_concurrency", NULL, BODY_NUMBER, true },
    { "key-rate", "key_rate", NULL, BODY_RATE, true },
    { "keys", "keys", NULL, BODY_JSON, true },
    { "priorities", "priorities", NULL, BODY_BOOL, true },
    { "ageing", "ageing", NULL, BODY_TEXT, true },
    { "max-queued", "max_queued", NULL, BODY_NUMBER, true },
    { "max-bytes", "max_bytes", NULL, BODY_NUMBER, true },
    { "max-age", "max_age", NULL, BODY_TEXT, true },
    { "lease", "lease", NULL, BODY_TEXT, true },
    { "timeout", "timeout", NULL, BODY_TEXT, true },
    { "retry", "retry", NULL, BODY_JSON, true },
    { "crash-limit", "crash_limit", NULL, BODY_NUMBER, true },
    { "retain", "retain", NULL, BODY_JSON, true },
    { "recover-lost-workers", "recover_lost_workers", NULL, BODY_BOOL, true },
    { "handler", "handler", NULL, BODY_JSON, true },
    { 0 },
};

static int queue_set_run(struct cli *cli)
{
    struct str body;
    int code = body_of(cli, queue_fields, &body);
    return code == CLI_DONE ? ask_named(cli, "PATCH", "/v1/queues/%s", body) : code;
}

static const struct cli_option queue_options[] = {
    { "concurrency", "N", "jobs leased at once" },
    { "node-concurrency", "N", "the same per node" },
    { "worker-concurrency", "N", "the same per worker" },
    { "rate", "N/PER[/BURST]", "jobs started in a time: 40/60s" },
    { "budget", "ID", "what it takes from together with other queues" },
    { "budget-cost", "N", "units of that which one job takes" },
    { "weight", "N", "its share of that, 1 to 100" },
    { "key-concurrency", "N", "jobs of one fairness key leased at once" },
    { "key-rate", "N/PER[/BURST]", "jobs of one key started in a time" },
    { "keys", "JSON", "single keys: '{\"tenant-7\":{\"weight\":3,\"concurrency\":4}}'" },
    { "priorities", "YES|NO", "read the priority of jobs" },
    { "ageing", "DURATION", "waiting that counts as one priority more" },
    { "max-queued", "N", "jobs waiting, above which pushes are refused" },
    { "max-bytes", "N", "their bytes, the same way" },
    { "max-age", "DURATION", "the age of the oldest ready one, the same way" },
    { "lease", "DURATION", "lease of a job that names none" },
    { "timeout", "DURATION", "hard end of one attempt" },
    { "retry", "JSON", "attempts: '{\"max\":5,\"backoff\":\"fixed\",\"base\":\"30s\"}'" },
    { "crash-limit", "N", "crashes, after which a job is dead" },
    { "retain", "JSON", "what is kept: '{\"done\":\"24h\",\"done_max\":1000,\"dead\":\"180d\"}'" },
    { "recover-lost-workers", "YES|NO", "take jobs back from lost workers" },
    { "handler", "JSON", "who works on them: '{\"kind\":\"exec\",\"command\":\"resize\"}'" },
    BODY_OPTION,
    { 0 },
};

const struct command cmd_queue_set = {
    .noun = "queue",
    .verb = "set",
    .operands = "QUEUE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "changes what a queue allows; 'none' takes a limit away",
    .options = queue_options,
    .flags = CLI_CLIENT,
    .run = queue_set_run,
};

static int queue_show_run(struct cli *cli)
{
    return ask_named(cli, "GET", "/v1/queues/%s", (struct str){ 0 });
}

static int queue_pause_run(struct cli *cli)
{
    return ask_named(cli, "PATCH", "/v1/queues/%s", S("{\"paused\":true}"));
}

static int queue_resume_run(struct cli *cli)
{
    return ask_named(cli, "PATCH", "/v1/queues/%s", S("{\"paused\":false,\"draining\":false}"));
}

static int queue_drain_run(struct cli *cli)
{
    return ask_named(cli, "POST", "/v1/queues/%s/drain", S("{}"));
}

static int queue_delete_run(struct cli *cli)
{
    return ask_named(cli, "DELETE", "/v1/queues/%s", (struct str){ 0 });
}

/* --- budgets and workers ---------------------------------------------------- */

static const struct body_field budget_fields[] = {
    { "concurrency", "concurrency", NULL, BODY_NUMBER, true },
    { "rate", "rate", NULL, BODY_RATE, true },
    { "cpu-share", "cpu_share", NULL, BODY_JSON, true },
    { 0 },
};

static int budget_set_run(struct cli *cli)
{
    struct str body;
    int code = body_of(cli, budget_fields, &body);
    return code == CLI_DONE ? ask_named(cli, "PUT", "/v1/budgets/%s", body) : code;
}

static const struct cli_option budget_options[] = {
    { "concurrency", "N", "units that leases of its queues may hold at once" },
    { "rate", "N/PER[/BURST]", "jobs of all its queues started in a time: 40/60s" },
    { "cpu-share", "NUMBER", "of the time that work of Posthouse's own may take: 0.05 to 1" },
    BODY_OPTION,
    { 0 },
};

const struct command cmd_budget_set = {
    .noun = "budget",
    .verb = "set",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "creates or replaces what several queues may take together",
    .options = budget_options,
    .flags = CLI_CLIENT,
    .run = budget_set_run,
};

static int budget_list_run(struct cli *cli)
{
    static const struct show_column columns[] = {
        { "BUDGET", "id" }, { "CONCURRENCY", "concurrency" }, { "USED", "used" }, { "CPU_SHARE", "cpu_share" }, { 0 },
    };
    return ask_items(cli, "/v1/budgets?limit=1000", columns, "no budgets");
}

const struct command cmd_budget_list = {
    .noun = "budget",
    .verb = "list",
    .operands = "",
    .summary = "lists what queues take together",
    .flags = CLI_CLIENT,
    .run = budget_list_run,
};

static int worker_list_run(struct cli *cli)
{
    static const struct show_column columns[] = {
        { "WORKER", "id" },
        { "STATE", "state" },
        { "HOST", "hostname" },
        { "PID", "pid" },
        { "LEASED", "leased" },
        { "SEEN", "seen_at" },
        { 0 },
    };
    return ask_items(cli, "/v1/workers?limit=1000", columns, "no workers");
}

const struct command cmd_worker_list = {
    .noun = "worker",
    .verb = "list",
    .operands = "",
    .summary = "lists worker processes",
    .flags = CLI_CLIENT,
    .run = worker_list_run,
};

static int worker_quiet_run(struct cli *cli)
{
    return ask_named(cli, "POST", "/v1/workers/%s/quiet", S("{}"));
}

static int worker_terminate_run(struct cli *cli)
{
    return ask_named(cli, "POST", "/v1/workers/%s/terminate", S("{}"));
}

#define NAMED_COMMAND(noun_, verb_, operand_, summary_)                                                                \
    const struct command cmd_##noun_##_##verb_ = {                                                                     \
        .noun = #noun_,                                                                                                \
        .verb = #verb_,                                                                                                \
        .operands = operand_,                                                                                          \
        .operands_min = 1,                                                                                             \
        .operands_max = 1,                                                                                             \
        .summary = (summary_),                                                                                         \
        .flags = CLI_CLIENT,                                                                                           \
        .run = noun_##_##verb_##_run,                                                                                  \
    }

NAMED_COMMAND(queue, show, "QUEUE", "shows one queue with what is in it and what it allows");
NAMED_COMMAND(queue, pause, "QUEUE", "starts no more jobs of a queue");
NAMED_COMMAND(queue, resume, "QUEUE", "ends a pause or a drain");
NAMED_COMMAND(queue, drain, "QUEUE", "refuses pushes and works on until the queue is empty");
NAMED_COMMAND(queue, delete, "QUEUE", "deletes a queue with its ready and blocked jobs");
NAMED_COMMAND(worker, quiet, "WORKER", "tells a worker to fetch no more");
NAMED_COMMAND(worker, terminate, "WORKER", "tells a worker to end");
