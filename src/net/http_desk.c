#include "net/http_desk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/instant.h"
#include "base/random.h"
#include "net/http_conn.h"
#include "net/http_reply.h"

#define FREE_REQUESTS_MAX 512 /* kept for reuse: about 7 KiB each with the first chunk of the arena */
#define REFUSED_MAX       128 /* connections above the maximum that may still hear their 503 at a time */
#define SWEEP_MS_MAX      1000
#define PATIENCE_MS       250 /* who stands still for longer gives way when all places are taken */

/* --- requests ----------------------------------------------------------- */

/* One number in, one well mixed number out (splitmix64): trace ids that do not look alike. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

struct http_request *http_request_take(struct http_desk *desk, struct http_conn *conn)
{
    struct http_request *request = desk->free_requests;
    struct arena *arena;
    if (request) {
        desk->free_requests = request->next;
        desk->free_request_count--;
        arena = request->op.arena;
    } else {
        request = malloc(sizeof *request);
        if (!request)
            abort();
        arena = arena_new(desk->server->config.arena_bytes_max);
    }
    desk->requests_out++;

    /* Between op, which op_init sets, and the index of the head, which the head fills, everything begins as zero. */
    size_t from = offsetof(struct http_request, method), to = offsetof(struct http_request, head.lines);
    memset((char *)request + from, 0, to - from);
    int64_t now_us = loop_wall_us(desk->loop);
    op_init(&request->op, arena, now_us);
    request->op.trace = mix(desk->trace_seed++);
    request->method = request->target = request->path = S("");
    request->body = S("");
    request->peer = conn->peer;
    request->loop = desk->loop;
    request->server_data = desk->server->config.data;
    request->desk = desk;
    request->conn = conn;
    request->began_us = now_us;
    buf_init_arena(&request->reply_headers, arena, HTTP_REPLY_HEADERS_BYTES_MAX);
    return request;
}

void http_request_give(struct http_request *request)
{
    struct http_desk *desk = request->desk;
    if (!request->body_buffer.arena)
        buf_done(&request->body_buffer);
    desk->requests_out--;
    if (desk->free_request_count < FREE_REQUESTS_MAX) {
        arena_reset(request->op.arena);
        request->next = desk->free_requests;
        desk->free_requests = request;
        desk->free_request_count++;
    } else {
        arena_free(request->op.arena);
        free(request);
    }
    if (desk->drained && !desk->requests_out)
        http_server_leave(desk->server);
}

/* --- waiting ------------------------------------------------------------ */

static void list_remove(struct http_wait_list *list, struct http_conn *conn)
{
    if (conn->before)
        conn->before->next = conn->next;
    else if (list->first == conn)
        list->first = conn->next;
    else
        return; /* in no list yet */
    if (conn->next)
        conn->next->before = conn->before;
    else
        list->last = conn->before;
    conn->next = conn->before = NULL;
}

static void list_append(struct http_wait_list *list, struct http_conn *conn)
{
    conn->next = NULL;
    conn->before = list->last;
    if (list->last)
        list->last->next = conn;
    else
        list->first = conn;
    list->last = conn;
}

void http_conn_wait(struct http_conn *conn, enum http_wait wait)
{
    struct http_desk *desk = conn->desk;
    list_remove(&desk->waits[conn->wait], conn);
    conn->wait = wait;
    conn->since_ms = loop_now_ms(desk->loop);
    conn->progress = 0;
    list_append(&desk->waits[wait], conn);
}

static int64_t wait_limit_ms(const struct http_server_config *config, enum http_wait wait)
{
    switch (wait) {
    case HTTP_WAIT_IDLE:
        return config->idle_ms;
    case HTTP_WAIT_FIRST:
    case HTTP_WAIT_HEAD:
        return config->head_ms;
    case HTTP_WAIT_BODY:
        return config->body_ms;
    case HTTP_WAIT_WRITE:
        return config->write_ms;
    case HTTP_WAIT_LINGER:
        return config->linger_ms;
    case HTTP_WAIT_HANDLER:
        break;
    }
    return INT64_MAX;
}

