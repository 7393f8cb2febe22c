/*
 * main.c - the posthouse program.
 */
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "version") == 0) {
        puts("posthouse " POSTHOUSE_VERSION);
        return 0;
    }
    fputs("usage: posthouse NOUN VERB [args]\n", stderr);
    return 2;
}
