/*
 * cmd_top.c - what goes on, at a glance: queues with their rates, workers, how far reading is behind.
 */
#include "base/json_write.h"
#include "main/client.h"
#include "main/show.h"

#include <stdio.h>
#include <unistd.h>

#define FRAME_MS 1000

extern const struct command cmd_top;

static const struct show_column queue_columns[] = {
    { "QUEUE", "name" },
    { "READY", "ready" },
    { "LEASED", "leased" },
    { "RETRY", "retrying" },
    { "DEAD", "dead" },
    { "IN/MIN", "in_per_minute" },
    { "OUT/MIN", "out_per_minute" },
    { "LAG_S", "latency_seconds" },
    { "PAUSED", "paused" },
    { 0 },
};

static const struct show_column worker_columns[] = {
    { "WORKER", "id" },     { "STATE", "state" },  { "HOST", "hostname" },
    { "LEASED", "leased" }, { "SEEN", "seen_at" }, { 0 },
};

static const struct show_column lane_columns[] = {
    { "SOURCE", "source" }, { "LANE", "lane" }, { "STATE", "state" }, { "LAG_S", "lag_seconds" }, { 0 },
};

/* The members of a lane with the name of its source in front. */
static void put_lane(struct cli *cli, struct json_writer *w, struct str lane, struct str source)
{
    json_object_begin(w);
    json_member_str(w, "source", source);
    (void)json_copy_members(&cli->op, w, lane, NULL, NULL); /* part of an answer that was read whole */
    json_object_end(w);
}

/* Lanes of one source. */
static void put_source(struct cli *cli, struct json_writer *w, struct str source)
{
    struct json j;
    struct str name, lane, id = show_value(cli, source, "id");
    json_init(&j, cli->op.arena, source, JSON_STRICT);
    if (!json_enter_object(&j))
        return;
    while (json_next_member(&j, &name)) {
        if (!str_eq(name, S("lanes")) || json_type(&j) != JSON_ARRAY || !json_enter_array(&j))
            continue;
        while (json_next_item(&j))
            if (json_type(&j) == JSON_OBJECT && json_raw(&j, &lane))
                put_lane(cli, w, lane, id);
    }
}

/* Every lane of every source as one list. */
static struct str lanes_of(struct cli *cli, struct str sources)
{
    struct json j;
    struct buf buf;
    struct json_writer w;
    struct str name, item;
    buf_init_arena(&buf, cli->op.arena, 4 << 20);
    json_write_init(&w, &buf);
    json_array_begin(&w);
    json_init(&j, cli->op.arena, sources, JSON_STRICT);
    if (json_enter_object(&j))
        while (json_next_member(&j, &name))
            if (str_eq(name, S("items")) && json_enter_array(&j))
                while (json_next_item(&j) && json_raw(&j, &item))
                    put_source(cli, &w, item);
    json_array_end(&w);
    return buf_str(&buf);
}

static int frame(struct cli *cli, bool is_live)
{
    struct str queues, workers, sources;
    int code = client_call(cli, "GET", "/v1/queues?limit=1000", (struct str){ 0 }, &queues);
    if (code == CLI_DONE)
        code = client_call(cli, "GET", "/v1/workers?limit=1000", (struct str){ 0 }, &workers);
    if (code == CLI_DONE)
        code = client_call(cli, "GET", "/v1/sources?limit=100", (struct str){ 0 }, &sources);
    if (code != CLI_DONE)
        return code;
    if (cli->json) {
        printf("{\"queues\":%.*s,\"workers\":%.*s,\"lanes\":%.*s}\n", STR(queues), STR(workers),
               STR(lanes_of(cli, sources)));
        return CLI_DONE;
    }
    if (is_live)
        printf("\033[H\033[J"); /* home, and away with the former frame */
    show_items(cli, queues, "items", queue_columns, "no queues");
    printf("\n");
    show_items(cli, workers, "items", worker_columns, "no workers");
    printf("\n");
    show_items(cli, lanes_of(cli, sources), NULL, lane_columns, "no sources");
    fflush(stdout);
    return CLI_DONE;
}

static int top_run(struct cli *cli)
{
    int64_t every_ms = FRAME_MS;
    if (!cli_duration(cli, "every", &every_ms))
        return CLI_USAGE;
    bool is_live = !cli_has(cli, "once") && isatty(STDOUT_FILENO);
    int code = frame(cli, is_live);
    while (code == CLI_DONE && is_live) {
        usleep((useconds_t)(every_ms < 100 ? 100 : every_ms) * 1000);
        arena_reset(cli->op.arena);
        code = frame(cli, true);
    }
    return code;
}

static const struct cli_option top_options[] = {
    { "once", NULL, "one frame, as it is printed where there is no terminal" },
    { "every", "DURATION", "how often it looks, 1s when not given" },
    { 0 },
};

const struct command cmd_top = {
    .noun = "top",
    .operands = "",
    .summary = "shows queues with their rates, workers and how far reading is behind, again and again",
    .options = top_options,
    .flags = CLI_CLIENT,
    .run = top_run,
};
