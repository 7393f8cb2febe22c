/*
 * fuzz_worker.c - a line of the worker protocol is read or refused with a sentence that is one line of UTF-8.
 *
 * Every reader gets every input as its argument, so that one corpus serves all of them.
 */
#include <assert.h>

#include "base/glob.h"
#include "fuzz.h"
#include "serve/worker_read.h"
#include "serve/worker_reply.h"

static void check_sentence(struct op *op, enum err err)
{
    if (err == OK)
        return;
    struct buf buf;
    buf_init_arena(&buf, op->arena, 4096);
    reply_error(&buf, str_of(op->error));
    assert(str_starts(buf_str(&buf), S("-ERR ")) && str_is_utf8(buf_str(&buf)));
    assert(str_find(buf_str(&buf), '\n') == buf.n - 1 && str_find(buf_str(&buf), '\r') == buf.n - 2);
}

static void check_inside(struct str text, struct str line)
{
    assert(text.n <= line.n); /* decoded or borrowed, no text is longer than its line */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    struct arena *arena = arena_new(256 * 1024 * 1024);
    struct op op;
    op_init(&op, arena, 0);
    struct worker_line line = worker_line_cut((struct str){ (const char *)data, bytes });
    assert(line.verb.n + line.argument.n <= bytes);

    struct str argument = line.argument, jid;
    struct worker_hello hello;
    struct worker_fail failure;
    struct worker_beat beat;
    struct worker_queues queues;
    struct worker_queue queue;
    struct worker_mutate mutate;
    struct worker_track track;
    struct worker_batch batch;
    check_sentence(&op, worker_read_hello(&op, argument, &hello));
    check_sentence(&op, worker_read_beat(&op, argument, &beat));
    check_sentence(&op, worker_read_fetch(&op, argument, &queues));
    check_sentence(&op, worker_read_queue(&op, argument, &queue));
    check_sentence(&op, worker_read_track(&op, argument, &track));
    check_sentence(&op, worker_read_batch(&op, argument, &batch));
    enum err err = worker_read_ack(&op, argument, &jid);
    check_sentence(&op, err);
    if (err == OK)
        check_inside(jid, argument);
    err = worker_read_fail(&op, argument, &failure);
    check_sentence(&op, err);
    for (size_t i = 0; err == OK && i < failure.backtrace_lines; i++)
        check_inside(failure.backtrace[i], argument);
    err = worker_read_mutate(&op, argument, &mutate);
    check_sentence(&op, err);
    if (err == OK && mutate.regexp.n < 100 && bytes < 4096)
        glob_covers(mutate.regexp, argument);
    arena_free(arena);
    return 0;
}
