/*
 * The two halves of the replay session share this, and nobody else: rpc_replay.c sends, and
 * rpc_replay_input.c reads what the server sent.
 */
#ifndef TALLYD_CLIENT_RPC_REPLAY_H
#define TALLYD_CLIENT_RPC_REPLAY_H

#include "client/rpc_session_private.h"
#include "common/compiler.h"

#include <nghttp2/nghttp2.h>

#define HTTP2_HEADER_BYTES 9
#define HTTP2_FRAME_BYTES  16384 /* payload; SETTINGS_MAX_FRAME_SIZE, which nobody here raises */
#define HTTP2_WINDOW_BYTES 65535 /* until SETTINGS say otherwise */
#define HTTP2_WINDOW_MAX   INT32_MAX
#define RPC_REPLAY_BUCKETS 256
/* Control frames that may wait, in bytes: 10,000 streams that are reset at once and more. */
#define RPC_REPLAY_CONTROL (1 << 20)

struct rpc_replay {
    struct rpc_session session; /* first */
    nghttp2_hd_deflater *deflater;
    nghttp2_hd_inflater *inflater;
    LIST_HEAD(, rpc_call) buckets[RPC_REPLAY_BUCKETS]; /* opened calls, by stream */

    /* Sending. A call is on `waiting` until its stream is open, then on `ready` while it may send.
     */
    struct rpc_call_list waiting, ready;
    int32_t next_id;                    /* of the next stream */
    uint32_t open_streams, max_streams; /* none before the server's SETTINGS came */
    int64_t window, initial_window;     /* of the connection; of a new stream */
    size_t control_length, control_size;
    uint8_t *control; /* frames that go out before any others */

    /* Reading. */
    bool settings_came;
    bool out_of_memory;
    uint32_t unasked;     /* bytes of DATA that no credit of the connection was given back for */
    int32_t block_stream; /* whose header block is under way, 0: none; */
    bool block_ends;      /* and END_STREAM came with it */
    size_t input_length;
    uint8_t input[HTTP2_HEADER_BYTES + HTTP2_FRAME_BYTES];
};

/* Queues a control frame. */
void rpc_replay_control(struct rpc_replay *own, uint8_t type, uint8_t flags, int32_t stream_id,
                        const void *payload, size_t length);

/* Queues a frame whose payload is one number: RST_STREAM, WINDOW_UPDATE. */
void rpc_replay_control_number(struct rpc_replay *own, uint8_t type, int32_t stream_id,
                               uint32_t number);

/* The peer broke the rules: queues a GOAWAY and makes the session be over. */
void rpc_replay_breach(struct rpc_replay *own, uint32_t error_code);

/* The opened call of a stream, or NULL. */
struct rpc_call *rpc_replay_find(struct rpc_replay *own, int32_t stream_id);

/* Puts the call on `ready` if it may send, and takes it off if not. */
void rpc_replay_requeue(struct rpc_replay *own, struct rpc_call *call);

/* rpc_session_push() */
int rpc_replay_push(struct rpc_session *session, const uint8_t *bytes, size_t length);

#endif
