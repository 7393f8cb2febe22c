/*
 * sim_ledger.c - the same events by whatever way they come (promises 1, 2, 3; LED-9).
 *
 * A small platform is told everything once, in order, on a disk that never
 * fails. Then once more as life has it: imports in pieces and again, before and
 * after the events; events by pages, webhooks and rechecks in any split and
 * order, several commands in one group beside some that fail; statements and
 * commits that fail, processes that die before a commit or behind it, clocks
 * that step. Both must end in the same image, every counter must be proved, and
 * telling everything again must change nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/messages.h"
#include "engine/source_commit.h"
#include "image.h"
#include "machine.h"
#include "store/store_audit.h"
#include "world.h"

#define HOUR         (INT64_C(3600) * 1000000)
#define CHANGES_MAX  2000
#define PER_PAGE_MAX 40
#define GROUP_MAX    6

enum change_kind { CHANGE_IMPORT, CHANGE_PATCH, CHANGE_PAGE, CHANGE_HOOK, CHANGE_REFUSED };

/* A command, made from the world. */
struct change {
    struct command command;
    struct world *world;
    enum change_kind kind;
    int items[PER_PAGE_MAX]; /* letters or events, in order */
    int count;
    int source;
    uint64_t token; /* of a webhook */
    bool writes_first;
    bool is_early; /* a patch that may find no message yet */
    struct source_result result;
    enum hook_outcome outcome;
    struct import_chunk chunk;
};

struct plan {
    struct world world;
    struct machine machine;
    struct rng rng;
    struct change *changes;
    int count;
};

static struct plan plan;

/* ------------------------------------------------------------------------------------------------------- commands */

static enum err run_import(struct op *op, struct tx *tx, struct change *change)
{
    const struct world *world = change->world;
    const struct letter *first = &world->letters[change->items[0]];
    struct import_line *lines;
    TRY(op_alloc(op, (size_t)change->count * sizeof *lines, &lines));
    enum import_kind kind = first->mailing < 0 ? IMPORT_MESSAGES : IMPORT_MAILING;
    for (int i = 0; i < change->count; i++) {
        struct json_line line = { i + 1, world->letters[change->items[i]].line, false };
        import_line_parse(op, kind, &line, &lines[i]);
        if (lines[i].rejected)
            return fail(op, ERR_BUG, "line is rejected: %s", lines[i].detail);
    }
    change->chunk = (struct import_chunk){ .kind = kind, .lines = lines, .count = (size_t)change->count };
    if (kind == IMPORT_MAILING)
        change->chunk.mailing = world->mailing[first->mailing];
    return import_apply(op, tx, &change->chunk);
}

static bool is_patched(const struct letter *letter)
{
    return !letter->is_stranger && (str_given(letter->sent_later) || str_given(letter->provider_id_later));
}

static enum err find_letter(struct op *op, struct tx *tx, const struct world *world, const struct letter *letter,
                            uint64_t *ret_no)
{
    struct provider_event event = { .message = letter->id, .recipient = letter->address };
    if (letter->mailing >= 0)
        event.mailing = world->mailing[letter->mailing];
    return ledger_find(op, tx, &event, ret_no);
}

static enum err run_patch(struct op *op, struct tx *tx, struct change *change)
{
    const struct letter *letter = &change->world->letters[change->items[0]];
    struct message_patch patch = { .sent_at = letter->sent_later, .provider_message_id = letter->provider_id_later };
    enum status current;
    uint64_t no;
    TRY(find_letter(op, tx, change->world, letter, &no));
    if (!no && change->is_early)
        return OK;
    if (!no)
        return fail(op, ERR_BUG, "an imported message is not there: %.*s", STR(letter->line));
    return message_patch(op, tx, no, &patch, &current);
}

