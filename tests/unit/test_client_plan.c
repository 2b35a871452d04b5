/* The layout of a run over streams. */
#include "client/plan.h"
#include "tests/unit/unit.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stream_all_plans_cover_every_packet_once),
    };

    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
