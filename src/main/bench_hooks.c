#include "main/bench_hooks.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/random.h"
#include "base/thread.h"
#include "engine/simulate_render.h"
#include "main/progress.h"

#define TENANT         "bench"
#define SIGNING_KEY    "bench-signing-key"
#define RECIPIENTS     50000
#define IMPORT_PART    5000 /* recipients a request */
#define PAGE           1000 /* reports asked of the model at once */
#define POSTS_MAX      (4 * RECIPIENTS)
#define TOKEN_BYTES    25 /* random ones, written in hex */
#define CLIENT_BYTES   (1u << 20)
#define PART_BYTES_MAX (IMPORT_PART * SIM_ITEM_BYTES_MAX)

/* What all clients share; they take one report after the other. */
struct hooks_run {
    struct cli *cli;
    struct bench_hooks *hooks;
    struct sim *sim;
    struct sim_event *events;
    size_t event_count;
    char mailing[48], path[64];
    int64_t end_us;
    atomic_size_t next, posted;
};

struct hooks_client {
    struct hooks_run *run;
    struct thread thread;
    struct op op;
    struct http_easy *easy;
    struct buf body;
    enum err err; /* of the report that failed; then it stops. Its sentence is in op.error */
};

/* --- before --------------------------------------------------------------- */

static int put_mailing(struct hooks_run *run)
{
    struct arena *arena = run->cli->op.arena;
    struct str tenant = S("{\"timezone\":\"Europe/London\"}"), json;
    struct str mailing = S("{\"tenant\":\"" TENANT "\",\"subject\":\"A measured mailing\"}");
    struct str source = S("{\"type\":\"mailgun\",\"tenant\":\"" TENANT "\",\"signing_key\":\"" SIGNING_KEY "\"}");
    int code = client_call(run->cli, "PUT", "/v1/tenants/" TENANT, tenant, &json);
    if (code == CLI_DONE)
        code = client_call(run->cli, "PUT", arena_fmt(arena, "/v1/mailings/%s", run->mailing).p, mailing, &json);
    if (code == CLI_DONE)
        code = client_call(run->cli, "PUT", arena_fmt(arena, "/v1/sources/%s", run->mailing).p, source, &json);
    return code;
}

static int import_part(struct hooks_run *run, struct buf *buf, uint32_t from, uint32_t to)
{
    struct str json;
    struct http_easy_request request = { .method = "POST", .content_type = "application/x-ndjson", .read_bytes = -1 };
    request.path = arena_fmt(run->cli->op.arena, "/v1/mailings/%s/messages", run->mailing).p;
    buf_reset(buf);
    for (uint32_t no = from; no < to; no++)
        sim_render_message(run->sim, no, buf);
    request.body = buf_str(buf);
    return client_send(run->cli, &request, &json);
}

static int import_all(struct hooks_run *run)
{
    struct progress progress;
    struct buf buf;
    int code = CLI_DONE;
    buf_init(&buf, PART_BYTES_MAX);
    progress_begin(&progress, "importing", RECIPIENTS, false);
    for (uint32_t no = 0; no < RECIPIENTS && code == CLI_DONE; no += IMPORT_PART) {
        code = import_part(run, &buf, no, no + IMPORT_PART);
        progress_at(&progress, no + IMPORT_PART);
    }
    progress_end(&progress);
    buf_done(&buf);
    return code;
}

/* Which reports there are, in order of time. */
static enum err make_events(struct hooks_run *run)
{
    struct sim_config config = { .seed = random_u64(),
                                 .mailing = str_of(run->mailing),
                                 .recipients = RECIPIENTS,
                                 .start_us = clock_wall_us() - INT64_C(172800000000) };
    struct sim_query query = { .end_us = INT64_MAX, .types = SIM_TYPES_ALL };
    size_t got;
    TRY(sim_open(&run->cli->op, &config, &run->sim));
    run->events = malloc((POSTS_MAX + PAGE) * sizeof *run->events);
    if (!run->events)
        abort();
    do {
        struct sim_event *page = run->events + run->event_count;
        got = sim_page(run->sim, &query, INT64_MAX, page, PAGE);
        run->event_count += got;
        if (got > 0)
            query.place = sim_place_of(&page[got - 1]);
        query.from_place = true;
    } while (got > 0 && run->event_count < POSTS_MAX);
    return OK;
}

/* --- a client ------------------------------------------------------------- */

