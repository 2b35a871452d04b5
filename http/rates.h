/*
 * Packets a second that this instance receives, over the last five minutes: a thread samples the
 * workers' statistics a few times a second, always, so that whoever asks first has a history.
 */
#ifndef TALLYD_HTTP_RATES_H
#define TALLYD_HTTP_RATES_H

#include "common/compiler.h"
#include "common/stats.h"

#include <stddef.h>
#include <stdint.h>

#define RATES_HISTORY_S 300

struct rates;

/* Starts the sampling thread. The statistics are borrowed and must outlive it. NULL with errno.
 * Called by: main. */
struct rates *rates_create(struct stats_worker *const *workers, size_t worker_count) MUST_CHECK;

/* Ends the thread. Nobody may ask any more. NULL does nothing. Called by: main. */
void rates_destroy(struct rates *rates);

/* The windows that rates are told for. */
enum rates_window { RATES_1_S, RATES_10_S, RATES_1_MIN, RATES_WINDOWS };

/* Packets a second over a window, or over the time since the start when that is shorter, as of the
 * last sample. Takes no lock: a thousand clients may ask at once. Called by: any thread. */
double rates_over(const struct rates *rates, enum rates_window window);

/* Packets a second in each of the last whole seconds, the oldest first; returns how many seconds
 * there are, at most RATES_HISTORY_S. Called by: http. */
size_t rates_history(struct rates *rates, double seconds[RATES_HISTORY_S]);

#endif
