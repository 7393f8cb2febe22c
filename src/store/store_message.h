/*
 * store_message.h - the wide row of a message: what people look at.
 *
 * Events do not touch this table; they change the records of records.h under
 * the same number. Numbers grow in order of insertion, so the messages of a mailing
 * lie together.
 */
#pragma once

#include "store/tx.h"

struct message_row {
    uint64_t no;
    struct str id;
    bool id_given; /* chosen by the caller; ours encode the number (base/id.h) */
    uint32_t tenant_no;
    uint32_t mailing_no; /* 0 = none */
    uint32_t member_no;  /* 0 = none */
    uint8_t channel;     /* enum channel */
    uint8_t key;         /* enum message_key */
    uint8_t first_status;
    bool imported; /* cause of the first history entry: import, else created */
    struct str recipient;
    int64_t recipient_hash; /* keyed hash of the folded recipient, tenant independent (LED-26) */
    struct str provider;
    struct str provider_message_id;
    int64_t provider_hash; /* keyed hash of provider_message_id */
    struct str template_name;
    struct str reference;
    int64_t created_at_ms;
    int64_t added_at_ms; /* commit time of the row: `at` of the first history entry */
    int64_t sent_at_us;  /* 0 = not known; as the line or a PATCH gave it */
    int32_t local_day;
};

/* Filters of a list; zero or not given = any. Statuses are a set of bits 1 << enum status. */
struct message_filter {
    uint32_t tenant_no;
    uint32_t mailing_no;
    uint8_t channel;
    uint32_t statuses;
    bool by_recipient;
    int64_t recipient_hash;
    bool after; /* start behind (created_at_ms, id) */
    int64_t after_created_at_ms;
    struct str after_id;
};

/* Inserts; row->no and row->id must be set (store_message_number). */
enum err store_message_put(struct op *op, struct tx *tx, const struct message_row *row);

/* The number of the next message. Rolled back with the group. */
uint64_t store_message_number(struct tx *tx);

enum err store_message_get(struct op *op, struct tx *tx, uint64_t no, struct message_row *ret);

/* The number behind an id, given or ours; ERR_NOT_FOUND when there is none. */
enum err store_message_find_id(struct op *op, struct tx *tx, struct str id, uint64_t *ret_no);

/* The message of a mailing to a recipient (LED-2); 0 when there is none. */
enum err store_message_find_recipient(struct op *op, struct tx *tx, uint32_t mailing_no, int64_t recipient_hash,
                                      uint64_t *ret_no);

/* The message of a mailing to a member, the first one when it has several addresses; 0 when there is none. Messages
 * that the same command adds are not found (PostgreSQL takes them in together). */
enum err store_message_find_member(struct op *op, struct tx *tx, uint32_t mailing_no, uint32_t member_no,
                                   uint64_t *ret_no);

/* Messages of a mailing with numbers from_no .. to_no - 1 that have a member; the text is borrowed during the call. */
struct message_near {
    uint64_t no;
    uint32_t member_no;
    uint8_t key;
    struct str member;
};
enum err store_message_each_near(struct op *op, struct tx *tx, uint32_t mailing_no, uint64_t from_no, uint64_t to_no,
                                 void (*fn)(const struct message_near *near, void *arg), void *arg);

/* Messages that carry a provider's id: up to two numbers, so that a caller sees whether it is the only one. With
 * by_recipient only those to that recipient (then the newest first). */
enum err store_message_find_provider(struct op *op, struct tx *tx, int64_t provider_hash, bool by_recipient,
                                     int64_t recipient_hash, uint64_t ret_no[2], int *ret_count);

/* What will be asked about one message; 0 or not given = not by this. */
struct message_want {
    struct str id;
    uint32_t mailing_no; /* with recipient_hash */
    int64_t recipient_hash;
    int64_t provider_hash; /* alone, and with recipient_hash */
};

/* Says that these will be looked for soon. On PostgreSQL they are looked up together, so that each find_ call of this
 * transaction is answered from RAM; else nothing is done. */
enum err store_message_prefetch(struct op *op, struct tx *tx, const struct message_want *wants, size_t count);

/* Says that about so many messages will be made soon: the blocks of their records are read together. */
enum err store_message_expect(struct op *op, struct tx *tx, size_t count);

/* The highest number of any message; 0 when there is none. */
enum err store_message_newest(struct op *op, struct tx *tx, uint64_t *ret_no);

/* Calls fn for the number of every message of a mailing, in order of their instants: near each other in time is near in
 * number. */
enum err store_message_each_of_mailing(struct op *op, struct tx *tx, uint32_t mailing_no,
                                       enum err (*fn)(struct op *op, struct tx *tx, uint64_t no, void *arg), void *arg);

/* Messages from_no .. to_no - 1 in order; the id is borrowed during the call. */
struct message_brief {
    uint64_t no;
    struct str id;
    uint8_t first_status;
};
enum err store_message_each(struct op *op, struct tx *tx, uint64_t from_no, uint64_t to_no,
                            void (*fn)(const struct message_brief *brief, void *arg), void *arg);

/* Fills provider, provider_message_id, provider_hash and sent_at_us of a row. */
enum err store_message_fill(struct op *op, struct tx *tx, const struct message_row *row);

/* Newest first by (created_at, id); at most `limit` rows, after looking at no more than 10,000 (LED-25, LED-26). fn
 * decides whether a row counts (by its state) and keeps it, unless probe is set: then it only decides, for that row
 * tells that there is more. *ret_more: go on behind *ret_last. */
#define STORE_LIST_SCAN_MAX 10000
enum err store_message_list(struct op *op, struct tx *tx, const struct message_filter *filter, int limit,
                            enum err (*fn)(struct op *op, struct tx *tx, const struct message_row *row, bool probe,
                                           bool *ret_take, void *arg),
                            void *arg, bool *ret_more, struct message_row *ret_last);
