/*
 * help.h - what --help prints, made from the table of commands.
 */
#pragma once

#include <stdio.h>

#include "main/cli.h"

/* Every command in a line. */
void help_all(FILE *out);

/* The verbs of one noun. */
void help_noun(FILE *out, const char *noun);

/* One command with its options. */
void help_command(FILE *out, const struct command *command);

/* For shell completion: a line per command, fields separated by tabs: noun, verb or "-", summary, then each option as
 * "--name" or "--name=" when it takes a value. */
void help_table(FILE *out);
