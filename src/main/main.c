/*
 * main.c - the posthouse program: one word to start, a table of commands behind it.
 */
#include <signal.h>

#include "main/cli.h"

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a reader that left is an error of the write, not an end of the process */
    return cli_main(argc, argv);
}
