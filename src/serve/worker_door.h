/*
 * worker_door.h - the door for workers of any language: the Faktory work protocol, version 2.
 *
 *     +HI {"v":2,...}        greeting, with a challenge when there is a password
 *     HELLO {...}            within 2 s, or the connection is closed
 *     PUSH, FETCH, ACK ...   one answer each, in the order of the commands
 *
 * A line becomes a command (worker_command.h) that travels to the writer and
 * back; what its answer says is on disk. Commands that arrive together are
 * under way together and usually share one commit. A FETCH holds those behind
 * it until it is answered.
 *
 * Lines and their order: WORK-1; greeting and password: WORK-2, WORK-3; limits:
 * WORK-4; FETCH: WORK-5; words of refusal: WORK-6; INFO: WORK-7.
 *
 * Thread: open, stop, close, addr and figures from any thread but the loop's.
 */
#pragma once

#include "net/line_server.h"
#include "store/tx.h"

struct jobs;
struct worker_door;

#define WORKER_HELLO_MS        2000
#define WORKER_FETCH_WAIT_US   INT64_C(2000000) /* clients give up after 5 s without an answer */
#define WORKER_PIPELINE_MAX    512              /* commands of a connection under way */
#define WORKER_PIPELINE_BYTES  (4u << 20)       /* and their bytes; above, the client waits */
#define WORKER_DOOR_BYTES_MAX  (256u << 20)     /* of all commands under way; above, they are refused */
#define WORKER_PUSHB_JOBS_MAX  20000
#define WORKER_CONNECTIONS_MAX 10000

struct worker_door_config {
    struct addr listen;
    struct store *store;
    struct jobs *jobs;
    struct loop *loop;
    struct str password;      /* empty: anybody who can reach the door may work; must outlive the door */
    bool require_v2_auth;     /* refuse the hash that clients below version 2 send */
    bool allow_flush;         /* FLUSH wipes everything */
    struct str description;   /* in INFO; must outlive the door */
    int connections_max;      /* 0 = WORKER_CONNECTIONS_MAX */
    size_t command_bytes_max; /* 0 = 16 MiB */
    size_t job_bytes_max;     /* 0 = JOB_BYTES_DEFAULT */
};

enum err worker_door_open(struct op *op, const struct worker_door_config *config, struct worker_door **ret_door);

/* STOP-1: nobody new comes in; ACK, FAIL, BEAT and the like go on, other commands hear "shutdown in progress". */
void worker_door_stop(struct worker_door *door);

/* Ends each connection behind the answers it waits for, cuts those that are left after wait_ms, and frees the door when
 * everything is home. Nothing calls jobs_tick any more. */
void worker_door_close(struct worker_door *door, int64_t wait_ms);

struct addr worker_door_addr(const struct worker_door *door);

struct worker_figures {
    struct line_server_counts lines;
    uint64_t commands;
};
struct worker_figures worker_door_figures(const struct worker_door *door);