static void put_body(struct hooks_client *client, const struct sim_event *event)
{
    uint8_t bytes[TOKEN_BYTES];
    char token[HEX_BYTES(TOKEN_BYTES)];
    random_bytes(bytes, sizeof bytes);
    hex_encode(bytes, sizeof bytes, token);
    struct sim_seal seal = { .key = S(SIGNING_KEY),
                             .token = { token, sizeof token },
                             .timestamp_s = clock_wall_us() / 1000000 };
    buf_reset(&client->body);
    sim_render_hook(client->run->sim, event, &seal, &client->body);
}

static enum err post(struct hooks_client *client, const struct sim_event *event)
{
    struct hooks_run *run = client->run;
    struct http_easy_answer answer;
    put_body(client, event);
    struct http_easy_request request = { .method = "POST",
                                         .path = run->path,
                                         .content_type = "application/json",
                                         .body = buf_str(&client->body),
                                         .read_bytes = -1 };
    arena_reset(client->op.arena);
    int64_t began_us = clock_mono_us();
    TRY(http_easy_send(&client->op, client->easy, &request, &answer));
    if (answer.status != 200)
        return fail(&client->op, ERR_IO, "%s answered %d: %.*s", run->path, answer.status, STR(answer.body));
    run->hooks->post_us[atomic_fetch_add(&run->posted, 1)] = clock_mono_us() - began_us;
    return OK;
}

static void post_on(void *context)
{
    struct hooks_client *client = context;
    struct hooks_run *run = client->run;
    while (client->err == OK && clock_mono_us() < run->end_us) {
        size_t no = atomic_fetch_add(&run->next, 1);
        if (no >= run->event_count)
            return;
        client->err = post(client, &run->events[no]);
    }
}

static enum err start_client(struct hooks_run *run, struct hooks_client *client)
{
    *client = (struct hooks_client){ .run = run };
    op_init(&client->op, arena_new(CLIENT_BYTES), run->cli->op.now_us);
    buf_init(&client->body, 2 * SIM_ITEM_BYTES_MAX);
    TRY(client_open(run->cli, &client->easy));
    return thread_start(&run->cli->op, &client->thread, "hooks", post_on, client);
}

static enum err end_client(struct op *op, struct hooks_client *client, bool is_started)
{
    if (is_started)
        thread_join(&client->thread);
    enum err err = op_inherit(op, client->err, &client->op);
    if (client->easy)
        http_easy_close(client->easy);
    buf_done(&client->body);
    arena_free(client->op.arena);
    return err;
}

/* --- all of them ---------------------------------------------------------- */

static enum err post_all(struct hooks_run *run)
{
    struct hooks_client *clients = calloc((size_t)run->hooks->clients, sizeof *clients);
    struct op *op = &run->cli->op;
    enum err err = OK;
    int64_t started = 0, began_us = clock_mono_us();
    if (!clients)
        abort();
    run->end_us = began_us + run->hooks->seconds * 1000000;
    while (started < run->hooks->clients && err == OK)
        err = start_client(run, &clients[started++]);
    bool all = err == OK;
    for (int64_t i = 0; i < started; i++) {
        enum err of_client = end_client(op, &clients[i], all || i < started - 1);
        err = err == OK ? of_client : err;
    }
    run->hooks->took_us = clock_mono_us() - began_us;
    run->hooks->posted = (int64_t)atomic_load(&run->posted);
    free(clients);
    return err;
}

int bench_hooks_run(struct cli *cli, struct bench_hooks *hooks)
{
    struct hooks_run run = { .cli = cli, .hooks = hooks };
    snprintf(run.mailing, sizeof run.mailing, "bench-%016llx", (unsigned long long)random_u64());
    snprintf(run.path, sizeof run.path, "/v1/hooks/%s", run.mailing);
    hooks->post_us = malloc((POSTS_MAX + PAGE) * sizeof *hooks->post_us);
    if (!hooks->post_us)
        abort();
    enum err err = make_events(&run);
    int code = err == OK ? put_mailing(&run) : cli_fail_op(cli);
    if (code == CLI_DONE)
        code = import_all(&run);
    if (code == CLI_DONE && post_all(&run) != OK)
        code = cli_fail_op(cli);
    if (code == CLI_DONE)
        code = client_about(cli, &hooks->daemon);
    if (run.sim)
        sim_close(run.sim);
    free(run.events);
    return code;
}
