/* GET /top: the busiest devices, by count and by rate. */
#ifndef TALLYD_HTTP_TOP_H
#define TALLYD_HTTP_TOP_H

#include <stddef.h>
#include <stdint.h>

#define TOP_DEFAULT 20
#define TOP_MAX     1000

enum top_order { TOP_BY_COUNT, TOP_BY_RATE };
#define TOP_ORDERS 2

struct request;
struct snapshot;
struct text_writer;

/* "by_count" or "by_rate". */
const char *top_name(enum top_order order);

/* How many devices are among the first `most`. By rate there are fewer when few have gained
 * anything. */
size_t top_length(const struct snapshot *snapshot, enum top_order order, size_t most);

/* Writes the members "device_id", "count" and "rate" of the device at a rank, from 0. `gained_ms`
 * is reading_gained_ms(); with 0 the rate is null. */
void top_write_device(struct text_writer *writer, const struct snapshot *snapshot,
                      enum top_order order, size_t rank, uint64_t gained_ms);

/* Writes "rate_window_ms" and its value: null for 0. */
void top_write_window(struct text_writer *writer, uint64_t gained_ms);

/* Answers 200 with the first `n` of each order, or an error when there is no snapshot. Returns the
 * status. Called by: http. */
int top_serve(struct request *request);

#endif
