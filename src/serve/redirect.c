#include "serve/redirect.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/metric.h"
#include "base/thread.h"
#include "net/http_reply.h"
#include "serve/api.h"
#include "serve/call.h"
#include "serve/redirect_parts.h"

#define PATH_BYTES_MAX 1024

static int64_t now_ms(const struct visit *visit)
{
    return loop_now_ms(visit->lane->loop);
}

/* --- answering ------------------------------------------------------------------ */

/* Before any answer, with which the memory of the request goes. */
static void end(struct visit *visit)
{
    visit_ask_no_more(visit);
    loop_timer_clear(visit->lane->loop, &visit->patience);
}

static void send_on(struct visit *visit)
{
    end(visit);
    http_redirect(visit->request, visit->location);
}

static void say_busy(struct visit *visit)
{
    end(visit);
    answer_busy(visit->request, visit->location);
}

static void say_not_found(struct visit *visit)
{
    end(visit);
    answer_not_found(visit->redirect, visit->request);
}

static void visit_done(struct click_wait *wait, bool stored)
{
    struct visit *visit = (struct visit *)wait;
    if (stored)
        send_on(visit);
    else
        say_busy(visit);
}

/* Its place is free from now on, whatever it waits for. */
static void give_up(struct visit *visit)
{
    if (visit->in_line)
        click_line_leave(visit->redirect->line, &visit->wait, true);
    else
        say_busy(visit);
}

void visit_refuse(struct visit *visit)
{
    click_line_refuse(visit->redirect->line);
    give_up(visit);
}

/* Redirected, and counted nowhere. */
static void ignore(struct visit *visit, struct metric_cell *reason)
{
    metric_add(reason, 1);
    send_on(visit);
}

static bool build_location(struct visit *visit, const struct cached_link *link)
{
    struct str member = str_given(visit->member) ? visit->member : S("");
    size_t room = link_url_room(link->url, link->cuts, link->cut_count, member);
    char *text = arena_alloc_raw(visit->request->op.arena, room);
    if (!text)
        return false;
    visit->location = (struct str){ text, link_url_expand(link->url, link->cuts, link->cut_count, member, text) };
    return true;
}

static void lose_patience(struct timer *timer)
{
    visit_refuse(MAIL_OF(timer, struct visit, patience));
}

/* --- the way of one request ------------------------------------------------------- */

/* What is known of a request: copied, since other loops change the caches. */
struct known {
    struct cached_link link; /* but for its texts */
    struct member_entry who;
    bool has_link, has_location, has_member;
};

/* A click of somebody, and no mere look. */
static bool names_somebody(const struct visit *visit)
{
    return str_given(visit->member) && !visit->request->head_only;
}

static struct known look_up(struct visit *visit)
{
    struct redirect *redirect = visit->redirect;
    struct known known = { .has_link = false };
    struct cached_link *link = &known.link;
    pthread_mutex_lock(&redirect->lock);
    known.has_link = link_cache_find(redirect->links, visit->code, visit->code_hash, now_ms(visit), link);
    bool asks_for_member = known.has_link && link->no && names_somebody(visit);
    if (asks_for_member) {
        visit->member_hash = member_hash_of(redirect, link->tenant_no, link->mailing_no, visit->member);
        member_map_fetch(redirect->members, visit->member_hash); /* it comes while the location is built */
    }
    known.has_location = known.has_link && link->no && build_location(visit, link);
    if (known.has_location && asks_for_member)
        known.has_member = member_map_find(redirect->members, visit->member_hash, now_ms(visit), &known.who);
    pthread_mutex_unlock(&redirect->lock);
    return known;
}

static void join_line(struct visit *visit, const struct cached_link *link, const struct member_entry *who)
{
    struct click *click = &visit->wait.click;
    *click =
        (struct click){ .at_us = visit->request->op.now_us,
                        .message_no = who->message_no,
                        .visitor_hash = who->message_no ? 0 : (int64_t)visit->member_hash,
                        .link_no = link->no,
                        .version = link->version,
                        .tenant_no = link->tenant_no,
                        .mailing_no = link->mailing_no,
                        .client = visit->client,
                        .member_no = who->member_no,
                        .bits = (uint16_t)(visit->bits | visit_take_probe(visit)),
                        .flags = (uint16_t)((link->honeypot ? CLICK_HONEYPOT : 0) | (who->test ? CLICK_TEST : 0)) };
    visit->wait.done = visit_done;
    visit->in_line = true;
    click_line_add(visit->redirect->line, &visit->wait);
}

