/*
 * commands.c - every command of the program, in the order of the help.
 *
 * A new one is a struct command in its cmd_NOUN.c and a line here.
 */
#include "main/cli.h"

extern const struct command cmd_serve;
extern const struct command cmd_config_check, cmd_config_show, cmd_config_routes, cmd_config_commands;
extern const struct command cmd_token_create, cmd_token_list, cmd_token_revoke;
extern const struct command cmd_tenant_put, cmd_tenant_facts;
extern const struct command cmd_mailing_put, cmd_mailing_import, cmd_mailing_stats;
extern const struct command cmd_link_put, cmd_link_stats;
extern const struct command cmd_source_put, cmd_source_list, cmd_source_show, cmd_source_backfill, cmd_source_cancel;
extern const struct command cmd_node_list;
extern const struct command cmd_event_put, cmd_event_list;
extern const struct command cmd_push, cmd_job_list, cmd_job_show, cmd_job_retry, cmd_job_run, cmd_job_kill,
    cmd_job_cancel, cmd_job_bulk;
extern const struct command cmd_queue_list, cmd_queue_show, cmd_queue_set, cmd_queue_pause, cmd_queue_resume,
    cmd_queue_drain, cmd_queue_delete, cmd_budget_list, cmd_budget_set, cmd_worker_list, cmd_worker_quiet,
    cmd_worker_terminate;
extern const struct command cmd_schedule_put, cmd_schedule_list, cmd_schedule_show, cmd_schedule_run,
    cmd_schedule_delete;
extern const struct command cmd_top;
extern const struct command cmd_check;
extern const struct command cmd_migrate;
extern const struct command cmd_demo;
extern const struct command cmd_bench_events, cmd_bench_clicks, cmd_bench_jobs, cmd_bench_mixed, cmd_bench_nodes,
    cmd_bench_push;
extern const struct command cmd_simulate_mailgun;
extern const struct command cmd_version;

/* One a line, so that two who add one do not meet. */
/* clang-format off */
const struct command *const commands[] = {
    &cmd_serve,
    &cmd_config_check,
    &cmd_config_show,
    &cmd_config_routes,
    &cmd_config_commands,
    &cmd_token_create,
    &cmd_token_list,
    &cmd_token_revoke,
    &cmd_tenant_put,
    &cmd_tenant_facts,
    &cmd_mailing_put,
    &cmd_mailing_import,
    &cmd_mailing_stats,
    &cmd_link_put,
    &cmd_link_stats,
    &cmd_source_put,
    &cmd_source_list,
    &cmd_source_show,
    &cmd_source_backfill,
    &cmd_source_cancel,
    &cmd_node_list,
    &cmd_event_put,
    &cmd_event_list,
    &cmd_push,
    &cmd_job_list,
    &cmd_job_show,
    &cmd_job_retry,
    &cmd_job_run,
    &cmd_job_kill,
    &cmd_job_cancel,
    &cmd_job_bulk,
    &cmd_queue_list,
    &cmd_queue_show,
    &cmd_queue_set,
    &cmd_queue_pause,
    &cmd_queue_resume,
    &cmd_queue_drain,
    &cmd_queue_delete,
    &cmd_budget_list,
    &cmd_budget_set,
    &cmd_worker_list,
    &cmd_worker_quiet,
    &cmd_worker_terminate,
    &cmd_schedule_put,
    &cmd_schedule_list,
    &cmd_schedule_show,
    &cmd_schedule_run,
    &cmd_schedule_delete,
    &cmd_top,
    &cmd_check,
    &cmd_migrate,
    &cmd_demo,
    &cmd_bench_events,
    &cmd_bench_clicks,
    &cmd_bench_jobs,
    &cmd_bench_mixed,
    &cmd_bench_nodes,
    &cmd_bench_push,
    &cmd_simulate_mailgun,
    &cmd_version,
    NULL,
};
/* clang-format on */
