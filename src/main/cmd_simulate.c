/*
 * cmd_simulate.c - the stand-in provider as a process of its own.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "main/cli.h"
#include "serve/simulate_mailgun.h"

static const struct cli_option options[] = {
    { "listen", "ADDR", "address of the doors (default " SIMULATE_LISTEN ")" },
    { "mailing", "ID", "plays a mailing of its own; GET /sim/messages gives its recipients" },
    { "recipients", "N", "of that mailing (default 1000)" },
    { "seed", "N", "decides every event (default 1)" },
    { "late-share", "F", "share of events that show up late, 0 to 1 (default 0)" },
    { "late-by", "DURATION", "how late (default 40m)" },
    { "duplicate-share", "F", "share of events listed twice (default 0)" },
    { "garbage-share", "F", "malformed items per event (default 0)" },
    { "compress-time", "X", "divides every delay (default 1)" },
    { "sent-ago", "DURATION", "the mailing was sent this long before the start (default 0s)" },
    { "truth", "FILE", "writes the figures that must come out as JSON" },
    { NULL, NULL, NULL },
};

/* An option in thousandths or millionths; false after printing what is wrong. */
static bool read_decimal(const struct cli *cli, const char *name, int places, int64_t max, int64_t *ret)
{
    const char *text = cli_option(cli, name);
    if (!text || sim_parse_decimal(str_of(text), places, max, ret))
        return true;
    cli_fail(cli, CLI_USAGE, "--%s: \"%s\" is no number between 0 and %lld with at most %d decimals", name, text,
             (long long)(places == 6 ? max / 1000000 : max / 1000), places);
    return false;
}

/* False after printing what is wrong. */
static bool read_options(const struct cli *cli, struct stand_in_config *config, int64_t *ret_ago_ms)
{
    int64_t recipients = 1000, seed = 1, late_by_ms = 2400000;
    struct sim_config *model = &config->model;
    model->compress_milli = 1000;
    if (!cli_int(cli, "recipients", 0, SIM_RECIPIENTS_MAX, &recipients) || !cli_int(cli, "seed", 0, INT64_MAX, &seed) ||
        !cli_duration(cli, "late-by", &late_by_ms) || !cli_duration(cli, "sent-ago", ret_ago_ms) ||
        !read_decimal(cli, "late-share", 6, 1000000, &model->late_ppm) ||
        !read_decimal(cli, "duplicate-share", 6, 1000000, &model->duplicate_ppm) ||
        !read_decimal(cli, "garbage-share", 6, 1000000, &model->garbage_ppm) ||
        !read_decimal(cli, "compress-time", 3, INT64_C(1000000000000), &model->compress_milli))
        return false;
    model->mailing = str_of(cli_option(cli, "mailing"));
    model->recipients = str_given(model->mailing) ? (uint32_t)recipients : 0;
    model->seed = (uint64_t)seed;
    model->late_by_us = late_by_ms * 1000;
    config->listen = cli_option(cli, "listen");
    config->truth_file = cli_option(cli, "truth");
    if (model->compress_milli == 0) {
        cli_fail(cli, CLI_USAGE, "--compress-time: time is divided by a number above 0");
        return false;
    }
    return true;
}

/* Blocked before any thread starts, so that all of them inherit it and only sigwait hears them. */
static sigset_t block_stop_signals(void)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    return signals;
}

static int simulate_run(struct cli *cli)
{
    struct stand_in_config config = { 0 };
    struct stand_in *stand_in;
    int64_t ago_ms = 0;
    if (!read_options(cli, &config, &ago_ms))
        return CLI_USAGE;
    config.model.start_us = cli->op.now_us - ago_ms * 1000;
    sigset_t signals = block_stop_signals();
    if (stand_in_start(&cli->op, &config, &stand_in) != OK)
        return cli_fail_op(cli);

    char address[ADDR_TEXT_BYTES_MAX];
    struct addr addr = stand_in_addr(stand_in);
    printf("simulate ready http=%.*s domain=%s key=%s signing_key=%s\n", STR(addr_text(&addr, address)),
           SIMULATE_DOMAIN, SIMULATE_KEY, SIMULATE_SIGNING_KEY);
    fflush(stdout);

    int signal;
    sigwait(&signals, &signal);
    stand_in_stop(stand_in);
    return CLI_DONE;
}

extern const struct command cmd_simulate_mailgun;
const struct command cmd_simulate_mailgun = {
    .noun = "simulate",
    .verb = "mailgun",
    .operands = "",
    .summary = "plays a mail provider whose figures are known",
    .text = "Serves Events API, Logs API, sending, suppression lists and signed webhooks like the\n"
            "provider, and GET /sim/messages, GET /sim/truth, POST /sim/faults, POST /sim/webhooks.\n"
            "The same seed gives the same figures at any speed. docs/simulator.md tells more.\n",
    .options = options,
    .run = simulate_run,
};
