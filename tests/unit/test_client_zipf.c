/* Zipf's law: what is drawn has the probabilities that the law gives, with fixed seeds. */
#include "client/zipf.h"
#include "common/compiler.h"
#include "tests/unit/unit.h"

#include <math.h>
#include <stdlib.h>

/* splitmix64, as the generator does it. */
static uint64_t draw_bits(uint64_t *state)
{
    uint64_t value = *state += 0x9e3779b97f4a7c15u;

    value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9u;
    value = (value ^ value >> 27) * 0x94d049bb133111ebu;
    return value ^ value >> 31;
}

/* Pearson's chi-squared of `draws` draws from `ranks` ranks. */
static double chi_squared(uint64_t ranks, double exponent, unsigned draws)
{
    unsigned *counts = calloc(ranks, sizeof *counts);
    double sum = 0, chi = 0;
    struct zipf zipf;
    uint64_t state = 42;

    assert_non_null(counts);
    zipf_init(&zipf, ranks, exponent);
    for (unsigned i = 0; i < draws; i++) {
        uint64_t rank = zipf_draw(&zipf, draw_bits, &state);

        assert_in_range(rank, 0, ranks - 1);
        counts[rank]++;
    }
    for (uint64_t k = 0; k < ranks; k++)
        sum += pow((double)k + 1, -exponent);
    for (uint64_t k = 0; k < ranks; k++) {
        double expected = pow((double)k + 1, -exponent) / sum * draws;

        assert_true(expected >= 5); /* the statistic is chi-squared only then */
        chi += (counts[k] - expected) * (counts[k] - expected) / expected;
    }
    free(counts);
    return chi;
}

/* The statistic has the mean ranks - 1 and the variance 2 (ranks - 1): four deviations, both ways,
 * for numbers that fit too well are wrong as well. */
static void draw_any_exponent_follows_the_law(void **state)
{
    static const double exponents[] = {0.01, 0.5, 0.99, 1, 1.0000000001, 1.01, 1.5, 2};
    static const uint64_t ranks[] = {2, 10, 100, 300};

    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(exponents); i++) {
        for (size_t r = 0; r < ARRAY_LENGTH(ranks); r++) {
            double freedom = (double)ranks[r] - 1;
            double chi = chi_squared(ranks[r], exponents[i], 1000000);

            assert_true(chi < freedom + 4 * sqrt(2 * freedom) + 4);
            assert_true(chi > freedom - 4 * sqrt(2 * freedom));
        }
    }
}

static void draw_one_rank_is_always_zero(void **state)
{
    uint64_t random = 1;
    struct zipf zipf;

    (void)state;
    zipf_init(&zipf, 1, 1);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(zipf_draw(&zipf, draw_bits, &random), 0);
}

/* Among a billion ranks the first has its share, and the tail is reached. */
static void draw_many_ranks_reaches_head_and_tail(void **state)
{
    enum { DRAWS = 1000000 };
    const double ranks = 1e9, sum = log(ranks) + 0.57721566490153286; /* of 1/k: Euler's constant */
    unsigned first = 0, upper_half = 0;
    uint64_t random = 7;
    struct zipf zipf;

    (void)state;
    zipf_init(&zipf, 1000000000, 1);
    for (int i = 0; i < DRAWS; i++) {
        uint64_t rank = zipf_draw(&zipf, draw_bits, &random);

        first += rank == 0;
        upper_half += rank >= 500000000;
    }
    assert_true(fabs(first / (DRAWS / sum) - 1) < 0.03);
    assert_true(fabs(upper_half / (DRAWS * log(2) / sum) - 1) < 0.03);
}

/* The largest exponent: nearly all is rank 0, and nothing overflows. */
static void draw_steep_law_stays_in_range(void **state)
{
    unsigned first = 0;
    uint64_t random = 3;
    struct zipf zipf;

    (void)state;
    zipf_init(&zipf, 1000000000, 10);
    for (int i = 0; i < 100000; i++) {
        uint64_t rank = zipf_draw(&zipf, draw_bits, &random);

        assert_in_range(rank, 0, 999999999);
        first += rank == 0;
    }
    assert_in_range(first, 99850, 99950); /* 1 / zeta(10) is 0.99901 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(draw_any_exponent_follows_the_law),
        cmocka_unit_test(draw_one_rank_is_always_zero),
        cmocka_unit_test(draw_many_ranks_reaches_head_and_tail),
        cmocka_unit_test(draw_steep_law_stays_in_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