/* Who is it? A link without mailing takes everybody, and only asks whether he is a member. */
static void find_member(struct visit *visit, const struct known *known)
{
    const struct cached_link *link = &known->link;
    if (!known->has_member && !visit->unknown_member) {
        visit->tenant_no = link->tenant_no;
        visit->mailing_no = link->mailing_no;
        visit->lookup = LOOKUP_MEMBER;
        visit_look_up(visit);
    } else if (link->mailing_no && !known->who.message_no) {
        ignore(visit, visit->redirect->ignored_unknown);
    } else {
        join_line(visit, link, &known->who);
    }
}

static void follow(struct visit *visit, const struct known *known)
{
    if (!known->has_location)
        say_busy(visit);
    else if (visit->request->head_only)
        ignore(visit, visit->redirect->ignored_head);
    else if (!str_given(visit->member))
        ignore(visit, visit->redirect->ignored_no_member);
    else
        find_member(visit, known);
}

static void refuse_scan(struct visit *visit)
{
    struct http_request *request = visit->request;
    end(visit);
    request->op.retry_after_s = 1;
    http_reply_header(request, S("Cache-Control"), S("no-store"));
    http_fail(request, fail(&request->op, ERR_BUSY, "too many unknown codes from this network"));
}

void visit_go(struct visit *visit)
{
    struct redirect *redirect = visit->redirect;
    struct known known = look_up(visit);
    if (!known.has_link) {
        if (has_missed_too_many(redirect, visit->request)) {
            refuse_scan(visit);
            return;
        }
        visit->lookup = LOOKUP_LINK;
        visit_look_up(visit);
    } else if (known.link.no == 0) {
        if (may_miss(redirect, visit->request))
            say_not_found(visit);
        else
            refuse_scan(visit);
    } else {
        follow(visit, &known);
    }
}

/* The client has left before its answer: nothing is counted that nobody waits for, unless a group has it (LNK-40). */
static void visit_left(struct http_request *request, bool gone)
{
    struct visit *visit = request->data;
    if (gone)
        give_up(visit);
    else if (visit->in_line)
        click_line_leave(visit->redirect->line, &visit->wait, false);
}

/* The link of a code, fetched from memory while something else is done. */
static void fetch(struct visit *visit, void (*what)(const struct link_cache *cache, uint32_t hash))
{
    struct redirect *redirect = visit->redirect;
    pthread_mutex_lock(&redirect->lock);
    what(redirect->links, visit->code_hash);
    pthread_mutex_unlock(&redirect->lock);
}

/* All that the request says, and what memory takes to bring its link meanwhile. */
static void read_visit(struct visit *visit)
{
    size_t n;
    visit->code_hash = link_cache_hash(visit->redirect->links, visit->code);
    fetch(visit, link_cache_fetch_slot);
    if (link_member_read(visit->request->query, visit->member_text, &n))
        visit->member = (struct str){ visit->member_text, n };
    fetch(visit, link_cache_fetch_entry);
    if (names_somebody(visit))
        visit_evidence(visit);
}

void redirect_get(struct http_request *request)
{
    const struct api *api = request->server_data;
    struct visit *visit;
    if (request->path.n > PATH_BYTES_MAX) {
        http_problem(request, 414, S(""), S("a path has at most 1024 bytes here"), NULL, 0);
        return;
    }
    visit = arena_alloc_raw(request->op.arena, sizeof *visit);
    if (!visit) {
        answer_busy(request, (struct str){ NULL, 0 });
        return;
    }
    visit->redirect = api->redirect;
    visit->lane = &api->redirect->lanes[click_line_lane(api->redirect->line)];
    visit->request = request;
    visit->place = NULL;
    visit->patience = (struct timer){ .run = lose_patience };
    visit->code = request->params[0];
    visit->member = visit->location = (struct str){ NULL, 0 };
    visit->tries = 0;
    visit->unknown_member = visit->in_line = false;
    request->data = visit;
    request->left = visit_left;
    if (!link_code_valid(visit->code)) {
        say_not_found(visit);
        return;
    }
    read_visit(visit);
    visit_go(visit);
}

/* --- changes ---------------------------------------------------------------------- */

void redirect_learn(struct redirect *redirect, const struct link *link)
{
    pthread_mutex_lock(&redirect->lock);
    link_cache_learn(redirect->links, link, loop_now_ms(redirect->config.loop));
    pthread_mutex_unlock(&redirect->lock);
}

struct ending {
    struct click_fence fence; /* first */
    struct call *call;
};

