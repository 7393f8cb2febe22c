/*
 * ledger_test.h - a ledger to play with: one tenant, one mailing, real SQLite in memory.
 *
 *     struct ledger ledger;
 *     ledger_start(&ledger);
 *     import(&ledger, "{\"recipient\":\"a@x.org\"}");
 *     EQ(tell(&ledger, opened("a@x.org", T0, "e1")), RESULT_APPLIED);
 *     EQ(figure(&ledger, MAILING_OPENED), 1);
 */
#pragma once

#include "engine/import.h"
#include "engine/ledger.h"
#include "engine/tenants.h"
#include "store_test.h"
#include "store/tally.h"

#define SECOND INT64_C(1000000)
#define T0     (INT64_C(1700000000) * SECOND)

struct ledger {
    struct fixture fixture;
    uint32_t tenant_no;
    uint32_t mailing_no;
    bool track_opens;
    const char *zone;
    struct import_chunk chunk; /* result of the newest import */
    struct import_line lines[16];
    const struct provider_event *event; /* being told */
    enum event_result result;
};

static inline enum err ledger_prepare(struct op *op, struct tx *tx, void *arg)
{
    struct ledger *ledger = arg;
    struct tenant tenant;
    struct mailing mailing;
    struct tenant_put tenant_put = { .timezone = str_of(ledger->zone) };
    struct mailing_put mailing_put = { .tenant = S("acme"), .track_opens = ledger->track_opens, .track_clicks = true };
    TRY(tenant_store(op, tx, S("acme"), &tenant_put, &tenant));
    TRY(mailing_store(op, tx, S("m"), &mailing_put, &mailing));
    ledger->tenant_no = tenant.no;
    ledger->mailing_no = mailing.no;
    return OK;
}

static inline void ledger_start_with(struct ledger *ledger, const char *zone, bool track_opens,
                                     void (*open)(struct fixture *fixture))
{
    memset(ledger, 0, sizeof *ledger);
    ledger->zone = zone;
    ledger->track_opens = track_opens;
    open(&ledger->fixture);
    ledger->fixture.op.now_us = T0 + 3600 * SECOND;
    SUCCEEDS(&ledger->fixture.op, store_write(&ledger->fixture.op, ledger->fixture.store, ledger_prepare, ledger));
}

static inline void ledger_start_in(struct ledger *ledger, const char *zone, bool track_opens)
{
    ledger_start_with(ledger, zone, track_opens, fixture_start);
}

/* In a file, which may be opened again. */
static inline void ledger_start_file(struct ledger *ledger)
{
    ledger_start_with(ledger, "UTC", true, fixture_start_file);
}

static inline void ledger_start(struct ledger *ledger)
{
    ledger_start_in(ledger, "UTC", true);
}

static inline void ledger_stop(struct ledger *ledger)
{
    fixture_end(&ledger->fixture);
}

static inline enum err ledger_import(struct op *op, struct tx *tx, void *arg)
{
    struct ledger *ledger = arg;
    return import_apply(op, tx, &ledger->chunk);
}

/* Lines of NDJSON into mailing "m". */
static inline void import(struct ledger *ledger, const char *text)
{
    struct json_lines lines;
    struct json_line line;
    ledger->chunk = (struct import_chunk){ .kind = IMPORT_MAILING, .mailing = S("m"), .lines = ledger->lines };
    json_lines_init(&lines);
    json_lines_feed(&lines, str_of(text), true);
    while (json_line_next(&lines, &line))
        import_line_parse(&ledger->fixture.op, IMPORT_MAILING, &line, &ledger->lines[ledger->chunk.count++]);
    SUCCEEDS(&ledger->fixture.op, store_write(&ledger->fixture.op, ledger->fixture.store, ledger_import, ledger));
}

static inline struct provider_event event_of(enum event_kind kind, const char *recipient, int64_t at_us, const char *id)
{
    return (struct provider_event){ .kind = kind,
                                    .type = "test",
                                    .at_us = at_us,
                                    .event_id = str_of(id),
                                    .mailing = S("m"),
                                    .recipient = str_of(recipient),
                                    .code = EVENT_CODE_NONE };
}

static inline enum err ledger_tell(struct op *op, struct tx *tx, void *arg)
{
    struct ledger *ledger = arg;
    struct provider_event event = *ledger->event;
    provider_event_key(&event, tx_hash_key(tx), S("mg"));
    return ledger_apply(op, tx, S("mg"), 1, ledger->tenant_no, &event, &ledger->result);
}

static inline enum event_result tell(struct ledger *ledger, struct provider_event event)
{
    ledger->event = &event;
    SUCCEEDS(&ledger->fixture.op, store_write(&ledger->fixture.op, ledger->fixture.store, ledger_tell, ledger));
    return ledger->result;
}

struct figure_ask {
    uint32_t mailing_no;
    struct mailing_stats stats;
};

static inline enum err figure_read(struct op *op, struct tx *tx, void *arg)
{
    struct figure_ask *ask = arg;
    return store_mailing_stats_get(op, tx, ask->mailing_no, &ask->stats);
}

static inline struct mailing_stats stats_of(struct ledger *ledger)
{
    struct figure_ask ask = { .mailing_no = ledger->mailing_no };
    SUCCEEDS(&ledger->fixture.op, store_read(&ledger->fixture.op, ledger->fixture.store, figure_read, &ask));
    return ask.stats;
}

static inline int64_t figure(struct ledger *ledger, enum mailing_figure which)
{
    return stats_of(ledger).figure[which];
}
