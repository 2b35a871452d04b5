/* The sender's arithmetic: layout over streams, rate, latency percentiles. */
#include "client/latency.h"
#include "client/pacer.h"
#include "client/plan.h"
#include "tests/unit/unit.h"

#include <stdlib.h>

#define SECOND_NS 1000000000u

static void stream_all_plans_cover_every_packet_once(void **state)
{
    (void)state;
    for (uint64_t packets = 1; packets < 60; packets++) {
        for (uint64_t slots = 1; slots < 12; slots++) {
            for (uint64_t per_stream = 0; per_stream < 70; per_stream++) {
                struct plan plan = plan_make(packets, slots, per_stream);
                uint64_t next = 0;

                for (uint64_t i = 0; i < plan.streams; i++) {
                    struct plan_range range = plan_stream(&plan, i);

                    assert_int_equal(range.first, next);
                    assert_in_range(range.count, 1, per_stream ? per_stream : packets);
                    next += range.count;
                }
                assert_int_equal(next, packets);
                if (!per_stream)
                    assert_int_equal(plan.streams, packets < slots ? packets : slots);
            }
        }
    }
}

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
    uint64_t start = 123456789012345;

    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct pacer pacer;
        uint64_t sent = 0;

        pacer_init(&pacer, rates[i], start);
        for (uint64_t ms = 0; ms < 5000; ms++) {
            uint64_t credit = pacer_credit(&pacer, start + ms * 1000000);

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

static void percentile_any_value_within_resolution(void **state)
{
    (void)state;
    for (unsigned bit = 0; bit < 64; bit++) {
        for (int offset = -1; offset <= 1; offset++) {
            struct latency *latency = calloc(1, sizeof *latency);
            uint64_t value = (1ull << bit) + (uint64_t)offset, found;

            latency_add(latency, value);
            found = latency_percentile(latency, 50);
            assert_true((found > value ? found - value : value - found) <= value / 256);
            latency_add(latency, UINT64_MAX); /* so that the maximum bounds nothing */
            found = latency_percentile(latency, 50);
            assert_true((found > value ? found - value : value - found) <= value / 256);
            assert_true(latency->max_ns == UINT64_MAX);
            free(latency);
        }
    }
}

static void percentile_known_values_has_known_rank(void **state)
{
    struct latency *latency = calloc(1, sizeof *latency);

    (void)state;
    assert_int_equal(latency_percentile(latency, 50), 0);
    for (uint64_t i = 1; i <= 100; i++)
        latency_add(latency, i);
    assert_int_equal(latency_percentile(latency, 1), 1);
    assert_int_equal(latency_percentile(latency, 50), 50);
    assert_int_equal(latency_percentile(latency, 90), 90);
    assert_int_equal(latency_percentile(latency, 99), 99);
    assert_int_equal(latency_percentile(latency, 100), 100);
    assert_int_equal(latency->max_ns, 100);
    assert_int_equal(latency->count, 100);
    free(latency);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_all_plans_cover_every_packet_once),
        cmocka_unit_test(credit_no_rate_is_unlimited),
        cmocka_unit_test(credit_over_time_keeps_rate),
        cmocka_unit_test(credit_after_stall_is_bounded),
        cmocka_unit_test(percentile_any_value_within_resolution),
        cmocka_unit_test(percentile_known_values_has_known_rank),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
