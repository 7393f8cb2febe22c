#include "test.h"

#include "base/clock.h"
#include "base/queue.h"
#include "base/thread.h"

#define POSTERS    3
#define MAILS_EACH 20000

struct parcel {
    int poster, number;
    struct mail mail;
};

static int parcel_number(struct mail *mail)
{
    return MAIL_OF(mail, struct parcel, mail)->number;
}

TEST(mailbox, hands_out_everything_in_the_order_of_posting)
{
    struct mailbox box;
    struct parcel parcels[3] = { { 0, 1, { 0 } }, { 0, 2, { 0 } }, { 0, 3, { 0 } } };
    mailbox_init(&box, 10, NULL, NULL);
    YES(mailbox_take_all(&box) == NULL);
    for (int i = 0; i < 3; i++)
        YES(mailbox_post(&box, &parcels[i].mail));
    EQ(mailbox_depth(&box), 3);

    struct mail *mail = mailbox_take_all(&box);
    EQ(parcel_number(mail), 1);
    EQ(parcel_number(mail->next), 2);
    EQ(parcel_number(mail->next->next), 3);
    YES(mail->next->next->next == NULL);
    EQ(mailbox_depth(&box), 0);
    YES(mailbox_take_all(&box) == NULL);
}

TEST(mailbox, refuses_mail_beyond_its_maximum_except_answers)
{
    struct mailbox box;
    struct mail mails[4];
    mailbox_init(&box, 2, NULL, NULL);
    YES(mailbox_post(&box, &mails[0]));
    YES(mailbox_post(&box, &mails[1]));
    NO(mailbox_post(&box, &mails[2]));
    mailbox_post_always(&box, &mails[2]);
    EQ(mailbox_depth(&box), 3);
    mailbox_take_all(&box);
    YES(mailbox_post(&box, &mails[3]));
}

TEST(mailbox, gives_up_waiting_when_the_time_is_over)
{
    struct mailbox box;
    mailbox_init(&box, 2, NULL, NULL);
    int64_t begin_us = clock_mono_us();
    YES(mailbox_wait(&box, 2000) == NULL);
    YES(clock_mono_us() - begin_us >= 2000);
    YES(mailbox_wait(&box, 0) == NULL);
}

TEST(mailbox, returns_once_for_a_nudge_even_one_that_came_before)
{
    struct mailbox box;
    struct mail mail;
    mailbox_init(&box, 2, NULL, NULL);
    mailbox_nudge(&box);
    YES(mailbox_wait(&box, -1) == NULL);
    mailbox_post(&box, &mail);
    YES(mailbox_wait(&box, -1) == &mail);
    YES(mailbox_wait(&box, 1000) == NULL);
}

TEST(mailbox, can_be_waited_for_without_taking)
{
    struct mailbox box;
    struct mail mail;
    mailbox_init(&box, 2, NULL, NULL);
    NO(mailbox_await(&box, 0));
    mailbox_post(&box, &mail);
    YES(mailbox_await(&box, -1));
    YES(mailbox_await(&box, -1));
    YES(mailbox_take_all(&box) == &mail);
    NO(mailbox_await(&box, 1000));
}

static void count_call(void *context)
{
    ++*(int *)context;
}

TEST(mailbox, wakes_a_loop_once_for_each_filling)
{
    struct mailbox box;
    struct mail mails[3];
    int calls = 0;
    mailbox_init(&box, 10, count_call, &calls);
    mailbox_post(&box, &mails[0]);
    mailbox_post(&box, &mails[1]);
    EQ(calls, 1);
    mailbox_take_all(&box);
    mailbox_post(&box, &mails[2]);
    EQ(calls, 2);
    mailbox_nudge(&box);
    EQ(calls, 3);
}

struct poster {
    struct mailbox *box;
    int index;
    struct parcel *parcels;
    struct thread thread;
};

static void post_all(void *context)
{
    struct poster *poster = context;
    for (int i = 0; i < MAILS_EACH; i++) {
        poster->parcels[i] = (struct parcel){ .poster = poster->index, .number = i };
        while (!mailbox_post(poster->box, &poster->parcels[i].mail))
            ; /* full: the owner is taking */
    }
}

TEST(mailbox, loses_nothing_between_threads_and_keeps_each_posters_order)
{
    struct op op;
    struct mailbox box;
    struct poster posters[POSTERS];
    int next[POSTERS] = { 0 };
    op_init(&op, NULL, 0);
    mailbox_init(&box, 1000, NULL, NULL);
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){ &box, i, calloc(MAILS_EACH, sizeof(struct parcel)), { 0 } };
        SUCCEEDS(&op, thread_start(&op, &posters[i].thread, "poster", post_all, &posters[i]));
    }
    for (int left = POSTERS * MAILS_EACH; left > 0;) {
        for (struct mail *mail = mailbox_wait(&box, -1); mail; mail = mail->next, left--) {
            struct parcel *parcel = MAIL_OF(mail, struct parcel, mail);
            EQ(parcel->number, next[parcel->poster]);
            next[parcel->poster]++;
        }
    }
    for (int i = 0; i < POSTERS; i++) {
        thread_join(&posters[i].thread);
        free(posters[i].parcels);
    }
    EQ(mailbox_depth(&box), 0);
}

struct answerer {
    struct mailbox in, out;
    int rounds;
};

/* Each side sleeps until the other posts, so a lost wake-up would hang here. */
static void answer(void *context)
{
    struct answerer *answerer = context;
    for (int i = 0; i < answerer->rounds; i++)
        mailbox_post(&answerer->out, mailbox_wait(&answerer->in, -1));
}

TEST(mailbox, never_sleeps_through_a_post)
{
    struct op op;
    struct thread thread;
    struct answerer answerer = { .rounds = 20000 };
    struct mail mail;
    op_init(&op, NULL, 0);
    mailbox_init(&answerer.in, 1, NULL, NULL);
    mailbox_init(&answerer.out, 1, NULL, NULL);
    SUCCEEDS(&op, thread_start(&op, &thread, "answerer", answer, &answerer));
    for (int i = 0; i < answerer.rounds; i++) {
        YES(mailbox_post(&answerer.in, &mail));
        YES(mailbox_wait(&answerer.out, -1) == &mail);
    }
    thread_join(&thread);
}
