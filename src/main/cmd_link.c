/*
 * cmd_link.c - tracked links: making and changing them, reading their figures.
 */
#include "main/body.h"
#include "main/ask.h"

static const struct body_field put_fields[] = {
    { "to", "url", NULL, BODY_TEXT },
    { "tenant", "tenant", NULL, BODY_TEXT },
    { "mailing", "mailing", NULL, BODY_TEXT },
    { "honeypot", "honeypot", NULL, BODY_BOOL },
    { 0 },
};

/* Without a code of its own the daemon makes one. */
static int put_run(struct cli *cli)
{
    static const char *const figures[] = { "stats", "all_time", NULL };
    struct str body;
    int code = body_of(cli, put_fields, &body);
    if (code != CLI_DONE)
        return code;
    if (cli->operand_count == 0)
        return ask_object(cli, "POST", "/v1/links", body, figures);
    return ask_object(cli, "PUT", client_path(cli, "/v1/links/%s", cli->operands[0]), body, figures);
}

static const struct cli_option put_options[] = {
    { "to", "URL", "where it leads; %%{uuid}%% and %%{member}%% are replaced by who clicks" },
    { "tenant", "ID", "whose link it is" },
    { "mailing", "ID", "whose recipients are counted (default: everybody is)" },
    { "honeypot", "YES|NO", "a hidden link: who fetches it is a machine (default no)" },
    BODY_OPTION,
    { 0 },
};

extern const struct command cmd_link_put, cmd_link_stats;
const struct command cmd_link_put = {
    .noun = "link",
    .verb = "put",
    .operands = "[CODE]",
    .operands_max = 1,
    .summary = "makes a tracked link, or changes where it leads",
    .text = "Without CODE the daemon makes one. A new destination begins the figures of the link again.\n",
    .options = put_options,
    .flags = CLI_CLIENT,
    .run = put_run,
};

static int stats_run(struct cli *cli)
{
    return ask_named(cli, "GET", "/v1/links/%s", (struct str){ 0 });
}

static const struct cli_option no_options[] = { { 0 } };

const struct command cmd_link_stats = {
    .noun = "link",
    .verb = "stats",
    .operands = "CODE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "shows a link and its figures as they stand",
    .options = no_options,
    .flags = CLI_CLIENT,
    .run = stats_run,
};