static int64_t sweep_every_ms(const struct http_server_config *config)
{
    int64_t every_ms = SWEEP_MS_MAX;
    for (int wait = HTTP_WAIT_FIRST; wait < HTTP_WAITS; wait++) {
        int64_t quarter_ms = wait_limit_ms(config, (enum http_wait)wait) / 4;
        if (quarter_ms < every_ms)
            every_ms = quarter_ms;
    }
    return every_ms > 1 ? every_ms : 1;
}

/* Looks at the oldest of each list only. An idle daemon has no connections and is not woken. */
static void on_sweep(struct timer *timer)
{
    struct http_desk *desk = MAIL_OF(timer, struct http_desk, sweep);
    int64_t now_ms = loop_now_ms(desk->loop);
    for (int wait = HTTP_WAIT_FIRST; wait < HTTP_WAITS; wait++) {
        int64_t limit_ms = wait_limit_ms(&desk->server->config, (enum http_wait)wait);
        struct http_wait_list *list = &desk->waits[wait];
        while (list->first && now_ms - list->first->since_ms >= limit_ms)
            http_conn_expire(list->first);
    }
    if (desk->connections)
        loop_timer_set(desk->loop, timer, sweep_every_ms(&desk->server->config));
}

/* --- clock -------------------------------------------------------------- */

struct str http_desk_date(struct http_desk *desk)
{
    int64_t now_us = loop_wall_us(desk->loop);
    if (now_us / 1000000 != desk->date_s || !desk->date_n) {
        char text[INSTANT_TEXT_BYTES];
        struct str date = instant_text_http(now_us, text);
        desk->date_s = now_us / 1000000;
        desk->date_n = (size_t)snprintf(desk->date, sizeof desk->date, "Date: %.*s\r\n", STR(date));
    }
    return (struct str){ desk->date, desk->date_n };
}

/* --- guests -------------------------------------------------------------- */

/* All places are taken: who has asked nothing yet, or stands still, gives his to somebody who may do better. Who rests
 * between two requests goes at once, he has his answer; who waits for us keeps his place. */
bool http_desk_make_place(struct http_desk *desk)
{
    static const struct {
        enum http_wait wait;
        int64_t patience_ms;
    } order[] = { { HTTP_WAIT_FIRST, PATIENCE_MS },
                  { HTTP_WAIT_HEAD, PATIENCE_MS },
                  { HTTP_WAIT_IDLE, 0 },
                  { HTTP_WAIT_BODY, 10 * PATIENCE_MS },
                  { HTTP_WAIT_WRITE, 10 * PATIENCE_MS } };
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        struct http_conn *oldest = desk->waits[order[i].wait].first;
        if (!oldest || loop_now_ms(desk->loop) - oldest->since_ms < order[i].patience_ms)
            continue;
        if (http_conn_give_way(oldest))
            return true;
    }
    return false;
}

void http_desk_receive(struct http_desk *desk, const struct http_guest *guest)
{
    bool above = guest->above >= 0 && !http_desk_make_place(desk); /* who gave way counts until the turn ends */
    figure_add(&desk->refused, above);
    if (desk->cut || (above && guest->above >= REFUSED_MAX)) { /* nobody stays, or too many even to be told so */
        close(guest->fd);
        atomic_fetch_sub(&desk->open, 1);
        return;
    }
    desk->connections++;
    if (http_desk_is_first(desk))
        listener_joined(&desk->server->listener);
    http_conn_begin(desk, guest, above);
    if (!timer_is_set(&desk->sweep))
        loop_timer_set(desk->loop, &desk->sweep, sweep_every_ms(&desk->server->config));
}

static void on_guest(struct errand *errand)
{
    struct http_guest *guest = MAIL_OF(errand, struct http_guest, errand);
    http_desk_receive(guest->desk, guest);
    buf_done(&guest->said);
    free(guest);
}

