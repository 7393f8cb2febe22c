#include "base/id.h"

#include <assert.h>

#define TIME_DIGITS   10
#define NUMBER_DIGITS 13

static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";

static void put(char *to, uint64_t value, int width)
{
    for (int i = width - 1; i >= 0; i--, value >>= 5)
        to[i] = digits[value & 31];
}

struct str id_make(int64_t now_ms, uint64_t number, char ret_text[ID_TEXT_BYTES])
{
    assert(now_ms >= 0 && now_ms < INT64_C(1) << 48);
    put(ret_text, (uint64_t)now_ms, TIME_DIGITS);
    put(ret_text + TIME_DIGITS, number, NUMBER_DIGITS);
    ret_text[TIME_DIGITS + NUMBER_DIGITS] = '\0';
    return (struct str){ ret_text, TIME_DIGITS + NUMBER_DIGITS };
}

/* Value + 1 of each digit; 0 for bytes that are none. */
static const unsigned char values[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['g'] = 17, ['h'] = 18, ['j'] = 19, ['k'] = 20, ['m'] = 21, ['n'] = 22, ['p'] = 23, ['q'] = 24,
    ['r'] = 25, ['s'] = 26, ['t'] = 27, ['v'] = 28, ['w'] = 29, ['x'] = 30, ['y'] = 31, ['z'] = 32,
};

/* Digits as a number of at most `bits` bits: one value has one spelling. */
static bool get(const char *from, int width, int bits, uint64_t *ret)
{
    uint64_t value = 0;
    for (int i = 0; i < width; i++) {
        int digit = values[(unsigned char)from[i]] - 1;
        if (digit < 0 || (i == 0 && digit >> (bits - 5 * (width - 1))) != 0)
            return false;
        value = value << 5 | (uint64_t)digit;
    }
    *ret = value;
    return true;
}

bool id_parse(struct str text, int64_t *ret_ms, uint64_t *ret_number)
{
    uint64_t ms, number;
    if (text.n != TIME_DIGITS + NUMBER_DIGITS || !get(text.p, TIME_DIGITS, 48, &ms) ||
        !get(text.p + TIME_DIGITS, NUMBER_DIGITS, 64, &number))
        return false;
    *ret_ms = (int64_t)ms;
    *ret_number = number;
    return true;
}
