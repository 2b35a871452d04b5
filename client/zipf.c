/*
 * Rejection-inversion (W. Hörmann, G. Derflinger, "Rejection-inversion to generate variates from
 * monotone discrete distributions", ACM TOMACS 6(3), 1996).
 *
 * Let h(x) = x^-s, and H an antiderivative of it, which can be inverted. The bar of rank k (here
 * from 1) under h has the area h(k), and the strip below the curve from k - 1/2 to k + 1/2 has no
 * less, for h is convex. So a point drawn evenly below the curve, by inverting H, is rounded to the
 * nearest k, and kept when it lies within the last h(k) of that strip's area. For rank 1 the strip
 * is cut to exactly h(1). What is kept has the areas h(k), which is Zipf's law.
 *
 * H is (x^(1-s) - 1) / (1 - s), which is log x at s = 1; expm1() and log1p() keep it exact near
 * there.
 */
#include "client/zipf.h"

#include <math.h>

static double height(const struct zipf *zipf, double x)
{
    return exp(-zipf->exponent * log(x));
}

/* H */
static double area(const struct zipf *zipf, double x)
{
    double log_x = log(x), t = (1 - zipf->exponent) * log_x;

    return fabs(t) > 1e-8 ? log_x * expm1(t) / t : log_x * (1 + t / 2);
}

/* The x of which `a` is the area. */
static double area_inverse(const struct zipf *zipf, double a)
{
    double t = a * (1 - zipf->exponent);

    if (t < -1) /* only rounding gets here */
        t = -1;
    return exp(fabs(t) > 1e-8 ? a * log1p(t) / t : a * (1 - t / 2));
}

void zipf_init(struct zipf *zipf, uint64_t count, double exponent)
{
    zipf->exponent = exponent;
    zipf->count = (double)count;
    zipf->area_low = area(zipf, 1.5) - 1; /* h(1) is 1 */
    zipf->area_high = area(zipf, zipf->count + 0.5);
    zipf->surely = 2 - area_inverse(zipf, area(zipf, 2.5) - height(zipf, 2));
}

uint64_t zipf_draw(const struct zipf *zipf, uint64_t (*random)(uint64_t *state), uint64_t *state)
{
    for (;;) {
        double unit = (double)(random(state) >> 11) * 0x1p-53;
        double point = zipf->area_high + unit * (zipf->area_low - zipf->area_high);
        double x = area_inverse(zipf, point), rank = floor(x + 0.5);

        if (rank < 1)
            rank = 1;
        if (rank > zipf->count)
            rank = zipf->count;
        if (rank - x <= zipf->surely || point >= area(zipf, rank + 0.5) - height(zipf, rank))
            return (uint64_t)rank - 1;
    }
}
