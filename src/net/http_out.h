/*
 * http_out.h - what a connection has to say and has not said yet.
 *
 * A chain of blocks: small answers are copied into pooled blocks, so several of
 * them leave in one write; large bodies are referred to where they lie, and
 * their owner is told when the last byte has left. An idle connection holds no
 * block.
 */
#pragma once

#include <uv.h>

#include "base/str.h"

#define HTTP_BLOCK_BYTES 1024 /* room of a pooled block: a redirect with its headers is about 300 bytes */
#define HTTP_POOL_BLOCKS 1024 /* kept for reuse, per server */

struct http_request;

struct http_block {
    struct http_block *next;
    const char *p;
    size_t n;                   /* bytes to send at p */
    size_t room;                /* of bytes[]; 0 for a reference */
    struct http_request *owner; /* of referred bytes */
    char bytes[];
};

struct http_pool {
    struct http_block *free;
    int count;
    void (*sent)(struct http_request *owner); /* referred bytes are not needed any more */
};

struct http_out {
    struct http_block *first, *last;
    size_t sent;    /* bytes of the first block that have left */
    size_t waiting; /* bytes that have not */
};

void http_pool_done(struct http_pool *pool);

/* Room for n bytes in one piece at the end of the chain; http_out_used tells how many were written there. */
char *http_out_room(struct http_out *out, struct http_pool *pool, size_t n);
void http_out_used(struct http_out *out, size_t n);

/* Copies bytes to the end. */
void http_out_add(struct http_out *out, struct http_pool *pool, struct str bytes);

/* Bytes that stay where they are until pool->sent(owner). */
void http_out_refer(struct http_out *out, struct http_pool *pool, struct str bytes, struct http_request *owner);

/* The next bytes to send, at most `most` pieces; returns how many. */
unsigned http_out_gather(const struct http_out *out, uv_buf_t *bufs, unsigned most);

/* n bytes have left. */
void http_out_consume(struct http_out *out, struct http_pool *pool, size_t n);

/* Everything is given up. */
void http_out_clear(struct http_out *out, struct http_pool *pool);
