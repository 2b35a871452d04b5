/*
 * A connection to the server: finds an address that answers, shakes hands if there is TLS, and
 * moves bytes between the socket and the RPC session, driven by the owner's epoll set. It is
 * watched for writing only while it has something to send. One thread.
 */
#ifndef TALLYD_CLIENT_CHANNEL_H
#define TALLYD_CLIENT_CHANNEL_H

#include "client/credentials.h"
#include "client/rpc_session.h"
#include "common/compiler.h"

#include <netdb.h>
#include <stddef.h>
#include <stdint.h>

struct channel;

/* `context` is the one of struct channel_options. */
struct channel_handler {
    /* Connected: calls may be started on channel_session(). */
    void (*ready)(void *context);

    /* Could not connect, or lost, or over; its calls have ended, `calls` of them because of it.
     * Nothing more will happen on it. It must not be destroyed from inside. */
    void (*closed)(void *context, const struct rpc_outcome *outcome, size_t calls);
};

/* Everything here is borrowed and must outlive the channel. */
struct channel_options {
    const struct addrinfo *addresses; /* tried in this order */
    const char *target;               /* what the user calls them, also the :authority */
    const struct credentials *credentials;
    int epoll_fd; /* its events carry the channel in data.ptr */
    const struct rpc_handler *rpc;
    const struct channel_handler *handler;
    void *context; /* of both handlers */
};

/* NULL with errno ENOMEM. Destroying closes the socket; calls under way are not ended. */
struct channel *channel_create(const struct channel_options *options) MUST_CHECK;
void channel_destroy(struct channel *channel);

/* Begins to connect; also anew, once it is closed, but not from inside a handler. May call
 * `closed`.
 */
void channel_start(struct channel *channel);

/* Handles events that epoll reported for the channel. */
void channel_handle(struct channel *channel, uint32_t events);

/* Makes the channel ask its session for bytes again; after rpc_call_resume(). */
void channel_wake(struct channel *channel);

/* Ends all calls as `outcome` says and closes. Calls `closed` unless it is closed already. */
void channel_fail(struct channel *channel, const struct rpc_outcome *outcome);

/* The session, or NULL before it is ready. */
struct rpc_session *channel_session(struct channel *channel);

#endif
