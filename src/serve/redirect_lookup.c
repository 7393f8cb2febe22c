/*
 * redirect_lookup.c - what the caches of the redirect do not know is read from the store.
 *
 * What the requests of one turn of the loop ask for goes in one read, at the
 * turn's end, on a connection that nothing else uses (THREAD_DOOR). What is asked for is rarely asked for alone: with a
 * message come its neighbours in the mailing, with a link the links made
 * together with it, as long as there is room for them. So a mailing of a
 * million is known after some thousand reads, and a storm of clicks does not
 * become a storm of reads.
 *
 * A read has the look-ups of one loop, and comes home there.
 *
 * A read may take as long as the store likes, a request may not: it is refused
 * after what any click may wait, and the read comes home without it (LNK-43).
 */
#include "engine/status.h"
#include "serve/redirect_parts.h"
#include "store/store_member.h"
#include "store/store_message.h"

#define READ_BYTES_MAX (64u << 20)
#define LEARN_AT_ONCE  64 /* members */

struct found_member {
    uint64_t hash;
    struct member_entry who;
};

struct lookup {
    enum lookup_kind kind;
    struct str code, member;
    uint32_t tenant_no, mailing_no;
    uint64_t member_hash;
};

/* One read: what is looked for, and what it brings. */
struct reading {
    struct post post; /* first */
    struct redirect *redirect;
    struct redirect_lane *lane;
    uint64_t mark;                     /* of the links that are known */
    bool has_room;                     /* for the neighbours of links; else they would push out links in use */
    struct visit *visits[LOOKUPS_MAX]; /* the loop's, not touched by the reader; NULL: answered meanwhile */
    struct lookup asked[LOOKUPS_MAX];
    bool missing[LOOKUPS_MAX];
    size_t count;
    struct link *links;
    size_t link_count, link_room;
    struct found_member *members;
    size_t member_count, member_room;
};

uint64_t member_hash_of(const struct redirect *redirect, uint32_t tenant_no, uint32_t mailing_no, struct str member)
{
    struct siphash hash;
    siphash_init64(&hash, redirect->hash_key);
    siphash_add_u64(&hash, (uint64_t)tenant_no << 32 | mailing_no);
    siphash_add(&hash, member.p, member.n);
    return siphash_end64(&hash);
}

/* --- in the reader ---------------------------------------------------------------- */

static bool widen(struct reading *reading, void *items, size_t *room, size_t count, size_t bytes)
{
    void *wider, *before;
    if (count < *room)
        return true;
    memcpy(&before, items, sizeof before);
    size_t next = *room ? 2 * *room : 64;
    wider = arena_alloc_raw(reading->post.op.arena, next * bytes);
    if (!wider)
        return false;
    if (count)
        memcpy(wider, before, count * bytes);
    memcpy(items, &wider, sizeof wider);
    *room = next;
    return true;
}

static enum err add_link(struct op *op, struct tx *tx, const struct link *link, void *arg)
{
    (void)op, (void)tx;
    struct reading *reading = arg;
    if (widen(reading, &reading->links, &reading->link_room, reading->link_count, sizeof *link))
        reading->links[reading->link_count++] = *link;
    return OK;
}

static enum err read_link(struct op *op, struct reading *reading, size_t i)
{
    struct tx *tx = reading->post.tx;
    struct link link;
    for (size_t k = 0; k < reading->link_count; k++)
        if (str_eq(reading->links[k].code, reading->asked[i].code))
            return OK; /* came with another one */
    enum err err = store_link_by_code(op, tx, reading->asked[i].code, &link);
    if (err == ERR_NOT_FOUND) {
        op->error[0] = '\0';
        reading->missing[i] = true;
        return OK;
    }
    TRY(err);
    TRY(add_link(op, tx, &link, reading));
    if (!reading->has_room)
        return OK;
    uint32_t before = link.no > NEAR_LINKS / 2 ? link.no - NEAR_LINKS / 2 : 0;
    return store_link_each(op, tx, 0, before, NEAR_LINKS, add_link, reading);
}

struct near_messages {
    struct reading *reading;
    const struct lookup *asked;
};

static void add_member(struct reading *reading, uint64_t hash, const struct member_entry *who)
{
    if (widen(reading, &reading->members, &reading->member_room, reading->member_count, sizeof *reading->members))
        reading->members[reading->member_count++] = (struct found_member){ hash, *who };
}

