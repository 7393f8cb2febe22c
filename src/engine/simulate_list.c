/*
 * simulate_list.c - the lists the provider shows: items in order of time, late ones and repeats among them, and
 * pages of them.
 */
#include "engine/simulate_own.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static enum err entries_add(struct op *op, struct sim_entries *entries, const struct sim_event *event, int64_t at_us)
{
    if (entries->count == entries->room) {
        size_t room = entries->room ? entries->room + entries->room / 4 : 4096;
        struct sim_entry *items = realloc(entries->items, room * sizeof *items);
        if (!items)
            return fail(op, ERR_TOO_LARGE, "out of memory at %zu simulated items", entries->count);
        entries->items = items;
        entries->room = room;
    }
    entries->items[entries->count++] = (struct sim_entry){
        .at_us = at_us, .no = event->no, .n = event->n, .type = event->type, .flags = event->flags
    };
    return OK;
}

enum err sim_list_add_one(struct op *op, struct sim *sim, const struct sim_event *event)
{
    TRY(entries_add(op, &sim->fresh, event, event->at_us));
    return event->flags & SIM_SLOW ? entries_add(op, &sim->slow, event, event->visible_at_us) : OK;
}

enum err sim_list_add(struct op *op, struct sim *sim, uint32_t from, uint32_t to)
{
    struct sim_event events[SIM_EVENTS_MAX];
    for (uint32_t no = from; no < to; no++) {
        size_t count = sim_events(sim, no, events);
        for (size_t i = 0; i < count; i++)
            TRY(sim_list_add_one(op, sim, &events[i]));
    }
    return OK;
}

static int place_cmp(struct sim_place a, struct sim_place b)
{
    if (a.at_us != b.at_us)
        return a.at_us < b.at_us ? -1 : 1;
    if (a.no != b.no)
        return a.no < b.no ? -1 : 1;
    return (a.n > b.n) - (a.n < b.n);
}

static struct sim_place entry_place(const struct sim_entry *entry)
{
    return (struct sim_place){ entry->at_us, entry->no, entry->n + 1u };
}

struct sim_place sim_place_of(const struct sim_event *event)
{
    return (struct sim_place){ event->at_us, event->no, event->n + 1u };
}

static int entry_cmp(const void *a, const void *b)
{
    return place_cmp(entry_place(a), entry_place(b));
}

/* Merges two sorted runs from their ends, in place: `into` has room for both. */
static void merge_back(struct sim_entries *into, const struct sim_entries *from)
{
    size_t a = into->count, b = from->count, to = a + b;
    while (b > 0) {
        bool take_a = a > 0 && entry_cmp(&into->items[a - 1], &from->items[b - 1]) > 0;
        into->items[--to] = take_a ? into->items[--a] : from->items[--b];
    }
    into->count += from->count;
}

static void take_all(struct sim_entries *into, struct sim_entries *from)
{
    free(into->items);
    *into = *from;
    *from = (struct sim_entries){ 0 };
}

void sim_list_settle(struct sim *sim)
{
    struct sim_entries *list = &sim->list, *fresh = &sim->fresh;
    if (fresh->count == 0)
        return;
    if (sim->slow.count)
        qsort(sim->slow.items, sim->slow.count, sizeof *sim->slow.items, entry_cmp);
    qsort(fresh->items, fresh->count, sizeof *fresh->items, entry_cmp);
    if (list->count == 0) {
        take_all(list, fresh);
        return;
    }
    if (list->room < list->count + fresh->count) {
        size_t room = list->count + fresh->count + list->count / 4;
        struct sim_entry *items = realloc(list->items, room * sizeof *items);
        if (!items)
            return; /* the fresh ones wait for the next try */
        list->items = items;
        list->room = room;
    }
    merge_back(list, fresh);
    fresh->count = 0;
}

void sim_list_done(struct sim *sim)
{
    free(sim->list.items);
    free(sim->fresh.items);
    free(sim->slow.items);
}

