#include "test.h"

#include "engine/provider_event.h"

#define DAY_US INT64_C(86400000000)

static const uint8_t key[16] = "fifteen letters";

static struct provider_event opened(void)
{
    return (struct provider_event){
        .kind = EVENT_OPENED,
        .type = "opened",
        .at_us = 20000 * DAY_US + 5,
        .is_reported = true,
        .event_id = S("k3Zp91vQ"),
        .provider_message_id = S("1@mg.example"),
        .folded = S("jo@x.org"),
        .code = EVENT_CODE_NONE,
    };
}

static bool same_key(struct provider_event a, struct provider_event b)
{
    provider_event_key(&a, key, S("src"));
    provider_event_key(&b, key, S("src"));
    return a.day == b.day && a.key[0] == b.key[0] && a.key[1] == b.key[1];
}

TEST(event_key, is_the_same_for_an_id_however_the_rest_differs)
{
    struct provider_event a = opened(), b = opened();
    b.folded = S("other@x.org");
    b.provider_message_id = str_of(NULL);
    b.at_us += DAY_US - 6; /* the last microsecond of the day */
    YES(same_key(a, b));
}

TEST(event_key, differs_by_type_day_id_and_source)
{
    struct provider_event a = opened(), b = opened();
    b.type = "clicked";
    NO(same_key(a, b));
    b = opened();
    b.at_us += DAY_US;
    NO(same_key(a, b));
    b = opened();
    b.event_id = S("k3Zp91vR");
    NO(same_key(a, b));
    b = opened();
    provider_event_key(&a, key, S("src"));
    provider_event_key(&b, key, S("src2"));
    NO(a.key[0] == b.key[0]);
}

TEST(event_key, takes_all_that_is_known_where_there_is_no_id)
{
    struct provider_event a = opened(), b;
    a.event_id = str_of(NULL);
    b = a;
    YES(same_key(a, b));
    b.at_us++;
    NO(same_key(a, b));
    b = a;
    b.folded = S("mo@x.org");
    NO(same_key(a, b));
    b = a;
    b.provider_message_id = S("2@mg.example");
    NO(same_key(a, b));
    b = a;
    b.mailing = S("m-1");
    NO(same_key(a, b));
    b = a;
    b.code = 550;
    NO(same_key(a, b));
    b = a;
    b.enhanced = S("5.1.1");
    NO(same_key(a, b));
    b = a;
    b.event_id = S("");
    YES(same_key(a, b));
}

TEST(event_key, leaves_our_receive_time_out_where_none_was_reported)
{
    struct provider_event a = opened(), b;
    a.event_id = str_of(NULL);
    a.is_reported = false;
    b = a;
    b.at_us += 1000;
    YES(same_key(a, b));
    b.is_reported = true;
    NO(same_key(a, b));
}

TEST(event_key, gives_instants_before_1970_the_day_they_lie_in)
{
    struct provider_event event = opened();
    event.at_us = -1;
    provider_event_key(&event, key, S("src"));
    EQ(event.day, -1);
    event.at_us = 0;
    provider_event_key(&event, key, S("src"));
    EQ(event.day, 0);
}

TEST(event, has_names_for_results_and_kinds)
{
    STR_EQ(str_of(event_result_name(RESULT_APPLIED)), "applied");
    STR_EQ(str_of(event_result_name(RESULT_MALFORMED)), "malformed");
    STR_EQ(str_of(event_kind_name(EVENT_GAVE_UP)), "gave_up");
    STR_EQ(str_of(event_kind_name(EVENT_SUPPRESSED)), "suppressed");
}
