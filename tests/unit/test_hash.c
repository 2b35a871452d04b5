/* The hash of device ids: a function of the bytes and the key alone, and well spread. */
#include "common/compiler.h"
#include "common/hash.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hash_key key = {0x0123456789abcdefu, 0xfedcba9876543210u};

#define LONGEST 70 /* past four rounds of 16 bytes */

static void bytes_same_at_any_alignment_hash_the_same(void **state)
{
    uint8_t text[LONGEST], moved[LONGEST + 8];

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 37 + 1);
    for (size_t length = 0; length <= sizeof text; length++) {
        uint64_t hash = hash_bytes(&key, text, length);

        for (size_t shift = 0; shift < 8; shift++) {
            memset(moved, 0xee, sizeof moved); /* what lies around must not matter */
            memcpy(moved + shift, text, length);
            assert_int_equal(hash_bytes(&key, moved + shift, length), hash);
        }
    }
}

/* A copy of exactly the right size: a sanitizer sees a read past it. */
static void bytes_at_the_end_of_a_block_are_not_passed(void **state)
{
    (void)state;
    for (size_t length = 1; length <= LONGEST; length++) {
        uint8_t *exact = calloc(1, length);

        assert_non_null(exact);
        assert_int_equal(hash_bytes(&key, exact, length), hash_bytes(&key, exact, length));
        free(exact);
    }
}

static void bytes_of_each_length_hash_differently(void **state)
{
    static const uint8_t zeros[LONGEST];

    (void)state;
    for (size_t a = 0; a <= sizeof zeros; a++) {
        for (size_t b = 0; b < a; b++)
            assert_int_not_equal(hash_bytes(&key, zeros, a), hash_bytes(&key, zeros, b));
    }
}

static void bytes_under_another_key_hash_differently(void **state)
{
    const struct hash_key keys[] = {{key.a ^ 1, key.b}, {key.a, key.b ^ 1}, {key.b, key.a}};
    static const char *const ids[] = {
        "", "a", "pump", "pump-017", "pump-0000000000017", "a much longer name of a device"};

    (void)state;
    for (size_t k = 0; k < ARRAY_LENGTH(keys); k++) {
        for (size_t i = 0; i < ARRAY_LENGTH(ids); i++)
            assert_int_not_equal(hash_bytes(&key, ids[i], strlen(ids[i])),
                                 hash_bytes(&keys[k], ids[i], strlen(ids[i])));
    }
}

/* Each bit of the input should turn each bit of the hash half of the time. */
static void bytes_with_one_bit_flipped_turn_half_the_hash(void **state)
{
    (void)state;
    for (size_t length = 1; length <= 40; length++) {
        uint8_t text[40] = "device-";
        unsigned turned = 0;

        for (size_t bit = 0; bit < length * 8; bit++) {
            uint64_t before = hash_bytes(&key, text, length);

            text[bit / 8] ^= (uint8_t)(1u << bit % 8);
            turned += (unsigned)__builtin_popcountll(before ^ hash_bytes(&key, text, length));
            text[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
        assert_in_range(turned / (length * 8), 24, 40);
    }
}

/* Hash flooding: who knew the key of one process could make ids that all fall into one bucket of
 * its index. The key of the next process, drawn at random as all are (server.c), spreads them. */
static void ids_that_collide_under_one_key_spread_under_another(void **state)
{
    enum { COLLIDING = 512, BITS = 10, SIZE = 1 << BITS };
    static const struct hash_key others[] = {{1, 2},
                                             {0x0123456789abcdeeu, 0xfedcba9876543210u},
                                             {0x853c49e6748fea9bu, 0xda3e39cb94b95bdbu}};
    unsigned buckets[ARRAY_LENGTH(others)][SIZE] = {{0}};
    unsigned found = 0;

    (void)state;
    for (unsigned i = 0; found < COLLIDING; i++) {
        char id[32];
        size_t length = (size_t)snprintf(id, sizeof id, "dev-%u", i);

        if (hash_bytes(&key, id, length) % SIZE != 0)
            continue;
        found++;
        for (size_t k = 0; k < ARRAY_LENGTH(others); k++)
            buckets[k][hash_bytes(&others[k], id, length) % SIZE]++;
    }
    for (size_t k = 0; k < ARRAY_LENGTH(others); k++) {
        for (unsigned b = 0; b < SIZE; b++)
            assert_in_range(buckets[k][b], 0, 8); /* 9 of 512 in one of 1,024: 1 in 10^7 */
    }
}

/* Chi-squared over 2^12 buckets of 2^18 ids. For 4095 degrees of freedom its mean is 4095 and its
 * standard deviation 90.5; six of these to either side leave a good hash no chance to fail. */
#define BUCKET_BITS 12
#define BUCKETS     (1u << BUCKET_BITS)
#define IDS         (1u << 18)

static void check_spread(const char *format, unsigned shift)
{
    unsigned *buckets = calloc(BUCKETS, sizeof *buckets);
    double expected = (double)IDS / BUCKETS, chi_squared = 0;

    assert_non_null(buckets);
    for (unsigned i = 0; i < IDS; i++) {
        char id[64];
        int length = snprintf(id, sizeof id, format, i);

        buckets[hash_bytes(&key, id, (size_t)length) >> shift & (BUCKETS - 1)]++;
    }
    for (unsigned i = 0; i < BUCKETS; i++)
        chi_squared += (buckets[i] - expected) * (buckets[i] - expected) / expected;
    free(buckets);
    if (chi_squared < BUCKETS - 6 * 91 || chi_squared > BUCKETS + 6 * 91)
        fail_msg("\"%s\", bits from %u: chi-squared %.0f", format, shift, chi_squared);
}

static void bytes_of_sequential_ids_spread_evenly(void **state)
{
    static const char *const formats[] = {"%u", "dev-%07u", "%07u.sensors.example.net",
                                          "a-plant/line-04/%u"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(formats); i++) {
        check_spread(formats[i], 0);
        check_spread(formats[i], 26);
        check_spread(formats[i], 64 - BUCKET_BITS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_same_at_any_alignment_hash_the_same),
        cmocka_unit_test(bytes_at_the_end_of_a_block_are_not_passed),
        cmocka_unit_test(bytes_of_each_length_hash_differently),
        cmocka_unit_test(bytes_under_another_key_hash_differently),
        cmocka_unit_test(bytes_with_one_bit_flipped_turn_half_the_hash),
        cmocka_unit_test(ids_that_collide_under_one_key_spread_under_another),
        cmocka_unit_test(bytes_of_sequential_ids_spread_evenly),
    };

    return cmocka_run_group_tests_name("hash", tests, NULL, NULL);
}
