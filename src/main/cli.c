#include "main/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/duration.h"
#include "base/near.h"
#include "main/help.h"

#define CLI_MEMORY_MAX (256u << 20) /* of one command; imports stream and stay far below */

const struct cli_option cli_client_options[] = {
    { "url", "URL", "the daemon (POSTHOUSE_URL, default http://127.0.0.1:7420)" },
    { "token", "TOKEN", "what it asks for (POSTHOUSE_TOKEN)" },
    { "json", NULL, "the answer as JSON" },
    { 0 },
};

static const struct cli_option json_options[] = {
    { "json", NULL, "the result as JSON" },
    { 0 },
};

static bool same(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* --- finding the command -------------------------------------------------- */

static const struct command *command_find(const char *noun, const char *verb)
{
    for (size_t i = 0; commands[i]; i++)
        if (same(commands[i]->noun, noun) && (verb ? commands[i]->verb && same(commands[i]->verb, verb) : true))
            if (verb || !commands[i]->verb)
                return commands[i];
    return NULL;
}

static bool noun_exists(const char *noun)
{
    for (size_t i = 0; commands[i]; i++)
        if (same(commands[i]->noun, noun))
            return true;
    return false;
}

static void print_nearest(const struct near *near)
{
    if (str_given(near_best(near)))
        fprintf(stderr, "; did you mean %.*s?", STR(near_best(near)));
    fputc('\n', stderr);
}

static int unknown_noun(const char *noun)
{
    struct near near = near_to(str_of(noun));
    for (size_t i = 0; commands[i]; i++)
        if (!(commands[i]->flags & CLI_HIDDEN))
            near_try(&near, str_of(commands[i]->noun));
    fprintf(stderr, "posthouse: there is no command %s", noun);
    print_nearest(&near);
    fputs("Try 'posthouse --help'.\n", stderr);
    return CLI_USAGE;
}

static int unknown_verb(const char *noun, const char *verb)
{
    struct near near = near_to(str_of(verb));
    for (size_t i = 0; commands[i]; i++)
        if (same(commands[i]->noun, noun) && commands[i]->verb && !(commands[i]->flags & CLI_HIDDEN))
            near_try(&near, str_of(commands[i]->verb));
    fprintf(stderr, "posthouse %s: there is no %s", noun, verb);
    print_nearest(&near);
    fprintf(stderr, "Try 'posthouse %s --help'.\n", noun);
    return CLI_USAGE;
}

/* --- reading options ------------------------------------------------------ */

static const struct cli_option *table_find(const struct cli_option *table, struct str name)
{
    for (; table && table->name; table++)
        if (str_eq(str_of(table->name), name))
            return table;
    return NULL;
}

static const struct cli_option *shared_options(const struct command *command)
{
    if (command->flags & CLI_CLIENT)
        return cli_client_options;
    return command->flags & CLI_JSON ? json_options : NULL;
}

static const struct cli_option *option_find(const struct command *command, struct str name)
{
    const struct cli_option *found = table_find(command->options, name);
    return found ? found : table_find(shared_options(command), name);
}

static void near_options(struct near *near, const struct cli_option *table)
{
    for (; table && table->name; table++)
        near_try(near, str_of(table->name));
}

static int unknown_option(struct cli *cli, struct str name)
{
    struct near near = near_to(name);
    near_options(&near, cli->command->options);
    near_options(&near, shared_options(cli->command));
    struct str best = near_best(&near);
    return cli_fail(cli, CLI_USAGE, "there is no option --%.*s%s%.*s%s", STR(name),
                    str_given(best) ? "; did you mean --" : "", STR(best), str_given(best) ? "?" : "");
}

/* Takes the option argv[*i], and the argument behind it when that is its value. */
static int take_option(struct cli *cli, int argc, char **argv, int *i)
{
    struct str rest = str_of(argv[*i] + 2);
    struct str name = str_cut(&rest, '=');
    const struct cli_option *option = option_find(cli->command, name);
    if (!option)
        return unknown_option(cli, name);
    if (cli->given_count == CLI_OPTIONS_MAX)
        return cli_fail(cli, CLI_USAGE, "more than %d options", CLI_OPTIONS_MAX);
    if (!option->value && str_given(rest))
        return cli_fail(cli, CLI_USAGE, "--%s takes no value", option->name);

    const char *value = option->value ? rest.p : "";
    if (!value && *i + 1 < argc)
        value = argv[++*i];
    if (!value)
        return cli_fail(cli, CLI_USAGE, "--%s needs a value: %s", option->name, option->value);
    cli->given[cli->given_count].option = option;
    cli->given[cli->given_count++].value = value;
    return CLI_DONE;
}

static int read_arguments(struct cli *cli, int argc, char **argv)
{
    const struct command *command = cli->command;
    bool options_end = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (!options_end && same(word, "--")) {
            options_end = true;
        } else if (!options_end && word[0] == '-' && word[1] == '-') {
            int code = take_option(cli, argc, argv, &i);
            if (code != CLI_DONE)
                return code;
        } else if (!options_end && word[0] == '-' && word[1] != '\0') {
            return cli_fail(cli, CLI_USAGE, "there is no option %s; options begin with --", word);
        } else if (cli->operand_count == command->operands_max) {
            return command->operands_max ? cli_fail(cli, CLI_USAGE, "%s is one too many", word)
                                         : cli_fail(cli, CLI_USAGE, "takes no operands, got %s", word);
        } else {
            cli->operands[cli->operand_count++] = word;
        }
    }
    if (cli->operand_count < command->operands_min)
        return cli_fail(cli, CLI_USAGE, "needs %s", command->operands);
    cli->json = cli_has(cli, "json");
    return CLI_DONE;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && !same(argv[i], "--"); i++)
        if (same(argv[i], "--help") || same(argv[i], "-h"))
            return true;
    return false;
}

