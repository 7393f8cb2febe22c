#include "engine/classify.h"
#include "test.h"

#define S_US 1000000
#define T0   (1700000000LL * S_US)

static struct touch click(int64_t at_us, uint32_t link, int64_t client)
{
    return (struct touch){ .kind = TOUCH_CLICK, .at_us = at_us, .link_no = link, .client = client };
}

static struct touch open_by(int64_t at_us, int64_t client)
{
    return (struct touch){ .kind = TOUCH_OPEN, .at_us = at_us, .client = client };
}

TEST(classify, takes_one_strong_bit_or_two_weak_ones_for_a_machine)
{
    NO(classify_is_machine(0));
    YES(classify_is_machine(BIT_PROVIDER));
    YES(classify_is_machine(BIT_MAIL_PROXY));
    NO(classify_is_machine(BIT_IMAGE_PROXY));
    NO(classify_is_machine(BIT_SOON));
    YES(classify_is_machine(BIT_IMAGE_PROXY | BIT_SOON));
}

TEST(classify, three_links_within_two_seconds_inclusive_are_a_burst)
{
    struct touch touches[] = { click(T0, 1, 7), click(T0 + S_US, 2, 7), click(T0 + 2 * S_US, 3, 7) };
    EQ(classify_touches(touches, 3, INT64_MIN), 3);
    for (int i = 0; i < 3; i++)
        EQ(touches[i].bits, BIT_BURST);
}

TEST(classify, a_microsecond_more_than_two_seconds_is_no_burst)
{
    struct touch touches[] = { click(T0, 1, 7), click(T0 + S_US, 2, 7), click(T0 + 2 * S_US + 1, 3, 7) };
    EQ(classify_touches(touches, 3, INT64_MIN), 0);
}

TEST(classify, the_same_link_three_times_is_a_person)
{
    struct touch touches[] = { click(T0, 1, 7), click(T0 + 1, 1, 7), click(T0 + 2, 1, 7), click(T0 + 3, 2, 7) };
    EQ(classify_touches(touches, 4, INT64_MIN), 0);
}

TEST(classify, two_clients_and_an_unknown_one_make_no_burst_together)
{
    struct touch touches[] = { click(T0, 1, 7), click(T0, 2, 8), click(T0, 3, 7),
                               click(T0, 4, 0), click(T0, 5, 0), click(T0, 6, 0) };
    EQ(classify_touches(touches, 6, INT64_MIN), 0);
}

TEST(classify, a_burst_takes_the_opens_of_its_client_from_sixty_seconds_before)
{
    struct touch touches[] = { open_by(T0 - 60 * S_US, 7),
                               open_by(T0 - 60 * S_US - 1, 7),
                               open_by(T0 - 1, 8),
                               click(T0, 1, 7),
                               click(T0, 2, 7),
                               click(T0, 3, 7),
                               open_by(T0 + 1, 7) };
    EQ(classify_touches(touches, 7, INT64_MIN), 4);
    EQ(touches[0].bits, BIT_BURST);
    EQ(touches[1].bits, 0);
    EQ(touches[2].bits, 0);
    EQ(touches[6].bits, 0);
}

TEST(classify, soon_is_less_than_ten_seconds_after_delivery)
{
    struct touch touches[] = { open_by(T0 + 10 * S_US - 1, 1), open_by(T0 + 10 * S_US, 1) };
    EQ(classify_touches(touches, 2, T0), 1);
    EQ(touches[0].bits, BIT_SOON);
    EQ(touches[1].bits, 0);
    EQ(classify_touches(touches, 2, INT64_MIN), 1); /* delivery not known after all: taken back */
    EQ(touches[0].bits, 0);
}

TEST(classify, gives_the_same_bits_in_whatever_order_touches_came)
{
    struct touch forth[] = { open_by(T0 - S_US, 7), click(T0, 1, 7), click(T0 + S_US, 2, 7), click(T0 + 2 * S_US, 3, 7),
                             click(T0 + 3 * S_US, 1, 7) };
    struct touch back[5];
    for (int i = 0; i < 5; i++)
        back[i] = forth[4 - i];
    classify_touches(forth, 5, T0 - 9 * S_US);
    classify_touches(back, 5, T0 - 9 * S_US);
    for (int i = 0; i < 5; i++)
        EQ(forth[i].bits, back[4 - i].bits);
}
