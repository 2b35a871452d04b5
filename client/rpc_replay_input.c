/*
 * What the server sends, read frame by frame (RFC 9113). Each frame is gathered whole in `input`
 * and then judged by one row of `readers`; a breach of the rules ends the connection with the
 * error code that the RFC names, a stream's error too, which section 5.4.2 allows.
 *
 * A stream that is not found was ended here already, or never opened: the first is ignored as
 * section 5.1 asks, and the second is a breach.
 */
#include "client/rpc_replay.h"
#include "common/load.h"

#include <errno.h>
#include <string.h>

#define WINDOW_CREDIT 32768 /* bytes received after which credit for them goes back */

struct input_frame {
    uint8_t type, flags;
    int32_t stream_id;
    const uint8_t *payload;
    size_t length;
};

/* Never opened, by either side. */
static bool is_unused(const struct rpc_replay *own, int32_t stream_id)
{
    return stream_id % 2 == 0 || (own->next_id > 0 && stream_id >= own->next_id);
}

/* Takes the padding off. Returns 0 or an error code. */
static uint32_t strip_padding(struct input_frame *frame)
{
    size_t padding;

    if (!(frame->flags & NGHTTP2_FLAG_PADDED))
        return 0;
    if (frame->length < 1 || frame->payload[0] >= frame->length)
        return NGHTTP2_PROTOCOL_ERROR;
    padding = frame->payload[0];
    frame->payload++;
    frame->length -= 1 + padding;
    return 0;
}

/* The server said its last word on a stream. If ours is not said, it wants nothing more of it. */
static void end_response(struct rpc_replay *own, struct rpc_call *call)
{
    if (!call->body_done)
        rpc_replay_control_number(own, NGHTTP2_RST_STREAM, call->stream_id, NGHTTP2_CANCEL);
    rpc_session_answered(call);
}

static uint32_t read_data(struct rpc_replay *own, struct input_frame *frame)
{
    struct rpc_call *call = rpc_replay_find(own, frame->stream_id);
    uint32_t whole = (uint32_t)frame->length, error = strip_padding(frame);

    if (error)
        return error;
    if (is_unused(own, frame->stream_id))
        return NGHTTP2_PROTOCOL_ERROR;
    own->unasked += whole;
    if (own->unasked >= WINDOW_CREDIT) {
        rpc_replay_control_number(own, NGHTTP2_WINDOW_UPDATE, 0, own->unasked);
        own->unasked = 0;
    }
    if (!call)
        return 0;
    rpc_reply_data(&call->reply, frame->payload, frame->length);
    call->unasked += whole;
    if (frame->flags & NGHTTP2_FLAG_END_STREAM) {
        end_response(own, call);
    } else if (call->unasked >= WINDOW_CREDIT) {
        rpc_replay_control_number(own, NGHTTP2_WINDOW_UPDATE, call->stream_id, call->unasked);
        call->unasked = 0;
    }
    return 0;
}

/* Decodes a part of a header block, which must be done even if nobody wants it: the coding has a
 * state. */
static uint32_t read_block(struct rpc_replay *own, const uint8_t *bytes, size_t length, bool last)
{
    struct rpc_call *call = rpc_replay_find(own, own->block_stream);
    int flags = 0;

    do {
        nghttp2_nv field;
        ssize_t used = nghttp2_hd_inflate_hd2(own->inflater, &field, &flags, bytes, length, last);

        if (used == NGHTTP2_ERR_NOMEM)
            own->out_of_memory = true;
        if (used < 0)
            return NGHTTP2_COMPRESSION_ERROR;
        bytes += used;
        length -= (size_t)used;
        if (call && flags & NGHTTP2_HD_INFLATE_EMIT)
            rpc_reply_header(&call->reply, field.name, field.namelen, field.value, field.valuelen);
    } while (flags & NGHTTP2_HD_INFLATE_EMIT || length > 0);
    if (!last)
        return 0;
    nghttp2_hd_inflate_end_headers(own->inflater);
    if (call && own->block_ends)
        end_response(own, call);
    own->block_stream = 0;
    return 0;
}

static uint32_t read_headers(struct rpc_replay *own, struct input_frame *frame)
{
    uint32_t error = strip_padding(frame);

    if (error)
        return error;
    if (is_unused(own, frame->stream_id))
        return NGHTTP2_PROTOCOL_ERROR;
    if (frame->flags & NGHTTP2_FLAG_PRIORITY) {
        if (frame->length < 5)
            return NGHTTP2_FRAME_SIZE_ERROR;
        frame->payload += 5;
        frame->length -= 5;
    }
    own->block_stream = frame->stream_id;
    own->block_ends = frame->flags & NGHTTP2_FLAG_END_STREAM;
    return read_block(own, frame->payload, frame->length, frame->flags & NGHTTP2_FLAG_END_HEADERS);
}

