/*
 * Why this is right: main stores the deadline, then `requested` with release; the flusher loads
 * `requested` with acquire before it looks at the deadline, so it finds the one that was meant. The
 * eventfd is written behind both, and keeps what was written until it is read: a wait that begins
 * late ends at once, and one that ends finds the request. The stamp is relaxed, since main only
 * compares it with the time.
 */
#include "aggregator/stop.h"

#include "common/clock.h"
#include "common/wake.h"

#include <poll.h>

void stop_init(struct stop *stop, int wake_fd)
{
    stop->wake_fd = wake_fd;
    atomic_init(&stop->alive_ms, clock_now_ms());
    atomic_init(&stop->requested, false);
    atomic_init(&stop->deadline_ms, 0);
}

void stop_request(struct stop *stop, uint64_t deadline_ms)
{
    atomic_store_explicit(&stop->deadline_ms, deadline_ms, memory_order_relaxed);
    atomic_store_explicit(&stop->requested, true, memory_order_release);
    wake_send(stop->wake_fd);
}

bool stop_requested(const struct stop *stop)
{
    return atomic_load_explicit(&stop->requested, memory_order_acquire);
}

bool stop_overdue(const struct stop *stop)
{
    return stop_requested(stop) &&
           clock_now_ms() >= atomic_load_explicit(&stop->deadline_ms, memory_order_relaxed);
}

void stop_nap(struct stop *stop, uint64_t ms)
{
    struct pollfd wake = {.fd = stop->wake_fd, .events = POLLIN};

    stop_stamp(stop);
    if (poll(&wake, 1, (int)ms) > 0)
        wake_clear(wake.fd);
}

void stop_pause(struct stop *stop, uint64_t ms)
{
    uint64_t now = clock_now_ms(), until = now + ms;

    for (; !stop_requested(stop) && now < until; now = clock_now_ms())
        stop_nap(stop, until - now);
}

void stop_stamp(struct stop *stop)
{
    atomic_store_explicit(&stop->alive_ms, clock_now_ms(), memory_order_relaxed);
}

uint64_t stop_alive_ms(const struct stop *stop)
{
    return atomic_load_explicit(&stop->alive_ms, memory_order_relaxed);
}
