/*
 * exec_list.h - the sections [exec NAME]: commands that jobs may be (HAND-4).
 *
 * Only the file says which there are. A command is words with blanks between;
 * there is no shell and no quoting.
 */
#pragma once

#include "base/conf.h"
#include "engine/job_handler.h"
#include "relay/exec_command.h"

struct exec_list {
    struct exec_list *next; /* for whoever keeps several */
    struct arena *arena;
    struct exec_commands commands;
    struct job_commands names;
};

/* All of them, in memory of their own. ERR_INVALID with the section and what is wrong. */
enum err exec_list_read(struct op *op, const struct conf *conf, struct exec_list **ret);
void exec_list_free(struct exec_list *list);
