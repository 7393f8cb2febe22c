/*
 * simulate_event.c - an item of the model as provider_page.c would read it, for benches and the simulation harness.
 */
#include "engine/simulate_render.h"
#include "engine/simulate_fact.h"
#include "engine/simulate_own.h"

#include <stdio.h>
#include <string.h>

/* Garbage as a parser counts it. */
static void read_garbage(const struct sim_event *event, struct provider_event *ret)
{
    ret->kind = event->detail < GARBAGE_UNKNOWN_TYPE ? EVENT_MALFORMED : EVENT_UNHANDLED;
    ret->type = ret->kind == EVENT_UNHANDLED ? "teleported" : "";
    ret->reason = "no_message";
    if (event->detail <= GARBAGE_TYPE_NUMBER || event->detail >= GARBAGE_EMPTY_OBJECT)
        ret->reason = "no_type";
    else if (event->detail <= GARBAGE_TIME_OBJECT)
        ret->reason = "no_time";
}

static enum event_kind kind_of(enum sim_type type)
{
    static const enum event_kind kinds[SIM_TYPES] = {
        [SIM_ACCEPTED] = EVENT_UNHANDLED, [SIM_DELIVERED] = EVENT_DELIVERED,       [SIM_DELAYED] = EVENT_DELAYED,
        [SIM_FAILED] = EVENT_FAILED,      [SIM_REJECTED] = EVENT_FAILED,           [SIM_OPENED] = EVENT_OPENED,
        [SIM_CLICKED] = EVENT_CLICKED,    [SIM_UNSUBSCRIBED] = EVENT_UNSUBSCRIBED, [SIM_COMPLAINED] = EVENT_COMPLAINED,
    };
    return kinds[type];
}

static struct str first_text(const char *text, const char *otherwise)
{
    return str_of(text && *text ? text : otherwise && *otherwise ? otherwise : NULL);
}

static enum err read_failure(struct op *op, const struct sim_event *event, struct provider_event *ret)
{
    const struct sim_failure *failure = sim_failure_of(event->detail);
    ret->code = failure->code_seen;
    ret->enhanced = first_text(failure->enhanced_seen, NULL);
    ret->suppress = failure->suppress;
    ret->text =
        event->type == SIM_REJECTED ? str_of(failure->reason) : first_text(failure->message, failure->description);
    if (str_given(ret->text))
        return OK;
    if (str_given(ret->enhanced))
        ret->text = arena_fmt(op->arena, "Error %.*s", STR(ret->enhanced));
    else if (ret->code != EVENT_CODE_NONE)
        ret->text = arena_fmt(op->arena, "Error %d", ret->code);
    else
        ret->text = S("Error unknown");
    return str_given(ret->text) ? OK : fail(op, ERR_TOO_LARGE, "no room for a simulated failure");
}

/* The address as text; the same one put_client writes. */
static struct str read_ip(struct arena *arena, const struct sim_event *event)
{
    uint32_t no = event->no;
    switch ((enum sim_address)sim_clients[event->client].address) {
    case SIM_HOME:
        return arena_fmt(arena, "198.18.%u.%u", no >> 8 & 255, no & 255);
    case SIM_HOME_V6:
        return arena_fmt(arena, "2001:db8:1:%x::%x", no >> 8 & 0xFFFF, (no & 255) + 1);
    case SIM_GATEWAY:
        return arena_fmt(arena, "203.0.113.%u", no % 254 + 1);
    case SIM_GATEWAY_V6:
        return arena_fmt(arena, "2001:db8:ffff::%x", no % 0xFFFF + 1);
    case SIM_PROXY:
        return arena_fmt(arena, "192.0.2.%u", no % 254 + 1);
    case SIM_BROKEN:
        break;
    }
    return (struct str){ NULL, 0 };
}

static void read_touch(struct op *op, const struct sim *sim, const struct sim_event *event, struct provider_event *ret)
{
    const struct sim_client *client = &sim_clients[event->client];
    ret->ip = read_ip(op->arena, event);
    ret->agent = str_of(client->agent);
    ret->bits = event->type == SIM_OPENED ? client->bits : client->bits & ~(uint32_t)BIT_IMAGE_PROXY;
    if (event->type == SIM_CLICKED)
        ret->url = sim_link(sim, event);
}

static enum err read_references(struct op *op, const struct sim *sim, const struct sim_event *event,
                                struct provider_event *ret)
{
    struct sim_recipient who;
    char spelled[64];
    sim_recipient(sim, event->no, &who);
    ret->recipient = arena_str(op->arena, sim_spelled(event, who.address, spelled));
    if (event->twist != TWIST_NO_MESSAGE)
        ret->provider_message_id = arena_str(op->arena, who.provider_message_id);
    if (event->twist != TWIST_VARIABLES_SENTENCE && sim_reference(sim, event->no) != SIM_BY_MESSAGE_ID)
        ret->mailing = sim->config.mailing;
    if (!str_given(ret->recipient) || (event->twist != TWIST_NO_MESSAGE && !str_given(ret->provider_message_id)))
        return fail(op, ERR_TOO_LARGE, "no room for a simulated event");
    return OK;
}

enum err sim_provider_event(struct op *op, const struct sim *sim, const struct sim_event *event,
                            struct provider_event *ret)
{
    *ret = (struct provider_event){ .at_us = event->at_us, .code = EVENT_CODE_NONE };
    if (event->flags & SIM_GARBAGE) {
        read_garbage(event, ret);
        return OK;
    }
    char id[SIM_ID_BYTES];
    ret->kind = kind_of((enum sim_type)event->type);
    ret->type = sim_type_word((enum sim_type)event->type).p;
    ret->event_id = arena_str(op->arena, sim_event_id(sim, event, id));
    if (!str_given(ret->event_id))
        return fail(op, ERR_TOO_LARGE, "no room for a simulated event");
    TRY(read_references(op, sim, event, ret));
    if (ret->kind == EVENT_COMPLAINED)
        ret->suppress = SUPPRESS_COMPLAINT;
    else if (ret->kind == EVENT_UNSUBSCRIBED)
        ret->suppress = SUPPRESS_UNSUBSCRIBE;
    if (ret->kind == EVENT_FAILED || ret->kind == EVENT_DELAYED)
        return read_failure(op, event, ret);
    if (ret->kind == EVENT_OPENED || ret->kind == EVENT_CLICKED)
        read_touch(op, sim, event, ret);
    return OK;
}
