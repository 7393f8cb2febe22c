/*
 * redirect_client.c - who is asking: the client's address and agent, and what they are evidence of.
 */
#include "base/cidr.h"
#include "base/form.h"
#include "engine/agent.h"
#include "engine/classify.h"
#include "engine/touches.h"
#include "serve/api.h"
#include "serve/redirect_parts.h"
#include "store/store_client_key.h"

#define DAY_US         INT64_C(86400000000)
#define KEYS_BYTES_MAX (1u << 20)

/* --- the address ---------------------------------------------------------------- */

/* "for=192.0.2.7", "for="[2001:db8::1]:4711"": the address alone. */
static struct str bare_address(struct str text)
{
    text = str_trim(text);
    if (text.n >= 2 && text.p[0] == '"' && text.p[text.n - 1] == '"')
        text = (struct str){ text.p + 1, text.n - 2 };
    if (text.n && text.p[0] == '[')
        return (struct str){ text.p + 1, str_find(text, ']') - 1 };
    size_t colon = str_find(text, ':');
    bool has_port =
        colon < text.n && str_find((struct str){ text.p + colon + 1, text.n - colon - 1 }, ':') == text.n - colon - 1;
    return has_port ? (struct str){ text.p, colon } : text;
}

static struct str forwarded_for(struct str element)
{
    while (str_given(element)) {
        struct str pair = str_trim(str_cut(&element, ';'));
        if (pair.n > 4 && str_eq_nocase((struct str){ pair.p, 4 }, S("for=")))
            return bare_address((struct str){ pair.p + 4, pair.n - 4 });
    }
    return (struct str){ NULL, 0 };
}

/* The last element of a list, taken off it. */
static struct str take_last(struct str *list)
{
    size_t at = list->n;
    while (at > 0 && list->p[at - 1] != ',')
        at--;
    struct str last = { list->p + at, list->n - at };
    *list = at > 0 ? (struct str){ list->p, at - 1 } : (struct str){ NULL, 0 };
    return last;
}

/* From the right: every proxy adds whom it heard from, so the first that is none of ours is the client. */
struct str redirect_client_address(const struct redirect *redirect, struct http_request *request)
{
    char text[ADDR_TEXT_BYTES_MAX];
    struct str peer = arena_str(request->op.arena, addr_ip_text(&request->peer, text));
    const struct cidr_list *proxies = redirect->config.api->config.proxies;
    if (!proxies || !cidr_list_has(proxies, peer))
        return peer;
    struct str list = http_header(request, S("Forwarded"));
    bool standard = str_given(list);
    if (!standard)
        list = http_header(request, S("X-Forwarded-For"));
    struct str client = peer;
    uint8_t ip[16];
    while (str_given(list)) {
        struct str element = take_last(&list);
        struct str address = standard ? forwarded_for(element) : bare_address(element);
        if (!str_given(address) || !cidr_ip_parse(address, ip))
            break;
        client = address;
        if (!cidr_list_has(proxies, address))
            break;
    }
    return client;
}

/* --- keys of the day -------------------------------------------------------------- */

struct keys_post {
    struct post post; /* first */
    struct redirect *redirect;
    struct client_keys keys;
};

static enum err keys_read(struct op *op, struct tx *tx, struct client_keys *keys)
{
    TRY(store_client_key(op, tx, keys->day, keys->key[0]));
    return store_client_key(op, tx, keys->day + 1, keys->key[1]);
}

static enum err keys_commit(struct post *post)
{
    return keys_read(&post->op, post->tx, &((struct keys_post *)post)->keys);
}

static enum err keys_back(struct post *post)
{
    struct keys_post *keys = (struct keys_post *)post;
    struct redirect *redirect = keys->redirect;
    pthread_mutex_lock(&redirect->lock);
    redirect->keys_asked = false;
    if (post->err == OK)
        redirect->keys = keys->keys;
    pthread_mutex_unlock(&redirect->lock);
    busy_post_free(&redirect->busy, post);
    return OK;
}

