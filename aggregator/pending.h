/*
 * Pending: what left the workers and is not confirmed in Redis. It is taken batch by batch from the
 * lanes that the workers handed over, where it was counted: there is no second copy of the devices.
 *
 * A device that several workers counted costs one HINCRBY: its counters, one a worker, are linked
 * to each other in the cut that brings them, and are emptied together.
 *
 * At most `max_devices` devices, over all workers, get a count of their own; the packets of others
 * go to COUNTERS_OVERFLOW_ID.
 *
 * Thread: flusher; main once that has ended.
 */
#ifndef TALLYD_AGGREGATOR_PENDING_H
#define TALLYD_AGGREGATOR_PENDING_H

#include "aggregator/batch.h"
#include "aggregator/cut.h"
#include "common/compiler.h"
#include "common/hash.h"

#include <stddef.h>
#include <stdint.h>

struct pending;

/* `hash_key` is copied. Returns NULL with errno ENOMEM. */
struct pending *pending_create(const struct hash_key *hash_key, size_t max_devices,
                               size_t workers) MUST_CHECK;

/* NULL does nothing. */
void pending_destroy(struct pending *pending);

/* Takes over what worker number `worker` handed over, once a cut and a worker, before the first
 * pending_fill(). The lane is borrowed until pending_fill() returns 0, or pending_stow(). The
 * workers' maps must live as long as pending. */
void pending_take(struct pending *pending, size_t worker, struct cut_lane lane);

/* Fills a batch with what is next: counts first, then what is for the quarantine. Returns its
 * entries; 0 when nothing is pending but what other batches hold, and then the lanes are empty. */
size_t pending_fill(struct pending *pending, struct batch *batch);

/* Puts the delta of a batch's entry in line for the quarantine. */
void pending_refuse(struct pending *pending, const struct batch_entry *entry);

/* For what is given up: moves the entries of a batch, and all that is in the lanes, into a map of
 * pending's own, so that the lanes can be handed back. Nothing may be filled after that. */
void pending_return(struct pending *pending, struct batch *batch);
void pending_stow(struct pending *pending);

/* Throws away what is in that map. Returns the packets, and in *devices of how many devices. */
uint64_t pending_drop(struct pending *pending, uint64_t *devices);

/* Devices with a count of their own so far, and packets that went to COUNTERS_OVERFLOW_ID. */
size_t pending_devices(const struct pending *pending);
uint64_t pending_overflowed(const struct pending *pending);

#endif
