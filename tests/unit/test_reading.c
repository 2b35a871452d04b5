/* A reading lives as long as somebody holds it, whoever that is. */
#include "http/reading.h"
#include "http/snapshot.h"
#include "tests/unit/unit.h"

#include <pthread.h>

#define HOLDERS 8

static atomic_size_t live;

static struct reading *make(uint64_t number, uint64_t now_ms)
{
    struct reading *reading = reading_create(number, now_ms, &live);
    struct snapshot *snapshot = snapshot_create();

    assert_non_null(reading);
    assert_non_null(snapshot);
    assert_int_equal(snapshot_seal(snapshot, NULL), 0);
    reading_fill(reading, snapshot);
    return reading;
}

static void create_tells_what_it_was_given(void **state)
{
    struct reading *reading = make(7, 1000);

    (void)state;
    assert_int_equal(live, 1);
    assert_int_equal(reading_number(reading), 7);
    assert_int_equal(reading_began_ms(reading), 1000);
    assert_int_equal(reading_gained_ms(reading), 0);
    assert_true(reading_wall_ms(reading) > 1000);
    assert_non_null(reading_snapshot(reading));
    reading_release(reading);
    assert_int_equal(live, 0);
}

static void release_of_one_without_a_snapshot_frees_it(void **state)
{
    struct reading *reading = reading_create(1, 0, &live);

    (void)state;
    assert_non_null(reading);
    assert_null(reading_snapshot(reading));
    reading_release(reading);
    assert_int_equal(live, 0);
    reading_release(NULL);
}

static void compare_tells_the_time_between_and_never_0(void **state)
{
    struct reading *first = make(1, 1000), *second = make(2, 3500), *same = make(3, 3500);

    (void)state;
    reading_compare(second, first);
    assert_int_equal(reading_gained_ms(second), 2500);
    reading_compare(same, second); /* a rate is divided by it */
    assert_int_equal(reading_gained_ms(same), 1);
    reading_release(first);
    reading_release(second);
    reading_release(same);
    assert_int_equal(live, 0);
}

static void *read_and_release(void *argument)
{
    struct reading *reading = argument;

    assert_int_equal(snapshot_length(reading_snapshot(reading)), 0);
    reading_release(reading);
    return NULL;
}

/* Under a sanitizer this finds a release that does not order what was read before it. */
static void release_by_many_threads_frees_it_once(void **state)
{
    (void)state;
    for (int round = 0; round < 100; round++) {
        struct reading *reading = make(1, 0);
        pthread_t threads[HOLDERS];

        for (int i = 0; i < HOLDERS; i++)
            assert_int_equal(
                pthread_create(&threads[i], NULL, read_and_release, reading_hold(reading)), 0);
        reading_release(reading);
        for (int i = 0; i < HOLDERS; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(live, 0);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(create_tells_what_it_was_given),
        cmocka_unit_test(release_of_one_without_a_snapshot_frees_it),
        cmocka_unit_test(compare_tells_the_time_between_and_never_0),
        cmocka_unit_test(release_by_many_threads_frees_it_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
