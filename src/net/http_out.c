#include "net/http_out.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static struct http_block *block_take(struct http_pool *pool, size_t room)
{
    struct http_block *block;
    if (room == HTTP_BLOCK_BYTES && pool->free) {
        block = pool->free;
        pool->free = block->next;
        pool->count--;
    } else {
        block = malloc(sizeof *block + room);
        if (!block)
            abort();
    }
    *block = (struct http_block){ .p = block->bytes, .room = room };
    return block;
}

static void block_give(struct http_pool *pool, struct http_block *block)
{
    if (block->owner)
        pool->sent(block->owner);
    if (block->room == HTTP_BLOCK_BYTES && pool->count < HTTP_POOL_BLOCKS) {
        block->next = pool->free;
        pool->free = block;
        pool->count++;
        return;
    }
    free(block);
}

void http_pool_done(struct http_pool *pool)
{
    while (pool->free) {
        struct http_block *next = pool->free->next;
        free(pool->free);
        pool->free = next;
    }
    pool->count = 0;
}

static void out_append(struct http_out *out, struct http_block *block)
{
    if (out->last)
        out->last->next = block;
    else
        out->first = block;
    out->last = block;
}

char *http_out_room(struct http_out *out, struct http_pool *pool, size_t n)
{
    struct http_block *last = out->last;
    if (!last || last->room < last->n + n) { /* also when the last one is a reference: its room is 0 */
        last = block_take(pool, n <= HTTP_BLOCK_BYTES ? HTTP_BLOCK_BYTES : n);
        out_append(out, last);
    }
    return last->bytes + last->n;
}

void http_out_used(struct http_out *out, size_t n)
{
    assert(out->last->n + n <= out->last->room);
    out->last->n += n;
    out->waiting += n;
}

void http_out_add(struct http_out *out, struct http_pool *pool, struct str bytes)
{
    if (!bytes.n)
        return;
    memcpy(http_out_room(out, pool, bytes.n), bytes.p, bytes.n);
    http_out_used(out, bytes.n);
}

void http_out_refer(struct http_out *out, struct http_pool *pool, struct str bytes, struct http_request *owner)
{
    struct http_block *block = block_take(pool, 0);
    block->p = bytes.p;
    block->n = bytes.n;
    block->owner = owner;
    out->waiting += bytes.n;
    out_append(out, block);
}

unsigned http_out_gather(const struct http_out *out, uv_buf_t *bufs, unsigned most)
{
    unsigned count = 0;
    size_t sent = out->sent;
    for (const struct http_block *block = out->first; block && count < most; block = block->next) {
        /* libuv's buffers are not const, but it only reads them. */
        bufs[count++] = uv_buf_init((char *)(uintptr_t)(block->p + sent), (unsigned)(block->n - sent));
        sent = 0;
    }
    return count;
}

void http_out_consume(struct http_out *out, struct http_pool *pool, size_t n)
{
    assert(n <= out->waiting);
    out->waiting -= n;
    out->sent += n;
    while (out->first && out->sent >= out->first->n) {
        struct http_block *block = out->first;
        out->sent -= block->n;
        out->first = block->next;
        if (!out->first)
            out->last = NULL;
        block_give(pool, block);
    }
}

void http_out_clear(struct http_out *out, struct http_pool *pool)
{
    http_out_consume(out, pool, out->waiting);
}
