/*
 * events.h - what happened elsewhere, recorded once and in order.
 *
 *     POST /v1/events          \
 *     posthouse.record()        >  event_read -> struct event_row -> events_record -> the log (store_event.h)
 *     (Posthouse's own facts)  /
 *
 * A row holds what came (EVT-1). event_read knows what an event may look like; events_record is the one place
 * where events enter the log, whoever brings them: what shall happen to each
 * event happens there, in its transaction.
 */
#pragma once

#include "base/op.h"
#include "store/store_event.h"

#define EVENTS_ID_BYTES_MAX      128
#define EVENTS_TYPE_BYTES_MAX    128
#define EVENTS_TYPE_WORDS_MAX    16
#define EVENTS_SOURCE_BYTES_MAX  256
#define EVENTS_SUBJECT_BYTES_MAX 512
#define EVENTS_NAME_BYTES_MAX    128 /* tenant, originator, role, receiver */
#define EVENTS_DATA_BYTES_MAX    (256 << 10)
#define EVENTS_ROLES_MAX         16
#define EVENTS_RECEIVERS_MAX     1000 /* of all roles together */
#define EVENTS_LINE_BYTES_MAX    (512 << 10)
#define EVENTS_DETAIL_BYTES      160
#define EVENTS_SOURCE_DEFAULT    "api"
#define EVENTS_SOURCE_OWN        "posthouse" /* our own facts (EVT-8) */
#define EVENTS_KEEP_DAYS         30

/* Words of [A-Za-z0-9_-] joined by dots (EVT-4). */
bool event_type_valid(struct str type);

/* Reads one event object. Texts are borrowed from `text`, or in op's arena. On ERR_MALFORMED (no JSON) and ERR_INVALID
 * op->error is the sentence for the line, "type: is required". Thread: any. */
enum err event_read(struct op *op, struct str text, struct event_row *ret);

/* Gives each its place in the log, an id when it has none, and says which were there already (EVT-2). */
enum err events_record(struct op *op, struct tx *tx, struct event_row *rows, size_t count);
