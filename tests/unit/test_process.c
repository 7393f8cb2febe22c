#include "test.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/process.h"

#define WORK_US 20000 /* two ticks of the kernel */

static void work_until(int64_t us)
{
    while (process_cpu_us(getpid()) < us)
        continue;
}

TEST(process, holds_the_memory_it_has_written_to)
{
    size_t bytes = 32u << 20;
    int64_t before = process_rss_bytes(getpid());
    YES(before > 0);
    volatile char *memory = malloc(bytes); /* volatile: else nobody needs it to be written */
    for (size_t i = 0; i < bytes; i += 1024)
        memory[i] = 1;
    YES(process_rss_bytes(getpid()) - before >= (int64_t)bytes / 2);
    free((void *)(uintptr_t)memory);
}

TEST(process, keeps_the_most_memory_it_ever_held)
{
    size_t bytes = 64u << 20;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    YES(memory != MAP_FAILED);
    memset(memory, 1, bytes);
    munmap(memory, bytes);
    YES(process_peak_bytes(getpid()) >= process_rss_bytes(getpid()) + (int64_t)bytes / 2);
}

TEST(process, counts_the_processor_time_it_used)
{
    int64_t before = process_cpu_us(getpid());
    work_until(before + WORK_US); /* would never end if work were not counted */
    YES(process_cpu_us_with_children(getpid()) >= before + WORK_US);
}

TEST(process, counts_the_time_of_its_children_when_asked_for)
{
    int pipes[2];
    char done;
    YES(pipe(pipes) == 0);
    pid_t child = fork();
    if (child == 0) {
        work_until(WORK_US);
        _exit(write(pipes[1], "x", 1) == 1 && pause() ? 0 : 1);
    }
    EQ(read(pipes[0], &done, 1), 1);
    YES(process_cpu_us(child) >= WORK_US);
    int64_t alone = process_cpu_us(getpid());
    YES(process_cpu_us_with_children(getpid()) >= alone + WORK_US);
    kill(child, SIGKILL);
    EQ(waitpid(child, NULL, 0), child);
    EQ(process_cpu_us(child), 0);
    close(pipes[0]);
    close(pipes[1]);
}

TEST(process, has_nothing_when_it_is_gone)
{
    EQ(process_rss_bytes(0x3fffffff), 0);
    EQ(process_peak_bytes(0x3fffffff), 0);
    EQ(process_cpu_us(0x3fffffff), 0);
    EQ(process_cpu_us_with_children(0x3fffffff), 0);
}
