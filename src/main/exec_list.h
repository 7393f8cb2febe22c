/*
 * exec_list.h - the sections [exec NAME]: commands that jobs may be (HAND-4).
 *
 * Only the file says which there are. A command is words with blanks between;
 * there is no shell and no quoting.
 */
#pragma once

#include "base/conf.h"
#include "relay/exec_command.h"

/* All of them, in op's arena. ERR_INVALID with the section and what is wrong. */
enum err exec_list_read(struct op *op, const struct conf *conf, struct exec_commands *ret);