static enum err copy_events(struct op *op, struct tx *tx, const struct change *change, struct provider_event **ret)
{
    TRY(op_alloc(op, (size_t)change->count * sizeof **ret, ret));
    for (int i = 0; i < change->count; i++) {
        (*ret)[i] = change->world->told[change->items[i]].event;
        if ((*ret)[i].kind != EVENT_MALFORMED && (*ret)[i].kind != EVENT_UNHANDLED)
            provider_event_key(&(*ret)[i], tx_hash_key(tx), str_of(world_source_ids[change->source]));
    }
    return OK;
}

static enum err run_page(struct op *op, struct tx *tx, struct change *change)
{
    struct provider_event *events;
    TRY(copy_events(op, tx, change, &events));
    struct source_save save = { .source_no = change->world->source_no[change->source],
                                .tenant_no = change->source == 1 ? change->world->tenant_no[0] : 0,
                                .source_id = str_of(world_source_ids[change->source]),
                                .lane = LANE_RECHECK,
                                .first_begin_us = change->world->start_us,
                                .events = events,
                                .event_count = (size_t)change->count };
    timing_default(&save.timing);
    save.marks[0] = (struct coverage_mark){ MARK_READ, 1u << CLASS_OPENS, change->world->start_us, events[0].at_us + 1,
                                            op->now_us };
    save.mark_count = 1;
    return source_commit(op, tx, &save, &change->result);
}

static enum err run_hook(struct op *op, struct tx *tx, struct change *change)
{
    struct provider_event *events;
    char token[32];
    uint8_t body_hash[STORE_BODY_HASH_BYTES] = { (uint8_t)change->token };
    TRY(copy_events(op, tx, change, &events));
    snprintf(token, sizeof token, "%llu", (unsigned long long)change->token);
    struct source_hook_save save = { .source_no = change->world->source_no[change->source],
                                     .tenant_no = change->source == 1 ? change->world->tenant_no[0] : 0,
                                     .source_id = str_of(world_source_ids[change->source]),
                                     .events = events,
                                     .event_count = (size_t)change->count,
                                     .replay_token = str_of(token),
                                     .body_hash = body_hash,
                                     .replay_until_us = op->now_us + 24 * HOUR };
    return source_hook_commit(op, tx, &save, &change->outcome, &change->result);
}

/* A command that is refused for what it asks, at once or after it wrote something. */
static enum err run_refused(struct op *op, struct tx *tx, struct change *change)
{
    if (change->writes_first) {
        TRY(run_page(op, tx, change));
        TRY(store_audit_add(op, tx, S("sim"), S("refused"), S("x"), S("never to be seen")));
    }
    return fail(op, ERR_CONFLICT, "meant to fail");
}

static enum err run_change(struct op *op, struct tx *tx, struct command *command)
{
    struct change *change = (struct change *)(void *)command;
    switch (change->kind) {
    case CHANGE_IMPORT:
        return run_import(op, tx, change);
    case CHANGE_PATCH:
        return run_patch(op, tx, change);
    case CHANGE_PAGE:
        return run_page(op, tx, change);
    case CHANGE_HOOK:
        return run_hook(op, tx, change);
    case CHANGE_REFUSED:
        return run_refused(op, tx, change);
    }
    return OK;
}

/* --------------------------------------------------------------------------------------------------- the reference */

static enum err write_change(struct op *op, struct tx *tx, void *arg)
{
    return run_change(op, tx, arg);
}

static void tell_once(struct op *op, struct store *store, struct change *change, enum change_kind kind, int item)
{
    change->kind = kind;
    change->items[0] = item;
    change->count = 1;
    SIM_OK(op, store_write(op, store, write_change, change));
}

/* All letters, all patches, all events by time, each once. */
static void tell_in_order(struct op *op, struct store *store, struct world *world)
{
    struct change change = { .world = world };
    for (int i = 0; i < world->letter_count; i++)
        if (!world->letters[i].is_stranger)
            tell_once(op, store, &change, CHANGE_IMPORT, i);
    for (int i = 0; i < world->letter_count; i++)
        if (is_patched(&world->letters[i]))
            tell_once(op, store, &change, CHANGE_PATCH, i);

    int order[WORLD_EVENTS];
    for (int i = 0; i < world->told_count; i++) {
        int at = i;
        for (; at > 0 && world->told[order[at - 1]].event.at_us > world->told[i].event.at_us; at--)
            order[at] = order[at - 1];
        order[at] = i;
    }
    for (int i = 0; i < world->told_count; i++) {
        change.source = world->told[order[i]].source;
        tell_once(op, store, &change, CHANGE_PAGE, order[i]);
    }
}

