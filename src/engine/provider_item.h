/*
 * provider_item.h - the steps that every provider format shares.
 *
 * A format fills a struct provider_event field by field, in whatever order its
 * JSON comes, and ends with item_finish, which alone decides whether the item
 * can be used: a type, a time and a reference to a message, or it is malformed
 * (SRC-17). Only the formats include this file.
 */
#pragma once

#include "base/json.h"
#include "engine/provider.h"

/* Events as they are found; the array grows in the op's arena. */
struct item_list {
    struct provider_event *events;
    size_t n, room;
};

/* Makes room for that many events, where their number can be guessed. */
enum err item_reserve(struct op *op, struct item_list *list, size_t room);

/* A fresh event at the end of the list, dated now. It moves when the next one is added. */
enum err item_add(struct op *op, struct item_list *list, struct provider_event **ret_event);

/* HOOK_UNUSABLE when the list holds events and all of them are malformed, else HOOK_ACCEPTED; hands the list over. */
void item_verdict(const struct item_list *list, struct provider_hook *hook);

/* Refuses the post: the sentence is for the log and holds no secret. */
void item_refuse(struct provider_hook *hook, enum hook_verdict verdict, const char *complaint);

/* The first that is neither absent nor blank; the second when both are. */
struct str item_first(struct str a, struct str b);

/* One row of a provider's table of types; a table ends with a row whose word is NULL. */
struct item_type {
    const char *word; /* as the provider writes it */
    enum event_kind kind;
    const char *type; /* the word for the dedupe key, when it is another (SRC-40) */
};

/*
 * Sets type and kind from a table: a known word its row's, another one EVENT_UNHANDLED, none EVENT_MALFORMED. Returns
 * the row, NULL without one.
 */
enum err item_set_type(struct op *op, struct provider_event *event, const struct item_type *table, struct str word,
                       const struct item_type **ret_row);

/* Makes the event malformed unless it is unhandled; the first reason stays. */
void item_spoil(struct provider_event *event, const char *reason);

/* Dates the event by the provider's word; instants it cannot have (year 0) are refused. */
void item_set_time(struct provider_event *event, int64_t at_us);

/* A text in front, "" included; not given for every other value, which is eaten. */
struct str item_string(struct json *j);

/* The same, and numbers as they are written: providers mix both. */
struct str item_text(struct json *j);

/* True for the value true and nothing else. */
bool item_true(struct json *j);

/* Text of a form with U+FFFD for what is no UTF-8; JSON has been mended by its scanner. */
enum err item_mend(struct op *op, struct str text, struct str *ret);

/* Takes one of our own variables out of what the sender attached (SRC-25); others are ignored. A posthouse-mailing
 * beats an email-id, whichever comes first. */
void item_variable(struct provider_event *event, struct str name, struct str value);

/* Takes our variables out of the object in front: text and number values only (SRC-39). */
void item_variables(struct json *j, struct provider_event *event);

/* The same from a text that may hold such an object; anything else holds none. */
void item_variables_text(struct op *op, struct provider_event *event, struct str text);

/* A provider's message id without <>; "" and what is too long count as absent. */
void item_set_reference(struct provider_event *event, struct str id);

/* Trimmed; "" and what is too long count as absent. */
void item_set_recipient(struct provider_event *event, struct str recipient);

/* The one address of a To field ("Jo <jo@x.org>"), not given when there are several or none (SRC-36). */
struct str item_address(struct str header);

/*
 * Fills code, enhanced code and text of a failure. `code` is an integer or nothing: a dotted one is the enhanced code
 * where none is given, another one goes in front of the text. "" counts as absent everywhere; LED-11 gives the
 * fallback.
 */
enum err item_set_failure(struct op *op, struct provider_event *event, struct str code, struct str enhanced,
                          struct str text);

/* True when the enhanced code says that the address is dead (ledger.md section 5). */
bool item_is_dead_address(struct str enhanced);

/* True when the enhanced code speaks of policy, size or content, which no address is to blame for (LED-20). */
bool item_is_policy(struct str enhanced);

/*
 * The last step: decides about usability, then folds the recipient, drops an ip that is none, collects evidence and
 * makes the key. `raw` are the item's own bytes. is_dated: an event without a reported time is malformed (SRC-16).
 */
enum err item_finish(struct op *op, const struct provider_source *source, struct provider_event *event, struct str raw,
                     bool is_dated);

/* The formats, each in the file of its name; the registry is provider.c. */
extern const struct provider_format provider_mailgun;
extern const struct provider_format provider_ses;
extern const struct provider_format provider_sendgrid;
extern const struct provider_format provider_postmark;
