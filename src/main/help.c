#include "main/help.h"

#define COLUMN 26

static void print_line(FILE *out, const struct command *command)
{
    char words[96];
    snprintf(words, sizeof words, "%s %s%s%s", command->noun, command->verb ? command->verb : "",
             command->verb && *command->operands ? " " : "", command->operands);
    fprintf(out, "  %-*s %s\n", COLUMN + 8, words, command->summary);
}

void help_all(FILE *out)
{
    fputs("usage: posthouse NOUN VERB [operands] [options]\n\n", out);
    for (size_t i = 0; commands[i]; i++)
        if (!(commands[i]->flags & CLI_HIDDEN))
            print_line(out, commands[i]);
    fputs("\n'posthouse NOUN VERB --help' tells the options of one. Commands that ask a daemon take --url, --token\n"
          "and --json; POSTHOUSE_URL and POSTHOUSE_TOKEN stand for the first two.\n"
          "Exit codes: 0 done, 1 refused or found problems, 2 usage, 69 server not reachable.\n",
          out);
}

void help_noun(FILE *out, const char *noun)
{
    fprintf(out, "usage: posthouse %s VERB [operands] [options]\n\n", noun);
    for (size_t i = 0; commands[i]; i++)
        if (strcmp(commands[i]->noun, noun) == 0 && !(commands[i]->flags & CLI_HIDDEN))
            print_line(out, commands[i]);
    fprintf(out, "\n'posthouse %s VERB --help' tells the options of one.\n", noun);
}

static void print_options(FILE *out, const struct cli_option *option)
{
    for (; option && option->name; option++) {
        char words[96];
        snprintf(words, sizeof words, "--%s%s%s", option->name, option->value ? " " : "",
                 option->value ? option->value : "");
        fprintf(out, "  %-*s %s\n", COLUMN, words, option->help);
    }
}

void help_command(FILE *out, const struct command *command)
{
    fprintf(out, "usage: posthouse %s%s%s%s%s [options]\n\n", command->noun, command->verb ? " " : "",
            command->verb ? command->verb : "", *command->operands ? " " : "", command->operands);
    fprintf(out, "It %s.\n", command->summary);
    if (command->text)
        fprintf(out, "\n%s", command->text);
    fputs("\nOptions:\n", out);
    print_options(out, command->options);
    if (command->flags & CLI_CLIENT)
        print_options(out, cli_client_options);
    else if (command->flags & CLI_JSON)
        fprintf(out, "  %-*s %s\n", COLUMN, "--json", "the result as JSON");
    fprintf(out, "  %-*s %s\n", COLUMN, "--help", "this text");
}

static void table_options(FILE *out, const struct cli_option *option)
{
    for (; option && option->name; option++)
        fprintf(out, "\t--%s%s", option->name, option->value ? "=" : "");
}

void help_table(FILE *out)
{
    for (size_t i = 0; commands[i]; i++) {
        const struct command *command = commands[i];
        if (command->flags & CLI_HIDDEN)
            continue;
        fprintf(out, "%s\t%s\t%s", command->noun, command->verb ? command->verb : "-", command->summary);
        table_options(out, command->options);
        if (command->flags & CLI_CLIENT)
            table_options(out, cli_client_options);
        else if (command->flags & CLI_JSON)
            fputs("\t--json", out);
        fputs("\t--help\n", out);
    }
}
