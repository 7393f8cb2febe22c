/*
 * process.h - what the kernel says about a process: its memory and its processor time.
 *
 * Read from /proc at every call, a few microseconds; for figures that somebody
 * asks for now and then. A process that is gone has 0 of everything.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/* Memory it holds now, pages that are shared with others included. */
int64_t process_rss_bytes(pid_t pid);

/* The most it ever held. */
int64_t process_peak_bytes(pid_t pid);

/* Processor time of its threads since it began, in steps of the kernel's tick (10 ms). */
int64_t process_cpu_us(pid_t pid);

/* The same with the children it has now: servers that work in those. */
int64_t process_cpu_us_with_children(pid_t pid);
