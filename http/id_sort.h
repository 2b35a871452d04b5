/* Sorts the devices of a snapshot in the order of their ids' bytes. */
#ifndef TALLYD_HTTP_ID_SORT_H
#define TALLYD_HTTP_ID_SORT_H

#include "common/compiler.h"

#include <stddef.h>
#include <stdint.h>

struct snapshot_entry;

/* Sorts `length` entries, fewer than 2^32, whose ids lie in `ids`; an id comes before all that it
 * is the beginning of. The order of entries with equal ids is not defined. Overwrites their keys.
 * Returns 0, or -ENOMEM and the entries are in any order. Any thread; no state. */
int id_sort(struct snapshot_entry *entries, size_t length, const uint8_t *ids) MUST_CHECK;

#endif
