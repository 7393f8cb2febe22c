/*
 * cmd_migrate.c - moves a store to another place, or to the other engine.
 */
#include <stdio.h>

#include "base/clock.h"
#include "base/json_write.h"
#include "engine/check.h"
#include "main/cli.h"
#include "main/progress.h"
#include "main/settings.h"
#include "main/show.h"
#include "store/move.h"
#include "store/spool.h"

#define ANSWER_BYTES_MAX 4096

struct migration {
    struct cli *cli;
    struct move move;
    struct check source, target;
    struct progress progress;
    const char *spool; /* of clicks, beside the source */
    double seconds;    /* of copying */
};

static void see_rows(void *data, int64_t done, int64_t all)
{
    struct migration *m = data;
    m->progress.total = all;
    progress_at(&m->progress, done);
}

static void see_facts(void *data, uint64_t done, uint64_t all)
{
    see_rows(data, (int64_t)done, (int64_t)all);
}

static void see_difference(void *data, const char *line)
{
    struct migration *m = data;
    progress_end(&m->progress);
    fprintf(stderr, "%s\n", line);
}

/* Counts everything again beside the move, which has both stores open but does not change them now. */
static enum err check_side(struct migration *m, const char *label, const struct store_config *side, struct check *check)
{
    struct op *op = &m->cli->op;
    struct store_config config = *side;
    config.read_only = true;
    *check = (struct check){ .difference = see_difference, .progress = see_facts, .data = m };
    TRY(store_open(op, &config, &check->store));
    progress_begin(&m->progress, label, 0, false);
    enum err err = check_run(op, check);
    progress_end(&m->progress);
    store_close(check->store);
    return err;
}

static enum err run_phase(struct migration *m, const char *label, enum err (*phase)(struct op *op, struct move *move))
{
    progress_begin(&m->progress, label, m->move.rows, false);
    enum err err = phase(&m->cli->op, &m->move);
    progress_end(&m->progress);
    return err;
}

/* A daemon that was killed may have answered clicks that only its spool has: nobody would look for them there again. */
static enum err nothing_left_behind(struct migration *m)
{
    size_t clicks = 0;
    if (m->move.from.directory)
        TRY(spool_look(&m->cli->op, m->spool, &clicks));
    return clicks == 0 ? OK
                       : fail(&m->cli->op, ERR_CONFLICT,
                              "%s holds clicks that the store may not have: stop the daemon there; if it was killed, "
                              "start and stop it once",
                              m->spool);
}

static enum err migrate(struct migration *m)
{
    struct op *op = &m->cli->op;
    struct move *move = &m->move;
    TRY(nothing_left_behind(m));
    TRY(move_begin(op, move));
    int64_t began_us = clock_mono_us();
    TRY(run_phase(m, move->resumed ? "going on" : "copying", move_copy));
    m->seconds = (double)(clock_mono_us() - began_us) / 1e6;
    TRY(run_phase(m, "comparing", move_compare));
    TRY(check_side(m, "checking the source", &move->from, &m->source));
    if (m->source.differ)
        return fail(op, ERR_CONFLICT,
                    "%lld counters of %s differ from its rows: run posthouse check --repair there, then this again",
                    (long long)m->source.differ, move->from_name);
    TRY(check_side(m, "checking the target", &move->to, &m->target));
    if (m->target.differ || m->target.compared != m->source.compared)
        return fail(op, ERR_BUG, "the target's counters are not those of the source");
    return move_finish(op, move);
}

static int64_t rows_per_second(const struct migration *m)
{
    return m->seconds > 0.001 ? (int64_t)((double)m->move.copied / m->seconds) : 0;
}

static void print_check(struct json_writer *w, const char *name, const struct check *check)
{
    json_put_name(w, name);
    json_object_begin(w);
    json_member_int(w, "compared", check->compared);
    json_member_int(w, "differ", check->differ);
    json_object_end(w);
}

static void print_json(const struct migration *m)
{
    const struct move *move = &m->move;
    struct buf buf;
    struct json_writer w;
    buf_init_arena(&buf, m->cli->op.arena, ANSWER_BYTES_MAX);
    json_write_init(&w, &buf);
    json_object_begin(&w);
    json_member_int(&w, "tables", move->tables);
    json_member_int(&w, "rows", move->rows);
    json_member_int(&w, "copied", move->copied);
    json_member_bool(&w, "resumed", move->resumed);
    json_member_int(&w, "compared", move->compared);
    json_member_int(&w, "differ", move->differ);
    json_put_name(&w, "check");
    json_object_begin(&w);
    print_check(&w, "source", &m->source);
    print_check(&w, "target", &m->target);
    json_object_end(&w);
    json_put_name(&w, "seconds");
    json_put_decimal(&w, (int64_t)(m->seconds * 100), 2);
    json_member_int(&w, "rows_per_second", rows_per_second(m));
    json_object_end(&w);
    show_json(buf_str(&buf));
}

