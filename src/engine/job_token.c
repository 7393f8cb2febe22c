#include "engine/job_token.h"

#include "engine/jobs_own.h"

#define WORDS       3
#define WORD_DIGITS 11 /* of 6 bits each */

struct job_lease job_lease_of(struct tx *tx, const struct job_out *job)
{
    return (struct job_lease){ job->id, job->lease, jobs_hash(jobs_of(tx), job->jid) };
}

struct str job_token(const struct job_lease *lease, char ret_text[LEASE_TOKEN_BYTES])
{
    static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_";
    uint64_t words[WORDS] = { lease->id, lease->number, lease->jid_hash };
    size_t n = 0;
    for (int w = 0; w < WORDS; w++)
        for (int i = 0; i < WORD_DIGITS; i++)
            ret_text[n++] = digits[words[w] >> (6 * i) & 63];
    ret_text[n] = '\0';
    return (struct str){ ret_text, n };
}

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'Z')
        return c - 'A' + 36;
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

bool job_token_parse(struct str text, struct job_lease *ret)
{
    uint64_t words[WORDS] = { 0 };
    if (text.n != WORDS * WORD_DIGITS)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        int digit = digit_of(text.p[i]);
        if (digit < 0)
            return false;
        words[i / WORD_DIGITS] |= (uint64_t)digit << (6 * (i % WORD_DIGITS));
    }
    *ret = (struct job_lease){ words[0], words[1], words[2] };
    return true;
}
