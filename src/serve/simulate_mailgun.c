#include "serve/simulate_door.h"

#include "base/clock.h"
#include "base/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKEN_MS 600000
#define CLOSE_MS 1000

static enum err write_truth(struct op *op, struct sim *sim, const char *path)
{
    struct sim_truth truth;
    struct buf buf;
    buf_init(&buf, 65536);
    sim_truth(sim, &truth);
    sim_truth_json(sim, &truth, &buf);
    buf_add_char(&buf, '\n');

    FILE *file = fopen(path, "w");
    bool written = file && fwrite(buf.p, 1, buf.n, file) == buf.n;
    bool closed = file && fclose(file) == 0;
    buf_done(&buf);
    if (!written || !closed)
        return fail(op, ERR_IO, "truth file %s: %s", path, strerror(errno));
    return OK;
}

/* Everything but the sockets. */
static enum err prepare(struct op *op, const struct stand_in_config *config, struct stand_in *stand_in)
{
    struct sim_config model = config->model;
    if (model.start_us == 0)
        model.start_us = clock_wall_us();
    door_copy(stand_in->key, sizeof stand_in->key, str_of(config->key ? config->key : SIMULATE_KEY));
    door_copy(stand_in->signing_key, sizeof stand_in->signing_key,
              str_of(config->signing_key ? config->signing_key : SIMULATE_SIGNING_KEY));
    stand_in->token_ms = config->token_ms ? config->token_ms : TOKEN_MS;
    random_bytes(&stand_in->token_key, sizeof stand_in->token_key);
    stand_in->listed_until_us = model.start_us - 1;
    stand_in->asked = calloc(ASKED_MAX, sizeof *stand_in->asked);
    if (!stand_in->asked)
        return fail(op, ERR_TOO_LARGE, "out of memory");
    TRY(sim_open(op, &model, &stand_in->sim));
    return config->truth_file ? write_truth(op, stand_in->sim, config->truth_file) : OK;
}

static enum err listen_on(struct op *op, const struct stand_in_config *config, struct stand_in *stand_in)
{
    struct http_server_config http = { .data = stand_in, .answered = door_note_status };
    struct http_client_config client = { .allow_loopback = true, .user_agent = "mailgun/simulated" };
    TRY(addr_parse(op, str_of(config->listen ? config->listen : SIMULATE_LISTEN), &http.listen));
    stand_in->loop = loop_start("simulate");
    stand_in->client = http_client_open(stand_in->loop, &client);
    stand_in->hooks = hooks_new(stand_in);
    return http_server_open(op, stand_in->loop, &http, door_routes, door_route_count, &stand_in->server);
}

enum err stand_in_start(struct op *op, const struct stand_in_config *config, struct stand_in **ret_stand_in)
{
    struct stand_in *stand_in = calloc(1, sizeof *stand_in);
    if (!stand_in)
        return fail(op, ERR_TOO_LARGE, "out of memory");
    enum err err = prepare(op, config, stand_in);
    if (err == OK)
        err = listen_on(op, config, stand_in);
    if (err != OK) {
        stand_in_stop(stand_in);
        return err;
    }
    *ret_stand_in = stand_in;
    return OK;
}

static void stop_on_loop(void *data)
{
    struct stand_in *stand_in = data;
    fault_release_all(stand_in);
    hooks_stop(stand_in->hooks);
}

void stand_in_stop(struct stand_in *stand_in)
{
    if (!stand_in)
        return;
    if (stand_in->loop) {
        loop_call(stand_in->loop, stop_on_loop, stand_in);
        if (stand_in->server)
            http_server_close(stand_in->server, CLOSE_MS);
        http_client_close(stand_in->client);
        loop_stop(stand_in->loop);
    }
    hooks_free(stand_in->hooks);
    for (int kind = 0; kind < LIST_KINDS; kind++)
        listed_clear(&stand_in->lists[kind]);
    sim_close(stand_in->sim);
    free(stand_in->asked);
    free(stand_in);
}

struct addr stand_in_addr(const struct stand_in *stand_in)
{
    return http_server_addr(stand_in->server);
}

const struct sim *stand_in_model(const struct stand_in *stand_in)
{
    return stand_in->sim;
}