static void keys_ask(struct redirect *redirect, struct loop *loop, int32_t day)
{
    static const struct hop route[] = { { keys_commit, THREAD_WRITER }, { keys_back, THREAD_CALLER }, { 0 } };
    struct keys_post *keys = busy_post_new(&redirect->busy, loop, loop_wall_us(loop), sizeof *keys, KEYS_BYTES_MAX);
    keys->post.hop = route;
    keys->redirect = redirect;
    keys->keys.day = day;
    post_send(&keys->post);
}

static enum err keys_now(struct op *op, struct tx *tx, void *arg)
{
    struct redirect *redirect = arg;
    redirect->keys.day = (int32_t)(op->now_us / DAY_US);
    return keys_read(op, tx, &redirect->keys);
}

enum err keys_open(struct op *op, struct redirect *redirect)
{
    enum err err = store_write(op, redirect->config.store, keys_now, redirect);
    if (err == OK)
        return OK;
    redirect->keys.day = INT32_MIN;
    return err == ERR_UNAVAILABLE ? OK : err; /* a full disk must not keep the redirects away */
}

/* The key of an instant's day; NULL while it is not known: then nobody can tell the client. *ret_ask: it is to be asked
 * for. With the lock. */
static const uint8_t *key_of(struct redirect *redirect, int32_t day, bool *ret_ask)
{
    const struct client_keys *keys = &redirect->keys;
    *ret_ask = day != keys->day && !redirect->keys_asked;
    redirect->keys_asked |= *ret_ask;
    if (day == keys->day)
        return keys->key[0];
    return keys->day != INT32_MIN && day == keys->day + 1 ? keys->key[1] : NULL;
}

/* --- evidence ----------------------------------------------------------------------- */

static struct str agent_of(struct http_request *request)
{
    struct str agent = http_header(request, S("User-Agent"));
    return str_given(agent) ? agent : S("");
}

/* What an agent says of itself is looked up once. With the lock. */
static uint32_t bits_of_agent(struct redirect *redirect, struct str agent)
{
    const struct agent_list *list = redirect->config.api->config.agents;
    uint64_t hash = (siphash64(redirect->hash_key, agent.p, agent.n) ^ (uintptr_t)list) | 1; /* a new list asks anew */
    size_t slot = hash >> 8 & (AGENTS - 1);
    if (redirect->agents[slot].hash != hash) {
        redirect->agents[slot].hash = hash;
        redirect->agents[slot].bits = agent_bits(list, agent, false);
    }
    return redirect->agents[slot].bits;
}

/* Fetched ahead of any click: the browser asks again when the person does click (LNK-18). */
static bool is_prefetch(const struct http_request *request)
{
    struct str purpose = http_header(request, S("Sec-Purpose"));
    if (str_given(purpose) && str_search(purpose, S("prefetch")) < purpose.n)
        return true;
    purpose = http_header(request, S("Purpose"));
    if (str_given(purpose) && (str_eq_nocase(purpose, S("prefetch")) || str_eq_nocase(purpose, S("preview"))))
        return true;
    purpose = http_header(request, S("X-Moz"));
    return str_given(purpose) && str_eq_nocase(purpose, S("prefetch"));
}

static size_t probe_slot(int64_t client)
{
    return (uint64_t)client >> 8 & (PROBES - 1);
}

static bool take_probe(struct redirect *redirect, int64_t client, int64_t now_ms)
{
    size_t slot = probe_slot(client);
    if (client == 0 || now_ms - atomic_load(&redirect->probed_ms) > PROBE_MS)
        return false;
    pthread_mutex_lock(&redirect->lock);
    bool is_his = redirect->probes[slot].client == client;
    if (is_his)
        redirect->probes[slot].client = 0; /* its next click, not all of them */
    is_his &= now_ms - redirect->probes[slot].at_ms <= PROBE_MS;
    pthread_mutex_unlock(&redirect->lock);
    return is_his;
}