/* --- running -------------------------------------------------------------- */

static int run(const struct command *command, int argc, char **argv)
{
    struct cli cli = { .command = command };
    op_init(&cli.op, arena_new(CLI_MEMORY_MAX), clock_wall_us());
    int code = read_arguments(&cli, argc, argv);
    if (code == CLI_DONE)
        code = command->run(&cli);
    arena_free(cli.op.arena);
    /* A result that could not be written was not delivered (a full disk behind '>'). */
    bool lost = fflush(stdout) != 0 || ferror(stdout); /* also of a part that left before the end */
    if (lost && errno != EPIPE && code == CLI_DONE) {
        fprintf(stderr, "posthouse: cannot write the result: %s\n", strerror(errno));
        code = CLI_REFUSED;
    }
    return code;
}

int cli_main(int argc, char **argv)
{
    if (argc < 2) {
        help_all(stderr);
        return CLI_USAGE;
    }
    const char *noun = argv[1];
    if (same(noun, "--help") || same(noun, "-h") || same(noun, "help")) {
        help_all(stdout);
        return CLI_DONE;
    }
    if (same(noun, "--version"))
        noun = "version";
    if (!noun_exists(noun))
        return unknown_noun(argv[1]);

    const struct command *command = command_find(noun, NULL);
    int used = 2;
    if (!command && argc > 2 && argv[2][0] != '-')
        command = command_find(noun, argv[used++]);
    if (asks_for_help(argc - 2, argv + 2)) {
        command ? help_command(stdout, command) : help_noun(stdout, noun);
        return CLI_DONE;
    }
    if (command)
        return run(command, argc - used, argv + used);
    if (argc > 2 && argv[2][0] != '-')
        return unknown_verb(noun, argv[2]);
    help_noun(stderr, noun);
    return CLI_USAGE;
}

/* --- for commands --------------------------------------------------------- */

const char *cli_option(const struct cli *cli, const char *name)
{
    const char *value = NULL;
    for (int i = 0; i < cli->given_count; i++)
        if (same(cli->given[i].option->name, name))
            value = cli->given[i].value;
    return value;
}

bool cli_has(const struct cli *cli, const char *name)
{
    return cli_option(cli, name) != NULL;
}

bool cli_int(const struct cli *cli, const char *name, int64_t min, int64_t max, int64_t *ret)
{
    const char *text = cli_option(cli, name);
    if (!text || str_to_int(str_of(text), min, max, ret))
        return true;
    cli_fail(cli, CLI_USAGE, "--%s must be a whole number from %lld to %lld, not \"%s\"", name, (long long)min,
             (long long)max, text);
    return false;
}

bool cli_duration(const struct cli *cli, const char *name, int64_t *ret_ms)
{
    const char *text = cli_option(cli, name);
    if (!text || duration_parse(str_of(text), ret_ms))
        return true;
    cli_fail(cli, CLI_USAGE, "--%s must be a duration like 90s, 40m or 7d, not \"%s\"", name, text);
    return false;
}

static void print_name(const struct cli *cli)
{
    fflush(stdout); /* what was printed so far stands in front, also in one file */
    fprintf(stderr, "posthouse %s%s%s: ", cli->command->noun, cli->command->verb ? " " : "",
            cli->command->verb ? cli->command->verb : "");
}

int cli_fail(const struct cli *cli, enum cli_exit code, const char *format, ...)
{
    va_list args;
    print_name(cli);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    if (code == CLI_USAGE)
        fprintf(stderr, "Try 'posthouse %s%s%s --help'.\n", cli->command->noun, cli->command->verb ? " " : "",
                cli->command->verb ? cli->command->verb : "");
    return (int)code;
}

int cli_fail_op(const struct cli *cli)
{
    return cli_fail(cli, CLI_REFUSED, "%s", cli->op.error);
}

bool cli_colors(void)
{
    const char *no_color = getenv("NO_COLOR");
    const char *term = getenv("TERM");
    return isatty(STDOUT_FILENO) && !(no_color && *no_color) && !(term && same(term, "dumb"));
}
