/*
 * cmd_tenant.c - tenants and their daily figures.
 */
#include "main/body.h"
#include "main/client.h"
#include "main/show.h"

/* --- tenant put ----------------------------------------------------------- */

static const struct body_field put_fields[] = {
    { "timezone", "timezone", NULL, BODY_TEXT },
    { "retention", "retention", NULL, BODY_TEXT_MAP },
    { "contact", "contacts", NULL, BODY_TEXTS },
    { "link-host", "link_hosts", NULL, BODY_TEXTS },
    { 0 },
};

static int put_run(struct cli *cli)
{
    struct str body, json;
    int code = body_of(cli, put_fields, &body);
    if (code == CLI_DONE)
        code = client_call(cli, "PUT", client_path(cli, "/v1/tenants/%s", cli->operands[0]), body, &json);
    if (code != CLI_DONE)
        return code;
    cli->json ? show_json(json) : show_object(cli, json, NULL);
    return CLI_DONE;
}

static const struct cli_option put_options[] = {
    { "timezone", "ZONE", "whose days its figures follow, like Europe/London" },
    { "retention", "CHANNEL=DAYS", "how long messages are kept: email=7d,sms=7d,letter=14d" },
    { "contact", "ADDRESS", "whom reports may go to; may be given several times" },
    { "link-host", "HOST", "where tracked links may lead; may be given several times" },
    BODY_OPTION,
    { 0 },
};

extern const struct command cmd_tenant_put, cmd_tenant_facts;
const struct command cmd_tenant_put = {
    .noun = "tenant",
    .verb = "put",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "creates a tenant or replaces what is known of it",
    .options = put_options,
    .flags = CLI_CLIENT,
    .run = put_run,
};

/* --- tenant facts --------------------------------------------------------- */

static int facts_run(struct cli *cli)
{
    static const struct show_column columns[] = {
        { "DAY", "day" },
        { "CHANNEL", "channel" },
        { "KEY", "key" },
        { "TEMPLATE", "template" },
        { "STATUS", "status" },
        { "COUNT", "count" },
        { 0 },
    };
    const char *path = client_path(cli, "/v1/tenants/%s/facts", cli->operands[0]);
    path = client_query(cli, path, "from", cli_option(cli, "from"));
    path = client_query(cli, path, "to", cli_option(cli, "to"));
    path = client_query(cli, path, "channel", cli_option(cli, "channel"));
    struct str json;
    int code = client_call(cli, "GET", path, (struct str){ 0 }, &json);
    if (code != CLI_DONE)
        return code;
    cli->json ? show_json(json) : show_items(cli, json, "items", columns, "no facts in these days");
    return CLI_DONE;
}

static const struct cli_option facts_options[] = {
    { "from", "DAY", "first day, like 2026-11-01" },
    { "to", "DAY", "last day, included" },
    { "channel", "CHANNEL", "email, sms or letter; all without it" },
    { 0 },
};

const struct command cmd_tenant_facts = {
    .noun = "tenant",
    .verb = "facts",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "counts messages by day of the tenant, channel, key, template and status",
    .options = facts_options,
    .flags = CLI_CLIENT,
    .run = facts_run,
};
