/*
 * The counts of all devices, as one reading of Redis found them: sorted by device id, each once,
 * and never changed once sealed.
 *
 * It takes 28 bytes a device and the bytes of the ids. One thread builds a snapshot; once it is
 * sealed and published (under a lock, see reader.c), any thread may read it.
 */
#ifndef TALLYD_HTTP_SNAPSHOT_H
#define TALLYD_HTTP_SNAPSHOT_H

#include "common/compiler.h"

#include <stddef.h>
#include <stdint.h>

struct snapshot;

#define SNAPSHOT_MAX_ID_BYTES ((size_t)(16 * 1024 * 1024 - 1))
#define SNAPSHOT_MAX_DEVICES  ((size_t)UINT32_MAX)
#define SNAPSHOT_FASTEST      1000 /* devices that snapshot_fastest() knows at most */

struct snapshot_device {
    const uint8_t *id; /* points into the snapshot */
    size_t id_length;
    int64_t count;
    int64_t gained; /* since the snapshot before; 0 for a device that was not in it, and in a
                       snapshot that has none before it */
};

/* An empty one, to be filled. NULL with errno when memory is short. */
struct snapshot *snapshot_create(void) MUST_CHECK;

/* Frees it; NULL does nothing. */
void snapshot_destroy(struct snapshot *snapshot);

/* Adds a device, before the snapshot is sealed; `id` is copied. A device may be added again: the
 * last count holds. Returns 0; -ENOMEM, also past SNAPSHOT_MAX_DEVICES; or -EINVAL for an id that
 * is empty or too long. */
int snapshot_add(struct snapshot *snapshot, const void *id, size_t id_length,
                 int64_t count) MUST_CHECK;

/* Sorts the devices in the order of their ids' bytes, drops all but the last count of each, and
 * works out what the functions below tell. `before` is the sealed snapshot before this one, or NULL
 * when there is none to compare with; it is only read, and not needed afterwards. Returns 0, or
 * -ENOMEM, and then the snapshot can only be destroyed. */
int snapshot_seal(struct snapshot *snapshot, const struct snapshot *before) MUST_CHECK;

/* All below: of a sealed snapshot. */

/* The number of devices. */
size_t snapshot_length(const struct snapshot *snapshot);

/* The sum of all counts, which wraps around past 2^63 - 1. */
int64_t snapshot_total(const struct snapshot *snapshot);

/* Bytes of memory that it takes, in whole pages. */
size_t snapshot_bytes(const struct snapshot *snapshot);

/* A number that two snapshots of this process share only when they hold the same devices with the
 * same counts. A snapshot that is like the one before it has its number. */
uint64_t snapshot_version(const struct snapshot *snapshot);

/* Device `index`, below snapshot_length(), in the order of ids; valid as long as the snapshot. */
struct snapshot_device snapshot_get(const struct snapshot *snapshot, size_t index);

/* The index of the device that is at `rank`, below snapshot_length(), in the order of counts, the
 * largest first, and of equal counts in the order of ids. */
size_t snapshot_by_count(const struct snapshot *snapshot, size_t rank);

/* The same in the order of what was gained, for ranks below SNAPSHOT_FASTEST and
 * snapshot_fastest_length(). Devices that gained nothing are not among them. */
size_t snapshot_fastest(const struct snapshot *snapshot, size_t rank);
size_t snapshot_fastest_length(const struct snapshot *snapshot);

/* The first index whose id is not before `id`; the length when there is none. */
size_t snapshot_lower_bound(const struct snapshot *snapshot, const void *id, size_t id_length);

/* The indexes [*begin, *end) of the devices whose ids begin with `prefix`. */
void snapshot_prefix(const struct snapshot *snapshot, const void *prefix, size_t prefix_length,
                     size_t *begin, size_t *end);

#endif
