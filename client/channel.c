/*
 * The socket of a connection. Two things are less obvious than they look:
 *
 * - A turn is bounded both ways, so that one fast connection cannot starve the others; what is
 *   left makes the socket ready again at once, for epoll is level-triggered here.
 * - When writing fails, the server may have said why before it closed: what it sent is read to its
 *   end before the calls are given up.
 */
#include "client/channel.h"

#include "client/conduit.h"
#include "common/clock.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUTPUT_BYTES 65536 /* copied for a system call: four full DATA frames */
#define TURN_BUFFERS 4     /* outputs written, or buffers read, in one turn */
#define INPUT_BYTES  16384

enum channel_state { CHANNEL_CONNECTING, CHANNEL_HANDSHAKE, CHANNEL_READY, CHANNEL_CLOSED };

struct channel {
    struct channel_options options;
    const struct addrinfo *next_address;
    enum channel_state state;
    int fd;
    uint32_t watched; /* epoll events asked for */
    struct conduit conduit;
    struct rpc_session *session;
    struct output output;
    uint8_t store[OUTPUT_BYTES]; /* of output */
};

static const struct rpc_outcome connection_lost = {.status = GRPC_UNAVAILABLE,
                                                   .message = "connection lost"};

struct channel *channel_create(const struct channel_options *options)
{
    struct channel *channel = malloc(sizeof *channel);

    if (!channel)
        return NULL;
    channel->options = *options;
    channel->state = CHANNEL_CLOSED;
    channel->fd = -1;
    channel->watched = 0;
    channel->session = NULL;
    memset(&channel->conduit, 0, sizeof channel->conduit);
    return channel;
}

static void close_socket(struct channel *channel)
{
    conduit_fini(&channel->conduit);
    if (channel->fd >= 0)
        close(channel->fd); /* which takes it out of the epoll set */
    channel->fd = -1;
    channel->watched = 0;
}

void channel_destroy(struct channel *channel)
{
    if (!channel)
        return;
    close_socket(channel);
    rpc_session_destroy(channel->session);
    free(channel);
}

struct rpc_session *channel_session(struct channel *channel)
{
    return channel->session;
}

void channel_fail(struct channel *channel, const struct rpc_outcome *outcome)
{
    size_t calls = 0;

    if (channel->state == CHANNEL_CLOSED)
        return;
    channel->state = CHANNEL_CLOSED;
    close_socket(channel);
    if (channel->session)
        calls = rpc_session_fail(channel->session, outcome);
    channel->options.handler->closed(channel->options.context, outcome, calls);
}

static void fail_with_errno(struct channel *channel, const char *what, int error)
{
    struct rpc_outcome outcome = {.status = GRPC_UNAVAILABLE};

    snprintf(outcome.message, sizeof outcome.message, "%s %.100s: %s", what,
             channel->options.target, strerror(error));
    channel_fail(channel, &outcome);
}

static int watch(struct channel *channel, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = channel};
    int operation = channel->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;

    if (events == channel->watched)
        return 0;
    if (epoll_ctl(channel->options.epoll_fd, operation, channel->fd, &event))
        return -errno;
    channel->watched = events;
    return 0;
}

/* Opens a socket to one address and begins to connect. Returns 0 or a negative errno. */
static int try_address(struct channel *channel, const struct addrinfo *address)
{
    const int on = 1;

    channel->fd =
        socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (channel->fd < 0)
        return -errno;
    /* Frames are gathered here; waiting for more would only delay the last one. */
    (void)setsockopt(channel->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(channel->fd, address->ai_addr, address->ai_addrlen) && errno != EINPROGRESS)
        return -errno;
    return watch(channel, EPOLLOUT);
}

/* Tries the addresses that are left; `error` is why the last one failed. */
static void try_next(struct channel *channel, int error)
{
    while (channel->next_address) {
        const struct addrinfo *address = channel->next_address;

        channel->next_address = address->ai_next;
        close_socket(channel);
        error = try_address(channel, address);
        if (!error)
            return;
    }
    fail_with_errno(channel, "cannot connect to", -error);
}

void channel_start(struct channel *channel)
{
    rpc_session_destroy(channel->session);
    channel->session = NULL;
    channel->next_address = channel->options.addresses;
    channel->state = CHANNEL_CONNECTING;
    output_init(&channel->output, channel->store, sizeof channel->store);
    try_next(channel, -EADDRNOTAVAIL);
}

/* The conduit is open: the session begins. */
static void become_ready(struct channel *channel)
{
    const struct credentials *credentials = channel->options.credentials;
    const struct rpc_peer peer = {
        .authority = channel->options.target,
        .secure = credentials->tls,
        .authorization = credentials->authorization,
    };

    channel->session = rpc_session_create(&peer, channel->options.rpc, channel->options.context);
    if (!channel->session) {
        fail_with_errno(channel, "cannot speak to", ENOMEM);
        return;
    }
    channel->state = CHANNEL_READY;
    channel->options.handler->ready(channel->options.context);
}

