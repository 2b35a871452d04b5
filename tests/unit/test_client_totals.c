/* What was sent for each device, told again from the generator. */
#include "client/device_totals.h"
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>

/* The list, to be freed. */
static char *written(const struct device_totals *totals)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    assert_non_null(out);
    assert_int_equal(device_totals_write(totals, out), 0);
    fclose(out);
    return text;
}

static void totals_write_lists_devices(void **state)
{
    const struct generator_options options = {.seed = 1, .devices = 3, .prefix = "d"};
    struct generator *generator = generator_create(&options);
    struct device_totals *totals = device_totals_create(generator, 3);
    unsigned long long ok[3] = {0}, failed[3] = {0};
    char expected[256], *text;
    size_t used = 0;

    (void)state;
    assert_non_null(totals);
    for (uint64_t i = 0; i < 70; i++)
        (i < 50 ? ok : failed)[generator_device(generator, i)]++;
    device_totals_add(totals, 0, 50, true);
    device_totals_add(totals, 50, 20, false);
    text = written(totals);
    for (int i = 0; i < 3; i++)
        used += (size_t)snprintf(expected + used, sizeof expected - used, "d%d\t%llu\t%llu\n", i,
                                 ok[i], failed[i]);
    assert_string_equal(text, expected);
    free(text);
    device_totals_destroy(totals);
    generator_destroy(generator);
}

/* Whole laps are not gone through packet by packet, and come out the same. */
static void totals_add_many_laps_equals_one_by_one(void **state)
{
    struct generator_options options = {.devices = 5, .prefix = "d", .period = 13};
    struct generator *generator = generator_create(&options);
    struct device_totals *at_once = device_totals_create(generator, 5), *singly;
    char *text_at_once, *text_singly;

    (void)state;
    singly = device_totals_create(generator, 5);
    device_totals_add(at_once, 9, 13 * 3 + 8, true);
    for (uint64_t i = 9; i < 9 + 13 * 3 + 8; i++)
        device_totals_add(singly, i, 1, true);
    text_at_once = written(at_once);
    text_singly = written(singly);
    assert_string_equal(text_at_once, text_singly);
    free(text_at_once);
    free(text_singly);
    device_totals_destroy(at_once);
    device_totals_destroy(singly);
    generator_destroy(generator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(totals_write_lists_devices),
        cmocka_unit_test(totals_add_many_laps_equals_one_by_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