static void print_text(const struct migration *m)
{
    const struct move *move = &m->move;
    printf("copied %lld rows of %lld tables in %.1f s, %lld rows/s%s\n", (long long)move->copied,
           (long long)move->tables, m->seconds, (long long)rows_per_second(m),
           move->resumed ? "; the others were there already" : "");
    printf("compared %lld rows, %lld differ\n", (long long)move->compared, (long long)move->differ);
    printf("check: %lld facts compared on each side, %lld differ\n", (long long)m->target.compared,
           (long long)m->source.differ + (long long)m->target.differ);
    printf("%s is the store now; %s is as it was\n", move->to_name, move->from_name);
}

/* "sqlite:DIR" or a URL of PostgreSQL, as a place and as it may be shown. */
static bool read_place(struct cli *cli, const char *text, struct store_config *ret, const char **ret_name)
{
    struct str place = str_of(text);
    if (str_starts(place, S("sqlite:")) && place.n > sizeof "sqlite:" - 1) {
        *ret = (struct store_config){ .directory = text + sizeof "sqlite:" - 1 };
        *ret_name = text;
        return true;
    }
    if (!str_starts(place, S("postgres://")) && !str_starts(place, S("postgresql://")))
        return false;
    *ret = (struct store_config){ .url = text };
    *ret_name = store_url_text(cli->op.arena, text).p;
    return true;
}

static bool read_source(struct cli *cli, const struct conf *conf, struct store_config *ret, const char **ret_name)
{
    struct str url = conf_text(conf, "database", "url");
    struct str text = str_given(url) && url.n ? url : arena_fmt(cli->op.arena, "sqlite:%.*s", STR(settings_data(conf)));
    return read_place(cli, arena_str(cli->op.arena, text).p, ret, ret_name);
}

static int migrate_command(struct cli *cli)
{
    struct settings_flags flags = { .config = cli_option(cli, "config"),
                                    .data = cli_option(cli, "data"),
                                    .database = cli_option(cli, "database") };
    struct migration m = { .cli = cli };
    struct conf *conf;
    if (!cli_option(cli, "to"))
        return cli_fail(cli, CLI_USAGE, "--to is missing: sqlite:DIR or postgres://...");
    if (settings_read(&cli->op, &flags, &conf, NULL) != OK)
        return cli_fail(cli, CLI_USAGE, "%s", cli->op.error);
    if (!read_source(cli, conf, &m.move.from, &m.move.from_name))
        return cli_fail(cli, CLI_USAGE, "--database is no URL of PostgreSQL (postgres://...)");
    if (!read_place(cli, cli_option(cli, "to"), &m.move.to, &m.move.to_name))
        return cli_fail(cli, CLI_USAGE, "--to is neither sqlite:DIR nor postgres://...");
    if (str_eq(str_of(m.move.from_name), str_of(m.move.to_name)))
        return cli_fail(cli, CLI_USAGE, "--to names the source itself");
    m.spool = settings_click_spool(cli->op.arena, conf);
    m.move.progress = see_rows;
    m.move.difference = see_difference;
    m.move.data = &m;
    enum err err = migrate(&m);
    if (err == OK && cli->json)
        print_json(&m);
    else if (err == OK)
        print_text(&m);
    int code = err == OK ? CLI_DONE : cli_fail_op(cli);
    move_end(&m.move);
    return code;
}

static const struct cli_option options[] = {
    { "to", "PLACE", "sqlite:DIR or postgres://user@host/name; an empty one" },
    { "data", "DIR", "the store that moves (POSTHOUSE_DATA, default ./posthouse-data)" },
    { "database", "URL", "the same when it is in PostgreSQL (POSTHOUSE_DATABASE)" },
    { "config", "FILE", "the configuration that names it (POSTHOUSE_CONFIG)" },
    { 0 },
};

extern const struct command cmd_migrate;
const struct command cmd_migrate = {
    .noun = "migrate",
    .operands = "",
    .summary = "moves a store to another place or to the other engine",
    .text = "Nobody may use the store meanwhile. Run again after an interruption: it goes on where it was.\n"
            "At the end every row is compared and both sides are checked; until then no daemon takes\n"
            "the target for a store. The source stays as it was.\n",
    .options = options,
    .flags = CLI_JSON,
    .run = migrate_command,
};
