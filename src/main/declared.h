/*
 * declared.h - tenants, sources, queues, budgets and schedules that the configuration file declares.
 *
 *     [tenant t-1]                  [source mg]
 *     timezone = Europe/London      type = mailgun
 *     retention.email = 14d         domain = mg.x.org
 *
 * They go through the same checks and functions as PUT on the API, at start and
 * on every reload: what the file says is applied again, what the API made
 * stays. A mistake is found before anything is stored.
 */
#pragma once

#include "base/conf.h"
#include "store/tx.h"

/* Everything that can be wrong without looking into the store. ERR_INVALID: "[source mg] line 12: ...". */
enum err declared_check(struct op *op, const struct conf *conf);

/* Is there anything to apply. */
bool declared_any(const struct conf *conf);

/* In the writer: stores all of them. ERR_INVALID for a source of a tenant that does not exist. Repeatable. */
enum err declared_apply(struct op *op, struct tx *tx, const struct conf *conf);
