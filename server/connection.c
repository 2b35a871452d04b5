/*
 * The life of a connection: what all share, the beginning, the announced end, and the calls on it.
 * connection_receive.c has its input, connection_send.c its output, connection_session.c what
 * HTTP/2 tells of, connection_timer.c what did not come in time, connection_refusal.c bad peers.
 */
#include "common/address_table.h"
#include "common/clock.h"
#include "common/thread.h"
#include "server/connection_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define RECEIVE_BYTES (256 << 10) /* larger receives mean fewer calls and fewer split packets */

/* ---- Create and destroy --------------------------------------------------------------------- */

int connection_context_init(struct connection_context *context,
                            const struct connection_options *options)
{
    memset(context, 0, sizeof *context);
    context->options = *options;
    turn_pace_init(&context->pace, RECEIVE_BYTES);
    context->buffer = calloc(1, RECEIVE_BYTES + PACKET_RUN_SLACK_BYTES);
    context->output = malloc(CONNECTION_OUTPUT_BYTES);
    if (getrandom(&context->random, sizeof context->random, 0) < 0 || !context->random)
        context->random = clock_now_ns() | 1;
    return context->buffer && context->output ? connection_session_init(context) : -ENOMEM;
}

void connection_context_fini(struct connection_context *context)
{
    connection_session_fini(context);
    free(context->buffer);
    free(context->output);
}

struct connection *connection_create(struct connection_context *context, int fd,
                                     struct address *address)
{
    struct connection *connection = calloc(1, sizeof *connection);

    thread_assert_role(THREAD_WORKER);
    if (!connection)
        goto err;
    connection->context = context;
    turn_init(&connection->turn);
    if (transport_init(&connection->transport, fd, context->options.tls))
        goto err;
    connection->address = address;
    stray_frames_init(&connection->strays);
    guard_init(&connection->guard, context->options.max_streams,
               context->options.keepalive_min_ping_ms);
    if (connection_timer_init(connection) || connection_session_create(connection)) {
        connection_destroy(connection);
        errno = ENOMEM;
        return NULL;
    }
    return connection;

err:
    free(connection);
    close(fd);
    address_table_release(address);
    errno = ENOMEM;
    return NULL;
}

void connection_destroy(struct connection *connection)
{
    thread_assert_role(THREAD_WORKER);
    if (!connection)
        return;
    while (connection->calls) {
        struct call *next = connection->calls->next;

        call_destroy(connection->calls);
        connection->calls = next;
    }
    timers_cancel(connection->context->calls.timers, &connection->timer);
    nghttp2_session_del(connection->session);
    transport_fini(&connection->transport);
    address_table_release(connection->address);
    connection_drop_output(connection);
    free(connection);
}

/* ---- The end, and the calls ----------------------------------------------------------------- */

void connection_announce_goaway(struct connection *connection)
{
    nghttp2_submit_shutdown_notice(connection->session);
}

void connection_goaway(struct connection *connection)
{
    connection->must_say_last = true;
}

static void interrupt_calls(struct connection *connection, const char *why)
{
    for (struct call *call = connection->calls; call; call = call->next)
        call_interrupt(call, why);
}

void connection_interrupt(struct connection *connection)
{
    interrupt_calls(connection, "shutting down");
}

void connection_retire(struct connection *connection)
{
    interrupt_calls(connection, "the connection has reached its age; send the rest on a new one");
}

/* True when the peer's window has kept an answer back for too long. */
static bool is_stuck(const struct connection *connection, struct call *call, uint64_t now_ms)
{
    if (call->state != CALL_ANSWERED)
        return false;
    if (!call->answered_ms)
        call->answered_ms = now_ms;
    return now_ms - call->answered_ms >= connection->context->options.stall_timeout_ms;
}

bool connection_tick_calls(struct connection *connection, uint64_t now_ms, size_t *left)
{
    static const struct connection_verdict verdict = {BAD_PEER(stall),
                                                      "it leaves no window for its answer", NULL};
    struct call *call = connection->next_tick ? connection->next_tick : connection->calls;

    for (; call && *left > 0; call = call->next, --*left) {
        if (is_stuck(connection, call, now_ms)) {
            connection_dismiss(connection, &verdict, NGHTTP2_FLOW_CONTROL_ERROR);
            return true;
        }
        call_tick(call, now_ms);
    }
    connection->next_tick = call;
    return !call;
}

int connection_fd(const struct connection *connection)
{
    return connection->transport.fd;
}

struct connection_links *connection_links(struct connection *connection)
{
    return &connection->links;
}
