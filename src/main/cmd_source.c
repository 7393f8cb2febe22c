/*
 * cmd_source.c - sources: where provider events come from, and how far they are read.
 */
#include <stdio.h>

#include "base/json.h"
#include "main/body.h"
#include "main/client.h"
#include "main/show.h"

static const struct cli_option no_options[] = { { 0 } };

/* --- source put ----------------------------------------------------------- */

static const struct body_field put_fields[] = {
    { "type", "type", NULL, BODY_TEXT },
    { "api", "api", NULL, BODY_TEXT },
    { "base-url", "base_url", NULL, BODY_TEXT },
    { "domain", "domain", NULL, BODY_TEXT },
    { "api-key", "api_key", NULL, BODY_TEXT },
    { "api-key-file", "api_key", NULL, BODY_FILE },
    { "signing-key", "signing_key", NULL, BODY_TEXT },
    { "signing-key-file", "signing_key", NULL, BODY_FILE },
    { "tenant", "tenant", NULL, BODY_TEXT },
    { "tag", "tags", NULL, BODY_TEXTS },
    { "topic", "topics", NULL, BODY_TEXTS },
    { "hook-url", "hook_url", NULL, BODY_TEXT },
    { "hook-tolerance", "hook_tolerance", NULL, BODY_TEXT },
    { "every", "every", "timing", BODY_TEXT },
    { "margin", "margin", "timing", BODY_TEXT },
    { "recheck", "recheck", "timing", BODY_TEXTS },
    { "retention", "retention", "timing", BODY_TEXT },
    { 0 },
};

static void show_source(struct cli *cli, struct str json)
{
    static const char *const tables[] = { "lanes", "coverage", "warnings", "malformed", NULL };
    static const struct show_column lanes[] = {
        { "LANE", "lane" },
        { "STATE", "state" },
        { "READ THROUGH", "fetched_through" },
        { "LAG S", "lag_seconds" },
        { "EVENTS", "events" },
        { "NEXT RUN", "next_run_at" },
        { "LAST ERROR", "last_error" },
        { 0 },
    };
    static const struct show_column coverage[] = {
        { "COVERED FROM", "begin" }, { "TO", "end" }, { "PASSES", "passes" }, { "SETTLED", "settled" }, { 0 }
    };
    static const struct show_column warnings[] = {
        { "WARNING", "code" }, { "SINCE", "since" }, { "DETAIL", "detail" }, { 0 }
    };
    show_object(cli, json, tables);
    putchar('\n');
    show_items(cli, json, "lanes", lanes, NULL);
    putchar('\n');
    show_items(cli, json, "coverage", coverage, "nothing is covered yet");
    putchar('\n');
    show_items(cli, json, "warnings", warnings, "no warnings");
}

static int show_answer(struct cli *cli, int code, struct str json)
{
    if (code == CLI_DONE && cli->json)
        show_json(json);
    else if (code == CLI_DONE)
        show_source(cli, json);
    return code;
}

static int put_run(struct cli *cli)
{
    struct str body, json = { 0 };
    int code = body_of(cli, put_fields, &body);
    if (code == CLI_DONE)
        code = client_call(cli, "PUT", client_path(cli, "/v1/sources/%s", cli->operands[0]), body, &json);
    return show_answer(cli, code, json);
}

static const struct cli_option put_options[] = {
    { "type", "TYPE", "mailgun, ses, sendgrid, postmark" },
    { "api", "API", "mailgun: events or logs" },
    { "base-url", "URL", "where its API is, like https://api.eu.mailgun.net" },
    { "domain", "DOMAIN", "the sending domain" },
    { "api-key", "KEY", "for reading; others on this machine can see it, so better:" },
    { "api-key-file", "FILE", "a file that holds it" },
    { "signing-key", "KEY", "for webhooks" },
    { "signing-key-file", "FILE", "a file that holds it" },
    { "tenant", "ID", "whose messages it speaks of" },
    { "tag", "TAG", "only events with this tag; may be given several times" },
    { "topic", "ARN", "ses: topics that may speak to us" },
    { "hook-url", "URL", "the webhook's URL as the provider knows it" },
    { "hook-tolerance", "DURATION", "how old a webhook may be, like 9h" },
    { "every", "DURATION", "pause between polls" },
    { "margin", "DURATION", "how far behind now live reading stops" },
    { "recheck", "DURATIONS", "when to look again, like 30m,24h" },
    { "retention", "DURATION", "how long the provider keeps events" },
    BODY_OPTION,
    { 0 },
};

