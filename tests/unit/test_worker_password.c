#include "test.h"

#include "serve/worker_password.h"

static struct str hashed(const char *password, const char *salt, int iterations)
{
    static char hex[PASSWORD_HASH_BYTES];
    password_hash(str_of(password), str_of(salt), iterations, hex);
    return (struct str){ hex, sizeof hex };
}

TEST(worker_password, is_hashed_with_its_salt_as_often_as_the_greeting_says)
{
    STR_EQ(hashed("posthouse", "a1b2c3d4e5f60718", 1),
           "6cd6ddd31ff1ff395e2967577afa426c94e7bfd53de3ec41bdee6dccbf9cb0b8");
    STR_EQ(hashed("posthouse", "a1b2c3d4e5f60718", 2),
           "813576e2d33001713becaf6199758921f62f87a253908be8026a85fc2c708fa6");
    STR_EQ(hashed("posthouse", "a1b2c3d4e5f60718", 5000),
           "5ce1aec43fbb0f1b2b3d6ec3da45b81d0bcac092d7297933de99a7702af5633e");
    STR_EQ(hashed("p@ss w\xc3\xb6rd", "7f", 4096), "6cc50a623c3f6e8943258ed211e8991eafb033f4245204b28bfc3e62189acafb");
}

TEST(worker_password, each_connection_gets_its_own_challenge)
{
    struct challenge a, b;
    challenge_make(&a);
    challenge_make(&b);
    EQ(strlen(a.salt), 16);
    NE(strcmp(a.salt, b.salt), 0);
    for (int i = 0; i < 1000; i++) {
        challenge_make(&a);
        YES(a.iterations >= PASSWORD_ITERATIONS_MIN && a.iterations <= PASSWORD_ITERATIONS_MAX);
    }
}

TEST(worker_password, old_clients_hash_once)
{
    struct challenge challenge = { .iterations = 5000, .salt = "a1b2c3d4e5f60718" };
    struct str once = S("6cd6ddd31ff1ff395e2967577afa426c94e7bfd53de3ec41bdee6dccbf9cb0b8");
    struct str often = S("5ce1aec43fbb0f1b2b3d6ec3da45b81d0bcac092d7297933de99a7702af5633e");
    YES(challenge_is_met(&challenge, S("posthouse"), 2, often));
    NO(challenge_is_met(&challenge, S("posthouse"), 2, once));
    YES(challenge_is_met(&challenge, S("posthouse"), 0, once));
    YES(challenge_is_met(&challenge, S("posthouse"), 1, once));
    NO(challenge_is_met(&challenge, S("posthouse"), 2, S("")));
    NO(challenge_is_met(&challenge, S("posthous"), 2, often));
}

TEST(worker_password, wrong_answers_of_an_address_are_told_later_and_later)
{
    static struct wrong_answers wrong;
    struct op op;
    struct addr one, other;
    op_init(&op, NULL, 0);
    SUCCEEDS(&op, addr_parse(&op, S("192.0.2.1:1"), &one));
    SUCCEEDS(&op, addr_parse(&op, S("192.0.2.77:1"), &other));
    int64_t expected[] = { 100, 200, 400, 800, 1600, 2000, 2000 };
    for (int i = 0; i < 7; i++)
        EQ(wrong_answers_note(&wrong, &one, 1000 + i), expected[i]);
    EQ(wrong_answers_note(&wrong, &other, 1010), 100);
    EQ(wrong_answers_note(&wrong, &one, 1006 + PASSWORD_FORGET_MS), 100);
}
