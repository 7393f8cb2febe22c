#include "base/crc32c.h"
#include "test.h"

#define LONGEST 200

TEST(crc32c, gives_the_published_results)
{
    static const uint8_t zeros[32];
    uint8_t ones[32], counting[32];
    memset(ones, 0xff, sizeof ones);
    for (size_t i = 0; i < sizeof counting; i++)
        counting[i] = (uint8_t)i;
    EQ(crc32c("123456789", 9), 0xe3069283u);
    EQ(crc32c(zeros, sizeof zeros), 0x8a9136aau); /* RFC 3720, appendix B.4 */
    EQ(crc32c(ones, sizeof ones), 0x62a8ab43u);
    EQ(crc32c(counting, sizeof counting), 0x46dd794eu);
    EQ(crc32c("", 0), 0);
}

TEST(crc32c, is_the_same_by_table_at_every_length_and_place)
{
    uint8_t bytes[LONGEST + 8];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 167 + 13);
    for (size_t at = 0; at < 8; at++)
        for (size_t n = 0; n <= LONGEST; n++)
            EQ(crc32c(bytes + at, n), crc32c_by_table(bytes + at, n));
}
