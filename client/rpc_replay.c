/*
 * A session that speaks just the HTTP/2 that a StreamPackets call needs, for bodies whose frames
 * are rendered already (client/replay.h). nghttp2's session would cost more for each small frame
 * than the server that is to be loaded; its HPACK is used, for the few frames that have headers.
 *
 * Calls take turns: those that may send stand on `ready`, and go to its end when they sent. Off it
 * are those whose body went out, whose window is used up, and whose owner had nothing to send. A
 * connection without a window stops all of them where they are. No stream is opened before the
 * server's SETTINGS came: what they bound need then never be taken back.
 *
 * Invariant: a call is in a bucket exactly while its stream is open, which is from its HEADERS to
 * its end_call(); and there is no stream that no call has.
 */
#include "client/rpc_replay.h"

#include "common/load.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PREFACE NGHTTP2_CLIENT_MAGIC

static struct rpc_replay *of(struct rpc_session *session)
{
    return (struct rpc_replay *)session;
}

static void put_header(uint8_t *out, size_t length, uint8_t type, uint8_t flags, int32_t stream_id)
{
    store_be32(out, (uint32_t)length << 8 | type);
    out[4] = flags;
    store_be32(out + 5, (uint32_t)stream_id);
}

/* Makes room for `length` bytes more behind `control`. A peer that makes us answer more than it
 * reads is shut out, like one that breaks a rule. */
static bool reserve_control(struct rpc_replay *own, size_t length)
{
    size_t size = 2 * (own->control_length + length);
    uint8_t *control;

    if (own->control_size - own->control_length >= length)
        return true;
    if (own->control_length + length > RPC_REPLAY_CONTROL) {
        own->session.breached = true;
        return false;
    }
    control = realloc(own->control, size);
    if (!control) {
        own->out_of_memory = true;
        return false;
    }
    own->control = control;
    own->control_size = size;
    return true;
}

void rpc_replay_control(struct rpc_replay *own, uint8_t type, uint8_t flags, int32_t stream_id,
                        const void *payload, size_t length)
{
    uint8_t *out;

    if (!reserve_control(own, HTTP2_HEADER_BYTES + length))
        return;
    out = own->control + own->control_length;
    put_header(out, length, type, flags, stream_id);
    if (length > 0)
        memcpy(out + HTTP2_HEADER_BYTES, payload, length);
    own->control_length += HTTP2_HEADER_BYTES + length;
}

void rpc_replay_control_number(struct rpc_replay *own, uint8_t type, int32_t stream_id,
                               uint32_t number)
{
    uint8_t payload[4];

    store_be32(payload, number);
    rpc_replay_control(own, type, NGHTTP2_FLAG_NONE, stream_id, payload, sizeof payload);
}

void rpc_replay_breach(struct rpc_replay *own, uint32_t error_code)
{
    uint8_t payload[8];

    if (own->session.breached)
        return;
    store_be32(payload, 0); /* the server opened no streams */
    store_be32(payload + 4, error_code);
    rpc_replay_control(own, NGHTTP2_GOAWAY, NGHTTP2_FLAG_NONE, 0, payload, sizeof payload);
    own->session.breached = true;
}

/* Client streams have odd ids. */
static size_t bucket_of(int32_t stream_id)
{
    return (size_t)(stream_id >> 1) % RPC_REPLAY_BUCKETS;
}

struct rpc_call *rpc_replay_find(struct rpc_replay *own, int32_t stream_id)
{
    struct rpc_call *call;

    LIST_FOREACH(call, &own->buckets[bucket_of(stream_id)], bucket_link)
    {
        if (call->stream_id == stream_id)
            return call;
    }
    return NULL;
}

void rpc_replay_requeue(struct rpc_replay *own, struct rpc_call *call)
{
    bool may_send = call->window > 0 && !call->paused && !call->body_done;

    if (may_send && !call->queued)
        TAILQ_INSERT_TAIL(&own->ready, call, queue_link);
    else if (!may_send && call->queued)
        TAILQ_REMOVE(&own->ready, call, queue_link);
    call->queued = may_send;
}

static void destroy(struct rpc_session *session)
{
    struct rpc_replay *own = of(session);

    if (own->deflater)
        nghttp2_hd_deflate_del(own->deflater);
    if (own->inflater)
        nghttp2_hd_inflate_del(own->inflater);
    free(own->control);
    free(own);
}

static struct rpc_session *create(void)
{
    static const uint8_t no_push[6] = {0, NGHTTP2_SETTINGS_ENABLE_PUSH, 0, 0, 0, 0};
    struct rpc_replay *own = calloc(1, sizeof *own);

    if (!own)
        return NULL;
    TAILQ_INIT(&own->waiting);
    TAILQ_INIT(&own->ready);
    own->next_id = 1;
    own->window = own->initial_window = HTTP2_WINDOW_BYTES;
    if (nghttp2_hd_deflate_new(&own->deflater, NGHTTP2_DEFAULT_HEADER_TABLE_SIZE) ||
        nghttp2_hd_inflate_new(&own->inflater) || !reserve_control(own, sizeof PREFACE - 1)) {
        destroy(&own->session);
        errno = ENOMEM;
        return NULL;
    }
    memcpy(own->control, PREFACE, sizeof PREFACE - 1);
    own->control_length = sizeof PREFACE - 1;
    rpc_replay_control(own, NGHTTP2_SETTINGS, NGHTTP2_FLAG_NONE, 0, no_push, sizeof no_push);
    return &own->session;
}

