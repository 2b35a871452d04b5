/* The orders by count and by gain against qsort(), with counts of every size and many equal ones.
 */
#include "common/compiler.h"
#include "http/count_order.h"
#include "http/snapshot_entry.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

#define MOST   4000
#define ROUNDS 60
#define ROOM   50

static struct snapshot_entry entries[MOST];

static int by_number(int64_t a, int64_t b, uint32_t a_index, uint32_t b_index)
{
    return a != b ? (a < b) - (a > b) : (a_index > b_index) - (a_index < b_index);
}

static int by_count(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return by_number(entries[left].count, entries[right].count, left, right);
}

static int by_gain(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;

    return by_number(entries[left].gained, entries[right].gained, left, right);
}

/* A number of up to `bits` bits, of either sign, and now and then the largest or the smallest. */
static int64_t draw(uint64_t *random, unsigned bits)
{
    uint64_t number = random_next(random);

    if (bits == 64 && number % 16 < 2)
        return number % 16 ? INT64_MAX : INT64_MIN;
    number &= bits == 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
    return (int64_t)(random_below(random, 3) ? number : 0 - number);
}

static void fill(size_t length, uint64_t *random, unsigned bits)
{
    for (size_t i = 0; i < length; i++) {
        entries[i].count = draw(random, bits);
        entries[i].gained = draw(random, bits);
    }
}

static void assert_orders(size_t length, size_t room)
{
    static uint32_t found[MOST], expected[MOST];
    size_t gained, n = 0;

    for (uint32_t i = 0; i < length; i++)
        expected[i] = i;
    qsort(expected, length, sizeof *expected, by_count);
    assert_int_equal(count_order(entries, length, found), 0);
    assert_memory_equal(found, expected, length * sizeof *found);

    for (uint32_t i = 0; i < length; i++)
        if (entries[i].gained > 0)
            expected[n++] = i;
    qsort(expected, n, sizeof *expected, by_gain);
    gained = count_order_gained(entries, length, found, room);
    assert_int_equal(gained, n < room ? n : room);
    assert_memory_equal(found, expected, gained * sizeof *found);
}

static void order_random_counts_agrees_with_qsort(void **state)
{
    static const unsigned bits[] = {0, 1, 8, 12, 23, 34, 63, 64};
    uint64_t random = 11;

    (void)state;
    for (size_t round = 0; round < ROUNDS; round++) {
        size_t length = random_below(&random, round % 2 ? MOST : 2 * ROOM);

        fill(length, &random, bits[round % ARRAY_LENGTH(bits)]);
        assert_orders(length, round % 5 ? ROOM : MOST);
    }
}

/* The gains that a heap likes least: each is larger, or smaller, than the one before. */
static void order_sorted_gains_agrees_with_qsort(void **state)
{
    (void)state;
    for (int64_t sign = -1; sign <= 1; sign += 2) {
        for (int64_t i = 0; i < MOST; i++) {
            entries[i].count = sign * i;
            entries[i].gained = MOST / 2 + sign * i;
        }
        assert_orders(MOST, ROOM);
    }
}

static void order_of_none_is_empty(void **state)
{
    (void)state;
    assert_int_equal(count_order(entries, 0, NULL), 0);
    assert_int_equal(count_order_gained(entries, 0, NULL, ROOM), 0);
    entries[0].gained = 1;
    assert_int_equal(count_order_gained(entries, 1, NULL, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_random_counts_agrees_with_qsort),
        cmocka_unit_test(order_sorted_gains_agrees_with_qsort),
        cmocka_unit_test(order_of_none_is_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
