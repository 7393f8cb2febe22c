#include "seeds.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

#define FAILURES_MAX 5 /* then the rest is not worth waiting for */

static struct {
    const char *program;
    uint64_t seed, first, count, passed;
    int failed;
    jmp_buf way_out;
    char why[4096];
} run;

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? strtoull(text, NULL, 10) : otherwise;
}

static void again(char *text, size_t room)
{
    snprintf(text, room, "SIM_FIRST=%llu SIM_SEEDS=1 build/%s/tests/sim/%s", (unsigned long long)run.seed,
             POSTHOUSE_BUILD, run.program);
}

/* An assert that fails ends the process; its seed must be known all the same. */
static void on_abort(int signal_no)
{
    char command[200], line[400];
    again(command, sizeof command);
    int n = snprintf(line, sizeof line, "not ok - %s: seed %llu ended with signal %d; again: %s\n", run.program,
                     (unsigned long long)run.seed, signal_no, command);
    if (write(STDOUT_FILENO, line, (size_t)n) < 0)
        _exit(2);
    _exit(1);
}

static void no_log(void *context, struct str line)
{
    (void)context;
    (void)line;
}

void seed_fails(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(run.why, sizeof run.why, format, args);
    va_end(args);
    longjmp(run.way_out, 1);
}

static void run_one(void (*one)(uint64_t seed), uint64_t seed)
{
    run.seed = seed;
    if (setjmp(run.way_out) == 0) {
        one(seed);
        run.passed++;
        return;
    }
    char command[200];
    again(command, sizeof command);
    printf("not ok %d - %s: seed %llu\n# %s\n# again: %s\n", ++run.failed, run.program, (unsigned long long)run.seed,
           run.why, command);
}

int seeds_run(const char *program, void (*one)(uint64_t seed))
{
    run.program = program;
    run.first = from_environment("SIM_FIRST", 1);
    run.count = from_environment("SIM_SEEDS", SEEDS_DEFAULT);
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (!getenv("SIM_LOG")) /* what the engine complains about is planned here */
        log_capture(no_log, NULL);
    for (uint64_t i = 0; i < run.count && run.failed < FAILURES_MAX; i++)
        run_one(one, run.first + i);
    if (run.passed)
        printf("ok %d - %s: %llu seeds from %llu\n", run.failed + 1, program, (unsigned long long)run.passed,
               (unsigned long long)run.first);
    printf("1..%d\n", run.failed + (run.passed > 0));
    return run.failed > 0;
}
