/*
 * Waking a thread that waits in poll or epoll, through an eventfd. A wake-up is never lost: who
 * reads the descriptor empty before looking at what may have changed will be woken by every later
 * change. Any thread.
 */
#ifndef TALLYD_COMMON_WAKE_H
#define TALLYD_COMMON_WAKE_H

#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A non-blocking eventfd that the caller closes, or -1 with errno. */
static inline int wake_create(void)
{
    return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
}

/* Makes it readable. */
static inline void wake_send(int fd)
{
    uint64_t one = 1;

    if (write(fd, &one, sizeof one) < 0) {
        /* Only EAGAIN, at 2^64 - 2 unread wake-ups: it is readable, all is well. */
    }
}

/* Reads it empty. */
static inline void wake_clear(int fd)
{
    uint64_t count;

    if (read(fd, &count, sizeof count) < 0) {
        /* Only EAGAIN: it was empty. */
    }
}

#endif
