/*
 * A connection's output: gathered in the worker's one buffer, and sent. Only what a socket does not
 * take is kept, in memory of the connection's own. Until that is sent the session is asked for no
 * more, and the peer is not heard: so what one that does not read can make the server hold is that,
 * and the answers to what came in one receive. (RFC 9113, 10.5, names such peers.)
 */
#include "common/clock.h"
#include "server/connection_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define GATHER_BYTES (16 << 10) /* then it is sent: a record of TLS */

void connection_drop_output(struct connection *connection)
{
    free(connection->output);
    connection->output = NULL;
}

/* What comes is discarded from then on, and the peer's end is awaited:
 * closing a socket with unread input would send a reset, which may overtake the last answers. */
void connection_shut(struct connection *connection)
{
    if (connection->shut_ms)
        return;
    connection->shut_ms = clock_now_ms();
    connection_drop_output(connection);
    transport_shut(&connection->transport);
    connection_timer_hurry(connection, connection->shut_ms);
}

static void start_stall_clock(struct connection *connection)
{
    connection->blocked_ms = clock_now_ms();
    connection_timer_hurry(connection,
                           connection->blocked_ms + connection->context->options.stall_timeout_ms);
}

void connection_note_blocked(struct connection *connection)
{
    if (!connection->transport.wants_write && !connection->output)
        connection->blocked_ms = 0;
    else if (!connection->blocked_ms)
        start_stall_clock(connection);
}

/* Sends all, or what is taken. Returns how much, or a negative errno at the connection's end. */
static ssize_t send_some(struct connection *connection, const uint8_t *bytes, size_t length)
{
    size_t sent = 0;

    while (sent < length) {
        ssize_t n = transport_send(&connection->transport, bytes + sent, length - sent);

        if (n == -EAGAIN)
            break;
        if (n < 0)
            return n;
        sent += (size_t)n;
    }
    if (sent == length) {
        connection->blocked_ms = 0;
    } else if (sent > 0 || !connection->blocked_ms) {
        start_stall_clock(connection);
    }
    return (ssize_t)sent;
}

/* What the peer said meanwhile is not received yet: all that waits for its word waits anew. */
static void listen_again(struct connection *connection)
{
    uint64_t now = clock_now_ms();

    connection->received_ms = now;
    connection->pinged_ms = 0;
    if (!connection->partial_ms)
        return;
    connection->partial_ms = now;
    connection_timer_hurry(connection, now + connection->context->options.handshake_timeout_ms);
}

/* Sends what was left over. Returns false at the connection's end. */
static bool send_left_over(struct connection *connection)
{
    size_t length = connection->output_length - connection->output_sent;
    ssize_t n = send_some(connection, connection->output + connection->output_sent, length);

    if (n < 0)
        return false;
    connection->output_sent += (size_t)n;
    if ((size_t)n == length) {
        connection_drop_output(connection);
        listen_again(connection);
    }
    return true;
}

static bool keep_left_over(struct connection *connection, const uint8_t *bytes, size_t length)
{
    connection->output = malloc(length);
    if (!connection->output)
        return false;
    memcpy(connection->output, bytes, length);
    connection->output_length = length;
    connection->output_sent = 0;
    return true;
}

/* Gathers what the session has to send, so that many small frames go in one call, and in one record
 * of TLS. Returns the bytes, 0: nothing, or a negative error. */
static ssize_t gather(struct connection *connection)
{
    uint8_t *out = connection->context->output;
    size_t length = 0;

    while (length < GATHER_BYTES) {
        const uint8_t *bytes;
        ssize_t n = nghttp2_session_mem_send(connection->session, &bytes);

        if (n < 0)
            return n;
        if (n == 0)
            break;
        if (length + (size_t)n > CONNECTION_OUTPUT_BYTES)
            return NGHTTP2_ERR_NOMEM; /* it renders no such frames */
        memcpy(out + length, bytes, (size_t)n);
        if (!connection->prefaced)
            connection_session_preface(connection, out, (size_t)n);
        connection->prefaced = true;
        length += (size_t)n;
    }
    return (ssize_t)length;
}

static bool end_output(struct connection *connection)
{
    if (!connection->verdict.why)
        return false;
    connection_dismiss(connection, &connection->verdict, NGHTTP2_ENHANCE_YOUR_CALM);
    return true;
}

/*
 * Only now, with nothing left over: nothing is received before all that the session has is taken,
 * so that no stream begins between this and the frame. nghttp2 would drop one that did without an
 * answer, and the client would send it again, though it was counted (RFC 9113, 6.8).
 */
static void say_last_stream(struct connection *connection)
{
    connection->must_say_last = false;
    nghttp2_submit_goaway(connection->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(connection->session),
                          NGHTTP2_NO_ERROR, NULL, 0);
}

bool connection_send(struct connection *connection)
{
    if (connection->shut_ms || !transport_is_ready(&connection->transport))
        return true;
    for (;;) {
        ssize_t length, sent;

        if (connection->output && !send_left_over(connection))
            return false;
        if (connection->output)
            return true;
        if (unlikely(connection->must_say_last))
            say_last_stream(connection);
        length = gather(connection);
        if (length < 0)
            return end_output(connection);
        if (length == 0)
            break;
        sent = send_some(connection, connection->context->output, (size_t)length);
        if (sent < 0)
            return false;
        if (sent < length && !keep_left_over(connection, connection->context->output + sent,
                                             (size_t)(length - sent)))
            return false;
    }
    if (!nghttp2_session_want_read(connection->session) &&
        !nghttp2_session_want_write(connection->session))
        connection_shut(connection);
    return true;
}

bool connection_is_blocked(const struct connection *connection)
{
    return connection->output != NULL;
}

uint32_t connection_events(const struct connection *connection)
{
    bool sends = connection->output || (connection->transport.wants_write && !connection->shut_ms);

    return sends ? EPOLLOUT : EPOLLIN;
}