static void ending_passed(struct click_fence *fence)
{
    call_end(((struct ending *)fence)->call, OK);
}

void redirect_end_after(struct redirect *redirect, struct call *call)
{
    struct ending *ending = arena_alloc(call->request->op.arena, sizeof *ending);
    if (!ending) {
        call_end(call, OK);
        return;
    }
    ending->fence.passed = ending_passed;
    ending->call = call;
    click_line_fence(redirect->line, &ending->fence);
}

struct sending {
    struct click_reader reader; /* first */
    struct call *call;
};

/* What it will read is older than the answers that clicks got: it says by how many. */
static void sending_passed(struct click_reader *reader)
{
    struct call *call = ((struct sending *)reader)->call;
    if (reader->behind > 0)
        http_reply_header(call->request, S("Posthouse-Behind"),
                          arena_fmt(call->post.op.arena, "%" PRId64, reader->behind));
    post_send(&call->post);
}

void redirect_send_behind(struct redirect *redirect, struct call *call)
{
    struct sending *sending = arena_alloc(call->post.op.arena, sizeof *sending);
    if (!sending) {
        post_send(&call->post);
        return;
    }
    sending->reader.passed = sending_passed;
    sending->call = call;
    click_line_read(redirect->line, &sending->reader);
}

int64_t redirect_spooled(const struct redirect *redirect)
{
    return click_line_spooled(redirect->line);
}

/* --- open --------------------------------------------------------------------------- */

static void declare_metrics(struct redirect *redirect)
{
    struct metric *ignored =
        metric_counter("posthouse_clicks_ignored_total", "Redirects that are no click.", "reason", METRIC_ONE);
    redirect->ignored_no_member = METRIC_AT(ignored, S("no_member"));
    redirect->ignored_unknown = METRIC_AT(ignored, S("unknown_member"));
    redirect->ignored_head = METRIC_AT(ignored, S("head"));
}

/* One a loop, in the order of the line's. */
static void open_lanes(struct redirect *redirect)
{
    const struct redirect_config *config = &redirect->config;
    assert(config->also_count < CLICK_LOOPS_MAX);
    for (int i = 0; i <= config->also_count; i++) {
        struct redirect_lane *lane = &redirect->lanes[i];
        lane->redirect = redirect;
        lane->loop = i > 0 ? config->also[i - 1] : config->loop;
        lane->last_waiting = &lane->waiting;
    }
}

enum err redirect_open(struct op *op, const struct redirect_config *config, struct redirect **ret_redirect)
{
    struct redirect *redirect = calloc(1, sizeof *redirect);
    if (!redirect)
        abort();
    redirect->config = *config;
    busy_init(&redirect->busy);
    if (!redirect->config.max_waiting)
        redirect->config.max_waiting = CLICK_WAITING_MAX;
    if (!redirect->config.wait_ms)
        redirect->config.wait_ms = CLICK_WAIT_MS;
    redirect->hash_key = siphash_key_from(store_hash_key(config->store));
    short_lock_init(&redirect->lock);
    open_lanes(redirect);
    redirect->links =
        link_cache_new(redirect->hash_key, config->cache_bytes ? config->cache_bytes : LINK_CACHE_BYTES_MAX);
    redirect->members = member_map_new(MEMBER_MAP_BYTES_MAX);
    declare_metrics(redirect);
    struct click_line_config line = { .store = config->store,
                                      .loop = config->loop,
                                      .also = config->also,
                                      .also_count = config->also_count,
                                      .node = config->node,
                                      .spool_path = config->spool_path,
                                      .room = config->spool_clicks,
                                      .max_waiting = redirect->config.max_waiting,
                                      .wait_ms = redirect->config.wait_ms,
                                      .stall_ms = config->stall_ms };
    enum err err = keys_open(op, redirect);
    if (err == OK)
        err = click_line_open(op, &line, &redirect->line);
    if (err == OK)
        err = changes_open(op, redirect);
    if (err != OK) {
        redirect_close(redirect);
        return err;
    }
    *ret_redirect = redirect;
    return OK;
}

void redirect_drain(struct redirect *redirect)
{
    if (!redirect)
        return;
    click_line_drain(redirect->line);
    changes_stop(redirect);
    (void)busy_wait(&redirect->busy, -1);
}

void redirect_close(struct redirect *redirect)
{
    if (!redirect)
        return;
    click_line_close(redirect->line);
    link_cache_free(redirect->links);
    member_map_free(redirect->members);
    busy_done(&redirect->busy);
    pthread_mutex_destroy(&redirect->lock);
    free(redirect);
}
