/*
 * Peers that are sent away: counted, logged, and told why as far as they may understand it.
 */
#include "common/load.h"
#include "common/log.h"
#include "common/tls.h"
#include "server/connection_private.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define HTTP2_HEADER_BYTES 9
#define GOAWAY_BYTES       8
#define DEBUG_BYTES        128

const char *connection_peer(const struct connection *connection, char peer[NETWORK_NAME_BYTES])
{
    network_name_peer(connection->transport.fd, peer);
    return peer;
}

void connection_note_bad_peer(struct connection *connection, const struct connection_verdict *why)
{
#define COUNTER(name, help) offsetof(struct stats_worker, name),
#define KIND(name, help)    #name,
    static const size_t counters[] = {STATS_BAD_PEERS(COUNTER)};
    static const char *const kinds[] = {STATS_BAD_PEERS(KIND)};
    struct connection_context *context = connection->context;
    struct stats_worker *stats = context->calls.stats;
    char peer[NETWORK_NAME_BYTES];

    if (connection->noted)
        return;
    connection->noted = true;
    stats_add(&stats->bad_peers, 1);
    stats_add((_Atomic uint64_t *)((char *)stats + counters[why->reason]), 1);
    log_event(LOG_WARN,
              &(struct log_about){.kind = kinds[why->reason],
                                  .peer = connection_peer(connection, peer),
                                  .limit = &context->bad_peer_limits[why->reason]},
              "closed a connection: %s", why->why);
}

/* Tells a peer on its way out. What does not go at once is lost, and whatever the error, the
 * connection's end is next: who reads finds that, with or without these words. */
static void say_last(struct connection *connection, const void *bytes, size_t length)
{
    ssize_t ignored = transport_send(&connection->transport, bytes, length);

    (void)ignored;
}

/* Says it to the socket itself: the session may not be in order. */
static void send_goaway(struct connection *connection, uint32_t http2_error, const char *debug)
{
    uint8_t frame[HTTP2_HEADER_BYTES + GOAWAY_BYTES + DEBUG_BYTES] = {0};
    size_t length = strnlen(debug, DEBUG_BYTES);
    int32_t last = nghttp2_session_get_last_proc_stream_id(connection->session);

    frame[2] = (uint8_t)(GOAWAY_BYTES + length);
    frame[3] = NGHTTP2_GOAWAY;
    store_be32(frame + HTTP2_HEADER_BYTES, (uint32_t)last);
    store_be32(frame + HTTP2_HEADER_BYTES + 4, http2_error);
    memcpy(frame + HTTP2_HEADER_BYTES + GOAWAY_BYTES, debug, length);
    say_last(connection, frame, HTTP2_HEADER_BYTES + GOAWAY_BYTES + length);
}

/* Ends the sending side, with GOAWAY where it can still be said. */
static void take_leave(struct connection *connection, uint32_t http2_error, const char *debug)
{
    if (connection->shut_ms)
        return;
    if (connection->greeted && !connection->output)
        send_goaway(connection, http2_error, debug);
    connection_shut(connection);
}

void connection_dismiss(struct connection *connection, const struct connection_verdict *verdict,
                        uint32_t http2_error)
{
    connection_note_bad_peer(connection, verdict);
    take_leave(connection, http2_error, verdict->debug ? verdict->debug : verdict->why);
}

/* True of the first line of an HTTP/1 request: "GET / HTTP/1.1". */
static bool is_http1(const uint8_t *bytes, size_t length)
{
    static const char version[] = " HTTP/1.";
    const uint8_t *line_end = memchr(bytes, '\r', length);

    return line_end && isupper(bytes[0]) &&
           memmem(bytes, (size_t)(line_end - bytes), version, sizeof version - 1);
}

/* A peer that speaks HTTP/1 gets an answer in its own words: most likely a person with curl. */
static void answer_http1(struct connection *connection)
{
    static const char text[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
        "This is tallyd's gRPC port: it speaks HTTP/2. Counts are on the HTTP port, at /metrics.\n";

    say_last(connection, text, sizeof text - 1);
}

/* The peer speaks plainly to a port with TLS. It is told so in its own words, if they are known. */
static void refuse_plain(struct connection *connection)
{
    static const char text[] =
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
        "This is tallyd's gRPC port, with TLS: it speaks HTTP/2 over TLS, and nothing else.\n";
    const struct connection_verdict verdict = {
        BAD_PEER(tls), "it speaks without TLS to a port with TLS; it has to use https or TLS",
        NULL};
    int fd = connection->transport.fd;
    char first[4] = {0};

    if (recv(fd, first, 3, MSG_DONTWAIT) == 3 && isupper(first[0]) && strcmp(first, "PRI") != 0)
        (void)send(fd, text, sizeof text - 1, MSG_NOSIGNAL | MSG_DONTWAIT); /* as say_last() */
    connection_dismiss(connection, &verdict, NGHTTP2_NO_ERROR);
}

bool connection_end_input(struct connection *connection, ssize_t result)
{
    static const struct connection_verdict flood = {
        BAD_PEER(flood), "it sends too many records of TLS that carry nothing", NULL};
    struct connection_verdict verdict = {BAD_PEER(tls), NULL, NULL};
    char error[ERROR_BYTES], why[ERROR_BYTES + 32];

    if (result == -EPROTO) {
        if (connection->transport.shaken)
            tls_last_error(error);
        else
            tls_handshake_error(connection->transport.ssl, error);
        snprintf(why, sizeof why, "TLS failed: %s", error);
        verdict.why = why;
        connection_dismiss(connection, &verdict, NGHTTP2_NO_ERROR);
        return true;
    }
    if (result == -EOVERFLOW) {
        connection_dismiss(connection, &flood, NGHTTP2_ENHANCE_YOUR_CALM);
        return true;
    }
    if (result == -EPROTOTYPE) {
        refuse_plain(connection);
        return true;
    }
    return false;
}

void connection_refuse_input(struct connection *connection, int error, size_t length)
{
    struct connection_verdict verdict = {BAD_PEER(protocol), nghttp2_strerror(error), NULL};

    if (connection->verdict.why) {
        connection_dismiss(connection, &connection->verdict, NGHTTP2_ENHANCE_YOUR_CALM);
        return;
    }
    if (error == NGHTTP2_ERR_BAD_CLIENT_MAGIC) {
        const uint8_t *bytes = connection->context->buffer;

        verdict.why = bytes[0] == 0x16
                          ? "it speaks TLS, for which there are --tls-cert and --tls-key"
                          : "it does not speak HTTP/2 with prior knowledge, as gRPC does";
        if (is_http1(bytes, length))
            answer_http1(connection);
        connection_dismiss(connection, &verdict, NGHTTP2_PROTOCOL_ERROR);
        return;
    }
    if (error == NGHTTP2_ERR_NOMEM) { /* no fault of the peer's */
        log_warn("cannot go on with a connection: out of memory");
        take_leave(connection, NGHTTP2_INTERNAL_ERROR, "out of memory");
        return;
    }
    if (error == NGHTTP2_ERR_FLOODED)
        verdict.reason = BAD_PEER(flood);
#ifdef HAVE_NGHTTP2_MAX_CONTINUATIONS
    if (error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS)
        verdict.reason = BAD_PEER(headers);
#endif
    connection_dismiss(connection, &verdict, NGHTTP2_ENHANCE_YOUR_CALM);
}
