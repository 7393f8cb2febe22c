/*
 * job_ahead.h - commands say what they will ask before the group runs them.
 *
 * For the `ahead` of a hop (base/post.h): a door's route says it beside the
 * function that will ask.
 *
 *     static void push_ahead(struct post *post)
 *     {
 *         struct push *push = command_of(post)->data;
 *         job_push_ahead(post->tx, &push->spec, 1);
 *     }
 *     static const struct hop route[] = { { push_commit, THREAD_WRITER, push_ahead }, ... };
 *
 * Texts must live until the group has run. Nothing is promised: what was not
 * said is asked when it is needed.
 */
#pragma once

#include "engine/job_end.h"
#include "engine/job_fetch.h"
#include "engine/job_push.h"

void job_push_ahead(struct tx *tx, const struct job_spec *specs, size_t n);
void job_fetch_ahead(struct tx *tx, const struct job_fetch *fetch);
void job_end_ahead(struct tx *tx, const struct job_ref *ref);
