/*
 * source_lab.h - a source over a real store in memory: tenant "acme", mailing "m" with a few messages, source "mg".
 */
#pragma once

#include "engine/source.h"
#include "engine/source_status.h"
#include "ledger_test.h"

#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)

struct lab {
    struct ledger ledger;
    struct op *op;
    struct store *store;
    uint32_t source_no;
    uint64_t epoch;
    struct source_save save;
    struct source_result result;
    struct source_hook_save hook;
    enum hook_outcome outcome;
    struct lane_row lanes[STORE_LANES];
    struct source_setup setup;
    struct node_self node;
    const char *body;
    struct str text; /* newest status document */
};

static inline enum err lab_put_run(struct op *op, struct tx *tx, void *arg)
{
    struct lab *lab = arg;
    struct source_row row;
    struct str tenant;
    bool created;
    TRY(source_config_parse(op, S("mg"), str_of(lab->body), NULL, &row, &tenant));
    TRY(source_put(op, tx, &row, tenant, &created));
    lab->source_no = row.no;
    return OK;
}

static inline enum err lab_put(struct lab *lab, const char *body)
{
    lab->body = body;
    return store_write(lab->op, lab->store, lab_put_run, lab);
}

static inline enum err lab_lease_run(struct op *op, struct tx *tx, void *arg)
{
    struct lab *lab = arg;
    return source_lease_take(op, tx, lab->source_no, &lab->node, &lab->epoch);
}

static inline enum err lab_lease(struct lab *lab, const char *node)
{
    lab->node = (struct node_self){ .id = str_of(node) };
    return store_write(lab->op, lab->store, lab_lease_run, lab);
}

static inline enum err lab_load_run(struct op *op, struct tx *tx, void *arg)
{
    struct lab *lab = arg;
    return source_load(op, tx, lab->source_no, &lab->setup);
}

static inline void lab_load(struct lab *lab)
{
    SUCCEEDS(lab->op, store_read(lab->op, lab->store, lab_load_run, lab));
}

static inline enum err lab_commit_run(struct op *op, struct tx *tx, void *arg)
{
    struct lab *lab = arg;
    return source_commit(op, tx, &lab->save, &lab->result);
}

static inline enum err lab_commit(struct lab *lab)
{
    return store_write(lab->op, lab->store, lab_commit_run, lab);
}

static inline enum err lab_hook_run(struct op *op, struct tx *tx, void *arg)
{
    struct lab *lab = arg;
    return source_hook_commit(op, tx, &lab->hook, &lab->outcome, &lab->result);
}

static inline enum err lab_hook(struct lab *lab)
{
    return store_write(lab->op, lab->store, lab_hook_run, lab);
}

static inline enum err lab_lanes_run(struct op *op, struct tx *tx, void *arg)
{
    struct lab *lab = arg;
    return store_lane_get(op, tx, lab->source_no, lab->lanes);
}

static inline const struct lane_row *lab_lane(struct lab *lab, enum lane lane)
{
    SUCCEEDS(lab->op, store_read(lab->op, lab->store, lab_lanes_run, lab));
    return &lab->lanes[lane];
}

static inline enum err lab_status_run(struct op *op, struct tx *tx, void *arg)
{
    struct lab *lab = arg;
    struct source_row row;
    static struct buf buf;
    struct json_writer w;
    TRY(store_source_get(op, tx, S("mg"), &row));
    buf_init_arena(&buf, op->arena, 1 << 20);
    json_write_init(&w, &buf);
    TRY(source_status_write(op, tx, &row, &w));
    lab->text = buf_str(&buf);
    return OK;
}

/* The document of GET /v1/sources/mg. */
static inline struct str lab_status(struct lab *lab)
{
    SUCCEEDS(lab->op, store_read(lab->op, lab->store, lab_status_run, lab));
    return lab->text;
}

static inline bool lab_shows(struct lab *lab, const char *text)
{
    struct str status = lab_status(lab);
    return str_search(status, str_of(text)) < status.n;
}

static inline void lab_start_with(struct lab *lab, const char *body)
{
    memset(lab, 0, sizeof *lab);
    ledger_start(&lab->ledger);
    lab->op = &lab->ledger.fixture.op;
    lab->store = lab->ledger.fixture.store;
    import(&lab->ledger, "{\"recipient\":\"a@x.org\"}\n{\"recipient\":\"b@x.org\"}\n{\"recipient\":\"c@x.org\"}");
    SUCCEEDS(lab->op, lab_put(lab, body));
    SUCCEEDS(lab->op, lab_lease(lab, "n1"));
    lab_load(lab);
    lab->save = (struct source_save){
        .source_no = lab->source_no,
        .source_id = S("mg"),
        .epoch = lab->epoch,
        .lane = LANE_OPENS,
        .timing = lab->setup.timing,
        .first_begin_us = lab->setup.row.first_begin_us,
    };
    lab->hook = (struct source_hook_save){ .source_no = lab->source_no, .source_id = S("mg") };
}

#define LAB_MAILGUN                                                                                                    \
    "{\"type\":\"mailgun\",\"domain\":\"mg.x.org\",\"api_key\":\"key-1\",\"signing_key\":\"sign-1\",\"tenant\":"       \
    "\"acme\"}"

static inline void lab_start(struct lab *lab)
{
    lab_start_with(lab, LAB_MAILGUN);
}

static inline void lab_stop(struct lab *lab)
{
    ledger_stop(&lab->ledger);
}

/* An open of a recipient, with its key. */
static inline struct provider_event lab_open(struct lab *lab, const char *recipient, int64_t at_us, const char *id)
{
    struct provider_event event = event_of(EVENT_OPENED, recipient, at_us, id);
    provider_event_key(&event, store_hash_key(lab->store), S("mg"));
    return event;
}
