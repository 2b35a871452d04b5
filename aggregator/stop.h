/*
 * How main ends the flusher, and sees meanwhile that it lives: the flusher's waits, which a stop
 * cuts short, the deadline of that stop, and the time when it last waited or turned to Redis.
 */
#ifndef TALLYD_AGGREGATOR_STOP_H
#define TALLYD_AGGREGATOR_STOP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Embedded; only stop.c looks inside. */
struct stop {
    int wake_fd;                  /* borrowed: an eventfd that ends a wait */
    _Atomic uint64_t alive_ms;    /* writer: flusher, but for the first */
    atomic_bool requested;        /* writer: main */
    _Atomic uint64_t deadline_ms; /* writer: main, before `requested` */
};

/* Called by: main, before the flusher starts. */
void stop_init(struct stop *stop, int wake_fd);

/* Asks for the stop, which shall be over at `deadline_ms` by clock_now_ms(), and ends a wait.
 * Called by: main. */
void stop_request(struct stop *stop, uint64_t deadline_ms);

/* Whether it was asked for; whether its deadline has passed, too. Called by: flusher. */
bool stop_requested(const struct stop *stop);
bool stop_overdue(const struct stop *stop);

/* Sleeps until somebody writes the eventfd, at most `ms`; stamps before. Called by: flusher. */
void stop_nap(struct stop *stop, uint64_t ms);

/* Sleeps for `ms`, whoever writes the eventfd, but ends with a stop. Called by: flusher. */
void stop_pause(struct stop *stop, uint64_t ms);

/* Says that the flusher lives: it turns to something that may take long. Called by: flusher; main,
 * before it starts. */
void stop_stamp(struct stop *stop);

/* When that was said last, by clock_now_ms(). Called by: any thread. */
uint64_t stop_alive_ms(const struct stop *stop);

#endif
