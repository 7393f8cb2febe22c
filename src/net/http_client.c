#include "net/http_client.h"

#include <assert.h>
#include <curl/curl.h>
#include <pthread.h>
#include <stdlib.h>
#include <uv.h>

#include "net/http_fetch.h"

#define KEPT_CONNECTIONS 32 /* idle ones, over all hosts */
#define FREE_HANDLES_MAX 16

/*
 * curl tells which sockets and which time-out it waits for; uv_poll and the
 * loop's timer wait for them and call it back. Finished fetches are collected
 * after each such call, never inside one of curl's callbacks.
 */
struct http_client {
    struct loop *loop;
    struct http_client_config config;
    CURLM *multi;
    struct timer timer;
    struct fetch *first; /* under way */
    int sockets;         /* uv handles not yet closed */
    CURL *free_handles[FREE_HANDLES_MAX];
    int free_count;
    uv_sem_t *closed; /* whoever closes the client waits here */
};

struct client_socket {
    uv_poll_t poll;
    struct http_client *client;
    curl_socket_t fd;
};

/* --- the end of a fetch -------------------------------------------------- */

static void fetch_unlink(struct fetch *fetch)
{
    if (fetch->before)
        fetch->before->next = fetch->next;
    else
        fetch->client->first = fetch->next;
    if (fetch->next)
        fetch->next->before = fetch->before;
    fetch->next = fetch->before = NULL;
}

static void fetch_release_curl(struct fetch *fetch)
{
    struct http_client *client = fetch->client;
    CURL *curl = fetch->curl;
    if (curl) {
        curl_multi_remove_handle(client->multi, curl);
        if (client->free_count < FREE_HANDLES_MAX) {
            curl_easy_reset(curl);
            client->free_handles[client->free_count++] = curl;
        } else {
            curl_easy_cleanup(curl);
        }
    }
    curl_slist_free_all(fetch->curl_headers);
    fetch->curl = fetch->curl_headers = NULL;
}

/* Everything is known: the fetch goes back to its owner, who may free it. */
static void fetch_end(struct fetch *fetch)
{
    fetch_release_curl(fetch);
    fetch_unlink(fetch);
    fetch->response = buf_str(&fetch->body_buffer);
    fetch->response_head = buf_str(&fetch->head_buffer);
    fetch->done(fetch);
}

