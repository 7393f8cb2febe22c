/*
 * cli.h - one command of the command line: what it takes, and what it was given.
 *
 *     posthouse NOUN VERB [operands] [--option value]
 *
 * A command is one struct, declared beside the function that runs it and listed
 * in commands.c; parsing, help, shell completion and the words for mistakes come
 * from that struct. Options stand anywhere, as "--name value" or "--name=value";
 * "--" ends them. Commands that talk to a daemon say so with CLI_CLIENT and get
 * --url, --token and --json (client.h).
 *
 * Exit codes: 0 done, 1 refused or found problems, 2 usage, 69 server not reachable.
 */
#pragma once

#include "base/op.h"

#define CLI_OPTIONS_MAX  64 /* given in one call */
#define CLI_OPERANDS_MAX 64

enum cli_exit { CLI_DONE = 0, CLI_REFUSED = 1, CLI_USAGE = 2, CLI_UNREACHABLE = 69 };

enum cli_flags {
    CLI_CLIENT = 1, /* a request to a daemon: --url, --token, --json */
    CLI_JSON = 2,   /* --json only */
    CLI_HIDDEN = 4  /* not in the help: for tests and packaging */
};

/* One option of a command; a table of them ends with one that has no name. */
struct cli_option {
    const char *name;  /* "data" for --data */
    const char *value; /* "DIR" in the help; NULL: a switch without value */
    const char *help;  /* one line */
};

struct cli;

struct command {
    const char *noun;
    const char *verb;     /* NULL: the noun alone is the command */
    const char *operands; /* "ID [FILE]" for the help, "" without */
    int operands_min, operands_max;
    const char *summary; /* one line, begins with a small letter: "makes a token and shows it once" */
    const char *text;    /* more for --help, lines ready to print; may be NULL */
    const struct cli_option *options;
    unsigned flags; /* enum cli_flags */
    int (*run)(struct cli *cli);
};

/* What one call was given. */
struct cli {
    struct op op; /* memory for the whole command */
    const struct command *command;
    const char *operands[CLI_OPERANDS_MAX];
    int operand_count;
    struct {
        const struct cli_option *option;
        const char *value;
    } given[CLI_OPTIONS_MAX];
    int given_count;
    bool json; /* --json */
};

/* Every command there is, ends with NULL. */
extern const struct command *const commands[];

/* Options that CLI_CLIENT adds; ends with one that has no name. */
extern const struct cli_option cli_client_options[];

/* Finds the command, reads options and operands, runs it. Returns the exit code. */
int cli_main(int argc, char **argv);

/* Value of an option ("data"), the last one when given more than once; NULL when not given. A switch gives "". */
const char *cli_option(const struct cli *cli, const char *name);
bool cli_has(const struct cli *cli, const char *name);

/* A whole number; false after printing what is wrong with it (exit CLI_USAGE). Not given: *ret stays. */
bool cli_int(const struct cli *cli, const char *name, int64_t min, int64_t max, int64_t *ret);

/* A duration ("40m") in milliseconds. */
bool cli_duration(const struct cli *cli, const char *name, int64_t *ret_ms);

/* Prints "posthouse NOUN VERB: sentence" to stderr; returns the code, so that "return cli_fail(...)" reads as one
 * step. With CLI_USAGE it points to --help as well. */
int cli_fail(const struct cli *cli, enum cli_exit code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same for what stands in the op: "posthouse NOUN VERB: " and op.error, CLI_REFUSED. */
int cli_fail_op(const struct cli *cli);

/* True when colours may be used on stdout: a terminal, no NO_COLOR, TERM not dumb. */
bool cli_colors(void);
