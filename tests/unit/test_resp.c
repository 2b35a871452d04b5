/* Rendering of Redis commands, byte for byte (RESP). */
#include "aggregator/resp.h"
#include "tests/unit/unit.h"

#include <stdlib.h>
#include <string.h>

static void render_commands_gives_resp(void **state)
{
    static const char expected[] = "*4\r\n$7\r\nHINCRBY\r\n$1\r\nk\r\n$3\r\na\0b\r\n$20\r\n"
                                   "18446744073709551615\r\n*1\r\n$4\r\nEXEC\r\n";
    struct resp resp;

    (void)state;
    resp_init(&resp);
    resp_command(&resp, 4);
    resp_text(&resp, "HINCRBY");
    resp_text(&resp, "k");
    resp_bytes(&resp, "a\0b", 3);
    resp_number(&resp, UINT64_MAX);
    resp_command(&resp, 1);
    resp_text(&resp, "EXEC");
    assert_false(resp.failed);
    assert_int_equal(resp.length, sizeof expected - 1);
    assert_memory_equal(resp.bytes, expected, resp.length);
    resp_clear(&resp);
    assert_int_equal(resp.length, 0);
    resp_number(&resp, 0);
    assert_memory_equal(resp.bytes, "$1\r\n0\r\n", 7);
    resp_fini(&resp);
}

static void render_much_grows(void **state)
{
    struct resp resp;

    (void)state;
    resp_init(&resp);
    for (int i = 0; i < 100000; i++)
        resp_text(&resp, "12345678");
    assert_int_equal(resp.length, 100000 * 14);
    assert_memory_equal(resp.bytes + resp.length - 14, "$8\r\n12345678\r\n", 14);
    resp_fini(&resp);
}

static void again_repeats_bytes_across_growth(void **state)
{
    struct resp resp;

    (void)state;
    resp_init(&resp);
    resp_text(&resp, "ab");
    resp_text(&resp, "12345678");
    for (int i = 0; i < 10000; i++)
        resp_again(&resp, 8, 14);
    assert_int_equal(resp.length, 8 + 10001 * 14);
    for (size_t at = 8; at < resp.length; at += 14)
        assert_memory_equal(resp.bytes + at, "$8\r\n12345678\r\n", 14);
    resp_fini(&resp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(render_commands_gives_resp),
        cmocka_unit_test(render_much_grows),
        cmocka_unit_test(again_repeats_bytes_across_growth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
