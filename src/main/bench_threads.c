#include "main/bench_threads.h"

#include <ctype.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/thread.h"
#include "main/measure.h"

#define TASKS     "/proc/self/task"
#define FILE_ROOM 128
#define PATH_ROOM 64

/* The first bytes of a file, its first line without the end. False when there is none. */
static bool read_line(const char *path, char line[FILE_ROOM])
{
    FILE *file = fopen(path, "re");
    bool there = file && fgets(line, FILE_ROOM, file);
    if (file)
        fclose(file);
    if (there)
        line[strcspn(line, "\n")] = '\0';
    return there;
}

static void name_group(const char *name, char ret_group[BENCH_GROUP_BYTES])
{
    size_t n = strnlen(name, BENCH_GROUP_BYTES - 1);
    while (n > 1 && (isdigit((unsigned char)name[n - 1]) || name[n - 1] == '-'))
        n--;
    memcpy(ret_group, name, n);
    ret_group[n] = '\0';
}

static bool look_at(int64_t id, struct bench_thread *ret)
{
    struct thread_times times;
    char path[PATH_ROOM], name[FILE_ROOM];
    snprintf(path, sizeof path, TASKS "/%lld/comm", (long long)id);
    if (!read_line(path, name))
        return false;
    if (!thread_times((pid_t)id, &times))
        return false;
    ret->id = id;
    name_group(name, ret->group);
    ret->ran_us = times.ran_us;
    ret->waited_us = times.queued_us;
    return true;
}

/* "cpu user nice system idle iowait irq softirq ...", in ticks. */
static int64_t machine_us(void)
{
    char line[FILE_ROOM];
    long ticks[7] = { 0 };
    if (!read_line("/proc/stat", line))
        return 0;
    char *at = line + strcspn(line, " ");
    for (int i = 0; i < 7; i++)
        ticks[i] = strtol(at, &at, 10);
    return (int64_t)(ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) * 1000000 / sysconf(_SC_CLK_TCK);
}

void bench_threads_look(struct bench_threads *ret)
{
    glob_t tasks;
    ret->count = 0;
    if (glob(TASKS "/[0-9]*", 0, NULL, &tasks) == 0) {
        for (size_t i = 0; i < tasks.gl_pathc && ret->count < BENCH_THREADS_MAX; i++)
            if (look_at(strtoll(tasks.gl_pathv[i] + sizeof TASKS, NULL, 10), &ret->all[ret->count]))
                ret->count++;
        globfree(&tasks);
    }
    ret->at_us = clock_mono_us();
    ret->machine_us = machine_us();
}

static const struct bench_thread *find(const struct bench_threads *threads, int64_t id)
{
    for (int i = 0; i < threads->count; i++)
        if (threads->all[i].id == id)
            return &threads->all[i];
    return NULL;
}

static struct bench_thread *group_of(struct bench_threads *sums, const char *group)
{
    for (int i = 0; i < sums->count; i++)
        if (strcmp(sums->all[i].group, group) == 0)
            return &sums->all[i];
    struct bench_thread *sum = &sums->all[sums->count++];
    *sum = (struct bench_thread){ 0 };
    memcpy(sum->group, group, sizeof sum->group);
    return sum;
}

void bench_threads_add(const struct bench_threads *before, const struct bench_threads *after,
                       struct bench_threads *sums)
{
    sums->at_us += after->at_us - before->at_us;
    sums->machine_us += after->machine_us - before->machine_us;
    for (int i = 0; i < after->count; i++) {
        const struct bench_thread *now = &after->all[i], *then = find(before, now->id);
        if (!then)
            continue;
        struct bench_thread *sum = group_of(sums, now->group);
        sum->ran_us += now->ran_us - then->ran_us;
        sum->waited_us += now->waited_us - then->waited_us;
    }
}

void bench_threads_put(struct json_writer *w, const struct bench_threads *sums)
{
    double all_us = sums->at_us > 0 ? (double)sums->at_us : 1, own_us = 0;
    json_put_name(w, "processors");
    json_object_begin(w);
    for (int i = 0; i < sums->count; i++) {
        const struct bench_thread *sum = &sums->all[i];
        own_us += (double)sum->ran_us;
        if (sum->ran_us + sum->waited_us < sums->at_us / 1000) /* a thousandth: it slept */
            continue;
        json_put_name(w, sum->group);
        json_object_begin(w);
        measure_put(w, "ran", (double)sum->ran_us / all_us, 3);
        measure_put(w, "waited", (double)sum->waited_us / all_us, 3);
        json_object_end(w);
    }
    double elsewhere_us = (double)sums->machine_us - own_us;
    measure_put(w, "elsewhere", elsewhere_us > 0 ? elsewhere_us / all_us : 0, 3);
    json_object_end(w);
}
