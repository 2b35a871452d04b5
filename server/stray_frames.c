/*
 * A walk from frame header to frame header, over any split: `skip` leads over payloads, `head`
 * holds a header of which a part came. The usual frame, DATA of the stream that the last DATA was
 * of, is passed after a dozen instructions.
 *
 * A frame is judged by the streams that were there before these bytes. Where that is not enough,
 * the walk ends for the session to catch up: behind RST_STREAM, which closes a stream, and at
 * HEADERS of a stream that may have begun in these bytes. DATA of such a stream is not judged.
 */
#include "server/stray_frames.h"

#include "common/compiler.h"
#include "common/load.h"

#include <nghttp2/nghttp2.h>
#include <string.h>

#define PREFACE_BYTES   24
#define NO_FRAME        UINT64_MAX
#define MAX_FRAME_BYTES 16384 /* of payload, as long as we announce no other size */

/* A header's bytes 1 to 8 are two of its length, its type, its flags and its stream. */
static uint64_t stream_and_type(const uint8_t *head)
{
    static const uint8_t mask[8] = {0, 0, 0xff, 0, 0xff, 0xff, 0xff, 0xff};

    return load_u64(head + 1) & load_u64(mask);
}

void stray_frames_init(struct stray_frames *strays)
{
    *strays = (struct stray_frames){.skip = PREFACE_BYTES, .usual = NO_FRAME};
}

void stray_frames_closed(struct stray_frames *strays)
{
    strays->usual = NO_FRAME;
}

static int32_t stream_of(const uint8_t *head)
{
    return (int32_t)(load_be32(head + 5) & INT32_MAX);
}

static uint32_t judge_stream(struct stray_frames *strays, nghttp2_session *session,
                             const uint8_t *head)
{
    bool ends = head[3] == NGHTTP2_RST_STREAM || head[4] & NGHTTP2_FLAG_END_STREAM;
    uint32_t error = NGHTTP2_NO_ERROR;
    int32_t stream_id = stream_of(head);

    if (stream_id > strays->order.last ||
        nghttp2_session_get_stream_user_data(session, stream_id)) {
        if (head[3] == NGHTTP2_DATA)
            strays->usual = stream_and_type(head);
    } else if ((head[3] == NGHTTP2_RST_STREAM ||
                !stream_order_is_broken(&strays->order, stream_id, &error)) &&
               ends) {
        stream_order_settle(&strays->order, stream_id);
    }
    return error;
}

/* All frames but the usual one. */
static uint32_t judge(struct stray_frames *strays, nghttp2_session *session, const uint8_t *head)
{
    strays->after_reset = false;
    switch (head[3]) {
    case NGHTTP2_CONTINUATION:
        return load_be32(head) >> 8 > MAX_FRAME_BYTES ? NGHTTP2_FRAME_SIZE_ERROR : NGHTTP2_NO_ERROR;
    case NGHTTP2_RST_STREAM:
        strays->after_reset = true;
        strays->usual = NO_FRAME;
        return judge_stream(strays, session, head);
    case NGHTTP2_HEADERS:
        if (stream_of(head) > strays->newest)
            strays->newest = stream_of(head);
        return judge_stream(strays, session, head);
    case NGHTTP2_DATA:
        return judge_stream(strays, session, head);
    default:
        return NGHTTP2_NO_ERROR;
    }
}

static bool must_catch_up(const struct stray_frames *strays, const uint8_t *head)
{
    return strays->after_reset ||
           (head[3] == NGHTTP2_HEADERS && stream_of(head) > strays->order.last &&
            stream_of(head) <= strays->newest);
}

/* Completes a header of which a part came before. Returns how many bytes that took. */
static size_t complete_head(struct stray_frames *strays, const uint8_t *bytes, size_t length)
{
    size_t n = STRAY_HEADER_BYTES - strays->head_length;

    if (n > length)
        n = length;
    memcpy(strays->head + strays->head_length, bytes, n);
    strays->head_length += (uint8_t)n;
    return n;
}

size_t stray_frames_look(struct stray_frames *strays, struct nghttp2_session *session,
                         const uint8_t *bytes, size_t length, uint32_t *error)
{
    size_t at = strays->skip;

    *error = NGHTTP2_NO_ERROR;
    if (strays->head_length) {
        at = complete_head(strays, bytes, length);
        if (strays->head_length < STRAY_HEADER_BYTES)
            return length;
        strays->head_length = 0;
        *error = judge(strays, session, strays->head);
        if (*error)
            return 0;
        at += load_be32(strays->head) >> 8;
    }
    while (at + STRAY_HEADER_BYTES <= length) {
        const uint8_t *head = bytes + at;

        if (unlikely(stream_and_type(head) != strays->usual)) {
            if (at > 0 && must_catch_up(strays, head)) {
                strays->skip = 0;
                return at;
            }
            *error = judge(strays, session, head);
            if (*error)
                return at;
        }
        at += STRAY_HEADER_BYTES + (load_be32(head) >> 8);
    }
    strays->skip = at > length ? (uint32_t)(at - length) : 0;
    if (at < length)
        complete_head(strays, bytes + at, length - at);
    return length;
}
