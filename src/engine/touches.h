/*
 * touches.h - the opens and clicks of a message and what they make of it.
 *
 * Each one is appended to the touch log with its evidence bits. Bursts and
 * early reads depend on other facts of the message, so its touches are
 * classified again when such a fact has changed: the third click of a client,
 * an open beside clicks, a delivery time that became known (LED-22, LED-23).
 */
#pragma once

#include "engine/classify.h"
#include "engine/subject.h"

/* More opens and clicks of one message than this are not kept apart: the log row and the class counts stop growing,
 * opened_at and clicked_at do not. A person never gets there. */
#define TOUCHES_PER_MESSAGE_MAX 1000

/* Appends a touch and counts its class; its bits then hold all evidence known now. *ret_first_of_link: the message had
 * not clicked this link before. */
enum err touches_add(struct op *op, struct subject *subject, struct touch *touch, bool *ret_first_of_link);

/* Classifies all touches of the message again; writes the bits that changed and the four class counts. */
enum err touches_reclassify(struct op *op, struct subject *subject);

/* The counter of a message that a touch of this kind and these bits is counted in; NULL for one that is in none. */
uint16_t *touches_class_counter(struct message_engagement *engagement, enum touch_kind kind, uint32_t bits);

/* All touches of a chain, newest first, in the op's arena. For lists and for check. */
enum err touches_read(struct op *op, struct tx *tx, uint64_t seq, struct touch **ret, size_t *ret_count);

/* The client an address and agent are under a key (LED-24); 0 when there is no address. */
int64_t touches_client_of(const uint8_t key[16], struct str ip, struct str agent);

/* The client of a provider's report: keyed hash of address and agent under the key of the event's day (LED-24);
 * 0 when the report names no address. */
enum err touches_client(struct op *op, struct tx *tx, struct str ip, struct str agent, int64_t at_us,
                        int64_t *ret_client);
