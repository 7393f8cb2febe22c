/*
 * cmd_event.c - recording an event, and looking at the log.
 */
#include "base/json_write.h"
#include "main/ask.h"

#define EVENT_BODY_BYTES_MAX (1u << 20)

static int put_run(struct cli *cli)
{
    static const char *const texts[] = { "id", "source", "time", "tenant", "subject", "originator", NULL };
    static const char *const raws[] = { "data", "receivers", NULL };
    struct json_writer w;
    struct buf body;
    buf_init_arena(&body, cli->op.arena, EVENT_BODY_BYTES_MAX);
    json_write_init(&w, &body);
    json_object_begin(&w);
    json_member_str(&w, "type", str_of(cli->operands[0]));
    for (const char *const *name = texts; *name; name++)
        if (cli_option(cli, *name))
            json_member_str(&w, *name, str_of(cli_option(cli, *name)));
    for (const char *const *name = raws; *name; name++)
        if (cli_option(cli, *name)) {
            json_put_name(&w, *name);
            json_put_raw(&w, str_of(cli_option(cli, *name))); /* the server says what is wrong with it */
        }
    if (cli_has(cli, "private"))
        json_member_bool(&w, "private", true);
    json_object_end(&w);
    return ask_object(cli, "POST", "/v1/events", buf_str(&body), NULL);
}

static const struct cli_option put_options[] = {
    { "id", "ID", "its id; the same one of the same source again is a duplicate" },
    { "source", "SOURCE", "who says so; api when not given" },
    { "time", "INSTANT", "when it happened, like 2026-11-21T19:00:00Z" },
    { "tenant", "ID", "the tenant it belongs to" },
    { "subject", "TEXT", "what it is about" },
    { "originator", "ID", "who caused it" },
    { "data", "JSON", "what there is to say of it, kept as it is" },
    { "receivers", "JSON", "whom it concerns, by role: {\"maintainer\":[\"u-1\"]}" },
    { "private", NULL, "only for those it names" },
    { 0 },
};

extern const struct command cmd_event_put, cmd_event_list;
const struct command cmd_event_put = {
    .noun = "event",
    .verb = "put",
    .operands = "TYPE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "records an event",
    .options = put_options,
    .flags = CLI_CLIENT,
    .run = put_run,
};

static int list_run(struct cli *cli)
{
    static const char *const filters[] = { "type", "tenant", "limit", "after", NULL };
    static const struct show_column columns[] = {
        { "TIME", "time" },
        { "TYPE", "type" },
        { "SOURCE", "source" },
        { "ID", "id" },
        { "TENANT", "tenant" },
        { "SUBJECT", "subject" },
        { 0 },
    };
    return ask_items(cli, ask_filter(cli, "/v1/events", filters), columns, "no such events");
}

static const struct cli_option list_options[] = {
    { "type", "TYPE", "of this type" },
    { "tenant", "ID", "of this tenant" },
    { "limit", "N", "at most so many, 50 when not given" },
    { "after", "CURSOR", "go on where a page ended" },
    { 0 },
};

const struct command cmd_event_list = {
    .noun = "event",
    .verb = "list",
    .operands = "",
    .summary = "lists events, newest first",
    .options = list_options,
    .flags = CLI_CLIENT,
    .run = list_run,
};
