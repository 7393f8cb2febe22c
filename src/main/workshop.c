#include "main/workshop.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/session.h"
#include "main/settings.h"
#include "main/settle.h"
#include "net/loop.h"
#include "serve/metrics.h"
#include "serve/worker_door.h"

#define STOP_LOOK_US    20000 /* between two looks at what is still leased */
#define CLOSE_MS        1000  /* for the last answers, and clients to hear that it is over */
#define STOP_BYTES_MAX  (16u << 20)
#define SESSIONS_A_LOOK 1000
#define TEXT_BYTES_MAX  (1u << 20)

struct workshop {
    struct arena *memory; /* of texts that outlive the configuration they stood in */
    struct loop *loop;
    struct worker_door *door;
};

/* --- start ---------------------------------------------------------------- */

/* With a password a client proves that it may; without one everybody may who can reach the door. */
enum err workshop_check(struct op *op, const struct conf *conf)
{
    struct addr addr;
    TRY(settings_addr(op, conf, "worker", &addr));
    if (addr_is_loopback(&addr) || conf_text(conf, "worker", "password").n > 0)
        return OK;
    return fail(op, ERR_INVALID,
                "refusing to open the door for workers on %.*s without a password, since others could reach it; set "
                "password or password_file in section [worker]",
                STR(conf_text(conf, "server", "worker")));
}

enum err workshop_open(struct op *op, struct store *store, struct jobs *jobs, const struct conf *conf,
                       struct workshop **ret_workshop)
{
    struct workshop *workshop = calloc(1, sizeof *workshop);
    if (!workshop)
        abort();
    workshop->memory = arena_new(TEXT_BYTES_MAX);
    *ret_workshop = workshop; /* also after an error: the daemon takes it down with everything else */
    struct worker_door_config config = {
        .store = store,
        .jobs = jobs,
        .password = arena_str(workshop->memory, conf_text(conf, "worker", "password")),
        .require_v2_auth = conf_bool(conf, "worker", "require_v2_auth"),
        .allow_flush = conf_bool(conf, "server", "dev"),
        .description = arena_str(workshop->memory, conf_text(conf, "worker", "description")),
        .connections_max = (int)conf_int(conf, "worker", "connections"),
        .command_bytes_max = (size_t)conf_bytes(conf, "worker", "max_command_bytes"),
        .job_bytes_max = (size_t)conf_bytes(conf, "worker", "max_job_bytes"),
    };
    TRY(settings_addr(op, conf, "worker", &config.listen));
    TRY(workshop_check(op, conf));
    workshop->loop = config.loop = loop_start("worker");
    TRY(worker_door_open(op, &config, &workshop->door));
    metrics_worker_door(workshop->door);
    return OK;
}

struct addr workshop_addr(const struct workshop *workshop)
{
    return worker_door_addr(workshop->door);
}

/* --- stop ----------------------------------------------------------------- */

/* Leases of workers that are there to end them. */
static enum err count_held(struct op *op, struct tx *tx, void *arg)
{
    int64_t *ret_held = arg;
    struct str after = S("");
    size_t count = SESSIONS_A_LOOK;
    *ret_held = 0;
    while (count == SESSIONS_A_LOOK) {
        struct session_view *views;
        TRY(session_list(op, tx, after, SESSIONS_A_LOOK, &views, &count));
        for (size_t i = 0; i < count; i++)
            *ret_held += views[i].sockets > 0 ? views[i].leased : 0;
        if (count > 0)
            after = views[count - 1].name;
    }
    return OK;
}

static bool is_held(struct op *op)
{
    int64_t held = 0;
    arena_reset(op->arena);
    op_init(op, op->arena, clock_wall_us());
    return settle(op, count_held, &held) == OK && held > 0;
}

/* Ends with the last lease of a worker that is connected, or when the time is over. */
void workshop_stop(struct workshop *workshop, int64_t wait_ms, const atomic_bool *hurry)
{
    if (!workshop->door)
        return;
    int64_t end_us = clock_mono_us() + wait_ms * 1000;
    struct op op;
    op_init(&op, arena_new(STOP_BYTES_MAX), clock_wall_us());
    worker_door_stop(workshop->door);
    while (clock_mono_us() < end_us && !(hurry && atomic_load(hurry)) && is_held(&op))
        usleep(STOP_LOOK_US);
    arena_free(op.arena);
}

void workshop_close(struct workshop *workshop)
{
    metrics_worker_door(NULL);
    if (workshop->door)
        worker_door_close(workshop->door, CLOSE_MS);
    if (workshop->loop)
        loop_stop(workshop->loop);
    arena_free(workshop->memory);
    free(workshop);
}
