/*
 * simulate_door.h - what the simulate_*.c files of this folder share and nobody else sees.
 *
 * Everything here belongs to the stand-in's own loop thread. A request goes
 *
 *   record -> key right? -> a fault due? -> its handler
 *
 * and handlers answer at once; only faults hold requests back.
 */
#pragma once

#include "serve/simulate_mailgun.h"

#include "base/json_write.h"
#include "base/siphash.h"
#include "engine/simulate_render.h"
#include "engine/simulate_truth.h"
#include "net/http_client.h"
#include "net/http_reply.h"
#include "net/http_server.h"

#define STAND_IN_PAGE_MAX 300 /* items of a page of the Events API */
#define STAND_IN_LOGS_MAX 100 /* and of the Logs API */
#define ASKED_MAX         2048
#define ASKED_TEXT_BYTES  400
#define FAULTS_MAX        32

/* --------------------------------------------------------------------------------------------------- faults */

enum fault_kind {
    FAULT_NONE,
    FAULT_STATUS,         /* answered with `status` */
    FAULT_TIMEOUT,        /* never answered */
    FAULT_DELAY,          /* answered after delay_ms */
    FAULT_GARBAGE,        /* 200 and a page of HTML */
    FAULT_CUT,            /* half of the JSON, as if it were whole */
    FAULT_BROKEN,         /* the connection breaks in the middle of the body */
    FAULT_NO_ITEMS,       /* JSON without items */
    FAULT_TOO_LARGE,      /* 9 MiB of blanks behind the page */
    FAULT_OTHER_HOST,     /* `next` names `host` */
    FAULT_REPEAT_TOKEN,   /* `next` leads to the same page again */
    FAULT_MALFORMED_PAGE, /* a page of `items` malformed items in front of the real one */
    FAULT_NULL_HEADERS,   /* the same, each with "headers": null */
    FAULT_EXPIRED_TOKEN,  /* 400 for a page token */
    FAULT_POISON,         /* a page that holds an item of this millisecond is cut */
    FAULT_KINDS
};

struct fault {
    enum fault_kind kind;
    int status;
    int64_t count; /* requests it still hits; -1: until cleared */
    int64_t retry_after_s, reset_ms, delay_ms, items, at_us;
    char match[64]; /* part of the request's target or body; "" fits all */
    char host[128]; /* FAULT_OTHER_HOST */
};

struct faults {
    struct fault list[FAULTS_MAX];
    size_t count;
};

/* A request that is held back until its timer runs. */
struct held {
    struct timer timer;
    struct held *next, *before;
    struct stand_in *stand_in;
    struct http_request *request;
    void (*then)(struct stand_in *stand_in,
                 struct http_request *request); /* NULL: it never gets an answer of its own */
};

/* ------------------------------------------------------------------------------------------- what was asked */

struct asked {
    int64_t at_us;
    int32_t status; /* 0 while there is no answer */
    int32_t items;  /* of a page; -1 for other answers */
    char method[8];
    char text[ASKED_TEXT_BYTES]; /* target, and behind a blank the body of a Logs query; cut */
};

/* -------------------------------------------------------------------------------------- suppression lists */

#define LIST_ADDRESS_MAX 320

enum list_kind { LIST_BOUNCES, LIST_COMPLAINTS, LIST_UNSUBSCRIBES, LIST_KINDS };

struct listed {
    char *address; /* malloc'ed, folded to small letters; one block with error and tags behind it */
    const char *code, *error, *tag;
    int64_t created_us;
};

struct list {
    struct listed *items; /* by address once settled */
    size_t count, room;
    bool sorted;
};

/* ------------------------------------------------------------------------------------------------- webhooks */

struct hooks; /* simulate_hooks.c */

/* --------------------------------------------------------------------------------------------- the stand-in */

struct stand_in {
    struct sim *sim;
    struct loop *loop;
    struct http_server *server;
    struct http_client *client;
    char key[128], signing_key[128];
    int64_t token_ms;
    struct siphash_key token_key;
    int64_t ahead_us; /* POST /sim/clock */

    struct faults faults;
    struct fault fault; /* what hits the page being answered; FAULT_NONE otherwise */
    struct held *held;

    struct asked *asked; /* ring of ASKED_MAX */
    uint64_t asked_count;

    struct list lists[LIST_KINDS];
    int64_t listed_until_us;
    uint64_t posted_count;

    struct hooks *hooks;
    struct sim_event page[STAND_IN_PAGE_MAX]; /* the one being answered */
};

/* What a route is for; http_route.data. */
struct sim_door {
    void (*handle)(struct stand_in *stand_in, struct http_request *request);
    bool is_provider; /* needs the key, is recorded, and faults may hit it */
    bool is_page;     /* faults of pages too */
};

