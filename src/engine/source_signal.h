/*
 * source_signal.h - tells the poller of this process that its rows changed.
 *
 * A door that committed a PUT of a source, a backfill or a mailing rings here;
 * the poller looks at once instead of within the minute. Losing a ring costs
 * delay, nothing else.
 */
#pragma once

/* The poller's ear; NULL takes it away. `wake` is called on the ringing thread. */
void source_signal_install(void (*wake)(void *context), void *context);

/* Any thread, after the commit. */
void source_signal(void);
