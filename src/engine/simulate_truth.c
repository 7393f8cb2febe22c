#include "engine/simulate_truth.h"
#include "engine/simulate_fact.h"
#include "engine/simulate_own.h"

#include "base/instant.h"
#include "base/json_write.h"
#include "base/sort.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* What became of one message, as the model meant it. */
struct fate {
    bool delivered, failed, delayed, complained, unsubscribed;
    bool opened_human, opened_machine, clicked_human, clicked_machine;
    bool links[SIM_LINKS_MAX];
    bool suppress[SUPPRESS_UNSUBSCRIBE + 1];
};

static void count_touch(struct sim_truth *truth, struct fate *fate, const struct sim_event *event)
{
    bool machine = event->flags & SIM_MACHINE;
    if (event->type == SIM_OPENED) {
        *(machine ? &fate->opened_machine : &fate->opened_human) = true;
        return;
    }
    *(machine ? &fate->clicked_machine : &fate->clicked_human) = true;
    truth->link_clicks[event->detail]++;
    fate->links[event->detail] = true;
}

static void count_event(struct sim_truth *truth, struct fate *fate, const struct sim_event *event)
{
    switch ((enum sim_type)event->type) {
    case SIM_DELIVERED:
        fate->delivered = true;
        break;
    case SIM_DELAYED:
        fate->delayed = true;
        break;
    case SIM_FAILED:
    case SIM_REJECTED:
        fate->failed = true;
        fate->suppress[sim_failure_of(event->detail)->suppress] = true;
        break;
    case SIM_OPENED:
    case SIM_CLICKED:
        count_touch(truth, fate, event);
        break;
    case SIM_UNSUBSCRIBED:
        fate->unsubscribed = fate->suppress[SUPPRESS_UNSUBSCRIBE] = true;
        break;
    case SIM_COMPLAINED:
        fate->complained = fate->suppress[SUPPRESS_COMPLAINT] = true;
        break;
    case SIM_ACCEPTED:
    case SIM_TYPES:
        break;
    }
}

static void count_item(struct sim_truth *truth, struct fate *fate, const struct sim_event *event)
{
    if (event->visible_at_us > truth->last_visible_us)
        truth->last_visible_us = event->visible_at_us;
    if (event->flags & SIM_GARBAGE) {
        *(event->detail < GARBAGE_UNKNOWN_TYPE ? &truth->malformed : &truth->unhandled) += 1;
        return;
    }
    if (event->flags & SIM_AGAIN) {
        truth->duplicate++;
        return;
    }
    if (event->type == SIM_ACCEPTED) {
        truth->unhandled++;
        return;
    }
    if (truth->real == 0 || event->at_us < truth->first_event_us)
        truth->first_event_us = event->at_us;
    if (truth->real == 0 || event->at_us > truth->last_event_us)
        truth->last_event_us = event->at_us;
    truth->real++;
    truth->late += (event->flags & SIM_LATE) != 0;
    count_event(truth, fate, event);
}

static void count_fate(struct sim_truth *truth, const struct fate *fate)
{
    truth->messages++;
    truth->delivered += fate->delivered;
    truth->failed_permanent += fate->failed;
    truth->failed_temporary += fate->delayed && !fate->delivered && !fate->failed;
    truth->opened += fate->opened_human || fate->opened_machine;
    truth->opened_human += fate->opened_human;
    truth->opened_machine += fate->opened_machine;
    truth->clicked += fate->clicked_human || fate->clicked_machine;
    truth->clicked_human += fate->clicked_human;
    truth->clicked_machine += fate->clicked_machine;
    truth->complained += fate->complained;
    truth->unsubscribed += fate->unsubscribed;
    for (size_t i = 0; i < SIM_LINKS_MAX; i++)
        truth->link_members[i] += fate->links[i];
}

/* Addresses of posted messages may repeat, so each (address, reason) is counted once by its folded text. */
struct seen {
    uint64_t *hashes;
    size_t count, room;
};

static void seen_add(struct seen *seen, struct str address, int reason)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325) + (uint64_t)reason;
    for (size_t i = 0; i < address.n; i++)
        hash = (hash ^ (uint64_t)tolower((unsigned char)address.p[i])) * UINT64_C(0x100000001b3);
    if (seen->count == seen->room) {
        seen->room = seen->room ? 2 * seen->room : 1024;
        seen->hashes = realloc(seen->hashes, seen->room * sizeof *seen->hashes);
        if (!seen->hashes)
            abort();
    }
    seen->hashes[seen->count++] = (hash & ~UINT64_C(3)) | (uint64_t)reason;
}

static void count_suppressed(struct sim_truth *truth, struct seen *seen)
{
    size_t count = seen->hashes ? sort_unique_u64(seen->hashes, seen->count) : 0;
    for (size_t i = 0; i < count; i++) {
        int reason = (int)(seen->hashes[i] & 3);
        truth->suppressed_bounce += reason == SUPPRESS_BOUNCE;
        truth->suppressed_complaint += reason == SUPPRESS_COMPLAINT;
        truth->suppressed_unsubscribe += reason == SUPPRESS_UNSUBSCRIBE;
    }
    free(seen->hashes);
}

