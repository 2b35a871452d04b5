/*
 * How a snapshot keeps a device: for snapshot.c and the two that sort for it, id_sort.c and
 * count_order.c. Nobody else needs it.
 */
#ifndef TALLYD_HTTP_SNAPSHOT_ENTRY_H
#define TALLYD_HTTP_SNAPSHOT_ENTRY_H

#include <stdint.h>

#define SNAPSHOT_OFFSET_BITS 40 /* a terabyte of ids */
#define SNAPSHOT_LENGTH_BITS 24

struct snapshot_entry {
    uint64_t offset : SNAPSHOT_OFFSET_BITS; /* of the id, in the block of all ids */
    uint64_t length : SNAPSHOT_LENGTH_BITS; /* of the id */
    int64_t count;
    union {
        uint64_t key;   /* id_sort()'s, while it sorts */
        int64_t gained; /* afterwards */
    };
};

_Static_assert(sizeof(struct snapshot_entry) == 24, "a device takes 24 bytes and its id");

#endif
