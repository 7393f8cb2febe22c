#include "serve/access.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/crypto.h"
#include "base/hex.h"
#include "base/random.h"
#include "net/http_auth.h"
#include "net/http_reply.h"
#include "serve/api.h"
#include "store/store_tenant.h"

/* --- the table ------------------------------------------------------------ */

/* One token in force; its texts lie behind it in one allocation. */
struct entry {
    struct entry *next; /* in its bucket */
    uint8_t sha256[32];
    struct caller caller;
};

#define BUCKETS 4096 /* a power of two; the hash is the token's own */

struct table {
    size_t count;
    size_t waiting; /* bound to a tenant there is none of yet */
    struct entry *buckets[BUCKETS];
};

struct tokens {
    pthread_mutex_t lock;
    struct table *table;
    struct token_mark mark; /* of the rows as last read */
    uint64_t changes;       /* of this node, since it started */
};

static struct table *table_new(void)
{
    struct table *table = calloc(1, sizeof *table);
    if (!table)
        abort();
    return table;
}

static void table_free(struct table *table)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *entry = table->buckets[i], *next; entry; entry = next) {
            next = entry->next;
            free(entry);
        }
    free(table);
}

struct tokens *tokens_new(void)
{
    struct tokens *tokens = calloc(1, sizeof *tokens);
    if (!tokens)
        abort();
    pthread_mutex_init(&tokens->lock, NULL);
    tokens->table = table_new();
    return tokens;
}

void tokens_free(struct tokens *tokens)
{
    table_free(tokens->table);
    pthread_mutex_destroy(&tokens->lock);
    free(tokens);
}

static struct entry **bucket_of(struct table *table, const uint8_t sha256[32])
{
    return &table->buckets[(sha256[0] | sha256[1] << 8) % BUCKETS];
}

static struct str put_text(char **at, struct str text)
{
    if (!str_given(text))
        return text;
    memcpy(*at, text.p, text.n);
    struct str kept = { *at, text.n };
    *at += text.n;
    return kept;
}

/* The next look asks again whether its tenant was made. */
static size_t is_waiting(const struct entry *entry)
{
    return str_given(entry->caller.tenant) && entry->caller.tenant_no == 0;
}

static struct entry *entry_new(const struct token *token, uint32_t tenant_no)
{
    struct entry *entry = calloc(1, sizeof *entry + token->id.n + token->tenant.n + token->queues.n + 1);
    if (!entry)
        abort();
    char *at = (char *)(entry + 1);
    memcpy(entry->sha256, token->sha256, sizeof entry->sha256);
    entry->caller = (struct caller){
        .id = put_text(&at, token->id),
        .scopes = token->scopes,
        .tenant = put_text(&at, token->tenant),
        .tenant_no = tenant_no,
        .queues = put_text(&at, token->queues),
    };
    return entry;
}

static void table_remove(struct table *table, struct str id)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry **at = &table->buckets[i]; *at;) {
            struct entry *entry = *at;
            if (!str_eq(entry->caller.id, id)) {
                at = &entry->next;
                continue;
            }
            *at = entry->next;
            table->count--;
            table->waiting -= is_waiting(entry);
            free(entry);
        }
}

static void table_add(struct table *table, const struct token *token, uint32_t tenant_no)
{
    struct entry *entry = entry_new(token, tenant_no), **bucket = bucket_of(table, token->sha256);
    entry->next = *bucket;
    *bucket = entry;
    table->count++;
    table->waiting += is_waiting(entry);
}

static bool table_has(struct table *table, const uint8_t sha256[32])
{
    for (const struct entry *entry = *bucket_of(table, sha256); entry; entry = entry->next)
        if (memcmp(entry->sha256, sha256, sizeof entry->sha256) == 0)
            return true;
    return false;
}

/* A look at the rows may have brought it already. */
void tokens_add(struct tokens *tokens, const struct token *token, uint32_t tenant_no)
{
    pthread_mutex_lock(&tokens->lock);
    if (!table_has(tokens->table, token->sha256))
        table_add(tokens->table, token, tenant_no);
    tokens->changes++;
    pthread_mutex_unlock(&tokens->lock);
}

void tokens_remove(struct tokens *tokens, struct str id)
{
    pthread_mutex_lock(&tokens->lock);
    table_remove(tokens->table, id);
    tokens->changes++;
    pthread_mutex_unlock(&tokens->lock);
}

void tokens_learn_tenant(struct tokens *tokens, struct str tenant, uint32_t tenant_no)
{
    pthread_mutex_lock(&tokens->lock);
    for (size_t i = 0; i < BUCKETS; i++)
        for (struct entry *entry = tokens->table->buckets[i]; entry; entry = entry->next)
            if (str_given(entry->caller.tenant) && str_eq(entry->caller.tenant, tenant)) {
                tokens->table->waiting -= is_waiting(entry);
                entry->caller.tenant_no = tenant_no;
                tokens->table->waiting += is_waiting(entry);
            }
    tokens->changes++;
    pthread_mutex_unlock(&tokens->lock);
}

