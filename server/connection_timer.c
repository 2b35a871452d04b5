/*
 * What did not come in time. A connection has one timer, and nothing sets it on the way of the
 * data: when it comes, it looks at what the connection has noted, and is set for the next thing
 * that could be due. Only what may be due before that hurries it.
 *
 *     what                                             counts from         as long as
 *     handshake, preface and first SETTINGS            the connection      --handshake-timeout-ms
 *     a header block, or any frame, that does not end  its begin           --handshake-timeout-ms
 *     output that the socket does not take             the last it took    --stall-timeout-ms
 *     an answer that the peer's window does not take   (connection_tick_calls())
 *     silence, before a ping, and behind it            the last bytes      --keepalive-*-ms
 *     age: a notice, the last stream id, the end       see age()           --max-connection-age-*-ms
 *     our end, until the peer's                        shut_ms             LINGER_MS
 *
 * While output is left over the peer is not heard (connection_is_blocked()), and nothing that it
 * could say is waited for.
 *
 * The keepalive ping also finds peers that are gone without a word. TCP's own means are not used:
 * TCP_USER_TIMEOUT bounds only what is sent, SO_KEEPALIVE only silence, and a ping is both.
 */
#include "common/clock.h"
#include "server/connection_private.h"

#define LINGER_MS     1000 /* for a peer to end its side after we have ended ours */
#define AGAIN_MS      100  /* until what is late, and not by the peer's doing, is looked at again */
#define AGE_NOTICE_MS 1000 /* between the two GOAWAYs: longer than nearly any round trip */

enum age_step { AGE_NOTICE, AGE_GOAWAY, AGE_END };

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_due(const struct connection *connection)
{
    const struct connection_options *options = &connection->context->options;
    uint64_t due = UINT64_MAX;

    if (connection->shut_ms)
        return connection->shut_ms + LINGER_MS;
    if (connection->age_ms)
        due = connection->age_ms;
    if (connection->blocked_ms)
        due = earlier(due, connection->blocked_ms + options->stall_timeout_ms);
    if (connection_is_blocked(connection))
        return due;
    if (connection->partial_ms)
        due = earlier(due, connection->partial_ms + options->handshake_timeout_ms);
    if (connection->pinged_ms)
        due = earlier(due, connection->pinged_ms + options->keepalive_timeout_ms);
    else if (options->keepalive_time_ms)
        due = earlier(due, connection->received_ms + options->keepalive_time_ms);
    return due;
}

static int set(struct connection *connection, uint64_t due_ms)
{
    if (due_ms == UINT64_MAX)
        return 0;
    return timers_set(connection->context->calls.timers, &connection->timer, due_ms);
}

/* The age give or take a tenth, so that connections which came together do not go together. */
static uint64_t spread(struct connection_context *context, uint64_t age_ms)
{
    uint64_t tenth = age_ms / 10;

    /* xorshift64 */
    context->random ^= context->random << 13;
    context->random ^= context->random >> 7;
    context->random ^= context->random << 17;
    return age_ms - tenth + context->random % (2 * tenth + 1);
}

int connection_timer_init(struct connection *connection)
{
    struct connection_context *context = connection->context;
    uint64_t now = clock_now_ms();

    connection->timer.kind = TIMER_CONNECTION;
    connection->received_ms = connection->partial_ms = now;
    if (context->options.max_age_ms)
        connection->age_ms = now + spread(context, context->options.max_age_ms);
    return set(connection, next_due(connection));
}

void connection_timer_hurry(struct connection *connection, uint64_t due_ms)
{
    if (connection->timer.place && connection->timer.due_ms <= due_ms)
        return;
    if (set(connection, due_ms))
        connection->timer.place = 0; /* cannot be: it was set before, and its room is kept */
}

struct connection *connection_of_timer(struct timer *timer)
{
    return (struct connection *)((char *)timer - offsetof(struct connection, timer));
}

/* Ends the connection in steps (gRPC's A9): no new streams, first by a notice that crosses with
 * none, then for good; and then the end of those that are open. */
static void age(struct connection *connection, uint64_t now)
{
    switch (connection->age_step++) {
    case AGE_NOTICE:
        stats_add(&connection->context->calls.stats->connections_aged, 1);
        connection_announce_goaway(connection);
        connection->age_ms = now + AGE_NOTICE_MS;
        break;
    case AGE_GOAWAY:
        connection_goaway(connection);
        connection->age_ms = now + connection->context->options.max_age_grace_ms;
        break;
    default:
        connection_retire(connection);
        connection->age_ms = 0;
    }
}

/* What a peer has not sent in time. */
static struct connection_verdict judge_silence(const struct connection *connection, uint64_t now)
{
    const struct connection_options *options = &connection->context->options;

    if (connection->partial_ms && now >= connection->partial_ms + options->handshake_timeout_ms)
        return (struct connection_verdict){BAD_PEER(slow),
                                           connection->greeted
                                               ? "it began a header block or a frame and did not "
                                                 "end it in time"
                                               : "it did not begin HTTP/2 in time",
                                           NULL};
    if (connection->pinged_ms && now >= connection->pinged_ms + options->keepalive_timeout_ms)
        return (struct connection_verdict){BAD_PEER(gone), "it does not answer a keepalive ping",
                                           NULL};
    return (struct connection_verdict){0};
}

/* What a peer did not do in time; its `why` is NULL when there is nothing. Who has sent something
 * that waits for its turn here is not late: among very many costly ones a turn may come late. */
static struct connection_verdict judge(const struct connection *connection, uint64_t now)
{
    const struct connection_options *options = &connection->context->options;
    struct connection_verdict verdict = {0};

    if (connection->blocked_ms && now >= connection->blocked_ms + options->stall_timeout_ms)
        return (struct connection_verdict){BAD_PEER(stall), "it does not read what is sent to it",
                                           NULL};
    if (!connection_is_blocked(connection))
        verdict = judge_silence(connection, now);
    if (verdict.why && transport_has_unread(&connection->transport))
        verdict.why = NULL;
    return verdict;
}

bool connection_timer(struct connection *connection)
{
    uint64_t now = clock_now_ms(), keepalive = connection->context->options.keepalive_time_ms;
    uint64_t due;
    struct connection_verdict verdict;

    if (connection->shut_ms)
        return now < connection->shut_ms + LINGER_MS && set(connection, next_due(connection)) == 0;
    verdict = judge(connection, now);
    if (verdict.why) {
        connection_dismiss(connection, &verdict, NGHTTP2_NO_ERROR);
        return verdict.reason == BAD_PEER(slow); /* the others do not listen */
    }
    if (keepalive && !connection->pinged_ms && !connection_is_blocked(connection) &&
        now >= connection->received_ms + keepalive &&
        nghttp2_submit_ping(connection->session, NGHTTP2_FLAG_NONE, NULL) == 0)
        connection->pinged_ms = now;
    if (connection->age_ms && now >= connection->age_ms)
        age(connection, now);
    due = next_due(connection);
    return set(connection, due > now ? due : now + AGAIN_MS) == 0;
}
