/*
 * store_outcome.h - what went wrong with a message, and rare words about it.
 */
#pragma once

#include "store/tx.h"

/* The one failure row of a message (LED-11). */
struct failure_row {
    uint64_t message_no;
    uint32_t mailing_no; /* 0 = none */
    uint8_t severity;    /* enum failure_kind */
    int32_t code;        /* INT32_MIN = none */
    struct str enhanced;
    struct str text;
    int64_t at_us;
    struct str event_id; /* breaks ties of equal times */
};

/* Says that the failures, the words of these messages (0: none) will be asked for soon. On PostgreSQL they are read
 * together; else nothing is done. */
enum err store_failure_prefetch(struct op *op, struct tx *tx, const uint64_t *message_nos, size_t count);
enum err store_word_prefetch(struct op *op, struct tx *tx, const uint64_t *message_nos, size_t count);

/* ERR_NOT_FOUND when the message has none. */
enum err store_failure_get(struct op *op, struct tx *tx, uint64_t message_no, struct failure_row *ret);
/* The failures of messages from_no .. to_no - 1 in order. */
enum err store_failure_each(struct op *op, struct tx *tx, uint64_t from_no, uint64_t to_no,
                            void (*fn)(uint64_t message_no, uint8_t severity, void *arg), void *arg);
enum err store_failure_put(struct op *op, struct tx *tx, const struct failure_row *row);

/* Failures of a mailing in order of message number behind after_no; severity 0 = both. At most limit rows. */
enum err store_failure_list(struct op *op, struct tx *tx, uint32_t mailing_no, int severity, uint64_t after_no,
                            int limit,
                            enum err (*fn)(struct op *op, struct tx *tx, const struct failure_row *row, void *arg),
                            void *arg, bool *ret_more);

/* Complaint and unsubscription instants; 0 = not known. */
struct word_row {
    int64_t complained_at_us;
    int64_t unsubscribed_at_us;
};
enum err store_word_get(struct op *op, struct tx *tx, uint64_t message_no, struct word_row *ret);

/* The words of messages from_no .. to_no - 1 in order. */
enum err store_word_each(struct op *op, struct tx *tx, uint64_t from_no, uint64_t to_no,
                         void (*fn)(uint64_t message_no, const struct word_row *row, void *arg), void *arg);
enum err store_word_put(struct op *op, struct tx *tx, uint64_t message_no, const struct word_row *row);

/* A link of a mailing as its clicks named it; made at its first click. */
enum err store_link_meet(struct op *op, struct tx *tx, uint32_t mailing_no, struct str url, uint32_t *ret_no);
enum err store_link_count(struct op *op, struct tx *tx, uint32_t link_no, int members, int clicks);
struct link_row {
    uint32_t no;
    struct str url;
    int64_t members, clicks;
};
enum err store_link_list(struct op *op, struct tx *tx, uint32_t mailing_no, uint32_t after_no, int limit,
                         enum err (*fn)(struct op *op, struct tx *tx, const struct link_row *row, void *arg), void *arg,
                         bool *ret_more);
