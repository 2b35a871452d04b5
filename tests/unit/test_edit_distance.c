/* Levenshtein's distance: against a table, and against what holds for any distance. */
#include "common/edit_distance.h"
#include "tests/unit/random.h"
#include "tests/unit/unit.h"

#include <string.h>

static const struct {
    const char *a, *b;
    size_t distance;
} table[] = {
    {"", "", 0},
    {"", "abc", 3},
    {"workers", "workers", 0},
    {"worker", "workers", 1},         /* one put in */
    {"workerss", "workers", 1},       /* one left out */
    {"wirkers", "workers", 1},        /* one exchanged */
    {"wrokers", "workers", 2},        /* two neighbours changed places */
    {"kitten", "sitting", 3},         /* two exchanged, one put in */
    {"abcdef", "uvwxyz", 6},          /* nothing in common */
    {"max-devices", "devices-max", 8} /* it does not know of words */
};

static void edit_distance_of_the_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        assert_int_equal(edit_distance(table[i].a, table[i].b), table[i].distance);
        assert_int_equal(edit_distance(table[i].b, table[i].a), table[i].distance);
    }
}

static void edit_distance_to_a_long_name_is_far(void **state)
{
    char name[65];

    (void)state;
    memset(name, 'x', 64);
    name[64] = '\0';
    assert_true(edit_distance("x", name) == SIZE_MAX);
    assert_int_equal(edit_distance(name, "x"), 63);
    name[63] = '\0';
    assert_int_equal(edit_distance("x", name), 62);
}

static void make_word(uint64_t *random, char word[8])
{
    size_t length = random_below(random, 8);

    for (size_t i = 0; i < length; i++)
        word[i] = (char)('a' + random_below(random, 3));
    word[length] = '\0';
}

static void edit_distance_of_random_words_is_a_distance(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char a[8], b[8], c[8];
        size_t ab, longer, shorter;

        make_word(&random, a);
        make_word(&random, b);
        make_word(&random, c);
        ab = edit_distance(a, b);
        longer = strlen(a) > strlen(b) ? strlen(a) : strlen(b);
        shorter = strlen(a) + strlen(b) - longer;
        assert_int_equal(ab, edit_distance(b, a));
        assert_int_equal(ab == 0, strcmp(a, b) == 0);
        assert_true(ab >= longer - shorter && ab <= longer);
        assert_true(ab <= edit_distance(a, c) + edit_distance(c, b));
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(edit_distance_of_the_table),
        cmocka_unit_test(edit_distance_to_a_long_name_is_far),
        cmocka_unit_test(edit_distance_of_random_words_is_a_distance),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