static void fail_with_tls(struct channel *channel, const char *what)
{
    struct rpc_outcome outcome = {.status = GRPC_UNAVAILABLE};

    snprintf(outcome.message, sizeof outcome.message, "%s %.80s: %.130s", what,
             channel->options.target, channel->conduit.why);
    channel_fail(channel, &outcome);
}

static void shake_hands(struct channel *channel)
{
    int error = 0;

    switch (conduit_open(&channel->conduit)) {
    case CONDUIT_OPEN:
        become_ready(channel);
        break;
    case CONDUIT_WANTS_READ:
        error = watch(channel, EPOLLIN);
        break;
    case CONDUIT_WANTS_WRITE:
        error = watch(channel, EPOLLOUT);
        break;
    case CONDUIT_FAILED:
        fail_with_tls(channel, "no TLS with");
        break;
    }
    if (error)
        fail_with_errno(channel, "cannot watch", -error);
}

static void finish_connecting(struct channel *channel)
{
    const struct credentials *credentials = channel->options.credentials;
    int error = 0;
    socklen_t size = sizeof error;

    if (getsockopt(channel->fd, SOL_SOCKET, SO_ERROR, &error, &size))
        error = errno;
    if (error) {
        try_next(channel, -error);
        return;
    }
    if (conduit_init(&channel->conduit, channel->fd, credentials->tls, credentials->server_name)) {
        fail_with_errno(channel, "cannot speak to", ENOMEM);
        return;
    }
    channel->state = CHANNEL_HANDSHAKE;
}

/* Reads what came, `turns` buffers at most. Returns 0, or a negative errno: -ECONNRESET when the
 * connection is over, -ECONNABORTED when TLS is, -EPROTO or -ENOMEM from the session. */
static int receive(struct channel *channel, int turns)
{
    uint8_t input[INPUT_BYTES];

    while (turns-- > 0) {
        ssize_t length = conduit_receive(&channel->conduit, input, sizeof input);
        int error;

        if (length == -EAGAIN)
            return 0;
        if (length <= 0)
            return length == -ECONNABORTED ? -ECONNABORTED : -ECONNRESET;
        error = rpc_session_push(channel->session, input, (size_t)length);
        if (error)
            return error;
    }
    return 0;
}

/* Sends for one turn. Returns 1 when there is more to send, 0 when not, or a negative errno. */
static int transmit(struct channel *channel)
{
    for (int turn = 0; turn < TURN_BUFFERS; turn++) {
        size_t before = channel->output.length;
        int result = conduit_send(&channel->conduit, &channel->output);

        if (channel->output.length < before)
            rpc_session_handed(channel->session, channel->output.length, clock_now_ns());
        if (result)
            return result == -EAGAIN ? 1 : result;
        result = rpc_session_pull(channel->session, &channel->output);
        if (result || !channel->output.length)
            return result;
    }
    return 1;
}

static void give_up(struct channel *channel, int error)
{
    struct rpc_outcome outcome;

    if (rpc_session_over(channel->session, &outcome))
        channel_fail(channel, &outcome);
    else if (channel->conduit.why)
        fail_with_tls(channel, "TLS ended with");
    else if (error == -EPROTO)
        fail_with_errno(channel, "cannot understand", EPROTO);
    else if (error == -ENOMEM)
        fail_with_errno(channel, "cannot speak to", ENOMEM);
    else
        channel_fail(channel, &connection_lost);
}

void channel_handle(struct channel *channel, uint32_t events)
{
    struct rpc_outcome outcome;
    int result = 0;

    if (channel->state == CHANNEL_CONNECTING)
        finish_connecting(channel);
    if (channel->state == CHANNEL_HANDSHAKE)
        shake_hands(channel);
    if (channel->state != CHANNEL_READY)
        return;
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
        result = receive(channel, TURN_BUFFERS);
    if (result == 0) {
        result = transmit(channel);
        if (result < 0)
            (void)receive(channel, INT32_MAX); /* until it is empty: the reason may be in it */
    }
    if (result < 0)
        give_up(channel, result);
    else if (rpc_session_over(channel->session, &outcome))
        channel_fail(channel, &outcome);
    else if ((result = watch(channel, result ? EPOLLIN | EPOLLOUT : EPOLLIN)))
        fail_with_errno(channel, "cannot watch", -result);
}

void channel_wake(struct channel *channel)
{
    int error = channel->state == CHANNEL_READY ? watch(channel, EPOLLIN | EPOLLOUT) : 0;

    if (error)
        fail_with_errno(channel, "cannot watch", -error);
}
