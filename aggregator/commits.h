/*
 * What the flusher tells the workers: how far it has committed, and whether Redis answers.
 *
 * One writer, the flusher; the workers read.
 */
#ifndef TALLYD_AGGREGATOR_COMMITS_H
#define TALLYD_AGGREGATOR_COMMITS_H

#include "common/compiler.h"

#include <stdbool.h>
#include <stdint.h>

/* An exchange that is under way is nothing to worry about for so long, however short the grace:
 * a commit takes some milliseconds, many times that on a slow disk. */
#define COMMITS_UNDER_WAY_MS 1000

struct commits;

/* Returns NULL with errno. The state is "nothing committed, Redis never reached". Called by:
 * main. */
struct commits *commits_create(void) MUST_CHECK;
void commits_destroy(struct commits *commits);

/* Publishes that everything up to cut n is in Redis. Called by: flusher. */
void commits_publish(struct commits *commits, uint64_t n);

/* Says that an exchange with Redis has begun, or that the last one failed, or succeeded. A second
 * "begun" before a success changes nothing: the first is what readers measure from. Called by:
 * flusher. */
void commits_exchange_begun(struct commits *commits);
void commits_exchange_failed(struct commits *commits);
void commits_exchange_done(struct commits *commits);

/* The last committed cut. Called by: any thread. */
uint64_t commits_number(const struct commits *commits);

/* True when Redis was never reached, or has not answered for longer than grace_ms (and, while the
 * first exchange in question is under way, COMMITS_UNDER_WAY_MS). It needs no help of the flusher,
 * which may be the one that hangs. Called by: any thread. */
bool commits_redis_down(const struct commits *commits, uint64_t grace_ms);

#endif
