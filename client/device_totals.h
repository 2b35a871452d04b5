/*
 * What was sent for each device, for tests that compare it with what the server counted: packets
 * of streams whose Ack was OK, and packets sent on streams that failed. It remembers no stream:
 * the generator tells again which devices a range of packets was of. One thread.
 */
#ifndef TALLYD_CLIENT_DEVICE_TOTALS_H
#define TALLYD_CLIENT_DEVICE_TOTALS_H

#include "client/generator.h"
#include "common/compiler.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct device_totals;

/* For `devices` devices of `generator`, which is borrowed. NULL with errno ENOMEM. */
struct device_totals *device_totals_create(const struct generator *generator,
                                           uint64_t devices) MUST_CHECK;
void device_totals_destroy(struct device_totals *totals);

/* Adds the packets `first` to `first + count - 1`. */
void device_totals_add(struct device_totals *totals, uint64_t first, uint64_t count,
                       bool acknowledged);

/* Writes a line "device<TAB>acknowledged<TAB>unacknowledged" for each device that was sent
 * anything, by number. Returns 0 or a negative errno. */
int device_totals_write(const struct device_totals *totals, FILE *out) MUST_CHECK;

#endif