static struct str picture(struct op *op, struct store *store, struct arena *arena)
{
    struct image image = { .with_seen = !plan.world.has_bursts };
    arena_reset(op->arena);
    SIM_OK(op, store_read(op, store, image_read, &image));
    return arena_str(arena, image.text);
}

static struct str reference_picture(struct arena *arena)
{
    struct op op;
    struct store *store;
    struct store_config config = { .directory = NULL };
    op_init(&op, arena_new(64 << 20), plan.world.end_us + HOUR);
    SIM_OK(&op, store_open(&op, &config, &store));
    SIM_OK(&op, store_write(&op, store, world_prepare, &plan.world));
    tell_in_order(&op, store, &plan.world);
    struct str text = picture(&op, store, arena);
    store_close(store);
    arena_free(op.arena);
    return text;
}

/* -------------------------------------------------------------------------------------------------------- the plan */

static struct change *add_change(enum change_kind kind)
{
    SIM_YES(plan.count < CHANGES_MAX, "too many changes");
    struct change *change = &plan.changes[plan.count++];
    *change = (struct change){ .command.run = run_change, .world = &plan.world, .kind = kind };
    return change;
}

static void shuffle(int *items, int count)
{
    for (int i = count - 1; i > 0; i--) {
        int other = (int)rng_below(&plan.rng, (uint64_t)i + 1), keep = items[i];
        items[i] = items[other];
        items[other] = keep;
    }
}

/* Letters of one mailing (or of none) in pieces, some of them twice. */
static void plan_imports(int mailing)
{
    int letters[WORLD_LETTERS], count = 0;
    for (int i = 0; i < plan.world.letter_count; i++)
        if (plan.world.letters[i].mailing == mailing && !plan.world.letters[i].is_stranger)
            letters[count++] = i;
    shuffle(letters, count);
    for (int at = 0; at < count;) {
        int n = (int)rng_between(&plan.rng, 1, 12);
        n = n < count - at ? n : count - at;
        struct change *change = add_change(CHANGE_IMPORT);
        memcpy(change->items, letters + at, (size_t)n * sizeof *letters);
        change->count = n;
        at += rng_chance(&plan.rng, 0.2) && n > 1 ? n / 2 : n;
    }
}

static void plan_events(int source)
{
    int events[2 * WORLD_EVENTS], count = 0;
    double again = rng_unit(&plan.rng) * 0.6;
    for (int i = 0; i < plan.world.told_count; i++)
        if (plan.world.told[i].source == source) {
            events[count++] = i;
            if (rng_chance(&plan.rng, again))
                events[count++] = i;
        }
    if (rng_chance(&plan.rng, 0.8))
        shuffle(events, count);
    double hooks = rng_unit(&plan.rng);
    int longest = (int)rng_between(&plan.rng, 1, PER_PAGE_MAX);
    for (int at = 0; at < count;) {
        bool is_hook = rng_chance(&plan.rng, hooks);
        int n = is_hook ? (int)rng_between(&plan.rng, 1, 2) : (int)rng_between(&plan.rng, 1, longest);
        n = n < count - at ? n : count - at;
        struct change *change = add_change(is_hook ? CHANGE_HOOK : CHANGE_PAGE);
        memcpy(change->items, events + at, (size_t)n * sizeof *events);
        change->count = n;
        change->source = source;
        change->token = (uint64_t)plan.count;
        at += n;
        if (rng_chance(&plan.rng, 0.05)) {
            struct change *refused = add_change(CHANGE_REFUSED);
            memcpy(refused->items, change->items, sizeof refused->items);
            refused->count = n;
            refused->source = source;
            refused->writes_first = rng_chance(&plan.rng, 0.7);
            refused->command.is_meant_to_fail = true;
        }
    }
}