static uint32_t read_continuation(struct rpc_replay *own, struct input_frame *frame)
{
    if (!own->block_stream)
        return NGHTTP2_PROTOCOL_ERROR;
    return read_block(own, frame->payload, frame->length, frame->flags & NGHTTP2_FLAG_END_HEADERS);
}

static uint32_t read_reset(struct rpc_replay *own, struct input_frame *frame)
{
    struct rpc_call *call = rpc_replay_find(own, frame->stream_id);
    uint32_t code = load_be32(frame->payload);

    if (is_unused(own, frame->stream_id))
        return NGHTTP2_PROTOCOL_ERROR;
    if (call)
        rpc_session_closed(call, code, own->session.goaway_came && code == NGHTTP2_REFUSED_STREAM);
    return 0;
}

/* A new initial window moves those of all open streams, below zero if need be (section 6.9.2). */
static uint32_t set_initial_window(struct rpc_replay *own, uint32_t value)
{
    int64_t change = (int64_t)value - own->initial_window;
    struct rpc_call *call;

    if (value > HTTP2_WINDOW_MAX)
        return NGHTTP2_FLOW_CONTROL_ERROR;
    own->initial_window = value;
    TAILQ_FOREACH(call, &own->session.open, open_link)
    {
        if (!call->requested)
            continue;
        call->window += change;
        if (call->window > HTTP2_WINDOW_MAX)
            return NGHTTP2_FLOW_CONTROL_ERROR;
        rpc_replay_requeue(own, call);
    }
    return 0;
}

static uint32_t apply_setting(struct rpc_replay *own, uint32_t id, uint32_t value)
{
    switch (id) {
    case NGHTTP2_SETTINGS_HEADER_TABLE_SIZE:
        if (nghttp2_hd_deflate_change_table_size(own->deflater, value))
            own->out_of_memory = true;
        return 0;
    case NGHTTP2_SETTINGS_ENABLE_PUSH:
        return value == 0 ? 0 : NGHTTP2_PROTOCOL_ERROR;
    case NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS:
        own->max_streams = value;
        return 0;
    case NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE:
        return set_initial_window(own, value);
    case NGHTTP2_SETTINGS_MAX_FRAME_SIZE: /* larger ones are not sent */
        return value >= HTTP2_FRAME_BYTES && value <= 0xffffff ? 0 : NGHTTP2_PROTOCOL_ERROR;
    default:
        return 0;
    }
}

