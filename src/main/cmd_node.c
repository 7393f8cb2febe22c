/*
 * cmd_node.c - the nodes that share a database.
 */
#include "main/client.h"
#include "main/show.h"

static int list_run(struct cli *cli)
{
    static const struct show_column columns[] = {
        { "ID", "id" },           { "STATE", "state" },
        { "VERSION", "version" }, { "STARTED", "started_at" },
        { "BEAT", "beat_at" },    { "CLOCK", "clock_offset_seconds" },
        { "LEASES", "leases" },   { 0 },
    };
    struct str json;
    int code = client_call(cli, "GET", "/v1/overview", (struct str){ 0 }, &json);
    if (code != CLI_DONE)
        return code;
    cli->json ? show_json(show_value(cli, json, "nodes")) : show_items(cli, json, "nodes", columns, "no nodes");
    return CLI_DONE;
}

extern const struct command cmd_node_list;
const struct command cmd_node_list = {
    .noun = "node",
    .verb = "list",
    .operands = "",
    .summary = "lists the nodes of the database: who lives, whose clock is off, who does what alone",
    .flags = CLI_CLIENT,
    .run = list_run,
};
