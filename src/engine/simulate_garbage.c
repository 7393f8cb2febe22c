/*
 * simulate_garbage.c - items nobody can use, broken in the ways in which real ones are.
 */
#include "engine/simulate_fact.h"
#include "engine/simulate_pen.h"

static void put_garbage_item(struct pen *pen, const struct item *item, const char *rest)
{
    char id[SIM_ID_BYTES];
    PUT(pen, "{\"id\":\"");
    put_str(pen, sim_event_id(item->sim, item->event, id));
    PUT(pen, "\",\"log-level\":\"info\",\"event\":\"");
    put_str(pen, sim_type_word((enum sim_type)item->event->type));
    PUT(pen, "\"");
    put(pen, rest, strlen(rest));
    PUT(pen, "}");
}

#define FOREIGN                                                                                                        \
    "\"message\":{\"headers\":{\"message-id\":\"garbage@sim.example\"}},\"recipient\":\"nobody@sim.example\""

/* With a good time but without anything that names a message. */
static void put_garbage_unnamed(struct pen *pen, const struct item *item, const char *rest)
{
    char id[SIM_ID_BYTES];
    PUT(pen, "{\"event\":\"");
    put_str(pen, sim_type_word((enum sim_type)item->event->type));
    PUT(pen, "\",\"id\":\"");
    put_str(pen, sim_event_id(item->sim, item->event, id));
    PUT(pen, "\"");
    put_time(pen, item);
    put(pen, rest, strlen(rest));
    PUT(pen, "}");
}

static void put_unknown(struct pen *pen, const struct item *item, const char *type, const char *rest)
{
    put_quoted(pen, "{\"event\":", str_of(type));
    put_time(pen, item);
    put(pen, rest, strlen(rest));
    PUT(pen, "}");
}

void put_garbage(struct pen *pen, const struct item *item)
{
    switch ((enum sim_garbage)item->event->detail) {
    case GARBAGE_NO_TYPE:
        PUT(pen, "{\"id\":\"no-type\"");
        put_time(pen, item);
        PUT(pen, "," FOREIGN "}");
        break;
    case GARBAGE_TYPE_NUMBER:
        PUT(pen, "{\"event\":42,\"id\":\"type-is-a-number\"");
        put_time(pen, item);
        PUT(pen, "," FOREIGN "}");
        break;
    case GARBAGE_TIME_TEXT:
        put_garbage_item(pen, item, ",\"timestamp\":\"abc\",\"@timestamp\":\"abc\"," FOREIGN);
        break;
    case GARBAGE_TIME_MISSING:
        put_garbage_item(pen, item, "," FOREIGN);
        break;
    case GARBAGE_TIME_NULL:
        put_garbage_item(pen, item, ",\"timestamp\":null,\"@timestamp\":null," FOREIGN);
        break;
    case GARBAGE_TIME_OBJECT:
        put_garbage_item(pen, item, ",\"timestamp\":{\"seconds\":1},\"@timestamp\":[]," FOREIGN);
        break;
    case GARBAGE_MESSAGE_NULL:
        put_garbage_unnamed(pen, item, ",\"message\":null,\"user-variables\":{}");
        break;
    case GARBAGE_HEADERS_NULL:
        put_garbage_unnamed(pen, item, ",\"message\":{\"headers\":null},\"recipient\":null,\"user-variables\":[]");
        break;
    case GARBAGE_VARIABLES_SENTENCE:
        put_garbage_unnamed(pen, item, ",\"message\":{\"headers\":{}},\"user-variables\":\"Could not load them\"");
        break;
    case GARBAGE_HEADERS_TEXT:
        put_garbage_unnamed(pen, item,
                            ",\"message\":{\"headers\":\"none\"},\"user-variables\":{\"posthouse-mailing\":{}}");
        break;
    case GARBAGE_EMPTY_OBJECT:
        PUT(pen, "{}");
        break;
    case GARBAGE_NULL:
        PUT(pen, "null");
        break;
    case GARBAGE_STRING:
        PUT(pen, "\"an item that is text\"");
        break;
    case GARBAGE_NUMBER:
        PUT(pen, "17");
        break;
    case GARBAGE_ARRAY:
        PUT(pen, "[{\"event\":\"opened\"}]");
        break;
    case GARBAGE_UNKNOWN_TYPE:
        put_unknown(pen, item, "teleported", "");
        break;
    case GARBAGE_STORED:
        put_unknown(pen, item, "stored", ",\"message\":{\"recipients\":[\"nobody@sim.example\"],\"headers\":null}");
        break;
    case GARBAGE_LIST_MEMBER:
        put_unknown(pen, item, "list_member_uploaded", ",\"member\":{\"address\":\"nobody@sim.example\"}");
        break;
    case GARBAGE_KINDS:
        break;
    }
}
