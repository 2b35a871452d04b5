/* See listener.h. */
#include "server/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 1024

/* A stream's HTTP/2 window: TCP's shall not be the smaller one. */
#define RECEIVE_BUFFER_BYTES (4 << 20)

/* What the kernel holds for a peer that does not read; it doubles this for its own use. */
#define SEND_BUFFER_BYTES (64 << 10)

static socklen_t make_address(const char *text, uint16_t port, struct sockaddr_storage *out)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;

    memset(out, 0, sizeof *out);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return sizeof *v6;
    }
    return 0;
}

/*
 * Gives connections a large receive buffer from the start. Left to itself the kernel begins with
 * 128 KiB and grows it by what is read in a round trip, which on a short path is little; meanwhile
 * the sender waits for window after window. SO_RCVBUF would stop that growth, and at
 * net.core.rmem_max, 208 KiB by default. Raising the low-water mark raises the buffer with it
 * (tcp_set_rcvlowat() in Linux, up to half of net.ipv4.tcp_rmem), and lowering it again leaves the
 * buffer. Accepted sockets inherit it. Where it fails, nothing is lost but speed.
 */
static void enlarge_receive_buffer(int fd)
{
    int bytes = RECEIVE_BUFFER_BYTES, one = 1;

    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
    setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof one);
}

/*
 * Bounds what is unsent. Left to itself the kernel takes up to 4 MiB of answers for each connection
 * (net.ipv4.tcp_wmem) before anybody sees that its peer does not read. Acks are a few bytes: 64 KiB
 * are hundreds of them, and round trips of any length are no matter.
 */
static void bound_send_buffer(int fd)
{
    int bytes = SEND_BUFFER_BYTES;

    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

int listener_open(const char *address, uint16_t port)
{
    struct sockaddr_storage where;
    socklen_t length = make_address(address, port, &where);
    int on = 1, fd, error;

    if (!length)
        return -EINVAL;
    fd = socket(where.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    /* So that a restart need not wait for the connections of the last run to time out. */
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    enlarge_receive_buffer(fd);
    bound_send_buffer(fd);
    if (bind(fd, (struct sockaddr *)&where, length) || listen(fd, BACKLOG)) {
        error = -errno;
        close(fd);
        return error;
    }
    return fd;
}

int listener_accept(int listener, struct sockaddr_storage *peer)
{
    socklen_t length = sizeof *peer;
    int fd, on = 1;

    memset(peer, 0, sizeof *peer);
    fd = accept4(listener, (struct sockaddr *)peer, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return -errno;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* Acks are small, and waited for */
    return fd;
}