size_t tokens_count(struct tokens *tokens)
{
    pthread_mutex_lock(&tokens->lock);
    size_t count = tokens->table->count;
    pthread_mutex_unlock(&tokens->lock);
    return count;
}

enum err token_tenant_no(struct op *op, struct tx *tx, const struct token *token, uint32_t *ret_no)
{
    struct tenant tenant = { 0 };
    if (str_given(token->tenant)) {
        enum err err = store_tenant_get(op, tx, token->tenant, &tenant);
        if (err != OK && err != ERR_NOT_FOUND)
            return err;
    }
    *ret_no = tenant.no;
    return OK;
}

static enum err table_read(struct op *op, struct tx *tx, struct table *table)
{
    uint64_t after_no = 0;
    for (;;) {
        struct token *list;
        int count;
        TRY(store_token_list(op, tx, after_no, TOKEN_LIST_MAX, &list, &count));
        for (int i = 0; i < count; i++)
            if (list[i].revoked_at_ms == 0) {
                uint32_t tenant_no;
                TRY(token_tenant_no(op, tx, &list[i], &tenant_no));
                table_add(table, &list[i], tenant_no);
            }
        if (count < TOKEN_LIST_MAX)
            return OK;
        after_no = list[count - 1].no;
    }
}

uint64_t tokens_changes(struct tokens *tokens)
{
    pthread_mutex_lock(&tokens->lock);
    uint64_t changes = tokens->changes;
    pthread_mutex_unlock(&tokens->lock);
    return changes;
}

/* Whether the rows are those of the table in force. */
static bool is_known(struct tokens *tokens, const struct token_mark *mark)
{
    pthread_mutex_lock(&tokens->lock);
    bool known = tokens->mark.made == mark->made && tokens->mark.revoked == mark->revoked && !tokens->table->waiting;
    pthread_mutex_unlock(&tokens->lock);
    return known;
}

/* Puts a table in force that was read when this node had made so many changes. Returns the one to be freed. */
static struct table *swap(struct tokens *tokens, struct table *table, const struct token_mark *mark, uint64_t changes)
{
    pthread_mutex_lock(&tokens->lock);
    struct table *old = table;
    if (tokens->changes == changes) {
        old = tokens->table;
        tokens->table = table;
        tokens->mark = *mark;
    }
    pthread_mutex_unlock(&tokens->lock);
    return old;
}

enum err tokens_refresh(struct op *op, struct tx *tx, struct tokens *tokens, uint64_t changes)
{
    struct token_mark mark;
    TRY(store_token_mark(op, tx, &mark));
    if (is_known(tokens, &mark))
        return OK;
    struct table *table = table_new();
    enum err err = table_read(op, tx, table);
    table_free(err == OK ? swap(tokens, table, &mark, changes) : table);
    return err;
}

enum err tokens_load(struct op *op, struct tx *tx, struct tokens *tokens)
{
    return tokens_refresh(op, tx, tokens, tokens_changes(tokens));
}

/* A copy of the caller with this hash, in the arena; NULL when there is none. The bucket is found by the hash, so only
 * the full comparison needs to take the same time whatever the bytes. */
static struct caller *tokens_find(struct tokens *tokens, struct arena *arena, const uint8_t sha256[32])
{
    struct caller *caller = arena_alloc(arena, sizeof *caller);
    bool found = false;
    pthread_mutex_lock(&tokens->lock);
    for (const struct entry *entry = *bucket_of(tokens->table, sha256); entry && caller && !found;
         entry = entry->next) {
        struct str have = { (const char *)entry->sha256, 32 }, want = { (const char *)sha256, 32 };
        if (!str_eq_secret(have, want))
            continue;
        found = true;
        *caller = entry->caller;
        caller->id = arena_str(arena, entry->caller.id);
        caller->tenant = arena_str(arena, entry->caller.tenant);
        caller->queues = arena_str(arena, entry->caller.queues);
        if (str_given(entry->caller.tenant) && !str_given(caller->tenant))
            found = false; /* no memory must not mean "every tenant" */
    }
    pthread_mutex_unlock(&tokens->lock);
    return found ? caller : NULL;
}

/* --- making tokens -------------------------------------------------------- */

void token_make(char ret_text[TOKEN_TEXT_BYTES], uint8_t ret_sha256[32])
{
    uint8_t secret[TOKEN_SECRET_BYTES];
    random_bytes(secret, sizeof secret);
    memcpy(ret_text, "ph_", 3);
    base64url_encode(secret, sizeof secret, ret_text + 3);
    ret_text[TOKEN_TEXT_BYTES - 1] = '\0';
    struct str text = str_of(ret_text);
    crypto_sha256(&text, 1, ret_sha256);
}

static const struct {
    enum token_scope scope;
    struct str word;
} scope_words[] = {
    { TOKEN_READ, { "read", 4 } },
    { TOKEN_WRITE, { "write", 5 } },
    { TOKEN_WORK, { "work", 4 } },
    { TOKEN_ADMIN, { "admin", 5 } },
};