void sim_truth(const struct sim *sim, struct sim_truth *ret)
{
    struct sim_event events[SIM_EVENTS_MAX];
    struct seen seen = { 0 };
    *ret = (struct sim_truth){ .last_visible_us = INT64_MIN };
    /* A mailing of our own is the one that is asked about; what is posted beside it is left out. */
    uint32_t recipients = sim->config.recipients ? sim->config.recipients : sim_recipients(sim);

    for (uint32_t no = 0; no < recipients; no++) {
        struct fate fate = { 0 };
        size_t count = sim_events(sim, no, events);
        for (size_t i = 0; i < count; i++)
            count_item(ret, &fate, &events[i]);
        count_fate(ret, &fate);
        struct sim_recipient who;
        if (fate.suppress[SUPPRESS_BOUNCE] || fate.suppress[SUPPRESS_COMPLAINT] || fate.suppress[SUPPRESS_UNSUBSCRIBE])
            sim_recipient(sim, no, &who);
        for (int reason = SUPPRESS_BOUNCE; reason <= SUPPRESS_UNSUBSCRIBE; reason++)
            if (fate.suppress[reason])
                seen_add(&seen, who.address, reason);
    }
    count_suppressed(ret, &seen);
}

/* part / whole with four decimals, rounded half up. */
static void put_rate(struct json_writer *w, const char *name, int64_t part, int64_t whole)
{
    json_put_name(w, name);
    if (whole == 0)
        json_put_null(w);
    else
        json_put_decimal(w, (part * 20000 + whole) / (2 * whole), 4);
}

static void put_instant(struct json_writer *w, const char *name, bool known, int64_t us)
{
    char text[INSTANT_TEXT_BYTES];
    json_member_str(w, name, known ? instant_text(us, 6, text) : (struct str){ NULL, 0 });
}

static void put_stats(struct json_writer *w, const struct sim_truth *truth)
{
    json_put_name(w, "stats");
    json_object_begin(w);
    json_member_int(w, "messages", truth->messages);
    json_member_int(w, "delivered", truth->delivered);
    json_member_int(w, "opened", truth->opened);
    json_member_int(w, "opened_human", truth->opened_human);
    json_member_int(w, "opened_machine", truth->opened_machine);
    json_member_int(w, "clicked", truth->clicked);
    json_member_int(w, "clicked_human", truth->clicked_human);
    json_member_int(w, "clicked_machine", truth->clicked_machine);
    json_member_int(w, "failed_permanent", truth->failed_permanent);
    json_member_int(w, "failed_temporary", truth->failed_temporary);
    json_member_int(w, "complained", truth->complained);
    json_member_int(w, "unsubscribed", truth->unsubscribed);
    put_rate(w, "open_rate", truth->opened, truth->messages);
    put_rate(w, "click_rate", truth->clicked, truth->messages);
    put_instant(w, "first_event_at", truth->real > 0, truth->first_event_us);
    put_instant(w, "last_event_at", truth->real > 0, truth->last_event_us);
    json_object_end(w);
}

/* Links of our own mailing; those of posted messages differ from one to the next and are not told. */
static void put_links(struct json_writer *w, const struct sim *sim, const struct sim_truth *truth)
{
    json_put_name(w, "links");
    json_object_begin(w);
    for (size_t i = 0; i < SIM_LINKS_MAX && sim->config.recipients; i++) {
        if (truth->link_clicks[i] == 0)
            continue;
        json_put_name_str(w, str_of(sim_links[i]));
        json_object_begin(w);
        json_member_int(w, "members", truth->link_members[i]);
        json_member_int(w, "clicks", truth->link_clicks[i]);
        json_object_end(w);
    }
    json_object_end(w);
}

void sim_truth_json(const struct sim *sim, const struct sim_truth *truth, struct buf *buf)
{
    struct json_writer writer, *w = &writer;
    json_write_init(w, buf);
    json_object_begin(w);
    json_member_str(w, "mailing", sim->config.mailing);
    json_member_int(w, "seed", (int64_t)sim->config.seed);
    json_member_int(w, "recipients", truth->messages);
    put_stats(w, truth);
    put_links(w, sim, truth);

    json_put_name(w, "suppressed");
    json_object_begin(w);
    json_member_int(w, "bounce", truth->suppressed_bounce);
    json_member_int(w, "complaint", truth->suppressed_complaint);
    json_member_int(w, "unsubscribe", truth->suppressed_unsubscribe);
    json_object_end(w);

    json_put_name(w, "events");
    json_object_begin(w);
    json_member_int(w, "real", truth->real);
    json_member_int(w, "late", truth->late);
    json_member_int(w, "duplicate", truth->duplicate);
    json_member_int(w, "malformed", truth->malformed);
    json_member_int(w, "unhandled", truth->unhandled);
    json_object_end(w);
    put_instant(w, "last_visible_at", truth->real > 0, truth->last_visible_us);
    json_object_end(w);
}
