/*
 * exec_command.h - a command that the configuration file declares for jobs (HAND-4).
 */
#pragma once

#include <sys/types.h>

#include "base/str.h"

struct exec_command {
    struct str name;
    const char *const *argv; /* NULL-terminated; the first is an absolute path */
    const char *const *env;  /* "NAME=value", NULL-terminated */
    int64_t timeout_ms;
    int64_t memory_bytes; /* 0 = no limit of its own */
    bool has_user;
    uid_t user;
    gid_t group;
};

struct exec_commands {
    const struct exec_command *items;
    size_t count;
};
