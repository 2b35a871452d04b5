/* Frames on streams that nghttp2 has forgotten: which of them the client may send. */
#include "server/stream_order.h"
#include "tests/unit/unit.h"

#include <nghttp2/nghttp2.h>

/* The error code for a frame on that stream; NGHTTP2_NO_ERROR when all is well. */
static uint32_t judge(const struct stream_order *order, int32_t stream_id)
{
    uint32_t error = NGHTTP2_INTERNAL_ERROR;

    return stream_order_is_broken(order, stream_id, &error) ? error : NGHTTP2_NO_ERROR;
}

/* A client that began the streams 1, 3 and so on up to `last`. */
static struct stream_order began_up_to(int32_t last)
{
    struct stream_order order = {0};

    for (int32_t id = 1; id <= last; id += 2)
        stream_order_begin(&order, id);
    return order;
}

static void judge_new_stream_is_well(void **state)
{
    struct stream_order order = began_up_to(-1);

    (void)state;
    assert_int_equal(judge(&order, 1), NGHTTP2_NO_ERROR);
    order = began_up_to(1);
    assert_int_equal(judge(&order, 3), NGHTTP2_NO_ERROR);
    assert_int_equal(judge(&order, 0), NGHTTP2_NO_ERROR);
    assert_int_equal(judge(&order, 2), NGHTTP2_NO_ERROR);
}

static void judge_ended_stream_is_closed(void **state)
{
    struct stream_order order = began_up_to(3);

    (void)state;
    assert_int_equal(judge(&order, 1), NGHTTP2_STREAM_CLOSED);
    assert_int_equal(judge(&order, 3), NGHTTP2_STREAM_CLOSED);
}

static void judge_skipped_stream_is_a_protocol_error(void **state)
{
    struct stream_order order = {0};

    (void)state;
    stream_order_begin(&order, 5);
    assert_int_equal(judge(&order, 3), NGHTTP2_PROTOCOL_ERROR);
}

static void judge_stream_cut_short_is_well(void **state)
{
    struct stream_order order = began_up_to(9);

    (void)state;
    stream_order_cut_short(&order, 5);
    stream_order_cut_short(&order, 3);
    assert_int_equal(judge(&order, 5), NGHTTP2_NO_ERROR);
    assert_int_equal(judge(&order, 1), NGHTTP2_NO_ERROR); /* the benefit of the doubt */
    assert_int_equal(judge(&order, 7), NGHTTP2_STREAM_CLOSED);
}

static void judge_stream_cut_short_and_settled_is_closed(void **state)
{
    struct stream_order order = began_up_to(9);

    (void)state;
    stream_order_cut_short(&order, 5);
    stream_order_settle(&order, 3);
    assert_int_equal(judge(&order, 5), NGHTTP2_NO_ERROR);
    stream_order_settle(&order, 5);
    assert_int_equal(judge(&order, 5), NGHTTP2_STREAM_CLOSED);
    assert_int_equal(judge(&order, 3), NGHTTP2_NO_ERROR);
}

static void judge_at_the_last_stream_there_can_be(void **state)
{
    struct stream_order order = {0};

    (void)state;
    stream_order_begin(&order, INT32_MAX);
    assert_int_equal(judge(&order, INT32_MAX), NGHTTP2_PROTOCOL_ERROR);
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
