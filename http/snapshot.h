/*
 * The counts of all devices, as one reading of Redis found them: sorted by device id, each once,
 * and never changed once sealed.
 *
 * It takes 16 bytes a device and the bytes of the ids. One thread builds a snapshot; once it is
 * sealed and published (under a lock, see reader.h), any thread may read it.
 */
#ifndef TALLYD_HTTP_SNAPSHOT_H
#define TALLYD_HTTP_SNAPSHOT_H

#include "common/compiler.h"

#include <stddef.h>
#include <stdint.h>

struct snapshot;

#define SNAPSHOT_MAX_ID_BYTES ((size_t)(16 * 1024 * 1024 - 1))

struct snapshot_device {
    const uint8_t *id; /* points into the snapshot */
    size_t id_length;
    int64_t count;
};

/* An empty one, to be filled. NULL with errno when memory is short. */
struct snapshot *snapshot_create(void) MUST_CHECK;

/* Frees it; NULL does nothing. */
void snapshot_destroy(struct snapshot *snapshot);

/* Adds a device, before the snapshot is sealed; `id` is copied. A device may be added again: the
 * last count holds. Returns 0, -ENOMEM, or -EINVAL for an id that is empty or too long. */
int snapshot_add(struct snapshot *snapshot, const void *id, size_t id_length,
                 int64_t count) MUST_CHECK;

/* Sorts the devices in the order of their ids' bytes and drops all but the last count of each. */
void snapshot_seal(struct snapshot *snapshot);

/* The number of devices in a sealed snapshot. */
size_t snapshot_length(const struct snapshot *snapshot);

/* Device `index` of a sealed snapshot, below snapshot_length(); valid as long as the snapshot. */
struct snapshot_device snapshot_get(const struct snapshot *snapshot, size_t index);

#endif
