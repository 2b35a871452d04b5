/*
 * Whether the threads that matter still go round: the workers, which count, and the flusher, which
 * commits. Each stamps a clock when it does; main looks at the clocks, and tells the service
 * manager that tallyd is alive only while all of them are recent. So a worker that hangs, in an
 * endless loop or on a lock, ends in a restart, and one that is merely busy or without Redis does
 * not.
 *
 * Thread: main.
 */
#ifndef TALLYD_SERVER_WATCHDOG_H
#define TALLYD_SERVER_WATCHDOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flusher;
struct worker;

struct watchdog {
    struct worker *const *workers; /* borrowed, as is the flusher */
    size_t worker_count;
    const struct flusher *flusher;
    uint64_t period_ms; /* the manager's; 0: it does not wait to hear anything */
    uint64_t due_ms;    /* when it is told next */
    bool in_trouble;    /* and it was told so */
};

/* The threads run. Asks the environment what the manager waits for. */
void watchdog_init(struct watchdog *watchdog, struct worker *const *workers, size_t worker_count,
                   const struct flusher *flusher);

/* Looks, and tells, if it is time to. Returns when it is time again (clock_now_ms()); UINT64_MAX is
 * never. */
uint64_t watchdog_tick(struct watchdog *watchdog, uint64_t now_ms);

#endif
