#include "engine/simulate_own.h"
#include "engine/simulate_fact.h"

#include "base/instant.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_BYTES_MAX (size_t)(1 << 30) /* texts of posted messages */
#define LATE_BY_US_MAX  (INT64_C(400) * SIM_DAY_US)

static enum err check_share(struct op *op, const char *pointer, int64_t ppm)
{
    if (ppm < 0 || ppm > 1000000)
        return fail_at(op, ERR_INVALID, pointer, "a share is between 0 and 1");
    return OK;
}

static enum err check_config(struct op *op, const struct sim_config *config)
{
    if (config->recipients > SIM_RECIPIENTS_MAX)
        return fail_at(op, ERR_INVALID, "/recipients", "at most %d recipients", SIM_RECIPIENTS_MAX);
    if (config->recipients && !str_given(config->mailing))
        return fail_at(op, ERR_INVALID, "/mailing", "recipients need a mailing");
    if (config->mailing.n > SIM_MAILING_MAX || str_search(config->mailing, S("\"")) < config->mailing.n ||
        str_search(config->mailing, S("\\")) < config->mailing.n)
        return fail_at(op, ERR_INVALID, "/mailing", "a mailing id is at most %d bytes without quotes", SIM_MAILING_MAX);
    if (config->domain.n > SIM_DOMAIN_MAX)
        return fail_at(op, ERR_INVALID, "/domain", "a domain is at most %d bytes", SIM_DOMAIN_MAX);
    if (config->compress_milli < 0)
        return fail_at(op, ERR_INVALID, "/compress_time", "time is divided by a number above 0");
    if (config->late_by_us < 0 || config->late_by_us > LATE_BY_US_MAX)
        return fail_at(op, ERR_INVALID, "/late_by", "late by 0 to 400 days");
    TRY(check_share(op, "/late_share", config->late_ppm));
    TRY(check_share(op, "/duplicate_share", config->duplicate_ppm));
    return check_share(op, "/garbage_share", config->garbage_ppm);
}

/* The first and last millisecond of the own mailing's events; see struct sim. */
static void find_ends(struct sim *sim)
{
    sim->first_ms = INT64_MAX;
    sim->last_ms = INT64_MIN;
    for (size_t i = 0; i < sim->fresh.count; i++) {
        int64_t ms = sim->fresh.items[i].at_us / 1000;
        sim->first_ms = ms < sim->first_ms ? ms : sim->first_ms;
        sim->last_ms = ms > sim->last_ms ? ms : sim->last_ms;
    }
    for (size_t i = 0; i < sim->fresh.count; i++) {
        struct sim_entry *entry = &sim->fresh.items[i];
        int64_t ms = entry->at_us / 1000;
        if (ms == sim->first_ms || ms == sim->last_ms)
            entry->at_us = ms * 1000;
    }
}

enum err sim_open(struct op *op, const struct sim_config *config, struct sim **ret_sim)
{
    TRY(check_config(op, config));
    struct sim *sim = calloc(1, sizeof *sim);
    if (!sim)
        return fail(op, ERR_TOO_LARGE, "out of memory");
    sim->config = *config;
    sim->arena = arena_new(ARENA_BYTES_MAX);
    sim->issued = arena_alloc(sim->arena, SIM_ISSUED_MAX * sizeof *sim->issued);
    sim->config.mailing = arena_str(sim->arena, config->mailing);
    sim->config.domain = arena_str(sim->arena, str_given(config->domain) ? config->domain : S("mg.sim.example"));
    sim->config.start_us -= config->start_us % 1000; /* so that cut_ends moves nothing in front of it */
    if (sim->config.compress_milli == 0)
        sim->config.compress_milli = 1000;
    sim->first_ms = sim->last_ms = INT64_MIN;

    enum err err = sim_list_add(op, sim, 0, config->recipients);
    if (err != OK) {
        sim_close(sim);
        return err;
    }
    find_ends(sim);
    sim_list_settle(sim);
    *ret_sim = sim;
    return OK;
}

void sim_close(struct sim *sim)
{
    if (!sim)
        return;
    sim_list_done(sim);
    free(sim->posted);
    free(sim->to);
    arena_free(sim->arena);
    free(sim);
}

