#include "main/ask.h"

int ask_object(struct cli *cli, const char *method, const char *path, struct str body, const char *const *skip)
{
    struct str json;
    int code = client_call(cli, method, path, body, &json);
    if (code == CLI_DONE && json.n)
        cli->json ? show_json(json) : show_object(cli, json, skip);
    return code;
}

int ask_named(struct cli *cli, const char *method, const char *path, struct str body)
{
    return ask_object(cli, method, client_path(cli, path, cli->operands[0]), body, NULL);
}

int ask_items(struct cli *cli, const char *path, const struct show_column *columns, const char *none)
{
    struct str json;
    int code = client_call(cli, "GET", path, (struct str){ 0 }, &json);
    if (code == CLI_DONE)
        cli->json ? show_json(json) : show_items(cli, json, "items", columns, none);
    return code;
}

const char *ask_filter(struct cli *cli, const char *path, const char *const *options)
{
    for (const char *const *option = options; *option; option++)
        path = client_query(cli, path, *option, cli_option(cli, *option));
    return path;
}
