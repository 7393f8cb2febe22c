/*
 * job_view.h - jobs as people look at them: one with all that is known, lists by state.
 *
 * Reads rows only, so it runs over a snapshot, beside the writer. A list goes
 * along the rows of its state, at most VIEW_STEPS of them for one page, so a
 * filter that matches little gives short pages with a cursor instead of a long
 * search.
 */
#pragma once

#include "base/json_write.h"
#include "engine/job_walk.h"

#define VIEW_STEPS 10000

/* Writes the job as one JSON object with its attempts, into an open place of w. ERR_NOT_FOUND. */
enum err job_view(struct op *op, struct tx *tx, struct str jid, struct json_writer *w);

struct job_filter {
    enum job_state state;              /* JOB_NONE = any that is not done */
    struct str queue, type, key, text; /* not given = any; text: bytes somewhere in the job's JSON */
};

/* Writes at most max jobs behind `from` (all zero: the first page) as items of an open array. *ret_more: there may be
 * more behind *ret_to. */
enum err job_view_list(struct op *op, struct tx *tx, const struct job_filter *filter, const struct job_place *from,
                       int max, struct json_writer *w, struct job_place *ret_to, bool *ret_more);