/* Now, as far as the lists are concerned. */
int64_t stand_in_now_us(const struct stand_in *stand_in);

/* A buffer in the request's arena with this much room to begin with. */
struct buf door_buf(struct http_request *request, size_t bytes);

/* Answers JSON; a buffer that did not fit becomes 500. */
void door_reply(struct http_request *request, int status, const struct buf *json);

/* Answers {"message": text}, as the provider words its errors. */
void door_message(struct http_request *request, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "http://127.0.0.1:7430", as the client named us. */
struct str door_base(struct http_request *request);

/* True when the {domain} of the path is ours; else answers 404. */
bool door_is_ours(struct stand_in *stand_in, struct http_request *request, struct str domain);

/* Copies text into a field of size bytes, cut between characters, with a NUL behind it. */
void door_copy(char *to, size_t size, struct str text);

extern const struct http_route door_routes[];
extern const size_t door_route_count;

/* For the server's config: notes the status of every answer. */
void door_note_status(const struct http_request *request, int status);

/* Notes how many items the answer to this request holds. */
void door_note_items(struct stand_in *stand_in, const struct http_request *request, size_t items);

/* Bits of enum sim_type behind a provider's word; 0 for one we never use. */
uint32_t door_types(struct str word);

/* Gives the fields of a form in order, of either content type and without its files. ERR_MALFORMED for a body that is
 * none. */
enum err door_form(struct http_request *request, void (*take)(void *arg, struct str name, struct str value), void *arg);

/* Reads an array of texts, at most max; returns how many. */
size_t door_texts(struct json *j, struct str *ret, size_t max);

/* The fault that hits this request, used up by one; FAULT_NONE when none does. */
struct fault fault_take(struct stand_in *stand_in, const struct http_request *request, bool is_page);

/* Holds the request back for delay_ms, then calls then. */
void fault_hold(struct stand_in *stand_in, struct http_request *request, int64_t delay_ms,
                void (*then)(struct stand_in *stand_in, struct http_request *request));

/* Answers all that is held. */
void fault_release_all(struct stand_in *stand_in);

/* Sends the page: whole, or as the fault of the moment wants it. events are those in it. */
void fault_send_page(struct stand_in *stand_in, struct http_request *request, const struct buf *json, size_t events);

/* Writes the items of a page of FAULT_MALFORMED_PAGE or FAULT_NULL_HEADERS; false when no such fault is on. */
bool fault_write_items(struct stand_in *stand_in, uint32_t types, int64_t at_us, struct buf *buf, size_t *ret_items);

/* The list {list} of {domain} with everything visible by now in it; NULL after a 404. */
struct list *listed_of(struct stand_in *stand_in, struct http_request *request);

/* First entry at or behind the address (in small letters). */
size_t listed_find(const struct list *list, const char *address);
void listed_add(struct list *list, struct str address, struct str code, struct str error, struct str tag,
                int64_t created_us);
void listed_remove(struct list *list, size_t at);
void listed_clear(struct list *list);

struct hooks *hooks_new(struct stand_in *stand_in);
/* The loop's thread. */
void hooks_stop(struct hooks *hooks);
/* Any thread, after the client was closed. */
void hooks_free(struct hooks *hooks);

/* Handlers, by file. */
void events_first(struct stand_in *stand_in, struct http_request *request);
void events_token(struct stand_in *stand_in, struct http_request *request);
void logs_query(struct stand_in *stand_in, struct http_request *request);
void messages_post(struct stand_in *stand_in, struct http_request *request);
void lists_get(struct stand_in *stand_in, struct http_request *request);
void lists_get_one(struct stand_in *stand_in, struct http_request *request);
void lists_post(struct stand_in *stand_in, struct http_request *request);
void lists_delete_one(struct stand_in *stand_in, struct http_request *request);
void lists_delete(struct stand_in *stand_in, struct http_request *request);
void ask_messages(struct stand_in *stand_in, struct http_request *request);
void ask_truth(struct stand_in *stand_in, struct http_request *request);
void ask_requests(struct stand_in *stand_in, struct http_request *request);
void ask_clock(struct stand_in *stand_in, struct http_request *request);
void ask_event(struct stand_in *stand_in, struct http_request *request);
void faults_get(struct stand_in *stand_in, struct http_request *request);
void faults_post(struct stand_in *stand_in, struct http_request *request);
void faults_delete(struct stand_in *stand_in, struct http_request *request);
void hooks_get(struct stand_in *stand_in, struct http_request *request);
void hooks_post(struct stand_in *stand_in, struct http_request *request);
void hooks_delete(struct stand_in *stand_in, struct http_request *request);