const struct sim_config *sim_config(const struct sim *sim)
{
    return &sim->config;
}

uint32_t sim_recipients(const struct sim *sim)
{
    return sim->config.recipients + (uint32_t)sim->to_count;
}

/* Every 997th address has a letter outside ASCII, so that folding has something to do (LED-1). */
#define ADDRESS_ODD 997

static struct str own_address(uint32_t no, char text[64])
{
    static const char *const hosts[] = { "example.org", "example.net", "mail.example.com", "post.example.edu" };
    const char *name = no % ADDRESS_ODD == ADDRESS_ODD - 1 ? "j\xC3\xBCrgen" : "reader";
    int n = snprintf(text, 64, "%s-%u@%s", name, no, hosts[no % 4]);
    return (struct str){ text, (size_t)n };
}

/* A thousand recipients share a message id, as batches do. */
static struct str own_message_id(const struct sim *sim, uint32_t no, char *text, size_t size)
{
    struct sim_dice dice = sim_dice_of(sim->config.seed, DICE_ID, no / 1000, UINT64_MAX);
    int n = snprintf(text, size, "2026.%u.%016llx@%.*s", no / 1000 + 1, (unsigned long long)sim_dice_next(&dice),
                     STR(sim->config.domain));
    return (struct str){ text, (size_t)n };
}

void sim_recipient(const struct sim *sim, uint32_t no, struct sim_recipient *ret)
{
    const struct sim_posted_recipient *to = sim_posted_to(sim, no);
    if (to) {
        const struct sim_posting *posting = &sim->posted[to->posted];
        ret->address = to->address;
        ret->member = S("");
        ret->provider_message_id = posting->message_id;
        ret->start_us = posting->start_us;
        return;
    }
    ret->address = own_address(no, ret->address_text);
    ret->member =
        (struct str){ ret->member_text, (size_t)snprintf(ret->member_text, sizeof ret->member_text, "m-%u", no) };
    ret->provider_message_id = own_message_id(sim, no, ret->message_text, sizeof ret->message_text);
    ret->start_us = sim->config.start_us;
}

struct str sim_spelled(const struct sim_event *event, struct str address, char text[64])
{
    if (event->twist != TWIST_OTHER_CASE || address.n > 64)
        return address;
    for (size_t i = 0; i < address.n; i++) {
        char c = address.p[i];
        if (c >= 'a' && c <= 'z')
            text[i] = (char)(c - 'a' + 'A');
        else
            text[i] = c == '\xBC' ? '\x9C' : c; /* second byte of u with two dots, small and capital */
    }
    return (struct str){ text, address.n };
}

struct str sim_tags(const struct sim *sim, uint32_t no)
{
    const struct sim_posting *posting = sim_posting_of(sim, no);
    return posting ? posting->tags : S("[\"newsletter\",\"simulated\"]");
}

struct str sim_link(const struct sim *sim, const struct sim_event *event)
{
    const struct sim_posting *posting = sim_posting_of(sim, event->no);
    if (posting && posting->link_count)
        return posting->links[event->detail];
    return str_of(sim_links[event->detail]);
}

enum sim_reference sim_reference(const struct sim *sim, uint32_t no)
{
    if (sim_posted_to(sim, no))
        return SIM_BY_MESSAGE_ID;
    struct sim_dice dice = sim_dice_of(sim->config.seed, DICE_SHAPE, no, 0);
    uint32_t eighth = sim_dice_below(&dice, 8);
    return eighth == 0 ? SIM_BY_MESSAGE_ID : eighth == 1 ? SIM_BY_EMAIL_ID : SIM_BY_MAILING;
}

struct str sim_event_id(const struct sim *sim, const struct sim_event *event, char ret_id[SIM_ID_BYTES])
{
    static const char letters[65] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint64_t parity = (uint64_t)(event->at_us / SIM_DAY_US) & 1; /* the neighbour's id on every other day */
    struct sim_dice dice = sim_dice_of(sim->config.seed, DICE_ID, event->no ^ parity, event->id_n);
    uint64_t bits = sim_dice_next(&dice);
    for (int i = 0; i < SIM_ID_BYTES; i++) {
        if (i == 10 || i == 20)
            bits = sim_dice_next(&dice);
        ret_id[i] = letters[bits & 63];
        bits >>= 6;
    }
    return (struct str){ ret_id, SIM_ID_BYTES };
}