static void add_near(const struct message_near *near, void *arg)
{
    struct near_messages *n = arg;
    struct member_entry who = { .message_no = near->no, .member_no = near->member_no, .test = near->key == KEY_TEST };
    add_member(n->reading,
               member_hash_of(n->reading->redirect, n->asked->tenant_no, n->asked->mailing_no, near->member), &who);
}

static enum err read_message(struct op *op, struct reading *reading, size_t i, uint32_t member_no)
{
    const struct lookup *asked = &reading->asked[i];
    struct near_messages near = { reading, asked };
    uint64_t no;
    TRY(store_message_find_member(op, reading->post.tx, asked->mailing_no, member_no, &no));
    if (no == 0) {
        reading->missing[i] = true;
        return OK;
    }
    uint64_t from = no - no % NEAR_MESSAGES;
    TRY(store_message_each_near(op, reading->post.tx, asked->mailing_no, from, from + NEAR_MESSAGES, add_near, &near));
    /* Last, so that it stands: a member with two addresses is always his first message. */
    struct member_entry who = { .message_no = no, .member_no = member_no };
    struct message_row row;
    TRY(store_message_get(op, reading->post.tx, no, &row));
    who.test = row.key == KEY_TEST;
    add_member(reading, asked->member_hash, &who);
    return OK;
}

static enum err read_member(struct op *op, struct reading *reading, size_t i)
{
    const struct lookup *asked = &reading->asked[i];
    struct member member;
    for (size_t k = 0; k < reading->member_count; k++)
        if (reading->members[k].hash == asked->member_hash)
            return OK;
    enum err err = store_member_get(op, reading->post.tx, asked->tenant_no, asked->member, &member);
    if (err == ERR_NOT_FOUND) {
        op->error[0] = '\0';
        reading->missing[i] = true;
        return OK;
    }
    TRY(err);
    if (asked->mailing_no)
        return read_message(op, reading, i, member.no);
    struct member_entry who = { .member_no = member.no };
    add_member(reading, asked->member_hash, &who);
    return OK;
}

static enum err reading_run(struct post *post)
{
    struct reading *reading = (struct reading *)post;
    for (size_t i = 0; i < reading->count; i++)
        TRY(reading->asked[i].kind == LOOKUP_LINK ? read_link(&post->op, reading, i)
                                                  : read_member(&post->op, reading, i));
    return OK;
}

/* --- on the loop -------------------------------------------------------------------- */

/* Of many neighbours a few at a time, so that other loops need not wait for all of them. */
static void learn_members(struct redirect *redirect, const struct reading *reading, int64_t now_ms)
{
    for (size_t i = 0; i < reading->member_count;) {
        pthread_mutex_lock(&redirect->lock);
        for (size_t end = i + LEARN_AT_ONCE; i < end && i < reading->member_count; i++)
            member_map_put(redirect->members, reading->members[i].hash, now_ms, &reading->members[i].who);
        pthread_mutex_unlock(&redirect->lock);
    }
}

static void learn(const struct reading *reading)
{
    struct redirect *redirect = reading->redirect;
    int64_t now_ms = loop_now_ms(reading->lane->loop);
    static const struct member_entry nobody;
    learn_members(redirect, reading, now_ms);
    pthread_mutex_lock(&redirect->lock);
    for (size_t i = 0; i < reading->link_count; i++)
        link_cache_put(redirect->links, &reading->links[i], now_ms, reading->mark);
    for (size_t i = 0; i < reading->count; i++) {
        if (!reading->missing[i])
            continue;
        if (reading->asked[i].kind == LOOKUP_LINK)
            link_cache_put_missing(redirect->links, reading->asked[i].code, now_ms, reading->mark);
        else
            member_map_put(redirect->members, reading->asked[i].member_hash, now_ms, &nobody);
    }
    pthread_mutex_unlock(&redirect->lock);
}

static void read_at_turn_end(struct redirect_lane *lane);

