/*
 * A connection's input.
 *
 * The session reads straight from the worker's one receive buffer, and DATA reaches the calls as
 * pointers into it. Flow-control credit goes back automatically, since nothing is ever stored:
 * nghttp2 sends a WINDOW_UPDATE once half a window is used, so large windows make them rare.
 *
 * What a connection may cost others is bounded by how much is received of it in a turn: see turn.h.
 * This holds for whatever a peer may think of, and so stands behind all that the guard counts.
 */
#include "common/pressure.h"
#include "server/connection_private.h"

#include <errno.h>
#include <sys/socket.h>

#define TIGHT_BYTES (64 << 10) /* while memory is short */

#define FRAME_MAX_BYTES    (9 + (16 << 10)) /* that a peer may send: RFC 9113, 4.1 and 4.2 */
#define HEADER_BLOCK_BYTES (64 << 10)       /* that may come for one, over several receives */
#define DISCARDED_BYTES    (32 << 20)       /* twice what our windows allow to be under way */

/* Nothing of it is of use any more; but see connection_shut(). */
static bool discard(struct connection *connection)
{
    ssize_t n = recv(connection->transport.fd, connection->context->buffer,
                     connection->context->pace.most_bytes, MSG_DONTWAIT);

    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    connection->discarded += (size_t)n;
    return n > 0 && connection->discarded < DISCARDED_BYTES;
}

static size_t receive_size(const struct connection *connection)
{
    size_t size = connection->turn.bytes;

    if (unlikely(pressure_level(connection->context->calls.pressure) != PRESSURE_NONE) &&
        size > TIGHT_BYTES)
        return TIGHT_BYTES;
    return size;
}

/* Notes since when something has begun and not ended: a header block, or, when bytes come that
 * complete nothing, whatever they belong to. Only then the timer is hurried. */
static void note_progress(struct connection *connection, size_t got)
{
    uint64_t since = connection->partial_ms;

    if (connection->completed)
        connection->greeted = true;
    connection->partial_bytes += got;
    if (!connection->in_headers) {
        if (connection->useful || connection->completed)
            connection->partial_ms = 0;
        else if (!since || connection->partial_bytes > FRAME_MAX_BYTES)
            connection->partial_ms = connection->context->now_ms; /* some frame was completed */
    } else if (!since) {
        connection->partial_ms = connection->context->now_ms;
    }
    if (connection->partial_ms == since && since)
        return;
    connection->partial_bytes = 0;
    if (connection->partial_ms)
        connection_timer_hurry(connection, connection->partial_ms +
                                               connection->context->options.handshake_timeout_ms);
}

/* Gives what came to the session. Returns 0 or nghttp2's error. */
static int feed(struct connection *connection, const uint8_t *bytes, size_t length)
{
    uint32_t error = NGHTTP2_NO_ERROR;

    while (length > 0 && !error) {
        size_t n =
            stray_frames_look(&connection->strays, connection->session, bytes, length, &error);
        ssize_t used = nghttp2_session_mem_recv(connection->session, bytes, n);

        if (used < 0)
            return (int)used;
        bytes += n;
        length -= n;
    }
    if (!error)
        return 0;
    connection->deaf = true;
    return nghttp2_session_terminate_session(connection->session, error);
}

static void take(struct connection *connection, size_t got)
{
    struct connection_context *context = connection->context;
    int error;

    stats_add(&context->calls.stats->bytes_received, got);
    connection->received_ms = context->now_ms;
    connection->pinged_ms = 0;
    connection->completed = false;
    error = feed(connection, context->buffer, got);
    call_settle(&context->calls); /* the buffer is used again, and a cut may be answered, next */
    if (error) {
        connection_refuse_input(connection, error, got);
        return;
    }
    note_progress(connection, got);
    if (connection->in_headers && connection->partial_bytes > HEADER_BLOCK_BYTES) {
        const struct connection_verdict verdict = {BAD_PEER(headers),
                                                   "its header block does not end", NULL};

        connection_dismiss(connection, &verdict, NGHTTP2_ENHANCE_YOUR_CALM);
    }
}

bool connection_receive(struct connection *connection)
{
    size_t size = receive_size(connection);
    ssize_t got;

    connection->got = connection->useful = 0;
    connection->filled = false;
    if (unlikely(connection->shut_ms || connection->deaf))
        return discard(connection);
    got = transport_receive(&connection->transport, connection->context->buffer, size);
    if (unlikely(connection->transport.wants_write || connection->blocked_ms))
        connection_note_blocked(connection);
    if (got == -EAGAIN)
        return true;
    if (got <= 0)
        return connection_end_input(connection, got);
    connection->got = (size_t)got;
    connection->filled = connection->got == size;
    take(connection, (size_t)got);
    return true;
}

void connection_end_turn(struct connection *connection, uint64_t ns)
{
    turn_end(&connection->turn, &connection->context->pace, connection->got, connection->useful,
             ns);
}

bool connection_is_costly(const struct connection *connection)
{
    return connection->turn.costly;
}

bool connection_has_more(const struct connection *connection)
{
    return connection->filled || connection_pending(connection);
}

bool connection_pending(const struct connection *connection)
{
    return !connection->shut_ms && !connection_is_blocked(connection) &&
           transport_pending(&connection->transport);
}
