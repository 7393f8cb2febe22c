#include "test.h"

#include "base/id.h"

#define NOW_MS INT64_C(1795287600123)

TEST(id, carries_time_and_number_and_gives_them_back)
{
    static const uint64_t numbers[] = { 0, 1, 31, 32, 1000000, UINT64_MAX - 1, UINT64_MAX };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        char text[ID_TEXT_BYTES];
        int64_t ms = -1;
        uint64_t number = 7;
        struct str id = id_make(NOW_MS, numbers[i], text);
        EQ(id.n, 23);
        EQ(text[23], 0);
        YES(id_parse(id, &ms, &number));
        EQ(ms, NOW_MS);
        YES(number == numbers[i]);
    }
}

TEST(id, has_one_fixed_spelling)
{
    char text[ID_TEXT_BYTES];
    STR_EQ(id_make(0, 0, text), "00000000000000000000000");
    STR_EQ(id_make(1, 32, text), "00000000010000000000010");
    STR_EQ(id_make((INT64_C(1) << 48) - 1, UINT64_MAX, text), "7zzzzzzzzzfzzzzzzzzzzzz");
}

TEST(id, sorts_by_time_then_by_number)
{
    char earlier[ID_TEXT_BYTES], later[ID_TEXT_BYTES];
    YES(str_cmp(id_make(NOW_MS, UINT64_MAX, earlier), id_make(NOW_MS + 1, 0, later)) < 0);
    for (uint64_t number = 1; number < 5000; number += 7)
        YES(str_cmp(id_make(NOW_MS, number - 1, earlier), id_make(NOW_MS, number, later)) < 0);
    YES(str_cmp(id_make(NOW_MS, INT64_MAX, earlier), id_make(NOW_MS, UINT64_C(1) << 63, later)) < 0);
}

TEST(id, refuses_text_it_did_not_make)
{
    static const char *const bad[] = {
        "",
        "0000000000000000000000",   /* one short */
        "000000000000000000000000", /* one long */
        "0000000000000000000000I",  /* not of the alphabet */
        "0000000000000000000000l",
        "0000000000000000000000A",
        "80000000000000000000000", /* more than 48 bits */
        "0000000000g000000000000", /* more than 64 bits */
        "0000000000 000000000000",
    };
    int64_t ms = 7;
    uint64_t number = 7;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        NO(id_parse(str_of(bad[i]), &ms, &number));
    NO(id_parse((struct str){ NULL, 0 }, &ms, &number));
    EQ(ms, 7);
    EQ(number, 7);
}
