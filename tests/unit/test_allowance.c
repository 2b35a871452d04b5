/* Allowances: taken once a device, whoever asks, and never past the limit. */
#include "common/allowance.h"
#include "tests/unit/unit.h"

#include <pthread.h>

enum { THREADS = 4, DEVICES = 20000, ROUNDS = 5 };

/* As good as a hash: different for different devices, its bits well mixed. */
static uint64_t hash_of(uint64_t device)
{
    uint64_t x = (device + 1) * UINT64_C(0x9e3779b97f4a7c15);

    x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
    return x ^ x >> 31;
}

static void take_null_has_no_limit(void **state)
{
    (void)state;
    assert_true(allowance_take(NULL, 1));
}

static void take_again_is_free(void **state)
{
    struct allowance allowance;

    (void)state;
    allowance_init(&allowance, 2);
    for (int i = 0; i < 3; i++) {
        assert_true(allowance_take(&allowance, 0)); /* a hash like any other, but for 1 */
        assert_true(allowance_take(&allowance, UINT64_MAX));
        assert_false(allowance_take(&allowance, 7));
        assert_int_equal(allowance.taken, 2);
    }
    atomic_store(&allowance.limit, 3);
    assert_true(allowance_take(&allowance, 7));
    atomic_store(&allowance.limit, 1);
    assert_false(allowance_take(&allowance, 8));
    assert_true(allowance_take(&allowance, 7)); /* what was made stays */
    assert_int_equal(allowance.taken, 3);
    allowance_fini(&allowance);
}

static void take_many_remembers_each(void **state)
{
    enum { MANY = 300000 };
    struct allowance allowance;

    (void)state;
    allowance_init(&allowance, MANY);
    for (int round = 0; round < 2; round++) {
        for (uint64_t i = 0; i < MANY; i++)
            assert_true(allowance_take(&allowance, hash_of(i)));
        assert_int_equal(allowance.taken, MANY);
    }
    for (uint64_t i = MANY; i < MANY + 1000; i++)
        assert_false(allowance_take(&allowance, hash_of(i)));
    allowance_fini(&allowance);
}

/* However badly they hash: all in the same bucket of every part. */
static void take_hashes_of_one_bucket_remembers_each(void **state)
{
    struct allowance allowance;

    (void)state;
    allowance_init(&allowance, 32); /* so that the parts stay small */
    for (uint64_t i = 1; i <= 32; i++)
        assert_true(allowance_take(&allowance, i << 40));
    for (uint64_t i = 1; i <= 32; i++)
        assert_true(allowance_take(&allowance, i << 40));
    assert_false(allowance_take(&allowance, UINT64_C(33) << 40));
    assert_int_equal(allowance.taken, 32);
    allowance_fini(&allowance);
}

/* ---- Torture -------------------------------------------------------------------------------- */

struct torture {
    struct allowance *allowance;
    pthread_barrier_t *barrier;
    uint64_t start; /* each begins with another device, or all with the same one */
    uint64_t granted;
};

static void *take_all(void *argument)
{
    struct torture *torture = argument;

    pthread_barrier_wait(torture->barrier);
    for (uint64_t i = 0; i < DEVICES; i++)
        torture->granted +=
            allowance_take(torture->allowance, hash_of((torture->start + i) % DEVICES));
    return NULL;
}

static void run_all(struct allowance *allowance, struct torture *tortures, uint64_t apart)
{
    pthread_barrier_t barrier;
    pthread_t threads[THREADS];

    pthread_barrier_init(&barrier, NULL, THREADS);
    for (uint64_t i = 0; i < THREADS; i++) {
        tortures[i] =
            (struct torture){.allowance = allowance, .barrier = &barrier, .start = i * apart};
        assert_int_equal(pthread_create(&threads[i], NULL, take_all, &tortures[i]), 0);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&barrier);
}

static void take_by_many_threads_counts_each_device_once(void **state)
{
    struct torture tortures[THREADS];
    struct allowance allowance;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        allowance_init(&allowance, DEVICES + THREADS); /* each may be about to give one back */
        run_all(&allowance, tortures, round % 2 ? DEVICES / THREADS : 0);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(tortures[i].granted, DEVICES);
        assert_int_equal(allowance.taken, DEVICES);
        allowance_fini(&allowance);
    }
}

static void take_by_many_threads_stops_at_the_limit(void **state)
{
    enum { LIMIT = DEVICES / 3 };
    struct torture tortures[THREADS];
    struct allowance allowance;

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t known = 0;

        allowance_init(&allowance, LIMIT);
        run_all(&allowance, tortures, round % 2 ? DEVICES / THREADS : 0);
        assert_int_equal(allowance.taken, LIMIT);
        for (uint64_t i = 0; i < DEVICES; i++)
            known += allowance_take(&allowance, hash_of(i));
        assert_int_equal(known, LIMIT);
        allowance_fini(&allowance);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(take_null_has_no_limit),
        cmocka_unit_test(take_again_is_free),
        cmocka_unit_test(take_many_remembers_each),
        cmocka_unit_test(take_hashes_of_one_bucket_remembers_each),
        cmocka_unit_test(take_by_many_threads_counts_each_device_once),
        cmocka_unit_test(take_by_many_threads_stops_at_the_limit),
    };

    return cmocka_run_group_tests_name("allowance", tests, NULL, NULL);
}