void http_desk_send(struct http_desk *desk, const struct http_guest *guest)
{
    struct http_guest *sent = malloc(sizeof *sent);
    if (!sent)
        abort();
    *sent = *guest;
    sent->errand.run = on_guest;
    sent->desk = desk;
    loop_send(desk->loop, &sent->errand);
}

static void end_if_done(struct http_desk *desk);

void http_desk_forget(struct http_conn *conn)
{
    struct http_desk *desk = conn->desk;
    list_remove(&desk->waits[conn->wait], conn);
    desk->connections--;
    if (!conn->moved)
        atomic_fetch_sub(&desk->open, 1);
    if (http_desk_is_first(desk))
        listener_left(&desk->server->listener);
    else
        end_if_done(desk);
}

/* --- the end ------------------------------------------------------------ */

static void close_all(struct http_desk *desk, enum http_wait wait)
{
    struct http_conn *next;
    for (struct http_conn *conn = desk->waits[wait].first; conn; conn = next) {
        next = conn->next;
        http_conn_close(conn);
    }
}

void http_desk_cut(struct http_desk *desk)
{
    desk->cut = true;
    for (int wait = 0; wait < HTTP_WAITS; wait++)
        close_all(desk, (enum http_wait)wait);
}

void http_desk_end(struct http_desk *desk)
{
    loop_timer_clear(desk->loop, &desk->sweep);
    loop_timer_clear(desk->loop, &desk->last_call);
    desk->drained = true;
    if (!desk->requests_out)
        http_server_leave(desk->server);
}

static void on_last_call(struct timer *timer)
{
    http_desk_cut(MAIL_OF(timer, struct http_desk, last_call));
}

/* On the first desk: another one has no connection any more. */
static void on_left(struct errand *errand)
{
    listener_left(&MAIL_OF(errand, struct http_desk, left)->server->listener);
}

static void on_end(struct errand *errand)
{
    struct http_desk *desk = MAIL_OF(errand, struct http_desk, drain);
    desk->left.run = on_left;
    loop_send(desk->server->listener.loop, &desk->left);
    http_desk_end(desk);
}

/* The first desk ends with the listener; another one at the end of the turn, because whoever closed the last connection
 * may still look at it. */
static void end_if_done(struct http_desk *desk)
{
    if (http_desk_is_first(desk) || !desk->draining || desk->connections)
        return;
    desk->drain.run = on_end;
    loop_at_turn_end(desk->loop, &desk->drain);
}

static void begin_drain(struct http_desk *desk)
{
    desk->draining = true;
    close_all(desk, HTTP_WAIT_FIRST);
    close_all(desk, HTTP_WAIT_IDLE);
}

static void on_drain(struct errand *errand)
{
    struct http_desk *desk = MAIL_OF(errand, struct http_desk, drain);
    desk->last_call.run = on_last_call;
    loop_timer_set(desk->loop, &desk->last_call, desk->server->wait_ms);
    begin_drain(desk);
    end_if_done(desk);
}

void http_desk_drain(struct http_desk *desk)
{
    if (http_desk_is_first(desk)) {
        begin_drain(desk);
        return;
    }
    listener_joined(&desk->server->listener);
    desk->drain.run = on_drain;
    loop_send(desk->loop, &desk->drain);
}

/* --- the desk ------------------------------------------------------------ */

struct http_desk *http_desk_new(struct http_server *server, struct loop *loop)
{
    struct http_desk *desk = calloc(1, sizeof *desk);
    if (!desk)
        abort();
    desk->server = server;
    desk->loop = loop;
    desk->sweep.run = on_sweep;
    desk->pool.sent = http_request_sent;
    desk->trace_seed = random_u64();
    return desk;
}

void http_desk_free(struct http_desk *desk)
{
    while (desk->free_requests) {
        struct http_request *next = desk->free_requests->next;
        arena_free(desk->free_requests->op.arena);
        free(desk->free_requests);
        desk->free_requests = next;
    }
    http_pool_done(&desk->pool);
    free(desk);
}
