#include "engine/schedule_builtin.h"

#include "engine/job_own.h"
#include "engine/keep_log.h"
#include "engine/keep_parked.h"

static const struct builtin_schedule builtins[] = {
    { "keep.log", "10 3 * * *", "UTC", KEEP_LOG_TYPE, NULL },
    { "keep.parked", "20 3 * * *", "UTC", KEEP_PARKED_TYPE, NULL },
    { "keep.keys", "20 3 * * *", "UTC", KEEP_KEYS_TYPE, "keep.parked" }, /* reports take their keys with them */
};
#define BUILTINS (sizeof builtins / sizeof *builtins)

const struct builtin_schedule *schedule_builtin(struct str id)
{
    for (size_t i = 0; i < BUILTINS; i++)
        if (str_eq(id, str_of(builtins[i].id)))
            return &builtins[i];
    return NULL;
}

static struct str job_of(struct op *op, const struct builtin_schedule *builtin)
{
    return arena_fmt(op->arena, "{\"jobtype\":\"%s\",\"queue\":\"" KEEP_QUEUE "\",\"args\":[]}", builtin->jobtype);
}

enum err schedule_builtin_fill(struct op *op, struct str id, struct schedule_put *put, struct json_problems *problems)
{
    const struct builtin_schedule *builtin = schedule_builtin(id);
    if (!builtin && str_starts(id, S(BUILTIN_PREFIX)))
        return json_problem(op, problems, "",
                            "names that begin with " BUILTIN_PREFIX " are those of built-in schedules");
    if (!builtin)
        return OK;
    if (str_given(put->job))
        return json_problem(op, problems, "/job", "the job of a built-in schedule cannot be changed");
    if (str_given(put->after))
        return json_problem(op, problems, "/after", "what a built-in schedule waits for cannot be changed");
    put->job = job_of(op, builtin);
    put->after = builtin->after ? str_of(builtin->after) : (struct str){ 0 };
    put->builtin = true;
    return OK;
}

enum err schedules_builtin_make(struct op *op, struct tx *tx)
{
    for (size_t i = 0; i < BUILTINS; i++) {
        const struct builtin_schedule *builtin = &builtins[i];
        struct schedule_put put = { .cron = str_of(builtin->cron), .timezone = str_of(builtin->zone) };
        bool there;
        TRY(schedule_is_there(op, tx, str_of(builtin->id), &there));
        if (there)
            continue;
        TRY(schedule_builtin_fill(op, str_of(builtin->id), &put, NULL));
        TRY(schedule_store(op, tx, str_of(builtin->id), &put));
    }
    return OK;
}