/* The client of a request, 0 when nobody can tell; and what its agent says of itself. */
static int64_t client_of(struct redirect *redirect, struct http_request *request, struct str address,
                         uint32_t *ret_bits)
{
    struct str agent = agent_of(request);
    int32_t day = (int32_t)(request->op.now_us / DAY_US);
    uint8_t copy[sizeof redirect->keys.key[0]] = { 0 };
    bool ask_for_keys;
    pthread_mutex_lock(&redirect->lock);
    const uint8_t *key = key_of(redirect, day, &ask_for_keys);
    if (key)
        memcpy(copy, key, sizeof copy);
    *ret_bits = bits_of_agent(redirect, agent);
    pthread_mutex_unlock(&redirect->lock);
    if (ask_for_keys)
        keys_ask(redirect, request->loop, day);
    return key ? touches_client_of(copy, address, agent) : 0;
}

void redirect_probe(struct redirect *redirect, struct http_request *request)
{
    uint32_t bits;
    int64_t client = client_of(redirect, request, redirect_client_address(redirect, request), &bits);
    int64_t now_ms = loop_now_ms(request->loop);
    size_t slot = probe_slot(client);
    if (client == 0)
        return;
    pthread_mutex_lock(&redirect->lock);
    redirect->probes[slot].client = client;
    redirect->probes[slot].at_ms = now_ms;
    pthread_mutex_unlock(&redirect->lock);
    atomic_store(&redirect->probed_ms, now_ms);
}

void visit_evidence(struct visit *visit)
{
    struct redirect *redirect = visit->redirect;
    struct str address = redirect_client_address(redirect, visit->request);
    uint32_t bits;
    visit->client = client_of(redirect, visit->request, address, &bits);
    bits |= is_prefetch(visit->request) ? BIT_METHOD : 0u;
    const struct cidr_list *networks = redirect->config.api->config.networks;
    if (networks && cidr_list_has(networks, address))
        bits |= BIT_RANGE;
    visit->bits = (uint16_t)bits;
}

uint16_t visit_take_probe(struct visit *visit)
{
    return take_probe(visit->redirect, visit->client, loop_now_ms(visit->lane->loop)) ? BIT_PROBE : 0;
}

/* --- scans -------------------------------------------------------------------------- */

/* A /24 of IPv4, a /48 of IPv6. */
static uint64_t network_of(const struct redirect *redirect, struct http_request *request)
{
    uint8_t ip[16] = { 0 };
    cidr_ip_parse(redirect_client_address(redirect, request), ip);
    static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };
    return siphash64(redirect->hash_key, ip, memcmp(ip, mapped, sizeof mapped) == 0 ? 15 : 6);
}

/* Adds to the unknown codes of its network in this second, and says how many they are; the slot is anew when it was
 * another one's. */
static int misses_of(struct redirect *redirect, struct http_request *request, int more)
{
    uint64_t network = network_of(redirect, request);
    int64_t second = loop_now_ms(request->loop) / 1000;
    size_t slot = network & (NETWORKS - 1);
    pthread_mutex_lock(&redirect->lock);
    if (redirect->networks[slot].network != network || redirect->networks[slot].second != second) {
        redirect->networks[slot].network = network;
        redirect->networks[slot].second = second;
        redirect->networks[slot].count = 0;
    }
    int count = redirect->networks[slot].count += more;
    pthread_mutex_unlock(&redirect->lock);
    return count;
}

bool may_miss(struct redirect *redirect, struct http_request *request)
{
    return misses_of(redirect, request, 1) <= UNKNOWN_CODES_MAX;
}

bool has_missed_too_many(struct redirect *redirect, struct http_request *request)
{
    return misses_of(redirect, request, 0) >= UNKNOWN_CODES_MAX;
}