extern const struct command cmd_source_put, cmd_source_list, cmd_source_show, cmd_source_backfill, cmd_source_cancel;
const struct command cmd_source_put = {
    .noun = "source",
    .verb = "put",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "creates a source or replaces its configuration",
    .options = put_options,
    .flags = CLI_CLIENT,
    .run = put_run,
};

/* --- source list, source show --------------------------------------------- */

static int list_page(struct cli *cli, struct str json, void *data)
{
    (void)data;
    static const struct show_column columns[] = {
        { "ID", "id" },
        { "TYPE", "type" },
        { "API", "api" },
        { "DOMAIN", "domain" },
        { "TENANT", "tenant" },
        { "WARNINGS", "warnings" },
        { 0 },
    };
    cli->json ? show_json(json) : show_items(cli, json, "items", columns, "no sources");
    return CLI_DONE;
}

static int list_run(struct cli *cli)
{
    return client_pages(cli, "/v1/sources", list_page, NULL);
}

const struct command cmd_source_list = {
    .noun = "source",
    .verb = "list",
    .operands = "",
    .summary = "lists all sources",
    .options = no_options,
    .flags = CLI_CLIENT,
    .run = list_run,
};

static int show_run(struct cli *cli)
{
    struct str json = { 0 };
    int code = client_call(cli, "GET", client_path(cli, "/v1/sources/%s", cli->operands[0]), (struct str){ 0 }, &json);
    return show_answer(cli, code, json);
}

const struct command cmd_source_show = {
    .noun = "source",
    .verb = "show",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "shows how far a source is read, and what is wrong with it",
    .options = no_options,
    .flags = CLI_CLIENT,
    .run = show_run,
};

/* --- source backfill, source cancel --------------------------------------- */

static const struct body_field backfill_fields[] = {
    { "begin", "begin", NULL, BODY_TEXT },
    { "end", "end", NULL, BODY_TEXT },
    { 0 },
};

static int backfill_run(struct cli *cli)
{
    struct str body, json = { 0 };
    int code = body_of(cli, backfill_fields, &body);
    if (code == CLI_DONE)
        code = client_call(cli, "POST", client_path(cli, "/v1/sources/%s/backfill", cli->operands[0]), body, &json);
    if (code == CLI_DONE && cli->json)
        show_json(json);
    else if (code == CLI_DONE)
        printf("backfill of %s begins; 'posthouse source show %s' tells how far it is\n", cli->operands[0],
               cli->operands[0]);
    return code;
}

static const struct cli_option backfill_options[] = {
    { "begin", "INSTANT", "first instant to read, like 2026-11-01T00:00:00Z" },
    { "end", "INSTANT", "read up to here" },
    { 0 },
};

const struct command cmd_source_backfill = {
    .noun = "source",
    .verb = "backfill",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "reads a stretch of time again",
    .options = backfill_options,
    .flags = CLI_CLIENT,
    .run = backfill_run,
};

static int cancel_run(struct cli *cli)
{
    struct str json;
    int code = client_call(cli, "DELETE", client_path(cli, "/v1/sources/%s/backfill", cli->operands[0]),
                           (struct str){ 0 }, &json);
    if (code == CLI_DONE && !cli->json)
        printf("backfill of %s is cancelled; what was read stays covered\n", cli->operands[0]);
    return code;
}

const struct command cmd_source_cancel = {
    .noun = "source",
    .verb = "cancel",
    .operands = "ID",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "stops the backfill of a source",
    .options = no_options,
    .flags = CLI_CLIENT,
    .run = cancel_run,
};
