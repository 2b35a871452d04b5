/* What a turn that took so long makes of the next one. */
#include "common/compiler.h"
#include "server/turn.h"
#include "tests/unit/unit.h"

enum { MOST = 256 << 10, FULL_NS = 110000 /* for a full receive of packets */ };

static struct turn_pace pace;
static struct turn turn;

static int begin(void **state)
{
    (void)state;
    turn_pace_init(&pace, MOST);
    turn_init(&turn);
    return 0;
}

/* A turn of packets at a cost of `times` what full frames take, that filled what was asked for. */
static void take(struct turn *of, double times)
{
    turn_end(of, &pace, of->bytes, of->bytes,
             (uint64_t)(times * FULL_NS * (double)of->bytes / MOST));
}

static void a_new_one_is_cheap_once_it_brings_packets(void **state)
{
    (void)state;
    assert_true(turn.costly);
    assert_int_equal(turn.bytes, TURN_FIRST_BYTES);
    turn_end(&turn, &pace, 100, 0, 5000); /* its preface */
    assert_true(turn.costly);
    turn_end(&turn, &pace, 59, 50, 5000);
    assert_false(turn.costly);
    assert_int_equal(turn.bytes, MOST);
}

static void who_costs_more_has_less_in_as_long_a_turn(void **state)
{
    static const double times[] = {5, 20, 100}; /* the first: one message a frame */

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(times); i++) {
        struct turn other;

        turn_init(&other);
        take(&turn, 1);
        take(&other, 1);
        for (int n = 0; n < 10; n++) {
            take(&turn, 1);
            take(&other, times[i]);
            assert_int_equal(other.costly, times[i] > 10);
        }
        assert_int_equal(turn.bytes, MOST);
        assert_in_range(other.bytes, (size_t)(MOST / times[i] * 0.9),
                        (size_t)(MOST / times[i] * 1.1));
    }
}

static void one_long_turn_is_forgiven_with_the_next(void **state)
{
    (void)state;
    take(&turn, 1);
    turn_end(&turn, &pace, MOST, MOST, 4000000); /* the processor was taken away */
    assert_true(turn.costly);
    assert_in_range(turn.bytes, TURN_LEAST_BYTES, MOST / 30);
    take(&turn, 1);
    assert_false(turn.costly);
    assert_int_equal(turn.bytes, MOST);
}

static void little_bytes_have_their_time(void **state)
{
    (void)state;
    take(&turn, 1);
    turn_end(&turn, &pace, 59, 50, 15000); /* a system call costs more than a packet */
    assert_false(turn.costly);
    turn_end(&turn, &pace, 59, 50, 80000); /* as 30 requests do that are refused */
    assert_true(turn.costly);
    assert_int_equal(turn.bytes, TURN_LEAST_BYTES);
}

static void what_brings_nothing_does_not_become_cheap(void **state)
{
    (void)state;
    take(&turn, 50);
    for (int n = 0; n < 10; n++)
        turn_end(&turn, &pace, turn.bytes, 0, 1000);
    assert_true(turn.costly);
}

static void among_those_alike_nobody_is_costly(void **state)
{
    int n = 0;

    (void)state;
    take(&turn, 1);
    take(&turn, 10); /* one message a frame, on this or a slower processor */
    assert_true(turn.costly);
    while (turn.costly && ++n < 10000)
        take(&turn, 10);
    assert_in_range(n, 50, 2000);
}

/* Each step is small enough to learn from. */
static void what_costs_much_never_becomes_usual(void **state)
{
    (void)state;
    take(&turn, 1);
    for (double times = 3; times < 1000; times *= 1.01) {
        for (int n = 0; n < 50; n++)
            take(&turn, times);
    }
    assert_true(turn.costly);
    assert_in_range(pace.usual_ns, FULL_NS, 3 * FULL_NS);
}

static void bytes_without_work_make_nobody_costly(void **state)
{
    struct turn other;

    (void)state;
    turn_init(&other);
    take(&turn, 1);
    for (int n = 0; n < 10; n++) {
        take(&other, 0.1);
        take(&turn, 2);
        assert_false(turn.costly);
    }
}

static void a_clock_that_stands_still_does_no_harm(void **state)
{
    (void)state;
    for (int n = 0; n < 10; n++) {
        turn_end(&turn, &pace, MOST, MOST, 0);
        turn_end(&turn, &pace, 0, 0, 0);
    }
    assert_false(turn.costly);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_new_one_is_cheap_once_it_brings_packets, begin),
        cmocka_unit_test_setup(who_costs_more_has_less_in_as_long_a_turn, begin),
        cmocka_unit_test_setup(one_long_turn_is_forgiven_with_the_next, begin),
        cmocka_unit_test_setup(little_bytes_have_their_time, begin),
        cmocka_unit_test_setup(what_brings_nothing_does_not_become_cheap, begin),
        cmocka_unit_test_setup(among_those_alike_nobody_is_costly, begin),
        cmocka_unit_test_setup(what_costs_much_never_becomes_usual, begin),
        cmocka_unit_test_setup(bytes_without_work_make_nobody_costly, begin),
        cmocka_unit_test_setup(a_clock_that_stands_still_does_no_harm, begin),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