static enum err reading_back(struct post *post)
{
    struct reading *reading = (struct reading *)post;
    struct redirect_lane *lane = reading->lane;
    lane->reads--;
    if (post->err == OK)
        learn(reading);
    for (size_t i = 0; i < reading->count; i++) {
        struct visit *visit = reading->visits[i];
        if (!visit)
            continue;
        visit_ask_no_more(visit);
        visit->unknown_member |= reading->asked[i].kind == LOOKUP_MEMBER && reading->missing[i];
        if (post->err == OK)
            visit_go(visit);
        else
            visit_refuse(visit);
    }
    read_at_turn_end(lane);
    busy_post_free(&lane->redirect->busy, post);
    return OK;
}

/* Texts are copied: the request may be answered before the reader has read them. */
static void ask(struct reading *reading, struct visit *visit)
{
    struct arena *arena = reading->post.op.arena;
    reading->visits[reading->count] = visit;
    visit->next = NULL;
    visit->place = &reading->visits[reading->count];
    reading->asked[reading->count++] = (struct lookup){ .kind = visit->lookup,
                                                        .code = arena_str(arena, visit->code),
                                                        .member = arena_str(arena, visit->member),
                                                        .tenant_no = visit->tenant_no,
                                                        .mailing_no = visit->mailing_no,
                                                        .member_hash = visit->member_hash };
}

static void wait_for_read(struct visit *visit)
{
    struct redirect_lane *lane = visit->lane;
    visit->next = NULL;
    visit->place = lane->last_waiting;
    *lane->last_waiting = visit;
    lane->last_waiting = &visit->next;
}

static struct visit *first_waiting(struct redirect_lane *lane)
{
    struct visit *visit = lane->waiting;
    lane->waiting = visit->next;
    if (visit->next)
        visit->next->place = &lane->waiting;
    else
        lane->last_waiting = &lane->waiting;
    return visit;
}

/* What is known of links when the read begins. */
static void mark_links(struct reading *reading)
{
    struct redirect *redirect = reading->redirect;
    pthread_mutex_lock(&redirect->lock);
    reading->mark = link_cache_mark(redirect->links);
    reading->has_room = link_cache_has_room(redirect->links);
    pthread_mutex_unlock(&redirect->lock);
}

static void read_some(struct redirect_lane *lane)
{
    static const struct hop route[] = { { reading_run, THREAD_DOOR }, { reading_back, THREAD_CALLER }, { 0 } };
    struct redirect *redirect = lane->redirect;
    struct loop *loop = lane->loop;
    struct reading *reading = busy_post_new(&redirect->busy, loop, loop_wall_us(loop), sizeof *reading, READ_BYTES_MAX);
    reading->post.hop = route;
    reading->redirect = redirect;
    reading->lane = lane;
    mark_links(reading);
    while (lane->waiting && reading->count < LOOKUPS_MAX)
        ask(reading, first_waiting(lane));
    lane->reads++;
    post_send(&reading->post);
}

static void turn_ended(struct errand *errand)
{
    struct redirect_lane *lane = MAIL_OF(errand, struct redirect_lane, turn_end);
    lane->ends = false;
    while (lane->waiting && lane->reads < READS_MAX)
        read_some(lane);
    busy_end(&lane->redirect->busy);
}

/* Each of them would cost its own way to the other thread and back. */
static void read_at_turn_end(struct redirect_lane *lane)
{
    if (!lane->waiting || lane->ends)
        return;
    lane->ends = true;
    lane->turn_end.run = turn_ended;
    busy_begin(&lane->redirect->busy);
    loop_at_turn_end(lane->loop, &lane->turn_end);
}

void visit_look_up(struct visit *visit)
{
    struct redirect *redirect = visit->redirect;
    bool may_ask = atomic_fetch_add(&redirect->asking, 1) < redirect->config.max_waiting;
    if (++visit->tries > TRIES_MAX || !may_ask) {
        atomic_fetch_sub(&redirect->asking, 1);
        visit_refuse(visit);
        return;
    }
    if (visit->tries == 1)
        loop_timer_set(visit->lane->loop, &visit->patience, redirect->config.wait_ms);
    wait_for_read(visit);
    read_at_turn_end(visit->lane);
}

void visit_ask_no_more(struct visit *visit)
{
    struct redirect_lane *lane = visit->lane;
    if (!visit->place)
        return;
    *visit->place = visit->next;
    if (visit->next)
        visit->next->place = visit->place;
    else if (lane->last_waiting == &visit->next)
        lane->last_waiting = visit->place;
    visit->place = NULL;
    atomic_fetch_sub(&visit->redirect->asking, 1);
}