/* What comes by PATCH may come before its message (nothing then) and comes again at the end. */
static void plan_patches(void)
{
    for (int i = 0; i < plan.world.letter_count; i++) {
        if (!is_patched(&plan.world.letters[i]))
            continue;
        struct change *change = add_change(CHANGE_PATCH);
        change->items[0] = i;
        change->is_early = true;
    }
}

static void plan_order(void)
{
    double disorder = rng_unit(&plan.rng);
    for (int i = 0; i < plan.count; i++)
        if (rng_chance(&plan.rng, disorder)) {
            int other = (int)rng_below(&plan.rng, (uint64_t)plan.count);
            struct change keep = plan.changes[i];
            plan.changes[i] = plan.changes[other];
            plan.changes[other] = keep;
        }
}

static void plan_all(void)
{
    plan.count = 0;
    for (int mailing = -1; mailing < WORLD_MAILINGS; mailing++)
        plan_imports(mailing);
    for (int source = 0; source < 2; source++)
        plan_events(source);
    plan_patches();
    plan_order();
}

/* -------------------------------------------------------------------------------------------------------- the run */

static void move_clock(struct machine *machine)
{
    if (rng_chance(machine->rng, 0.03))
        machine->now_us += rng_chance(machine->rng, 0.5) ? HOUR : -HOUR;
    machine->now_us += rng_between(machine->rng, 0, 5000000);
    int64_t least_us = plan.world.end_us - HOUR; /* so that some pages hold what is still to come (SRC-16) */
    machine->now_us = machine->now_us < least_us ? least_us : machine->now_us;
}

/* A webhook that was kept but not answered is a repeat the next time and does not say what it left. */
static bool is_later(const struct change *change)
{
    if (change->kind == CHANGE_HOOK && change->outcome == HOOK_REPEAT)
        return true;
    return (change->kind == CHANGE_PAGE || change->kind == CHANGE_HOOK) && change->result.left_count > 0;
}

/* What was dated in the future comes again, as a lane would read it again. */
static void run_group(struct change **changes, int count)
{
    struct command *commands[GROUP_MAX];
    for (int i = 0; i < count; i++)
        commands[i] = &changes[i]->command;
    machine_run(&plan.machine, commands, (size_t)count);
    for (int i = 0; i < count; i++)
        if (is_later(changes[i])) {
            plan.machine.now_us = plan.world.end_us + HOUR;
            changes[i]->token += CHANGES_MAX;
            changes[i]->kind = CHANGE_PAGE;
            commands[0] = &changes[i]->command;
            machine_run(&plan.machine, commands, 1);
        }
}

static void run_changes(void)
{
    for (int at = 0; at < plan.count;) {
        struct change *group[GROUP_MAX];
        int n = (int)rng_between(&plan.rng, 1, GROUP_MAX);
        n = n < plan.count - at ? n : plan.count - at;
        for (int i = 0; i < n; i++)
            group[i] = &plan.changes[at + i];
        move_clock(&plan.machine);
        run_group(group, n);
        at += n;
        if (rng_chance(&plan.rng, 0.02))
            machine_kill(&plan.machine);
    }
}

static void run_patches(void)
{
    for (int i = 0; i < plan.world.letter_count; i++) {
        if (!is_patched(&plan.world.letters[i]))
            continue;
        struct change change = { .command.run = run_change, .world = &plan.world, .kind = CHANGE_PATCH, .count = 1 };
        change.items[0] = i;
        machine_run_one(&plan.machine, &change.command);
    }
}

/* ------------------------------------------------------------------------------------------------------ the promises
 */

