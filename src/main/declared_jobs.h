/*
 * declared_jobs.h - budgets, queues and schedules that the configuration file declares.
 *
 *     [budget db]          [queue mail]                 [schedule nightly]
 *     concurrency = 4      concurrency = 5              cron = 30 0 * * *
 *                          rate.limit = 40              timezone = Europe/London
 *                          rate.per = 60s               job = {"jobtype":"sweep","queue":"mail","args":[]}
 *                          budget = db
 *
 * The words are those of the API, a dot for each object around them. Part of
 * declared.h: what a section does not name stays as the API made it.
 */
#pragma once

#include "base/conf.h"
#include "store/tx.h"

extern const struct conf_key budget_keys[], queue_keys[], schedule_keys[];

/* Everything that can be wrong without the store. The section and name at fault are told by the out parameters. */
enum err declared_jobs_check(struct op *op, const struct conf *conf, const char **ret_section, struct str *ret_name);

/* In the writer: budgets, then queues, which name them, then schedules, which may wait for each other. */
enum err declared_jobs_apply(struct op *op, struct tx *tx, const struct conf *conf, const char **ret_section,
                             struct str *ret_name);
