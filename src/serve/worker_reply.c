#include "serve/worker_reply.h"

void reply_ok(struct buf *buf)
{
    buf_add_str(buf, S("+OK\r\n"));
}

void reply_error(struct buf *buf, struct str sentence)
{
    buf_add_str(buf, S("-ERR "));
    size_t from = buf->n;
    buf_add_str(buf, sentence);
    for (size_t i = from; i < buf->n; i++)
        if ((unsigned char)buf->p[i] < 0x20)
            buf->p[i] = ' ';
    buf_add_str(buf, S("\r\n"));
}

void reply_not_unique(struct buf *buf)
{
    buf_add_str(buf, S("-NOTUNIQUE Job not unique\r\n"));
}

void reply_bulk(struct buf *buf, struct str bytes)
{
    buf_reserve(buf, bytes.n + 32);
    buf_add_fmt(buf, "$%zu\r\n", bytes.n);
    buf_add_str(buf, bytes);
    buf_add_str(buf, S("\r\n"));
}

void reply_null(struct buf *buf)
{
    buf_add_str(buf, S("$-1\r\n"));
}
