/*
 * One reading: a snapshot and when it was taken, shared by all who were given it. It counts its
 * holders, and the last one frees it. Once a second holder has it nothing in it changes, so all of
 * them read it without a lock.
 */
#ifndef TALLYD_HTTP_READING_H
#define TALLYD_HTTP_READING_H

#include "common/compiler.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

struct reading;
struct snapshot;

/* A reading that begins now, at `now_ms` by clock_now_ms(), with one holder and without a snapshot
 * as yet. `live` counts it until it is freed, and must outlive it. NULL, and nothing counted, when
 * memory is short. Called by: http-reader. */
struct reading *reading_create(uint64_t number, uint64_t now_ms, atomic_size_t *live) MUST_CHECK;

/* Says that it is compared with an earlier one. Called by: http-reader, before anybody else holds
 * it. */
void reading_compare(struct reading *reading, const struct reading *before);

/* Gives it the snapshot that was made, which it owns from then on. Called by: http-reader, before
 * anybody else holds it. */
void reading_fill(struct reading *reading, struct snapshot *snapshot);

/* One holder more; returns it. Called by: whoever holds it, or keeps its last holder from going. */
struct reading *reading_hold(struct reading *reading);

/* One holder less; the last frees it. NULL does nothing. Called by: http. */
void reading_release(struct reading *reading);

/* The snapshot; valid until the reading is released, as are the numbers. */
const struct snapshot *reading_snapshot(const struct reading *reading);

/* Readings are numbered as they are begun. */
uint64_t reading_number(const struct reading *reading);

/* When it was begun: all that was committed by then is in it. By clock_now_ms(), and in ms since
 * 1970. */
uint64_t reading_began_ms(const struct reading *reading);
uint64_t reading_wall_ms(const struct reading *reading);

/* The time over which snapshot_device.gained was gained, in ms; 0 when it was compared with no
 * other. */
uint64_t reading_gained_ms(const struct reading *reading);

#endif
