/*
 * The timers of a worker: a heap of those that are set, the next one due on top. Whoever wants to
 * be woken embeds a struct timer. Times are in ms by clock_now_ms().
 *
 * Thread: worker, the one that owns them.
 */
#ifndef TALLYD_SERVER_TIMERS_H
#define TALLYD_SERVER_TIMERS_H

#include "common/compiler.h"

#include <stddef.h>
#include <stdint.h>

enum timer_kind { TIMER_CALL, TIMER_CONNECTION };

/* Zeroed but for `kind`: not set. Its owner reads `kind` and `due_ms`, and writes neither while it
 * is set. */
struct timer {
    enum timer_kind kind;
    uint64_t due_ms;
    size_t place; /* in the heap, from 1 on; 0: it is not set */
};

struct timers;

/* Returns NULL with errno ENOMEM. */
struct timers *timers_create(void) MUST_CHECK;

/* The timers themselves are their owners', and must no longer be used as set. NULL does nothing. */
void timers_destroy(struct timers *timers);

/* Sets a timer, or sets it anew. It is borrowed until it is due or cancelled. Returns 0 or -ENOMEM,
 * which a timer that is set already never meets. */
int timers_set(struct timers *timers, struct timer *timer, uint64_t due_ms) MUST_CHECK;

/* Cancels a timer; one that is not set is left alone. */
void timers_cancel(struct timers *timers, struct timer *timer);

/* Takes a timer that is due at `now_ms`, which is not set any more; NULL when there is none. */
struct timer *timers_take_due(struct timers *timers, uint64_t now_ms);

/* When the next one is due; UINT64_MAX: none is set. */
uint64_t timers_next_ms(const struct timers *timers);

#endif
