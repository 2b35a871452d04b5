/* See local_socket.h. */
#include "http/local_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

int local_socket_listen(const char *address, uint64_t port)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found;
    const int on = 1;
    char service[24];
    int fd, error = 0;

    snprintf(service, sizeof service, "%" PRIu64, port);
    if (getaddrinfo(address, service, &hints, &found))
        return -EADDRNOTAVAIL;
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) ||
        bind(fd, found->ai_addr, found->ai_addrlen) || listen(fd, BACKLOG)) {
        error = -errno;
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(found);
    return error ? error : fd;
}

int local_socket_reach(uint16_t port, uint16_t *own_port)
{
    struct sockaddr_in there = {.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
                       here = {0};
    socklen_t length = sizeof here;
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), error;

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if ((connect(fd, (struct sockaddr *)&there, sizeof there) && errno != EINPROGRESS) ||
        getsockname(fd, (struct sockaddr *)&here, &length)) {
        error = -errno;
        close(fd);
        return error;
    }
    *own_port = ntohs(here.sin_port);
    return fd;
}
