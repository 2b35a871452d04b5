#include "server/stream_order.h"
#include "tests/unit/unit.h"

#include <nghttp2/nghttp2.h>

static void judge_new_stream_is_well(void **state)
{
    struct stream_order order = {0};
    uint32_t error = 0;

    (void)state;
    assert_false(stream_order_is_broken(&order, 1, &error));
    stream_order_begin(&order, 1);
    assert_false(stream_order_is_broken(&order, 3, &error));
    assert_false(stream_order_is_broken(&order, 0, &error));
    assert_false(stream_order_is_broken(&order, 2, &error));
}

static void judge_ended_stream_is_closed(void **state)
{
    struct stream_order order = {0};
    uint32_t error = 0;

    (void)state;
    stream_order_begin(&order, 1);
    stream_order_begin(&order, 3);
    assert_true(stream_order_is_broken(&order, 1, &error));
    assert_int_equal(error, NGHTTP2_STREAM_CLOSED);
    assert_true(stream_order_is_broken(&order, 3, &error));
    assert_int_equal(error, NGHTTP2_STREAM_CLOSED);
}

static void judge_skipped_stream_is_a_protocol_error(void **state)
{
    struct stream_order order = {0};
    uint32_t error = 0;

    (void)state;
    stream_order_begin(&order, 5);
    assert_true(stream_order_is_broken(&order, 3, &error));
    assert_int_equal(error, NGHTTP2_PROTOCOL_ERROR);
}

static void judge_stream_cut_short_is_well(void **state)
{
    struct stream_order order = {0};
    uint32_t error = 0;

    (void)state;
    for (int32_t id = 1; id <= 9; id += 2)
        stream_order_begin(&order, id);
    stream_order_cut_short(&order, 5);
    stream_order_cut_short(&order, 3);
    assert_false(stream_order_is_broken(&order, 5, &error));
    assert_false(stream_order_is_broken(&order, 1, &error)); /* the benefit of the doubt */
    assert_true(stream_order_is_broken(&order, 7, &error));
}

static void judge_stream_cut_short_and_settled_is_closed(void **state)
{
    struct stream_order order = {0};
    uint32_t error = 0;

    (void)state;
    for (int32_t id = 1; id <= 9; id += 2)
        stream_order_begin(&order, id);
    stream_order_cut_short(&order, 5);
    stream_order_settle(&order, 3);
    assert_false(stream_order_is_broken(&order, 5, &error));
    stream_order_settle(&order, 5);
    assert_true(stream_order_is_broken(&order, 5, &error));
    assert_int_equal(error, NGHTTP2_STREAM_CLOSED);
    assert_false(stream_order_is_broken(&order, 3, &error));
}

static void judge_at_the_last_stream_there_can_be(void **state)
{
    struct stream_order order = {0};
    uint32_t error = 0;

    (void)state;
    stream_order_begin(&order, INT32_MAX);
    assert_true(stream_order_is_broken(&order, INT32_MAX, &error));
    assert_int_equal(error, NGHTTP2_PROTOCOL_ERROR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judge_new_stream_is_well),
        cmocka_unit_test(judge_ended_stream_is_closed),
        cmocka_unit_test(judge_skipped_stream_is_a_protocol_error),
        cmocka_unit_test(judge_stream_cut_short_is_well),
        cmocka_unit_test(judge_stream_cut_short_and_settled_is_closed),
        cmocka_unit_test(judge_at_the_last_stream_there_can_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
