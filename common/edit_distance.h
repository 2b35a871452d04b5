/* How far apart two names are, to find the one that was meant. Any thread; no state. */
#ifndef TALLYD_COMMON_EDIT_DISTANCE_H
#define TALLYD_COMMON_EDIT_DISTANCE_H

#include <stddef.h>

/* Levenshtein's distance: how many characters must be put in, left out or exchanged to make one of
 * the other. SIZE_MAX when `b` is longer than 63 bytes, however long `a` is. */
size_t edit_distance(const char *a, const char *b);

#endif
