/* Loads and stores at any alignment: they touch their own bytes and no others. */
#include "common/load.h"
#include "tests/unit/unit.h"

#include <string.h>

static void load_at_any_alignment_has_the_order_of_the_network(void **state)
{
    uint8_t bytes[16] = {0};

    (void)state;
    for (size_t at = 0; at < 8; at++) {
        memcpy(bytes + at, (const uint8_t[]){0x81, 0x02, 0x83, 0x04}, 4);
        assert_int_equal(load_be16(bytes + at), 0x8102);
        assert_int_equal(load_be32(bytes + at), 0x81028304);
    }
}

static void store_at_any_alignment_is_loaded_again(void **state)
{
    static const uint32_t values[] = {0, 1, 0x81028304, INT32_MAX, UINT32_MAX};
    uint8_t bytes[16], around[16];

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        for (size_t at = 0; at < 8; at++) {
            memset(bytes, 0xee, sizeof bytes);
            memset(around, 0xee, sizeof around);
            store_be32(bytes + at, values[i]);
            assert_int_equal(load_be32(bytes + at), values[i]);
            assert_int_equal(bytes[at], values[i] >> 24);
            assert_memory_equal(bytes, around, at);
            assert_memory_equal(bytes + at + 4, around, sizeof bytes - at - 4);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_at_any_alignment_has_the_order_of_the_network),
        cmocka_unit_test(store_at_any_alignment_is_loaded_again),
    };

    return cmocka_run_group_tests_name("load", tests, NULL, NULL);
}
