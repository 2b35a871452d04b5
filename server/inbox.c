/*
 * A pipe: a queue that the kernel keeps, locks and bounds, and that epoll can wait for.
 *
 * Why an item always arrives whole: one that is written is no longer than PIPE_BUF, so the write is
 * done as a whole or not at all, and a read takes a whole number of them, since nothing else is
 * ever written. What main did before a write is seen by the worker behind the read: the pipe's lock
 * in the kernel orders them.
 */
#include "server/inbox.h"

#include "common/thread.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static_assert(sizeof(struct inbox_item) <= PIPE_BUF, "an item must go out in one piece");

struct inbox {
    int ends[2]; /* the worker reads from the first, main writes to the second */
};

struct inbox *inbox_create(void)
{
    struct inbox *inbox = malloc(sizeof *inbox);

    thread_assert_role(THREAD_MAIN);
    if (inbox && pipe2(inbox->ends, O_NONBLOCK | O_CLOEXEC)) {
        int error = errno;

        free(inbox);
        errno = error;
        return NULL;
    }
    return inbox;
}

int inbox_fd(const struct inbox *inbox)
{
    return inbox->ends[0];
}

int inbox_put(struct inbox *inbox, int fd, struct address *address)
{
    struct inbox_item item;

    thread_assert_role(THREAD_MAIN);
    memset(&item, 0, sizeof item); /* its padding too */
    item.fd = fd;
    item.address = address;
    return write(inbox->ends[1], &item, sizeof item) == (ssize_t)sizeof item ? 0 : -errno;
}

size_t inbox_take(struct inbox *inbox, struct inbox_item *items, size_t room)
{
    ssize_t bytes = read(inbox->ends[0], items, room * sizeof *items);

    thread_assert_role(THREAD_WORKER);
    return bytes > 0 ? (size_t)bytes / sizeof *items : 0;
}

void inbox_destroy(struct inbox *inbox)
{
    thread_assert_role(THREAD_MAIN);
    if (!inbox)
        return;
    close(inbox->ends[0]);
    close(inbox->ends[1]);
    free(inbox);
}