struct str sim_type_word(enum sim_type type)
{
    switch (type) {
    case SIM_ACCEPTED:
        return S("accepted");
    case SIM_DELIVERED:
        return S("delivered");
    case SIM_DELAYED:
    case SIM_FAILED:
        return S("failed");
    case SIM_REJECTED:
        return S("rejected");
    case SIM_OPENED:
        return S("opened");
    case SIM_CLICKED:
        return S("clicked");
    case SIM_UNSUBSCRIBED:
        return S("unsubscribed");
    case SIM_COMPLAINED:
        return S("complained");
    case SIM_TYPES:
        break;
    }
    assert(!"a type of the list");
    return S("");
}

static bool grow(void *items, size_t *room, size_t wanted, size_t bytes)
{
    if (wanted <= *room)
        return true;
    void *old;
    memcpy(&old, items, sizeof old);
    size_t larger = wanted + wanted / 2 + 16;
    void *grown = realloc(old, larger * bytes);
    if (!grown)
        return false;
    memcpy(items, &grown, sizeof grown);
    *room = larger;
    return true; /* cppcheck-suppress memleak ; the memory is now behind items */
}

static struct sim_posting keep_posting(struct sim *sim, const struct sim_posting *posting)
{
    struct sim_posting kept = *posting;
    kept.message_id = arena_str(sim->arena, posting->message_id);
    kept.from = arena_str(sim->arena, posting->from);
    kept.subject = arena_str(sim->arena, posting->subject);
    kept.tags = arena_str(sim->arena, posting->tags);
    for (size_t i = 0; i < posting->link_count; i++)
        kept.links[i] = arena_str(sim->arena, posting->links[i]);
    return kept;
}

enum err sim_post(struct op *op, struct sim *sim, const struct sim_posting *posting, const struct sim_posted_to *to,
                  size_t count)
{
    assert(posting->link_count <= SIM_LINKS_MAX);
    uint32_t from = sim_recipients(sim);
    if (count > SIM_RECIPIENTS_MAX - (size_t)from)
        return fail(op, ERR_TOO_LARGE, "at most %d simulated recipients", SIM_RECIPIENTS_MAX);
    if (!grow(&sim->posted, &sim->posted_room, sim->posted_count + 1, sizeof *sim->posted) ||
        !grow(&sim->to, &sim->to_room, sim->to_count + count, sizeof *sim->to))
        return fail(op, ERR_TOO_LARGE, "out of memory at %u simulated recipients", from);

    sim->posted[sim->posted_count] = keep_posting(sim, posting);
    for (size_t i = 0; i < count; i++)
        sim->to[sim->to_count++] = (struct sim_posted_recipient){
            .address = arena_str(sim->arena, to[i].address),
            .variables = arena_str(sim->arena, to[i].variables),
            .posted = (uint32_t)sim->posted_count,
        };
    sim->posted_count++;
    return sim_list_add(op, sim, from, sim_recipients(sim));
}

bool sim_parse_decimal(struct str text, int places, int64_t max, int64_t *ret)
{
    struct str rest = text, whole = str_cut(&rest, '.');
    char digits[20] = "00000000000000000";
    int64_t before = 0, after = 0, scale = 1;
    if (!str_to_int(whole, 0, INT32_MAX, &before) || (str_given(rest) && (rest.n == 0 || (int)rest.n > places)))
        return false;
    for (size_t i = 0; i < rest.n; i++)
        digits[i] = rest.p[i];
    if (places && !str_to_int((struct str){ digits, (size_t)places }, 0, INT64_MAX, &after))
        return false;
    for (int i = 0; i < places; i++)
        scale *= 10;
    if (before > (max - after) / scale)
        return false;
    *ret = before * scale + after;
    return true;
}