static unsigned scope_of(struct str word)
{
    for (size_t i = 0; i < sizeof scope_words / sizeof *scope_words; i++)
        if (str_eq(scope_words[i].word, word))
            return scope_words[i].scope;
    return 0;
}

bool token_scopes_parse(struct str text, unsigned *ret_scopes)
{
    unsigned scopes = 0;
    while (str_given(text)) {
        unsigned scope = scope_of(str_trim(str_cut(&text, ',')));
        if (!scope)
            return false;
        scopes |= scope;
    }
    if (!scopes)
        return false;
    *ret_scopes = scopes;
    return true;
}

size_t token_scopes_words(unsigned scopes, struct str ret_words[4])
{
    size_t count = 0;
    for (size_t i = 0; i < sizeof scope_words / sizeof *scope_words; i++)
        if (scopes & scope_words[i].scope)
            ret_words[count++] = scope_words[i].word;
    return count;
}

/* --- admitting ------------------------------------------------------------ */

static const char how_to_first[] = "there is no token yet: stop the daemon, make the first one with `posthouse token "
                                   "create NAME --scope read,write,admin --data DIR`, start it again and send "
                                   "\"Authorization: Bearer TOKEN\"";
static const char how_to[] = "send \"Authorization: Bearer TOKEN\"; whoever has an admin token makes one with "
                             "`posthouse token create NAME --scope read,write`";

static enum err unauthorized(struct http_request *request, bool page, const char *why)
{
    const struct api *api = request->server_data;
    bool first = tokens_count(api->config.tokens) == 0;
    http_reply_header(request, S("WWW-Authenticate"),
                      page ? S("Basic realm=\"posthouse\"") : S("Bearer realm=\"posthouse\""));
    return fail(&request->op, ERR_UNAUTHORIZED, "%s; %s", why, first ? how_to_first : how_to);
}

/* The token a request carries; a page also takes it as a password, any user. */
static struct str token_of(struct http_request *request, bool page)
{
    struct str header = http_header(request, S("Authorization"));
    struct str token = http_auth_bearer(header);
    struct str user, password;
    if (!str_given(token) && page && http_auth_basic(request->op.arena, header, &user, &password))
        token = password;
    return token;
}

/* Numbers or "localhost": no name that a stranger's web page could have pointed at this machine. */
static bool host_is_local(struct str host)
{
    struct op aside = { 0 };
    struct addr addr;
    return str_eq_nocase(host, S("localhost")) || str_eq(host, S("127.0.0.1")) || str_eq(host, S("[::1]")) ||
           addr_parse(&aside, host, &addr) == OK;
}

/* --dev: from this machine, and not on behalf of a web page of somebody else. */
static bool needs_no_token(const struct http_request *request)
{
    const struct api *api = request->server_data;
    if (!api->config.dev || !addr_is_loopback(&request->peer))
        return false;
    struct str host = http_header(request, S("Host"));
    struct str origin = http_header(request, S("Origin"));
    if (str_given(host) && !host_is_local(host))
        return false;
    return !str_given(origin) || (str_starts(origin, S("http://")) && origin.n == host.n + 7 && str_ends(origin, host));
}

static enum err may(struct http_request *request, const struct caller *caller)
{
    unsigned wanted = (unsigned)request->route->scope & (TOKEN_READ | TOKEN_WRITE | TOKEN_WORK | TOKEN_ADMIN);
    unsigned has = caller->scopes & TOKEN_ADMIN ? ~0u : caller->scopes;
    if ((has & wanted) != wanted) {
        struct str words[4];
        size_t count = token_scopes_words(wanted, words);
        assert(count > 0);
        return fail(&request->op, ERR_FORBIDDEN, "this token lacks the scope %.*s", STR(words[0]));
    }
    if ((request->route->scope & ACCESS_WHOLE) && str_given(caller->tenant))
        return fail(&request->op, ERR_FORBIDDEN, "this token is bound to tenant %.*s and may not see the whole",
                    STR(caller->tenant));
    return OK;
}

static const struct caller dev_caller = {
    .id = { "dev", 3 },
    .scopes = TOKEN_READ | TOKEN_WRITE | TOKEN_WORK | TOKEN_ADMIN,
};

enum err access_admit(struct http_request *request)
{
    const struct api *api = request->server_data;
    int scope = request->route->scope;
    if (scope & ACCESS_PUBLIC)
        return OK;
    bool page = (scope & ACCESS_PAGE) != 0;
    struct str token = token_of(request, page);
    if (!str_given(token)) {
        if (!needs_no_token(request))
            return unauthorized(request, page, "this needs a token");
        request->caller = &dev_caller;
        return OK;
    }
    uint8_t sha256[32];
    crypto_sha256(&token, 1, sha256);
    const struct caller *caller =
        token.n <= TOKEN_TEXT_BYTES_MAX ? tokens_find(api->config.tokens, request->op.arena, sha256) : NULL;
    if (!caller)
        return unauthorized(request, page, "this token is unknown or was revoked");
    TRY(may(request, caller));
    request->caller = caller;
    return OK;
}

const struct caller *access_caller(const struct http_request *request)
{
    return request->caller;
}
