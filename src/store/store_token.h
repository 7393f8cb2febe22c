/*
 * store_token.h - API tokens, stored as the SHA-256 of their text.
 *
 * The text itself is shown once, when it is made, and never stored. Revoked
 * tokens stay listed and open nothing.
 */
#pragma once

#include "store/tx.h"

#define TOKEN_ID_BYTES_MAX     64
#define TOKEN_NAME_BYTES_MAX   200
#define TOKEN_QUEUES_BYTES_MAX 4000
#define TOKEN_LIST_MAX         200

enum token_scope { TOKEN_READ = 1, TOKEN_WRITE = 2, TOKEN_WORK = 4, TOKEN_ADMIN = 8 };

struct token {
    uint64_t no; /* given by the store */
    struct str id;
    struct str name;
    uint8_t sha256[32];
    unsigned scopes;       /* TOKEN_READ | ... */
    struct str tenant;     /* id of the only tenant it may see; not given = all */
    struct str queues;     /* comma separated, as asked for; not given = all */
    int64_t created_at_ms; /* the op's time */
    int64_t revoked_at_ms; /* 0 = in force */
};

/* Stores a new token; no and created_at_ms are filled in. ERR_CONFLICT when its id or hash is there already. */
enum err store_token_add(struct op *op, struct tx *tx, struct token *token);

/* Ends a token. ERR_NOT_FOUND for an unknown id; a second time changes nothing. */
enum err store_token_revoke(struct op *op, struct tx *tx, struct str id);

/* At most max (up to TOKEN_LIST_MAX) tokens made after the one numbered after_no, oldest first, revoked ones included.
 */
enum err store_token_list(struct op *op, struct tx *tx, uint64_t after_no, int max, struct token **ret_tokens,
                          int *ret_count);

/* Moves whenever a token is made or revoked. */
struct token_mark {
    int64_t made, revoked;
};
enum err store_token_mark(struct op *op, struct tx *tx, struct token_mark *ret);
