/* See proxy_listener.h. */
#include "http/proxy_listener.h"

#include "http/local_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int proxy_listener_open(struct proxy_listener *listener, const char *bind, uint64_t port,
                        int epoll_fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener};

    listener->epoll_fd = epoll_fd;
    listener->fd = local_socket_listen(bind, port);
    if (listener->fd < 0)
        return listener->fd;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener->fd, &event))
        return -errno;
    listener->watched = true;
    return 0;
}

void proxy_listener_close(struct proxy_listener *listener)
{
    if (listener->fd >= 0)
        close(listener->fd);
    listener->fd = -1;
}

static void watch(struct proxy_listener *listener, bool watched)
{
    struct epoll_event event = {.events = watched ? EPOLLIN : 0, .data.ptr = listener};

    if (watched != listener->watched &&
        !epoll_ctl(listener->epoll_fd, EPOLL_CTL_MOD, listener->fd, &event))
        listener->watched = watched;
}

void proxy_listener_pause(struct proxy_listener *listener)
{
    watch(listener, false);
}

void proxy_listener_resume(struct proxy_listener *listener)
{
    watch(listener, true);
}

static bool is_short(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

int proxy_listener_accept(struct proxy_listener *listener, struct sockaddr_storage *address)
{
    socklen_t length = sizeof *address;
    int fd, error;

    memset(address, 0, sizeof *address);
    fd = accept4(listener->fd, (struct sockaddr *)address, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        return fd;
    error = errno;
    if (!is_short(error))
        return -error;
    proxy_listener_pause(listener);
    log_event(LOG_WARN, &(struct log_about){.kind = "http_paused", .limit = &listener->paused},
              "HTTP takes no connection for %d ms: %s", PROXY_LISTENER_PAUSE_MS, strerror(error));
    return -EAGAIN;
}
