/*
 * What the guard is told of, and what follows when it says no: the frames that carry no request.
 */
#include "server/connection_private.h"

int connection_condemn(struct connection *connection, enum bad_peer_reason reason, const char *why,
                       const char *debug)
{
    connection->verdict = (struct connection_verdict){reason, why, debug};
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int condemn_flood(struct connection *connection)
{
    return connection_condemn(connection, BAD_PEER(flood),
                              "it sends too many frames that carry nothing", NULL);
}

int connection_take_idle(struct connection *connection)
{
    if (guard_frame(&connection->guard, connection->context->now_ms))
        return 0;
    return condemn_flood(connection);
}

static int take_ping(struct connection *connection, const nghttp2_frame *frame)
{
    if (frame->hd.flags & NGHTTP2_FLAG_ACK)
        return connection_take_idle(connection);
    switch (guard_ping(&connection->guard, connection->context->now_ms)) {
    case GUARD_PING_FINE:
        return 0;
    case GUARD_PING_TOO_OFTEN:
        /* The debug data is what gRPC's clients look for: they then ping half as often. */
        return connection_condemn(connection, BAD_PEER(pings), "it pings too often",
                                  "too_many_pings");
    case GUARD_PING_FLOOD:
        break;
    }
    return condemn_flood(connection);
}

int connection_take_reset(struct connection *connection, const struct call *call)
{
    uint64_t now = connection->context->now_ms;

    if (guard_reset(&connection->guard, call ? now - call->opened_ms : 0, now))
        return 0;
    return connection_condemn(connection, BAD_PEER(reset), "it has too many streams reset", NULL);
}

static int take_reset_frame(struct connection *connection, const nghttp2_frame *frame)
{
    const struct call *call =
        nghttp2_session_get_stream_user_data(connection->session, frame->hd.stream_id);

    connection->last_reset = frame->hd.stream_id;
    return call ? connection_take_reset(connection, call) : connection_take_idle(connection);
}

static int take_settings(struct connection *connection, const nghttp2_frame *frame)
{
    if (frame->hd.flags & NGHTTP2_FLAG_ACK)
        return connection_take_idle(connection);
    if (guard_settings(&connection->guard, (uint32_t)frame->settings.niv,
                       connection->context->now_ms))
        return 0;
    return condemn_flood(connection);
}

/* Out of line, for DATA comes by where it is called. */
NOINLINE int connection_take_other(struct connection *connection, const nghttp2_frame *frame)
{
    connection->completed = true;
    switch (frame->hd.type) {
    case NGHTTP2_PING:
        return take_ping(connection, frame);
    case NGHTTP2_RST_STREAM:
        return take_reset_frame(connection, frame);
    case NGHTTP2_SETTINGS:
        return take_settings(connection, frame);
    default:
        return connection_take_idle(connection);
    }
}
