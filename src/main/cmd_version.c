/*
 * cmd_version.c - which Posthouse this is.
 */
#include <stdio.h>

#include "main/cli.h"

static int version_run(struct cli *cli)
{
    if (cli->json)
        puts("{\"version\":\"" POSTHOUSE_VERSION "\",\"build\":\"" POSTHOUSE_BUILD "\"}");
    else
        puts("posthouse " POSTHOUSE_VERSION);
    return CLI_DONE;
}

extern const struct command cmd_version;
const struct command cmd_version = {
    .noun = "version",
    .operands = "",
    .summary = "prints the version",
    .flags = CLI_JSON,
    .run = version_run,
};
