/*
 * access.h - who is asking, and whether he may.
 *
 * A token is 32 random bytes as text, "ph_" in front; the store keeps its
 * SHA-256, so what is stolen from a disk opens no door. All tokens in force
 * stand in RAM, found by their hash: a request costs one digest and no read.
 * A change goes to the store first and is taken over here when it is durable.
 *
 *     request -> access_admit -> struct caller -> handlers: call->caller
 *
 * admin includes the other scopes. With --dev a request from this machine
 * needs no token, as long as no web page sent it; a token that is given is
 * checked all the same.
 *
 * Thread: any; a lock guards the table.
 */
#pragma once

#include "net/http_server.h"
#include "store/store_token.h"

#define TOKENS_MAX           10000 /* in force at a time */
#define TOKEN_TEXT_BYTES_MAX 256   /* of what a client may send */
#define TOKEN_SECRET_BYTES   32
#define TOKEN_TEXT_BYTES     47 /* "ph_", 43 characters, NUL */

/* What a route asks for, in http_route.scope. 0 is no answer: a forgotten scope must not open a door. */
enum access_scope {
    ACCESS_READ = TOKEN_READ,
    ACCESS_WRITE = TOKEN_WRITE,
    ACCESS_WORK = TOKEN_WORK,
    ACCESS_ADMIN = TOKEN_ADMIN,
    ACCESS_PUBLIC = 16, /* no token: the route proves its callers itself, or has nothing to hide */
    ACCESS_WHOLE = 32,  /* besides a scope: not for tokens bound to a tenant */
    ACCESS_PAGE = 64    /* besides a scope: for browsers, which may give the token as password (GET only) */
};

/* Who asks. Lives as long as the request. */
struct caller {
    struct str id;      /* of the token; "dev" without one */
    unsigned scopes;    /* enum token_scope */
    struct str tenant;  /* the only tenant he may see; not given: all */
    uint32_t tenant_no; /* its number, 0 while there is no such tenant */
    struct str queues;  /* comma separated; not given: all */
};

struct tokens;

struct tokens *tokens_new(void);
void tokens_free(struct tokens *tokens);

/* Takes over every token in force. */
enum err tokens_load(struct op *op, struct tx *tx, struct tokens *tokens);

/* Takes over what other nodes changed since: reads the table again when it is not the one last read. `changes` is what
 * tokens_changes said before the snapshot was begun: when this node has changed something since, what was read is too
 * old to be taken over, and the next look finds it. */
enum err tokens_refresh(struct op *op, struct tx *tx, struct tokens *tokens, uint64_t changes);
uint64_t tokens_changes(struct tokens *tokens);

/* A token is durable, or was revoked. tenant_no is the number of its tenant, 0 when there is none of that id yet. */
void tokens_add(struct tokens *tokens, const struct token *token, uint32_t tenant_no);
void tokens_remove(struct tokens *tokens, struct str id);

/* A tenant was stored: tokens bound to it learn its number. */
void tokens_learn_tenant(struct tokens *tokens, struct str tenant, uint32_t tenant_no);

/* The number of the tenant a token is bound to; 0 when it is bound to none, or there is no such tenant yet. */
enum err token_tenant_no(struct op *op, struct tx *tx, const struct token *token, uint32_t *ret_no);

size_t tokens_count(struct tokens *tokens);

/* Makes the text of a new token, NUL-terminated, and its hash. */
void token_make(char ret_text[TOKEN_TEXT_BYTES], uint8_t ret_sha256[32]);

/* "read,write" to bits; false for an unknown or missing word. */
bool token_scopes_parse(struct str text, unsigned *ret_scopes);

/* Bits to words, in the order read write work admin; at most 4. Returns their number. */
size_t token_scopes_words(unsigned scopes, struct str ret_words[4]);

/* admit of the HTTP server whose data is a struct api: ERR_UNAUTHORIZED or ERR_FORBIDDEN with a sentence for the
 * client; OK sets what access_caller gives. */
enum err access_admit(struct http_request *request);

/* Who sent an admitted request; NULL for public routes. */
const struct caller *access_caller(const struct http_request *request);