static int start(struct rpc_session *session, struct rpc_call *call)
{
    struct rpc_replay *own = of(session);

    if (session->breached || own->next_id < 0) /* no stream ids are left */
        return -ESHUTDOWN;
    call->stream_id = 0;
    call->unasked = 0;
    call->paused = false;
    call->queued = true;
    TAILQ_INSERT_TAIL(&own->waiting, call, queue_link);
    return 0;
}

static void detach(struct rpc_session *session, struct rpc_call *call)
{
    struct rpc_replay *own = of(session);

    if (call->queued && !call->requested)
        TAILQ_REMOVE(&own->waiting, call, queue_link);
    else if (call->queued)
        TAILQ_REMOVE(&own->ready, call, queue_link);
    call->queued = false;
    if (!call->requested)
        return;
    LIST_REMOVE(call, bucket_link);
    own->open_streams--;
}

static void resume(struct rpc_call *call)
{
    call->paused = false;
    rpc_replay_requeue(of(call->session), call);
}

/* Appends the HEADERS of a call that waits to `out`. Returns 1, 0 when `out` is too full, -ENOMEM.
 */
static int open_stream(struct rpc_replay *own, struct rpc_call *call, struct output *out)
{
    nghttp2_nv fields[RPC_REQUEST_FIELDS];
    size_t bound, count;
    ssize_t length;
    uint8_t *start_of_frame;

    count = rpc_session_request(&own->session, fields);
    bound = nghttp2_hd_deflate_bound(own->deflater, fields, count);
    start_of_frame = output_claim(out, HTTP2_HEADER_BYTES + bound);
    if (!start_of_frame)
        return 0;
    length = nghttp2_hd_deflate_hd(own->deflater, start_of_frame + HTTP2_HEADER_BYTES, bound,
                                   fields, count);
    if (length < 0)
        return -ENOMEM;
    TAILQ_REMOVE(&own->waiting, call, queue_link);
    call->queued = false;
    call->requested = true;
    call->stream_id = own->next_id;
    call->window = own->initial_window;
    own->next_id = own->next_id <= INT32_MAX - 2 ? own->next_id + 2 : -1;
    own->open_streams++;
    LIST_INSERT_HEAD(&own->buckets[bucket_of(call->stream_id)], call, bucket_link);
    put_header(start_of_frame, (size_t)length, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS,
               call->stream_id);
    output_keep(out, HTTP2_HEADER_BYTES + (size_t)length);
    rpc_replay_requeue(own, call);
    return 1;
}

/* Lets the first call that may send have its turn. */
static void take_turn(struct rpc_replay *own, struct rpc_call *call, struct output *out)
{
    struct rpc_session *session = &own->session;
    size_t window = (size_t)(call->window < own->window ? call->window : own->window), length;
    bool end = false;

    TAILQ_REMOVE(&own->ready, call, queue_link);
    call->queued = false;
    length = session->handler->frames(session->context, call, call->stream_id, out, window, &end);
    own->window -= (int64_t)length;
    call->window -= (int64_t)length;
    call->paused = length == 0;
    if (end)
        rpc_session_body_done(call, session->pulled + out->length);
    rpc_replay_requeue(own, call);
}

static bool has_room(const struct output *out)
{
    return out->size - out->used >= HTTP2_HEADER_BYTES + HTTP2_FRAME_BYTES &&
           output_pieces_left(out) >= 3;
}

/* Moves control frames to `out`, which is empty. Returns true when all of them went. */
static bool pull_control(struct rpc_replay *own, struct output *out)
{
    size_t part = own->control_length < out->size ? own->control_length : out->size;

    if (part == 0)
        return true;
    memcpy(output_claim(out, part), own->control, part);
    output_keep(out, part);
    own->control_length -= part;
    memmove(own->control, own->control + part, own->control_length);
    return own->control_length == 0;
}

static int pull(struct rpc_session *session, struct output *out)
{
    struct rpc_replay *own = of(session);
    struct rpc_call *call;

    if (own->out_of_memory)
        return -ENOMEM;
    if (!pull_control(own, out))
        return 0;
    while (own->open_streams < own->max_streams && (call = TAILQ_FIRST(&own->waiting))) {
        int result = own->next_id > 0 ? open_stream(own, call, out) : -ESHUTDOWN;

        if (result == -ESHUTDOWN)
            rpc_session_closed(call, NGHTTP2_REFUSED_STREAM, false);
        else if (result <= 0)
            return result;
    }
    while (own->window > 0 && has_room(out) && (call = TAILQ_FIRST(&own->ready)))
        take_turn(own, call, out);
    return 0;
}

/* GOAWAY leaves the open calls to their end. */
static bool idle(const struct rpc_session *session)
{
    return session->goaway_came && TAILQ_EMPTY(&session->open) &&
           ((const struct rpc_replay *)session)->control_length == 0;
}

const struct rpc_kind rpc_replay_kind = {
    .create = create,
    .destroy = destroy,
    .start = start,
    .resume = resume,
    .push = rpc_replay_push,
    .pull = pull,
    .detach = detach,
    .idle = idle,
};
