#include "main/bench_bulk.h"

#include <assert.h>
#include <unistd.h>

#include "base/json.h"
#include "engine/job_own.h"
#include "main/rig.h"

#define TURN_MS 1000
#define LOOK_US 50000
#define QUEUE   "bulk"

struct bulk_rig {
    struct op *op;
    const struct bench_bulk *bench;
    struct http_easy *api;
    struct str jid; /* of the action at work */
};

static enum err call(struct bulk_rig *rig, const char *method, const char *path, const char *body, struct str *ret_json)
{
    return rig_ask(rig->op, rig->api, method, path, body ? str_of(body) : (struct str){ 0 }, ret_json);
}

static struct str member_of(struct op *op, struct str json, const char *wanted)
{
    struct str value = { 0 };
    json_find(op->arena, json, JSON_STRICT, str_of(wanted), &value);
    return value;
}

static enum err act(struct bulk_rig *rig, const char *body)
{
    struct str answer;
    TRY(call(rig, "POST", "/v1/jobs/bulk", body, &answer));
    struct str jid = member_of(rig->op, answer, "jid"); /* with its quotes */
    rig->jid = jid.n > 2 ? (struct str){ jid.p + 1, jid.n - 2 } : S("");
    return OK;
}

/* How many jobs the action has looked at; *ret_over: all. */
static enum err look(struct bulk_rig *rig, int64_t *ret_done, bool *ret_over)
{
    struct str answer;
    TRY(call(rig, "GET", arena_fmt(rig->op->arena, "/v1/jobs/%.*s", STR(rig->jid)).p, NULL, &answer));
    struct str progress = member_of(rig->op, answer, "progress");
    *ret_over = str_eq(member_of(rig->op, answer, "state"), S("\"done\""));
    *ret_done = str_given(progress) ? rig_number(rig->op, progress, "done") : 0;
    return OK;
}

static enum err set_paused(struct bulk_rig *rig, bool paused)
{
    return call(rig, "PATCH", "/v1/queues/" OWN_QUEUE, paused ? "{\"paused\":true}" : "{\"paused\":false}", NULL);
}

/* The jobs, dead; and the action that takes them back, not yet begun. */
static enum err prepare(struct bulk_rig *rig)
{
    int64_t done;
    TRY(rig->bench->fill(rig->bench->arg, S(QUEUE), rig->bench->jobs));
    TRY(act(rig, "{\"action\":\"kill\",\"filter\":{\"queue\":\"" QUEUE "\"}}"));
    for (bool over = false; !over; usleep(LOOK_US))
        TRY(look(rig, &done, &over));
    TRY(set_paused(rig, true));
    return act(rig, "{\"action\":\"retry\",\"filter\":{\"state\":\"dead\",\"queue\":\"" QUEUE "\"}}");
}

static enum err turn(struct bulk_rig *rig, struct load_series *turns)
{
    struct load_result result;
    TRY(rig->bench->work(rig->bench->arg, TURN_MS, &result));
    load_series_add(turns, &result);
    return OK;
}

static enum err turn_beside(struct bulk_rig *rig, struct load_series *turns)
{
    TRY(set_paused(rig, false));
    TRY(turn(rig, turns));
    return set_paused(rig, true);
}

/* Each kind is first as often as the other, so that what a turn leaves behind meets both alike. */
static enum err turns_run(struct bulk_rig *rig, struct bench_bulk_result *ret)
{
    struct load_series alone = { .count = 0 }, beside = { .count = 0 };
    int64_t done = 0;
    bool over = false;
    for (int i = 0; i < rig->bench->turns; i++) {
        if (i % 2 == 0)
            TRY(turn(rig, &alone));
        TRY(turn_beside(rig, &beside));
        if (i % 2 == 1)
            TRY(turn(rig, &alone));
        TRY(look(rig, &done, &over));
        if (over)
            return fail(rig->op, ERR_CONFLICT, "the bulk action was over before the measurement: take more jobs");
    }
    ret->alone = load_series_medians(&alone);
    ret->beside = load_series_medians(&beside);
    ret->bulk_rate = (double)done * 1e6 / (double)beside.took_us;
    return OK;
}

enum err bench_bulk(struct op *op, const struct bench_bulk *bench, struct bench_bulk_result *ret)
{
    assert(bench->turns >= 1 && bench->turns <= LOAD_TURNS_MAX);
    struct bulk_rig rig = { .op = op, .bench = bench };
    struct http_easy_config config = { .url = bench->url, .connect_ms = 5000, .idle_ms = 60000 };
    TRY(http_easy_open(op, &config, &rig.api));
    enum err err = prepare(&rig);
    if (err == OK)
        err = turns_run(&rig, ret);
    http_easy_close(rig.api);
    return err;
}
