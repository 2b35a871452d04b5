/* The rate: how many packets may go, and when the next one may. */
#include "client/pacer.h"
#include "common/compiler.h"
#include "tests/unit/unit.h"

#define SECOND_NS 1000000000u
#define START_NS  123456789012345u

static void credit_no_rate_is_unlimited(void **state)
{
    struct pacer pacer;

    (void)state;
    pacer_init(&pacer, 0, 5);
    pacer_take(&pacer, 1000000);
    assert_true(pacer_credit(&pacer, 5) == UINT64_MAX);
    assert_int_equal(pacer_wait_ns(&pacer, 5), 0);
}

static void credit_over_time_keeps_rate(void **state)
{
    static const uint64_t rates[] = {1, 7, 1000, 1000003, 1000000000};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rates); i++) {
        struct pacer pacer;
        uint64_t sent = 0;

        pacer_init(&pacer, rates[i], START_NS);
        for (uint64_t ms = 0; ms < 5000; ms++) {
            uint64_t credit = pacer_credit(&pacer, START_NS + ms * 1000000);

            pacer_take(&pacer, credit);
            sent += credit;
        }
        assert_in_range(sent, rates[i] * 4998 / 1000, rates[i] * 5 + 1);
    }
}

static void credit_after_stall_is_bounded(void **state)
{
    struct pacer pacer;
    uint64_t credit;

    (void)state;
    pacer_init(&pacer, 1000, 0);
    credit = pacer_credit(&pacer, 3600ull * SECOND_NS);
    assert_in_range(credit, 100, 101);
    pacer_take(&pacer, credit);
    assert_int_equal(pacer_credit(&pacer, 3600ull * SECOND_NS), 0);
    assert_in_range(pacer_wait_ns(&pacer, 3600ull * SECOND_NS), 1, 1000001);
    assert_int_equal(pacer_credit(&pacer, 3600ull * SECOND_NS + 1000001), 1);
}

static void wait_after_the_last_credit_is_one_interval(void **state)
{
    struct pacer pacer;

    (void)state;
    pacer_init(&pacer, 1000, START_NS);
    assert_int_equal(pacer_wait_ns(&pacer, START_NS), 0);
    assert_int_equal(pacer_credit(&pacer, START_NS), 1);
    pacer_take(&pacer, 1);
    assert_int_equal(pacer_credit(&pacer, START_NS), 0);
    assert_in_range(pacer_wait_ns(&pacer, START_NS), 1000000, 1000001);
    assert_int_equal(pacer_credit(&pacer, START_NS + 999000), 0);
    assert_int_equal(pacer_credit(&pacer, START_NS + 1000001), 1);
}

/* A caller that sleeps for as long as it is told finds a packet due: no busy loop, no stall. */
static void wait_slept_out_gives_credit(void **state)
{
    static const uint64_t rates[] = {1, 3, 999, 1000003, 999999999};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rates); i++) {
        uint64_t now_ns = START_NS;
        struct pacer pacer;

        pacer_init(&pacer, rates[i], now_ns);
        for (int step = 0; step < 1000; step++) {
            now_ns += pacer_wait_ns(&pacer, now_ns);
            assert_true(pacer_credit(&pacer, now_ns) >= 1);
            assert_int_equal(pacer_wait_ns(&pacer, now_ns), 0);
            pacer_take(&pacer, 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credit_no_rate_is_unlimited),
        cmocka_unit_test(credit_over_time_keeps_rate),
        cmocka_unit_test(credit_after_stall_is_bounded),
        cmocka_unit_test(wait_after_the_last_credit_is_one_interval),
        cmocka_unit_test(wait_slept_out_gives_credit),
    };

    return cmocka_run_group_tests_name("pacer", tests, NULL, NULL);
}
