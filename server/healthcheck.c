/* See healthcheck.h. */
#include "server/healthcheck.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TIMEOUT_S 2

static int connect_to(const char *host, uint16_t port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *found;
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    char service[8];
    int fd, error = 0;

    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &found))
        return -EINVAL;
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    }
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen)) {
        error = -errno;
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(found);
    return error ? error : fd;
}

int healthcheck(const char *bind, uint16_t port)
{
    static const char request[] = "GET /healthz HTTP/1.0\r\n\r\n";
    static const char ok[] = " 200 ";
    /* With "::" HTTP listens on IPv4 too, and on nothing else where civetweb lacks IPv6. */
    bool any = strcmp(bind, "0.0.0.0") == 0 || strcmp(bind, "::") == 0;
    char answer[16] = "";
    size_t have = 0;
    ssize_t n = 1;
    int fd = connect_to(any ? "127.0.0.1" : bind, port);

    if (fd < 0)
        return fd;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0) {
        n = -errno;
        close(fd);
        return (int)n;
    }
    while (have < sizeof answer - 1 && n > 0) {
        n = recv(fd, answer + have, sizeof answer - 1 - have, 0);
        if (n > 0)
            have += (size_t)n;
    }
    close(fd);
    /* "HTTP/1.1 200 OK" */
    return have > 12 && memcmp(answer + 8, ok, sizeof ok - 1) == 0 ? 0 : -EBADMSG;
}
