#include "base/process.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH_BYTES       64
#define LINE_BYTES       4096 /* children beyond are not seen */
#define FIELDS_BEFORE_US 11   /* of "stat", from the state behind the name to the user time */

/* The first line of a file of /proc; empty without one. */
static bool read_line(const char *path, char line[LINE_BYTES])
{
    FILE *file = fopen(path, "re");
    bool read = file && fgets(line, LINE_BYTES, file);
    if (file)
        fclose(file);
    if (!read)
        line[0] = 0;
    return read;
}

int64_t process_rss_bytes(pid_t pid)
{
    char path[PATH_BYTES], line[LINE_BYTES], *resident; /* pages: all, resident, ... */
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    if (!read_line(path, line) || strtol(line, &resident, 10) <= 0)
        return 0;
    return strtol(resident, NULL, 10) * sysconf(_SC_PAGESIZE);
}

int64_t process_peak_bytes(pid_t pid)
{
    char path[PATH_BYTES], line[LINE_BYTES];
    long kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
    FILE *file = fopen(path, "re");
    while (file && kilobytes == 0 && fgets(line, sizeof line, file))
        if (strncmp(line, "VmHWM:", strlen("VmHWM:")) == 0)
            kilobytes = strtol(line + strlen("VmHWM:"), NULL, 10);
    if (file)
        fclose(file);
    return (int64_t)kilobytes * 1024;
}

int64_t process_cpu_us(pid_t pid)
{
    char path[PATH_BYTES], line[LINE_BYTES], *system;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_line(path, line))
        return 0;
    const char *at = strrchr(line, ')'); /* ends the name, which may hold blanks */
    for (int i = 0; at && i <= FIELDS_BEFORE_US; i++)
        at = strchr(at + 1, ' ');
    if (!at)
        return 0;
    int64_t ticks = strtol(at, &system, 10);
    ticks += strtol(system, NULL, 10);
    return ticks * 1000000 / sysconf(_SC_CLK_TCK);
}

int64_t process_cpu_us_with_children(pid_t pid)
{
    char path[PATH_BYTES], line[LINE_BYTES];
    int64_t us = process_cpu_us(pid);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
    read_line(path, line);
    char *next = line;
    for (long child; (child = strtol(next, &next, 10)) > 0;)
        us += process_cpu_us((pid_t)child);
    return us;
}
