/*
 * commands.c - every command of the program, in the order of the help.
 *
 * A new one is a struct command in its cmd_NOUN.c and a line here.
 */
#include "main/cli.h"

extern const struct command cmd_version;

const struct command *const commands[] = {
    &cmd_version,
    NULL,
};
