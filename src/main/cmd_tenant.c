/*
 * cmd_tenant.c - tenants and their daily figures.
 */
#include "main/body.h"
#include "main/ask.h"

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
    struct str body;
    int code = body_of(cli, put_fields, &body);
    return code == CLI_DONE ? ask_named(cli, "PUT", "/v1/tenants/%s", body) : code;
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
    static const char *const filters[] = { "from", "to", "channel", NULL };
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
    return ask_items(cli, ask_filter(cli, path, filters), columns, "no facts in these days");
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
