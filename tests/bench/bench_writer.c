/*
 * bench_writer.c - small durable changes per second through the writer's thread.
 *
 * N clients in one thread, each sends its next change when the one before came
 * home, as connections of a loop do. Every answer follows a synced commit. Also
 * printed: changes per commit, and the slowest answer of a hundred.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/post.h"
#include "base/queue.h"
#include "base/sort.h"
#include "store/store_task.h"
#include "store/tx.h"

#define CLIENTS_MAX 512
#define SECONDS     2
#define TIMES_MAX   1000000

struct client {
    struct post post;
    struct arena *arena;
    int64_t sent_us;
};

static struct client clients[CLIENTS_MAX];
static struct mailbox home_box;
static int64_t *times;
static size_t time_count;

static enum err change(struct post *post)
{
    uint64_t no;
    return store_task_add(&post->op, post->tx, S("bench"), S("{\"id\":\"0123456789\"}"), 1, &no);
}

static enum err at_home(struct post *post)
{
    return post->err;
}

static const struct hop route[] = { { change, THREAD_WRITER }, { at_home, THREAD_CALLER }, { 0 } };

static void come_home(struct post *post)
{
    mailbox_post_always(&home_box, (struct mail *)(void *)post);
}

static void send(struct client *client)
{
    arena_reset(client->arena);
    op_init(&client->post.op, client->arena, 0);
    client->post.hop = route;
    client->post.home = come_home;
    client->sent_us = clock_mono_us();
    post_send(&client->post);
}

static void measure(struct store *store, int count)
{
    struct store_figures before = store_figures(store);
    int64_t start_us = clock_mono_us(), end_us = start_us + SECONDS * 1000000, now_us = start_us;
    int away = 0;
    time_count = 0;
    for (int i = 0; i < count; i++, away++)
        send(&clients[i]);
    while (away > 0) {
        struct mail *mail = mailbox_wait(&home_box, -1);
        now_us = clock_mono_us();
        while (mail) {
            struct client *client = (struct client *)(void *)mail;
            mail = mail->next;
            if (client->post.err != OK) {
                fprintf(stderr, "%s\n", client->post.op.error);
                exit(1);
            }
            if (time_count < TIMES_MAX)
                times[time_count++] = now_us - client->sent_us;
            away--;
            if (now_us < end_us) {
                send(client);
                away++;
            }
        }
    }
    struct store_figures after = store_figures(store);
    double commits = (double)(after.commits - before.commits), commands = (double)(after.commands - before.commands);
    sort_i64(times, time_count);
    printf("{\"bench\":\"writer\",\"clients\":%d,\"per_second\":%.0f,\"per_commit\":%.1f,\"commit_ms\":%.3f,"
           "\"p99_ms\":%.2f}\n",
           count, commands * 1e6 / (double)(now_us - start_us), commands / commits,
           (double)(after.commit_us - before.commit_us) / commits / 1e3, (double)times[time_count * 99 / 100] / 1e3);
}

/* An argument names where to put the files: /dev/shm shows what is left when a sync costs nothing. */
int main(int argc, char **argv)
{
    char directory[256], command[300];
    snprintf(directory, sizeof directory, "%s/posthouse-bench-XXXXXX", argc > 1 ? argv[1] : "/tmp");
    if (!mkdtemp(directory))
        return 1;
    struct arena *arena = arena_new(1 << 20);
    struct store_config config = { .directory = directory, .threads = true };
    struct store *store;
    struct op op;
    op_init(&op, arena, 0);
    if (store_open(&op, &config, &store) != OK) {
        fprintf(stderr, "%s\n", op.error);
        return 1;
    }
    times = calloc(TIMES_MAX, sizeof *times);
    mailbox_init(&home_box, CLIENTS_MAX, NULL, NULL);
    for (int i = 0; i < CLIENTS_MAX; i++)
        clients[i].arena = arena_new(1 << 16);
    for (int count = 1; count <= CLIENTS_MAX; count = count == 1 ? 10 : count == 10 ? 64 : count * 8)
        measure(store, count);
    store_close(store);
    arena_free(arena);
    snprintf(command, sizeof command, "rm -r %s", directory);
    return system(command);
}