static uint32_t read_settings(struct rpc_replay *own, struct input_frame *frame)
{
    uint32_t error;

    if (frame->flags & NGHTTP2_FLAG_ACK)
        return frame->length == 0 ? 0 : NGHTTP2_FRAME_SIZE_ERROR;
    if (frame->length % 6 != 0)
        return NGHTTP2_FRAME_SIZE_ERROR;
    if (!own->settings_came)
        own->max_streams = UINT32_MAX; /* unless they set a limit */
    own->settings_came = true;
    for (size_t i = 0; i < frame->length; i += 6) {
        const uint8_t *entry = frame->payload + i;

        error = apply_setting(own, (uint32_t)entry[0] << 8 | entry[1], load_be32(entry + 2));
        if (error)
            return error;
    }
    rpc_replay_control(own, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    return 0;
}

static uint32_t read_ping(struct rpc_replay *own, struct input_frame *frame)
{
    if (!(frame->flags & NGHTTP2_FLAG_ACK))
        rpc_replay_control(own, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, frame->payload, frame->length);
    return 0;
}

/* Calls that the server will not look at end now, the others in their time. */
static uint32_t read_goaway(struct rpc_replay *own, struct input_frame *frame)
{
    int32_t last = (int32_t)(load_be32(frame->payload) & INT32_MAX);
    struct rpc_call *call, *next;

    own->session.goaway_came = true;
    own->session.goaway_code = load_be32(frame->payload + 4);
    for (call = TAILQ_FIRST(&own->session.open); call; call = next) {
        next = TAILQ_NEXT(call, open_link);
        if (!call->requested || call->stream_id > last)
            rpc_session_closed(call, NGHTTP2_REFUSED_STREAM, true);
    }
    return 0;
}

static uint32_t read_window_update(struct rpc_replay *own, struct input_frame *frame)
{
    uint32_t increment = load_be32(frame->payload) & INT32_MAX;
    struct rpc_call *call = rpc_replay_find(own, frame->stream_id);
    int64_t *window = frame->stream_id == 0 ? &own->window : call ? &call->window : NULL;

    if (increment == 0 || (frame->stream_id != 0 && is_unused(own, frame->stream_id)))
        return NGHTTP2_PROTOCOL_ERROR;
    if (!window)
        return 0;
    *window += increment;
    if (*window > HTTP2_WINDOW_MAX)
        return NGHTTP2_FLOW_CONTROL_ERROR;
    if (call)
        rpc_replay_requeue(own, call);
    return 0;
}

enum place { ON_CONNECTION, ON_STREAM, ANYWHERE };

/* By frame type. PRIORITY says nothing to us; PUSH_PROMISE we have forbidden. */
static const struct {
    uint32_t (*read)(struct rpc_replay *own, struct input_frame *frame); /* NULL: ignored */
    enum place place;
    size_t least, most; /* bytes of payload */
} readers[] = {
    [NGHTTP2_DATA] = {read_data, ON_STREAM, 0, HTTP2_FRAME_BYTES},
    [NGHTTP2_HEADERS] = {read_headers, ON_STREAM, 0, HTTP2_FRAME_BYTES},
    [NGHTTP2_PRIORITY] = {NULL, ON_STREAM, 5, 5},
    [NGHTTP2_RST_STREAM] = {read_reset, ON_STREAM, 4, 4},
    [NGHTTP2_SETTINGS] = {read_settings, ON_CONNECTION, 0, HTTP2_FRAME_BYTES},
    [NGHTTP2_PUSH_PROMISE] = {NULL, ON_STREAM, 4, HTTP2_FRAME_BYTES},
    [NGHTTP2_PING] = {read_ping, ON_CONNECTION, 8, 8},
    [NGHTTP2_GOAWAY] = {read_goaway, ON_CONNECTION, 8, HTTP2_FRAME_BYTES},
    [NGHTTP2_WINDOW_UPDATE] = {read_window_update, ANYWHERE, 4, 4},
    [NGHTTP2_CONTINUATION] = {read_continuation, ON_STREAM, 0, HTTP2_FRAME_BYTES},
};

/* Reads one frame. Returns 0 or the error code of the breach. */
static uint32_t read_frame(struct rpc_replay *own, struct input_frame *frame)
{
    if (!own->settings_came && (frame->type != NGHTTP2_SETTINGS || frame->flags & NGHTTP2_FLAG_ACK))
        return NGHTTP2_PROTOCOL_ERROR;
    if (own->block_stream &&
        (frame->type != NGHTTP2_CONTINUATION || frame->stream_id != own->block_stream))
        return NGHTTP2_PROTOCOL_ERROR;
    if (frame->type >= ARRAY_LENGTH(readers))
        return 0; /* section 4.1: unknown types are ignored */
    if ((readers[frame->type].place == ON_STREAM && frame->stream_id == 0) ||
        (readers[frame->type].place == ON_CONNECTION && frame->stream_id != 0) ||
        frame->type == NGHTTP2_PUSH_PROMISE)
        return NGHTTP2_PROTOCOL_ERROR;
    if (frame->length < readers[frame->type].least || frame->length > readers[frame->type].most)
        return NGHTTP2_FRAME_SIZE_ERROR;
    return readers[frame->type].read ? readers[frame->type].read(own, frame) : 0;
}

/* Moves bytes to `input` until it holds `wanted`. Returns whether it does. */
static bool gather(struct rpc_replay *own, const uint8_t **bytes, size_t *length, size_t wanted)
{
    size_t part = wanted > own->input_length ? wanted - own->input_length : 0;

    if (part > *length)
        part = *length;
    memcpy(own->input + own->input_length, *bytes, part);
    own->input_length += part;
    *bytes += part;
    *length -= part;
    return own->input_length >= wanted;
}

int rpc_replay_push(struct rpc_session *session, const uint8_t *bytes, size_t length)
{
    struct rpc_replay *own = (struct rpc_replay *)session;
    struct input_frame frame;
    uint32_t error;

    while (length > 0 && !session->breached) {
        if (!gather(own, &bytes, &length, HTTP2_HEADER_BYTES))
            return 0;
        frame.length = load_be32(own->input) >> 8;
        if (frame.length > HTTP2_FRAME_BYTES) {
            rpc_replay_breach(own, NGHTTP2_FRAME_SIZE_ERROR);
            return 0;
        }
        if (!gather(own, &bytes, &length, HTTP2_HEADER_BYTES + frame.length))
            return 0;
        frame.type = own->input[3];
        frame.flags = own->input[4];
        frame.stream_id = (int32_t)(load_be32(own->input + 5) & INT32_MAX);
        frame.payload = own->input + HTTP2_HEADER_BYTES;
        own->input_length = 0;
        error = read_frame(own, &frame);
        if (own->out_of_memory)
            return -ENOMEM;
        if (error)
            rpc_replay_breach(own, error);
    }
    return 0;
}
