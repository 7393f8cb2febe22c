/*
 * simulate_lists.c - suppression lists of the stand-in, in RAM.
 */
#include "serve/simulate_door.h"

#include "engine/simulate_fact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*
 * The provider's own suppression lists. They fill by themselves: whoever
 * bounces, complains or unsubscribes is entered when the event becomes
 * visible, looked up only when somebody asks. An application may add and
 * delete; what it deleted comes back only with a new event.
 */

static const char *const list_names[LIST_KINDS] = { "bounces", "complaints", "unsubscribes" };

/* -------------------------------------------------------------------------------------------- the table */

static int listed_cmp(const void *a, const void *b)
{
    const struct listed *left = a, *right = b;
    return strcmp(left->address, right->address);
}

/* By address, each once: the newest entry of an address stays. */
static void listed_settle(struct list *list)
{
    if (list->sorted || list->count == 0)
        return;
    qsort(list->items, list->count, sizeof *list->items, listed_cmp);
    size_t kept = 0;
    for (size_t i = 1; i < list->count; i++) {
        if (listed_cmp(&list->items[kept], &list->items[i]) != 0) {
            list->items[++kept] = list->items[i];
            continue;
        }
        struct listed *older = &list->items[kept], *newer = &list->items[i];
        if (newer->created_us < older->created_us) {
            struct listed swap = *older;
            *older = *newer;
            *newer = swap;
        }
        free(older->address);
        *older = *newer;
    }
    list->count = kept + 1;
    list->sorted = true;
}

size_t listed_find(const struct list *list, const char *address)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(list->items[middle].address, address) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void listed_add(struct list *list, struct str address, struct str code, struct str error, struct str tag,
                int64_t created_us)
{
    if (address.n > LIST_ADDRESS_MAX || memchr(address.p, '\0', address.n))
        return;
    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 64;
        list->items = realloc(list->items, list->room * sizeof *list->items);
    }
    char *block = malloc(address.n + code.n + error.n + tag.n + 4);
    if (!block || !list->items)
        abort();
    int n = snprintf(block, address.n + 1, "%.*s", STR(address));
    for (char *c = block; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    struct listed listed = { .address = block, .created_us = created_us };
    char *p = block + n + 1;
    listed.code = p;
    p += sprintf(p, "%.*s", STR(code)) + 1;
    listed.error = p;
    p += sprintf(p, "%.*s", STR(error)) + 1;
    listed.tag = p;
    sprintf(p, "%.*s", STR(tag));
    list->items[list->count++] = listed;
    list->sorted = false;
}

void listed_remove(struct list *list, size_t at)
{
    free(list->items[at].address);
    list->count--;
    memmove(&list->items[at], &list->items[at + 1], (list->count - at) * sizeof list->items[0]);
}

void listed_clear(struct list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i].address);
    free(list->items);
    *list = (struct list){ 0 };
}

/* ----------------------------------------------------------------------------------- what fills them */

static void take_failure(struct stand_in *stand_in, struct str address, const struct sim_event *event)
{
    static const enum list_kind kinds[] = { [SUPPRESS_BOUNCE] = LIST_BOUNCES,
                                            [SUPPRESS_COMPLAINT] = LIST_COMPLAINTS,
                                            [SUPPRESS_UNSUBSCRIBE] = LIST_UNSUBSCRIBES };
    const struct sim_failure *failure = sim_failure_of(event->detail);
    if (failure->suppress == SUPPRESS_NOT)
        return;
    struct str code = str_of(failure->code);
    if (code.n && code.p[0] == '"')
        code = (struct str){ code.p + 1, code.n - 2 };
    listed_add(&stand_in->lists[kinds[failure->suppress]], address, code,
               str_of(failure->message && *failure->message ? failure->message : failure->description), S("*"),
               event->at_us);
}

static void take_event(void *data, const struct sim_event *event)
{
    struct stand_in *stand_in = data;
    struct sim_recipient who;
    if (event->flags & (SIM_GARBAGE | SIM_AGAIN))
        return;
    sim_recipient(stand_in->sim, event->no, &who);
    if (event->type == SIM_FAILED)
        take_failure(stand_in, who.address, event);
    else
        listed_add(&stand_in->lists[event->type == SIM_COMPLAINED ? LIST_COMPLAINTS : LIST_UNSUBSCRIBES], who.address,
                   S(""), S(""), S("*"), event->at_us);
}

struct list *listed_of(struct stand_in *stand_in, struct http_request *request)
{
    int64_t now_us = stand_in_now_us(stand_in);
    sim_became_visible(stand_in->sim, 1u << SIM_FAILED | 1u << SIM_COMPLAINED | 1u << SIM_UNSUBSCRIBED,
                       stand_in->listed_until_us, now_us, take_event, stand_in);
    stand_in->listed_until_us = now_us;
    if (!door_is_ours(stand_in, request, request->params[0]))
        return NULL;
    for (int kind = 0; kind < LIST_KINDS; kind++)
        if (str_eq(request->params[1], str_of(list_names[kind]))) {
            listed_settle(&stand_in->lists[kind]);
            return &stand_in->lists[kind];
        }
    door_message(request, 404, "not found");
    return NULL;
}
