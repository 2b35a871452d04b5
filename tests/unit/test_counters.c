/* The counter map, id by id: look-up, growth, the cap, lanes. */
#include "aggregator/counters.h"
#include "common/allowance.h"
#include "common/pressure.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct hash_key key = {1, 2};

static struct counter *add(struct counters *counters, unsigned lane, const char *id, uint64_t n)
{
    return counters_add(counters, lane, (const uint8_t *)id, strlen(id), n);
}

/* The counter, by adding what need not be taken off again. */
static struct counter *get(struct counters *counters, const char *id)
{
    return counters_add(counters, 0, (const uint8_t *)id, strlen(id), 1);
}

static void get_same_id_same_counter(void **state)
{
    struct counters *counters = counters_create(&key, 10);
    struct counter *a = get(counters, "a");
    size_t length;

    (void)state;
    assert_ptr_equal(get(counters, "a"), a);
    assert_ptr_not_equal(get(counters, "b"), a);
    assert_ptr_not_equal(counters_add(counters, 0, (const uint8_t *)"a\0", 2, 1), a);
    assert_memory_equal(counter_id(a, &length), "a", 1);
    assert_int_equal(length, 1);
    assert_int_equal(counters_count(counters), 3);
    counters_destroy(counters);
}

static void get_many_ids_survives_growth(void **state)
{
    enum { N = 100000 };
    struct counters *counters = counters_create(&key, N);
    struct counter **found = calloc(N, sizeof *found);
    char id[32];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(id, sizeof id, "device-%d", i);
        found[i] = get(counters, id);
    }
    for (int i = 0; i < N; i++) {
        snprintf(id, sizeof id, "device-%d", i);
        assert_ptr_equal(get(counters, id), found[i]);
    }
    assert_int_equal(counters_count(counters), N);
    free(found);
    counters_destroy(counters);
}

static void bytes_grow_with_counters_and_ids(void **state)
{
    enum { N = 100000, LENGTH = 40 };
    struct counters *counters = counters_create(&key, N);
    size_t before = counters_bytes(counters), each;
    char id[LENGTH + 1];

    (void)state;
    for (int i = 0; i < N; i++) {
        snprintf(id, sizeof id, "%0*d", LENGTH, i);
        get(counters, id);
    }
    each = (counters_bytes(counters) - before) / N;
    assert_in_range(each, 34 + LENGTH + 8, 34 + LENGTH + 7 + 32); /* the index may be growing */
    get(counters, id);
    assert_int_equal((counters_bytes(counters) - before) / N, each);
    counters_destroy(counters);
}

static void get_past_cap_returns_overflow(void **state)
{
    struct counters *counters = counters_create(&key, 2);
    struct counter *a = get(counters, "a"), *b = get(counters, "b"), *c = get(counters, "c");
    const uint8_t *id;
    size_t length;

    (void)state;
    assert_false(counters_is_overflow(counters, a));
    assert_false(counters_is_overflow(counters, b));
    assert_true(counters_is_overflow(counters, c));
    assert_ptr_equal(get(counters, "d"), c);
    assert_ptr_equal(get(counters, "b"), b);
    assert_ptr_equal(get(counters, COUNTERS_OVERFLOW_ID), c);
    id = counter_id(c, &length);
    assert_int_equal(length, strlen(COUNTERS_OVERFLOW_ID));
    assert_memory_equal(id, COUNTERS_OVERFLOW_ID, length);
    assert_int_equal(counters_count(counters), 2);
    counters_destroy(counters);
}

/* Whoever calls a device so is no reason to say that the map is full. */
static void get_by_the_overflow_name_is_a_device(void **state)
{
    struct counters *counters = counters_create(&key, 2);
    struct counter *named = get(counters, COUNTERS_OVERFLOW_ID), *overflow;

    (void)state;
    assert_false(counters_is_overflow(counters, named));
    get(counters, "a");
    overflow = get(counters, "b");
    assert_true(counters_is_overflow(counters, overflow));
    assert_ptr_equal(get(counters, COUNTERS_OVERFLOW_ID), named);
    assert_int_equal(counters_count(counters), 2);
    counters_destroy(counters);
}

static void pop_returns_each_dirty_counter_once(void **state)
{
    struct counters *counters = counters_create(&key, 10);
    struct counter *a, *b, *first, *second;
    uint64_t n, m;

    (void)state;
    assert_null(counters_pop(counters, 0, &n));
    a = add(counters, 0, "a", 1);
    b = add(counters, 0, "b", 5);
    assert_ptr_equal(add(counters, 0, "a", 2), a);
    add(counters, 1, "a", 7);
    first = counters_pop(counters, 0, &n);
    second = counters_pop(counters, 0, &m);
    assert_true((first == a && n == 3 && second == b && m == 5) ||
                (first == b && n == 5 && second == a && m == 3));
    assert_null(counters_pop(counters, 0, &n));
    assert_ptr_equal(counters_pop(counters, 1, &n), a);
    assert_int_equal(n, 7);
    add(counters, 0, "a", 4); /* a counter that was popped can be listed again */
    assert_ptr_equal(counters_pop(counters, 0, &n), a);
    assert_int_equal(n, 4);
    counters_destroy(counters);
}

static void add_while_memory_is_full_makes_no_counter(void **state)
{
    struct pressure pressure = {.level = PRESSURE_FULL};
    struct counters *counters = counters_create(&key, 10);
    struct counter *known, *overflow;

    (void)state;
    known = counters_add(counters, 0, (const uint8_t *)"known", 5, 1);
    counters_heed(counters, &pressure);
    overflow = counters_add(counters, 0, (const uint8_t *)"new", 3, 1);
    assert_true(counters_is_overflow(counters, overflow));
    assert_ptr_equal(counters_add(counters, 0, (const uint8_t *)"known", 5, 1), known);
    atomic_store(&pressure.level, PRESSURE_TIGHT);
    assert_false(
        counters_is_overflow(counters, counters_add(counters, 0, (const uint8_t *)"new", 3, 1)));
    counters_destroy(counters);
}

/* A device that comes in through several workers is one device. */
static void add_in_several_maps_takes_a_device_once(void **state)
{
    struct counters *maps[2] = {counters_create(&key, 10), counters_create(&key, 10)};
    struct allowance allowance;

    (void)state;
    allowance_init(&allowance, 2);
    for (int i = 0; i < 2; i++) {
        counters_allow(maps[i], &allowance);
        assert_false(counters_is_overflow(maps[i], get(maps[i], "a")));
        assert_false(counters_is_overflow(maps[i], get(maps[i], "b")));
        assert_true(counters_is_overflow(maps[i], get(maps[i], "c")));
        assert_int_equal(allowance.taken, 2);
        counters_allow(maps[i], NULL);
        assert_false(counters_is_overflow(maps[i], get(maps[i], "c")));
        counters_destroy(maps[i]);
    }
    allowance_fini(&allowance);
}

static void destroy_null_does_nothing(void **state)
{
    (void)state;
    counters_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(get_same_id_same_counter),
        cmocka_unit_test(get_many_ids_survives_growth),
        cmocka_unit_test(bytes_grow_with_counters_and_ids),
        cmocka_unit_test(get_past_cap_returns_overflow),
        cmocka_unit_test(get_by_the_overflow_name_is_a_device),
        cmocka_unit_test(pop_returns_each_dirty_counter_once),
        cmocka_unit_test(add_while_memory_is_full_makes_no_counter),
        cmocka_unit_test(add_in_several_maps_takes_a_device_once),
        cmocka_unit_test(destroy_null_does_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
