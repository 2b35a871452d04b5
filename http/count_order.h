/* The other orders of a snapshot's devices, as lists of their indexes: by count, and by what they
 * gained. */
#ifndef TALLYD_HTTP_COUNT_ORDER_H
#define TALLYD_HTTP_COUNT_ORDER_H

#include "common/compiler.h"

#include <stddef.h>
#include <stdint.h>

struct snapshot_entry;

/* Fills `order` with the indexes of all `length` entries, fewer than 2^32: the largest count first,
 * and of equal counts the lower index. Returns 0, or -ENOMEM. Any thread; no state. */
int count_order(const struct snapshot_entry *entries, size_t length, uint32_t *order) MUST_CHECK;

/* Fills `order` with the indexes of the entries that gained most, at most `room` of those that
 * gained anything: the largest gain first, and of equal gains the lower index. Returns how many
 * there are. Any thread; no state. */
size_t count_order_gained(const struct snapshot_entry *entries, size_t length, uint32_t *order,
                          size_t room);

#endif