/* First item at or behind the place. */
static size_t find_place(const struct sim_entries *list, struct sim_place place)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (place_cmp(entry_place(&list->items[middle]), place) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The items of one recipient, kept between two entries: neighbours in time are often one person's burst. */
struct recent {
    uint32_t no;
    size_t count; /* 0 = none */
    struct sim_event events[SIM_EVENTS_MAX];
};

static const struct sim_event *entry_event(const struct sim *sim, const struct sim_entry *entry, struct recent *recent)
{
    if (recent->count == 0 || recent->no != entry->no) {
        recent->no = entry->no;
        recent->count = sim_events(sim, entry->no, recent->events);
    }
    assert(entry->n < recent->count);
    return &recent->events[entry->n];
}

static bool has_tag(struct str tags, struct str tag)
{
    for (struct str rest = tags; rest.n >= tag.n + 2;) {
        size_t at = str_search(rest, tag);
        if (at == rest.n)
            return false;
        if (at > 0 && rest.p[at - 1] == '"' && at + tag.n < rest.n && rest.p[at + tag.n] == '"')
            return true;
        rest = (struct str){ rest.p + at + 1, rest.n - at - 1 };
    }
    return false;
}

static bool has_tags(const struct sim *sim, uint32_t no, const struct sim_query *query)
{
    struct str tags = sim_tags(sim, no);
    for (size_t i = 0; i < query->tag_count; i++)
        if (!has_tag(tags, query->tags[i]))
            return false;
    return true;
}

static bool is_wanted(const struct sim *sim, const struct sim_entry *entry, const struct sim_query *query)
{
    if (!(query->types & 1u << entry->type))
        return false;
    if (query->tag_count && !has_tags(sim, entry->no, query))
        return false;
    if (!str_given(query->recipient))
        return true;
    struct sim_recipient recipient;
    sim_recipient(sim, entry->no, &recipient);
    return str_eq_nocase(recipient.address, query->recipient);
}

size_t sim_page(struct sim *sim, const struct sim_query *query, int64_t now_us, struct sim_event *ret_events,
                size_t max)
{
    sim_list_settle(sim);
    const struct sim_entries *list = &sim->list;
    struct recent recent = { 0 };
    /* Half open [low, high) of the entries that are in the window and not passed yet. */
    struct sim_place after = query->place;
    size_t low = find_place(list, (struct sim_place){ .at_us = query->begin_us });
    size_t high = find_place(list, (struct sim_place){ .at_us = query->end_us });
    if (query->from_place && !query->descending) {
        after.n++;
        size_t behind = find_place(list, after);
        low = behind > low ? behind : low;
    } else if (query->from_place) {
        size_t before = find_place(list, after);
        high = before < high ? before : high;
    }

    size_t count = 0;
    while (low < high && count < max) {
        const struct sim_entry *entry = &list->items[query->descending ? --high : low++];
        if (!query->descending && entry->at_us > now_us)
            break; /* nothing is visible before it happened */
        if (entry->at_us > now_us || !is_wanted(sim, entry, query))
            continue;
        const struct sim_event *event = entry_event(sim, entry, &recent);
        if (event->visible_at_us <= now_us)
            ret_events[count++] = *event;
    }
    return count;
}

/* Entries of the types whose own time, of happening or of becoming visible, lies in [from_us, until_us]. */
static void each_visible(struct sim *sim, const struct sim_entries *entries, uint32_t types, int64_t from_us,
                         int64_t after_us, int64_t until_us, void (*take)(void *data, const struct sim_event *event),
                         void *data)
{
    struct recent recent = { 0 };
    bool slow = entries == &sim->slow;
    /* cut_ends may have moved an item by less than a millisecond since it was entered. */
    int64_t last_us = slow ? until_us + 1000 : until_us;
    for (size_t i = find_place(entries, (struct sim_place){ .at_us = from_us }); i < entries->count; i++) {
        const struct sim_entry *entry = &entries->items[i];
        if (entry->at_us > last_us)
            break;
        if (((entry->flags & SIM_SLOW) != 0) != slow || !(types & 1u << entry->type))
            continue;
        const struct sim_event *event = entry_event(sim, entry, &recent);
        if (event->visible_at_us > after_us && event->visible_at_us <= until_us)
            take(data, event);
    }
}

void sim_became_visible(struct sim *sim, uint32_t types, int64_t after_us, int64_t until_us,
                        void (*take)(void *data, const struct sim_event *event), void *data)
{
    sim_list_settle(sim);
    int64_t usual_us = sim_compressed(sim, SIM_LISTING_US) + 1;
    each_visible(sim, &sim->list, types, after_us - usual_us, after_us, until_us, take, data);
    each_visible(sim, &sim->slow, types, after_us, after_us, until_us, take, data);
}