static enum err compare_figures(struct op *op, struct tx *tx, void *arg)
{
    static const enum mailing_figure known[] = { MAILING_MESSAGES,         MAILING_DELIVERED,
                                                 MAILING_FAILED_PERMANENT, MAILING_FAILED_TEMPORARY,
                                                 MAILING_OPENED,           MAILING_CLICKED,
                                                 MAILING_COMPLAINED,       MAILING_UNSUBSCRIBED };
    const struct world *world = arg;
    for (int i = 0; i < WORLD_MAILINGS; i++) {
        struct mailing mailing;
        struct mailing_stats stats;
        int64_t figure[MAILING_FIGURES];
        TRY(store_mailing_get(op, tx, world->mailing[i], &mailing));
        TRY(store_mailing_stats_get(op, tx, mailing.no, &stats));
        world_figures(world, i, figure);
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (stats.figure[known[k]] != figure[known[k]])
                return fail(op, ERR_BUG, "mailing %d: %s is %lld, by its lives %lld", i, mailing_figure_name(known[k]),
                            (long long)stats.figure[known[k]], (long long)figure[known[k]]);
    }
    return OK;
}

static enum err no_refused_change(struct op *op, struct tx *tx, void *arg)
{
    (void)arg;
    struct audit *entries;
    int count;
    TRY(store_audit_list(op, tx, 0, AUDIT_LIST_MAX, &entries, &count));
    for (int i = 0; i < count; i++)
        if (str_eq(entries[i].action, S("refused")))
            return fail(op, ERR_BUG, "a refused command left something behind");
    return OK;
}

/* Every event was answered, so every one must be known; every line too. */
static void nothing_is_new(void)
{
    struct op *op = &plan.machine.op;
    struct change change = { .world = &plan.world };
    for (int i = 0; i < plan.world.told_count; i++) {
        const struct told *told = &plan.world.told[i];
        if (told->event.kind == EVENT_MALFORMED || told->event.kind == EVENT_UNHANDLED)
            continue;
        change.source = told->source;
        op->now_us = plan.world.end_us + HOUR;
        arena_reset(op->arena);
        tell_once(op, plan.machine.store, &change, CHANGE_PAGE, i);
        SIM_YES(change.result.count[RESULT_DUPLICATE] == 1, "event %d of kind %s was lost after its answer", i,
                event_kind_name(told->event.kind));
    }
    for (int i = 0; i < plan.world.letter_count; i++) {
        if (plan.world.letters[i].is_stranger)
            continue;
        arena_reset(op->arena);
        tell_once(op, plan.machine.store, &change, CHANGE_IMPORT, i);
        SIM_YES(change.chunk.duplicates == 1, "message %d was lost after its answer", i);
    }
}

static void promises_hold(struct str reference)
{
    struct machine *machine = &plan.machine;
    machine_calm(machine);
    machine_kill(machine);
    machine_check(&plan.machine);
    SIM_OK(&machine->op, store_read(&machine->op, machine->store, compare_figures, &plan.world));
    SIM_OK(&machine->op, store_read(&machine->op, machine->store, no_refused_change, NULL));
    image_same("told in order and as life has it", reference, picture(&machine->op, machine->store, plan.world.arena));
    nothing_is_new();
    image_same("told once and told again", reference, picture(&machine->op, machine->store, plan.world.arena));
}

static void one_seed(uint64_t seed)
{
    struct change *changes = plan.changes ? plan.changes : calloc(CHANGES_MAX, sizeof *changes);
    plan = (struct plan){ .changes = changes };
    rng_init(&plan.rng, seed);
    struct arena *arena = arena_new(64 << 20);
    world_make(&plan.world, &plan.rng, arena);
    struct str reference = reference_picture(arena);

    struct machine *machine = &plan.machine;
    machine_start(machine, &plan.rng, plan.world.end_us - HOUR / 2);
    SIM_OK(&machine->op, store_write(&machine->op, machine->store, world_prepare, &plan.world));
    machine_trouble(machine, 0.15, 0.004);
    plan_all();
    run_changes();
    run_patches();
    promises_hold(reference);
    machine_stop(machine);
    arena_free(arena);
}

int main(void)
{
    return seeds_run("sim_ledger", one_seed);
}