static void client_collect(struct http_client *client)
{
    CURLMsg *message;
    int left;
    while ((message = curl_multi_info_read(client->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct fetch *fetch = NULL;
        long status = 0;
        curl_off_t took_us = 0;
        CURLcode code = message->data.result; /* the message dies with the handle */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &fetch);
        curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        curl_easy_getinfo(message->easy_handle, CURLINFO_TOTAL_TIME_T, &took_us);
        fetch->status = (int)status;
        fetch->took_us = took_us;
        if (fetch->err == OK) /* else it was cancelled and comes back by its errand */
            fetch->err = fetch_result(fetch, code);
        if (!fetch->finish.run)
            fetch_end(fetch);
    }
}

/* --- curl and the loop -------------------------------------------------- */

static void on_timer(struct timer *timer)
{
    struct http_client *client = MAIL_OF(timer, struct http_client, timer);
    int running;
    curl_multi_socket_action(client->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    client_collect(client);
}

static int on_curl_timeout(CURLM *multi, long timeout_ms, void *data)
{
    struct http_client *client = data;
    (void)multi;
    if (timeout_ms < 0)
        loop_timer_clear(client->loop, &client->timer);
    else
        loop_timer_set(client->loop, &client->timer, timeout_ms);
    return 0;
}

static void on_socket_ready(uv_poll_t *poll, int status, int events)
{
    struct client_socket *ready = poll->data;
    struct http_client *client = ready->client;
    int action = ((events & UV_READABLE) ? CURL_CSELECT_IN : 0) | ((events & UV_WRITABLE) ? CURL_CSELECT_OUT : 0);
    int running;
    curl_multi_socket_action(client->multi, ready->fd, status < 0 ? CURL_CSELECT_ERR : action, &running);
    client_collect(client);
}

static void client_end_if_done(struct http_client *client);

static void on_socket_closed(uv_handle_t *handle)
{
    struct client_socket *gone = handle->data;
    struct http_client *client = gone->client;
    free(gone);
    client->sockets--;
    client_end_if_done(client);
}

static struct client_socket *socket_new(struct http_client *client, curl_socket_t fd)
{
    struct client_socket *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        abort();
    if (uv_poll_init_socket(loop_uv(client->loop), &fresh->poll, fd) != 0) {
        free(fresh);
        return NULL;
    }
    fresh->poll.data = fresh;
    fresh->client = client;
    fresh->fd = fd;
    client->sockets++;
    curl_multi_assign(client->multi, fd, fresh);
    return fresh;
}

static int on_curl_socket(CURL *curl, curl_socket_t fd, int what, void *data, void *socket_data)
{
    struct http_client *client = data;
    struct client_socket *known = socket_data;
    (void)curl;
    if (what == CURL_POLL_REMOVE) {
        if (known) {
            curl_multi_assign(client->multi, fd, NULL);
            uv_poll_stop(&known->poll);
            uv_close((uv_handle_t *)&known->poll, on_socket_closed);
        }
        return 0;
    }
    if (!known)
        known = socket_new(client, fd);
    if (!known)
        return -1;
    int events = ((what & CURL_POLL_IN) ? UV_READABLE : 0) | ((what & CURL_POLL_OUT) ? UV_WRITABLE : 0);
    uv_poll_start(&known->poll, events, on_socket_ready);
    return 0;
}

/* --- one fetch ----------------------------------------------------------- */

static void on_finish(struct errand *errand)
{
    fetch_end(MAIL_OF(errand, struct fetch, finish));
}

static void fetch_end_soon(struct fetch *fetch)
{
    fetch->finish.run = on_finish;
    loop_at_turn_end(fetch->client->loop, &fetch->finish);
}

void http_fetch(struct http_client *client, struct fetch *fetch)
{
    assert(loop_is_mine(client->loop) && fetch->done);
    fetch->client = client;
    fetch->err = OK;
    fetch->error[0] = '\0';
    fetch->status = 0;
    fetch->took_us = 0;
    fetch->timed_out = fetch->cut_off = fetch->refused = fetch->unsent = fetch->is_asking = false;
    fetch->finish.run = NULL;
    fetch->curl_headers = NULL;
    fetch->before = NULL;
    fetch->next = client->first;
    if (client->first)
        client->first->before = fetch;
    client->first = fetch;

    fetch->curl = client->free_count ? client->free_handles[--client->free_count] : curl_easy_init();
    if (!fetch->curl)
        abort();
    fetch->err =
        client->closed ? fetch_fail(fetch, ERR_UNAVAILABLE, "shutting down") : fetch_prepare(fetch, &client->config);
    if (fetch->err != OK) {
        fetch_end_soon(fetch);
        return;
    }
    CURLMcode code = curl_multi_add_handle(client->multi, fetch->curl);
    assert(code == CURLM_OK);
}

void http_fetch_cancel(struct fetch *fetch)
{
    assert(loop_is_mine(fetch->client->loop));
    if (!fetch->curl || fetch->finish.run)
        return;
    fetch->err = fetch_fail(fetch, ERR_UNAVAILABLE, "cancelled");
    curl_multi_remove_handle(fetch->client->multi, fetch->curl);
    fetch_end_soon(fetch);
}

/* --- open and close ----------------------------------------------------- */

static void curl_begin(void)
{
    if (curl_global_init(CURL_GLOBAL_ALL) != CURLE_OK)
        abort();
}

struct http_client *http_client_open(struct loop *loop, const struct http_client_config *config)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, curl_begin);
    struct http_client *client = calloc(1, sizeof *client);
    if (!client)
        abort();
    client->loop = loop;
    client->config = *config;
    client->timer.run = on_timer;
    client->multi = curl_multi_init();
    if (!client->multi)
        abort();
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
    curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_curl_timeout);
    curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
    curl_multi_setopt(client->multi, CURLMOPT_MAX_HOST_CONNECTIONS,
                      (long)(config->host_max ? config->host_max : HTTP_CLIENT_HOST_MAX));
    curl_multi_setopt(client->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    return client;
}

struct allow {
    struct http_client *client;
    const struct cidr_list *list;
};

static void take_allow(void *data)
{
    const struct allow *allow = data;
    allow->client->config.allow = allow->list;
}

void http_client_allow(struct http_client *client, const struct cidr_list *allow)
{
    struct allow taken = { client, allow };
    loop_call(client->loop, take_allow, &taken);
}

static void client_end_if_done(struct http_client *client)
{
    if (!client->closed || client->sockets || client->first || client->multi)
        return;
    loop_timer_clear(client->loop, &client->timer);
    uv_sem_t *closed = client->closed;
    free(client);
    uv_sem_post(closed);
}

struct close_call {
    struct errand errand;
    struct http_client *client;
    uv_sem_t closed;
};

/* Runs at the end of the turn, behind the errands of the cancelled fetches. */
static void client_end_curl(struct errand *errand)
{
    struct http_client *client = ((struct close_call *)errand)->client;
    if (client->first) { /* somebody tried again when told of the end: that one has failed already */
        loop_at_turn_end(client->loop, errand);
        return;
    }
    while (client->free_count)
        curl_easy_cleanup(client->free_handles[--client->free_count]);
    curl_multi_cleanup(client->multi);
    client->multi = NULL;
    client_end_if_done(client);
}

static void close_on_loop(void *data)
{
    struct close_call *call = data;
    call->client->closed = &call->closed;
    for (struct fetch *fetch = call->client->first; fetch; fetch = fetch->next)
        http_fetch_cancel(fetch);
    call->errand.run = client_end_curl;
    loop_at_turn_end(call->client->loop, &call->errand);
}

void http_client_close(struct http_client *client)
{
    struct close_call call = { .client = client };
    if (uv_sem_init(&call.closed, 0))
        abort();
    loop_call(client->loop, close_on_loop, &call);
    uv_sem_wait(&call.closed);
    uv_sem_destroy(&call.closed);
}
