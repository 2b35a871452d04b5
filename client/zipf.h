/*
 * Zipf's law: rank k of `count` ranks, the first being 0, is drawn with a probability that is
 * proportional to 1 / (k + 1)^exponent. No table: any number of ranks takes no memory. Any thread.
 */
#ifndef TALLYD_CLIENT_ZIPF_H
#define TALLYD_CLIENT_ZIPF_H

#include <stdint.h>

/* Embedded; its fields belong to zipf.c and do not change after zipf_init(). */
struct zipf {
    double exponent, count;
    double area_low, area_high; /* the range that the inversion draws from */
    double surely;              /* a point no further than this below its rank is taken unseen */
};

/* For `count` ranks, at least 1 and at most 2^53, and an exponent above 0. */
void zipf_init(struct zipf *zipf, uint64_t count, double exponent);

/* Turns random numbers into a rank from 0 to count - 1. `random` draws the next 64 random bits
 * from `state`, as often as needed: fewer than 1.1 times on average. */
uint64_t zipf_draw(const struct zipf *zipf, uint64_t (*random)(uint64_t *state), uint64_t *state);

#endif
