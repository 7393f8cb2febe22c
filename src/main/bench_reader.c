#include "main/bench_reader.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

#define PAUSE_US     1000
#define ANSWER_BYTES (4u << 20)

static bool ask(struct bench_reader *reader, const char *path, struct bench_reads *reads)
{
    struct http_easy_request request = { .method = "GET", .path = path };
    struct http_easy_answer answer;
    arena_reset(reader->op.arena);
    int64_t began_us = clock_mono_us();
    reader->err = http_easy_send(&reader->op, reader->easy, &request, &answer);
    if (reader->err == OK && answer.status != 200)
        reader->err = fail(&reader->op, ERR_IO, "GET %s answered %d", path, answer.status);
    if (reads->count < BENCH_READS_MAX)
        reads->took_us[reads->count++] = clock_mono_us() - began_us;
    return reader->err == OK;
}

static void read_on(void *context)
{
    struct bench_reader *reader = context;
    while (!atomic_load(&reader->is_over)) {
        if (!ask(reader, reader->stats_path, &reader->stats))
            return;
        usleep(PAUSE_US);
        if (!ask(reader, reader->list_path, &reader->lists))
            return;
        usleep(PAUSE_US);
    }
}

enum err bench_reader_start(struct op *op, const char *url, const char *mailing, struct bench_reader *ret)
{
    struct http_easy_config easy = { .url = url, .connect_ms = 5000, .idle_ms = 60000 };
    *ret = (struct bench_reader){ .err = OK };
    snprintf(ret->stats_path, sizeof ret->stats_path, "/v1/mailings/%s/stats", mailing);
    snprintf(ret->list_path, sizeof ret->list_path, "/v1/messages?mailing=%s&limit=50", mailing);
    ret->stats.took_us = malloc(BENCH_READS_MAX * sizeof(int64_t));
    ret->lists.took_us = malloc(BENCH_READS_MAX * sizeof(int64_t));
    if (!ret->stats.took_us || !ret->lists.took_us)
        abort();
    op_init(&ret->op, arena_new(ANSWER_BYTES), op->now_us);
    enum err err = http_easy_open(op, &easy, &ret->easy);
    if (err == OK)
        err = thread_start(op, &ret->thread, "reader", read_on, ret);
    if (err != OK)
        bench_reader_free(ret);
    return err;
}

enum err bench_reader_stop(struct op *op, struct bench_reader *reader)
{
    atomic_store(&reader->is_over, true);
    thread_join(&reader->thread);
    return op_inherit(op, reader->err, &reader->op);
}

void bench_reader_free(struct bench_reader *reader)
{
    if (reader->easy)
        http_easy_close(reader->easy);
    arena_free(reader->op.arena);
    free(reader->stats.took_us);
    free(reader->lists.took_us);
}
