/*
 * The counter map: device id -> counter, each counter with two lanes.
 *
 * A worker counts into one lane while the flusher empties the other; the cut swaps them. The
 * flusher keeps a map of its own, for what Redis refused and for the overflow
 * (aggregator/pending.c). A counter enters a lane's list at its first addition and leaves it when
 * popped, so that emptying a lane costs the devices that were active, not all there are.
 *
 * Counters are never moved or freed before the map is. At most `max_devices` ids get a counter of
 * their own; what comes after shares one, named COUNTERS_OVERFLOW_ID, so totals stay exact. That
 * one is not looked up by its name: a device that is called so has a counter like any other, and
 * only the two counts share a name in the end.
 *
 * Threads: one owner looks up and adds. A lane that the owner has handed over, and only that lane,
 * may be popped by another thread until it is handed back, empty (aggregator/cut.h).
 */
#ifndef TALLYD_AGGREGATOR_COUNTERS_H
#define TALLYD_AGGREGATOR_COUNTERS_H

#include "common/compiler.h"
#include "common/hash.h"
#include "proto/packet.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define COUNTERS_LANES       2
#define COUNTERS_OVERFLOW_ID "__overflow__"
#define COUNTERS_GROUP       32 /* ids looked up together */

struct allowance;
struct counters;
struct counter;
struct pressure;

/* Makes an empty map. `hash_key` is copied. Returns NULL with errno ENOMEM. */
struct counters *counters_create(const struct hash_key *hash_key, size_t max_devices) MUST_CHECK;
void counters_destroy(struct counters *counters);

/* Adds n > 0 to a lane of the counter of a device id of 1 to UINT16_MAX bytes, which is made if it
 * is new (the id is copied); to the overflow counter when the map is full, memory is short, or the
 * id longer. Returns the counter. Never fails. Called by: the owner. */
struct counter *counters_add(struct counters *counters, unsigned lane, const uint8_t *id,
                             size_t length, uint64_t n);

/* Adds 1 to a lane of the counter of each of up to COUNTERS_GROUP ids: what counters_add()
 * would do one by one, with the fetches from memory overlapped. Called by: the owner. */
void counters_add_each(struct counters *counters, unsigned lane, const struct packet_id *ids,
                       size_t count);

/* From now on, who makes a counter takes its device from this allowance, which is borrowed; when
 * nothing is left there, the overflow counter stands in. Maps that share an allowance have the same
 * hash key. NULL, as in the beginning: no allowance. Called by: the owner. */
void counters_allow(struct counters *counters, struct allowance *allowance);

/* No counter is made while memory is PRESSURE_FULL: the overflow counter stands in. `pressure` is
 * borrowed. Called by: main, before the owner begins. */
void counters_heed(struct counters *counters, const struct pressure *pressure);

/* Takes a counter that is not zero off a lane and zeroes it there; its value goes to *n. Returns
 * NULL when the lane is empty. The counter stays valid as long as the map. Called by: who holds
 * the lane. */
struct counter *counters_pop(struct counters *counters, unsigned lane, uint64_t *n);

/* Takes what a counter has in a lane, maybe nothing. Leaves it zero and on the lane's list, which
 * must be popped empty before the lane is handed back. Called by: who holds the lane. */
uint64_t counter_take(struct counter *counter, unsigned lane);

/* Takes the counters made since the last call, the overflow counter never among them: returns the
 * first of a chain by counter_twin(), or NULL. Constant time. Called by: the owner. */
struct counter *counters_take_new(struct counters *counters);

/* A link to another counter that is not the map's, but belongs to who was given what
 * counters_take_new() returned: the flusher finds there the same device in the other workers' maps
 * (aggregator/pending.c). Always NULL in the overflow counter. Called by: flusher. */
struct counter *counter_twin(const struct counter *counter);
void counter_set_twin(struct counter *counter, struct counter *twin);

/* A counter's device id; valid as long as the map, and never changed. Any thread that has the
 * counter from this map. */
const uint8_t *counter_id(const struct counter *counter, size_t *length);

/* True for the counter that stands in for all that found no room. Any thread that has the counter
 * from this map. */
bool counters_is_overflow(const struct counters *counters, const struct counter *counter);

/* Counters made so far, the overflow counter not among them. Called by: the owner. */
size_t counters_count(const struct counters *counters);

/* Bytes of memory that the counters and their index take, what is set aside for further counters
 * not among them. Called by: the owner. */
size_t counters_bytes(const struct counters *counters);

#endif
