/* Both kinds of RPC sessions against a server session of nghttp2, with bytes carried by hand: no
 * socket. */
#include "client/rpc_failure.h"
#include "client/rpc_session.h"
#include "tests/unit/unit.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <string.h>

enum answer { ANSWER_ACK, ANSWER_EARLY, ANSWER_RESET, ANSWER_NOTHING };

/* Both ends, and what happened. */
struct pair {
    bool frames; /* the owner writes whole DATA frames */
    struct rpc_session *client;
    nghttp2_session *server;
    enum answer answer;
    uint64_t body_bytes; /* that the server got */
    struct rpc_call call;
    uint64_t to_send; /* bytes of the body left to fill in; */
    uint64_t allowed; /* and how many of them may go now */
    unsigned ended;
    struct rpc_outcome outcome;
};

#define FIELD(name, value)                                                                         \
    {                                                                                              \
        (uint8_t *)(name), (uint8_t *)(value), sizeof name - 1, sizeof value - 1, 0                \
    }

static size_t fill(void *context, struct rpc_call *call, uint8_t *out, size_t room, bool *end)
{
    struct pair *pair = context;
    uint64_t length = pair->to_send < room ? pair->to_send : room;

    assert_ptr_equal(call, &pair->call);
    if (length > pair->allowed)
        length = pair->allowed;
    memset(out, 'b', length);
    pair->to_send -= length;
    pair->allowed -= length;
    *end = pair->to_send == 0;
    return length;
}

/* As fill() does it, with the frame around. */
static size_t frames(void *context, struct rpc_call *call, int32_t stream_id, struct output *out,
                     size_t window, bool *end)
{
    size_t room = window < 16384 ? window : 16384, length;
    uint8_t *frame = output_claim(out, 9 + room);

    assert_non_null(frame);
    assert_in_range(room, 1, 16384);
    length = fill(context, call, frame + 9, room, end);
    if (length == 0 && !*end)
        return 0;
    memcpy(frame, (const uint8_t[9]){0}, 9);
    frame[1] = (uint8_t)(length >> 8);
    frame[2] = (uint8_t)length;
    frame[4] = *end ? NGHTTP2_FLAG_END_STREAM : 0;
    frame[7] = (uint8_t)(stream_id >> 8);
    frame[8] = (uint8_t)stream_id;
    output_keep(out, 9 + length);
    return length;
}

static void ended(void *context, struct rpc_call *call, const struct rpc_outcome *outcome)
{
    struct pair *pair = context;

    assert_ptr_equal(call, &pair->call);
    assert_null(call->session);
    pair->ended++;
    pair->outcome = *outcome;
}

static ssize_t read_ack(nghttp2_session *server, int32_t stream_id, uint8_t *out, size_t room,
                        uint32_t *flags, nghttp2_data_source *source, void *user)
{
    const nghttp2_nv trailers[] = {FIELD("grpc-status", "0")};

    (void)source;
    (void)user;
    assert_in_range(room, 7, 1 << 20);
    memcpy(out, "\0\0\0\0\2\x08\x05", 7);
    *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
    assert_int_equal(nghttp2_submit_trailer(server, stream_id, trailers, 1), 0);
    return 7;
}

static int on_server_frame(nghttp2_session *server, const nghttp2_frame *frame, void *user)
{
    struct pair *pair = user;
    const nghttp2_nv headers[] = {FIELD(":status", "200"),
                                  FIELD("content-type", "application/grpc")};
    const nghttp2_nv early[] = {FIELD(":status", "200"), FIELD("grpc-status", "14"),
                                FIELD("grpc-message", "redis%20down"),
                                FIELD("tally-received", "0")};
    const nghttp2_data_provider body = {.read_callback = read_ack};
    int32_t id = frame->hd.stream_id;

    if (frame->hd.type == NGHTTP2_HEADERS && pair->answer == ANSWER_EARLY)
        return nghttp2_submit_response(server, id, early, 4, NULL);
    if (frame->hd.type == NGHTTP2_HEADERS && pair->answer == ANSWER_RESET)
        return nghttp2_submit_rst_stream(server, 0, id, NGHTTP2_REFUSED_STREAM);
    if (frame->hd.type == NGHTTP2_DATA && frame->hd.flags & NGHTTP2_FLAG_END_STREAM &&
        pair->answer == ANSWER_ACK)
        return nghttp2_submit_response(server, id, headers, 2, &body);
    return 0;
}

static int on_server_data(nghttp2_session *server, uint8_t flags, int32_t stream_id,
                          const uint8_t *bytes, size_t length, void *user)
{
    struct pair *pair = user;

    (void)server;
    (void)flags;
    (void)stream_id;
    (void)bytes;
    pair->body_bytes += length;
    return 0;
}

/* `state` is the kind of session, as main() gives it. */
static void open_pair(struct pair *pair, void **state, enum answer answer, uint64_t body_bytes)
{
    static const struct rpc_handler handlers[] = {{.fill = fill, .ended = ended},
                                                  {.frames = frames, .ended = ended}};
    static const struct rpc_peer peer = {.authority = "localhost:1", .authorization = ""};
    nghttp2_session_callbacks *callbacks;

    memset(pair, 0, sizeof *pair);
    pair->frames = *(const bool *)*state;
    pair->answer = answer;
    pair->to_send = body_bytes;
    pair->allowed = UINT64_MAX;
    assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_server_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_server_data);
    assert_int_equal(nghttp2_session_server_new(&pair->server, callbacks, pair), 0);
    nghttp2_session_callbacks_del(callbacks);
    assert_int_equal(nghttp2_submit_settings(pair->server, 0, NULL, 0), 0);
    pair->client = rpc_session_create(&peer, &handlers[pair->frames], pair);
    assert_non_null(pair->client);
    assert_int_equal(rpc_call_start(pair->client, &pair->call, 5), 0);
}

static void close_pair(struct pair *pair)
{
    rpc_session_destroy(pair->client);
    nghttp2_session_del(pair->server);
}

static void deliver(struct pair *pair, const struct output *out, size_t step)
{
    for (size_t i = out->first; i < out->first + out->count; i++) {
        const uint8_t *bytes = out->pieces[i].iov_base;

        for (size_t used = 0, part; used < out->pieces[i].iov_len; used += part) {
            part = out->pieces[i].iov_len - used < step ? out->pieces[i].iov_len - used : step;
            assert_int_equal(nghttp2_session_mem_recv(pair->server, bytes + used, part), part);
        }
    }
}

/* Carries bytes both ways, at most `step` at a time, until neither side has any. */
static void carry(struct pair *pair, size_t step)
{
    uint8_t store[70000];
    const uint8_t *answer;
    struct output out;
    ssize_t back;
    bool moved = true;

    while (moved) {
        moved = false;
        for (;;) {
            output_init(&out, store, pair->frames ? sizeof store : step);
            assert_int_equal(rpc_session_pull(pair->client, &out), 0);
            if (out.length == 0)
                break;
            moved = true;
            rpc_session_handed(pair->client, 0, 42);
            deliver(pair, &out, step);
        }
        while ((back = nghttp2_session_mem_send(pair->server, &answer)) > 0) {
            moved = true;
            for (ssize_t i = 0; i < back; i += (ssize_t)step) {
                size_t part = (size_t)(back - i) < step ? (size_t)(back - i) : step;

                assert_int_equal(rpc_session_push(pair->client, answer + i, part), 0);
            }
        }
    }
}

static void call_any_step_is_acknowledged(void **state)
{
    static const size_t steps[] = {1, 7, 1000, 16393, 40000};

    for (size_t i = 0; i < ARRAY_LENGTH(steps); i++) {
        struct pair pair;

        open_pair(&pair, state, ANSWER_ACK, 100000);
        carry(&pair, steps[i]);
        assert_int_equal(pair.ended, 1);
        assert_string_equal(pair.outcome.message, "");
        assert_int_equal(pair.outcome.status, GRPC_OK);
        assert_int_equal(pair.body_bytes, 100000);
        assert_int_equal(pair.call.ended_ns, 42);
        close_pair(&pair);
    }
}

static void call_wrong_count_fails(void **state)
{
    struct pair pair;

    open_pair(&pair, state, ANSWER_ACK, 10);
    pair.call.packets = 6;
    carry(&pair, 1000);
    assert_int_equal(pair.outcome.status, GRPC_DATA_LOSS);
    assert_string_equal(pair.outcome.message, "Ack says 5 of 6");
    close_pair(&pair);
}

/* One after another on one struct, the way a slot uses it. */
static void call_again_after_early_error_works(void **state)
{
    struct pair pair;

    open_pair(&pair, state, ANSWER_EARLY, 1000000);
    carry(&pair, 1000);
    assert_int_equal(pair.ended, 1);
    assert_int_equal(pair.outcome.status, GRPC_UNAVAILABLE);
    assert_string_equal(pair.outcome.message, "redis down");
    assert_true(pair.outcome.told);
    assert_true(pair.to_send > 0);

    pair.answer = ANSWER_ACK;
    pair.to_send = 10;
    assert_int_equal(rpc_call_start(pair.client, &pair.call, 5), 0);
    carry(&pair, 1000);
    assert_int_equal(pair.ended, 2);
    assert_int_equal(pair.outcome.status, GRPC_OK);
    close_pair(&pair);
}

static void call_reset_is_unavailable(void **state)
{
    struct pair pair;

    open_pair(&pair, state, ANSWER_RESET, 1000000);
    carry(&pair, 1000);
    assert_int_equal(pair.ended, 1);
    assert_int_equal(pair.outcome.status, GRPC_UNAVAILABLE);
    assert_string_equal(pair.outcome.message, "stream reset by the server (REFUSED_STREAM)");
    close_pair(&pair);
}

static void fill_nothing_waits_for_resume(void **state)
{
    struct pair pair;

    open_pair(&pair, state, ANSWER_ACK, 30);
    pair.allowed = 10;
    carry(&pair, 1000);
    assert_int_equal(pair.body_bytes, 10);
    pair.allowed = 20;
    carry(&pair, 1000);
    assert_int_equal(pair.body_bytes, 10);
    rpc_call_resume(&pair.call);
    carry(&pair, 1000);
    assert_int_equal(pair.body_bytes, 30);
    assert_int_equal(pair.outcome.status, GRPC_OK);
    assert_int_equal(pair.ended, 1);
    close_pair(&pair);
}

static void goaway_lets_calls_end_and_takes_no_more(void **state)
{
    struct rpc_outcome outcome;
    struct pair pair;

    open_pair(&pair, state, ANSWER_ACK, 30);
    pair.allowed = 10;
    carry(&pair, 1000);
    assert_int_equal(nghttp2_submit_goaway(pair.server, 0, 1, NGHTTP2_NO_ERROR, NULL, 0), 0);
    carry(&pair, 1000);
    assert_false(rpc_session_over(pair.client, &outcome));
    pair.allowed = 20;
    rpc_call_resume(&pair.call);
    carry(&pair, 1000);
    assert_int_equal(pair.outcome.status, GRPC_OK);
    assert_int_equal(rpc_call_start(pair.client, &pair.call, 5), -ESHUTDOWN);
    assert_true(rpc_session_over(pair.client, &outcome));
    assert_int_equal(outcome.status, GRPC_UNAVAILABLE);
    assert_string_equal(outcome.message, "the server is going away (NO_ERROR)");
    close_pair(&pair);
}

static void goaway_before_the_call_ends_it(void **state)
{
    struct pair pair;

    open_pair(&pair, state, ANSWER_NOTHING, 30);
    carry(&pair, 1000);
    assert_int_equal(pair.ended, 0);
    assert_int_equal(nghttp2_submit_goaway(pair.server, 0, 0, NGHTTP2_ENHANCE_YOUR_CALM, NULL, 0),
                     0);
    carry(&pair, 1000);
    assert_int_equal(pair.ended, 1);
    assert_int_equal(pair.outcome.status, GRPC_UNAVAILABLE);
    assert_string_equal(pair.outcome.message, "the server is going away (ENHANCE_YOUR_CALM)");
    close_pair(&pair);
}

static void push_http1_is_a_breach(void **state)
{
    static const char text[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    struct rpc_outcome outcome;
    struct pair pair;

    open_pair(&pair, state, ANSWER_NOTHING, 30);
    assert_false(rpc_session_over(pair.client, &outcome));
    assert_int_equal(rpc_session_push(pair.client, (const uint8_t *)text, sizeof text - 1), 0);
    assert_true(rpc_session_over(pair.client, &outcome));
    assert_int_equal(outcome.status, GRPC_INTERNAL);
    assert_non_null(rpc_failure_hint(outcome.status, outcome.message));
    close_pair(&pair);
}

static void fail_ends_open_calls_once(void **state)
{
    const struct rpc_outcome lost = {.status = GRPC_UNAVAILABLE, .message = "connection lost"};
    struct pair pair;

    open_pair(&pair, state, ANSWER_NOTHING, 30);
    assert_int_equal(rpc_session_fail(pair.client, &lost), 1);
    assert_int_equal(pair.ended, 1);
    assert_string_equal(pair.outcome.message, "connection lost");
    assert_int_equal(rpc_session_fail(pair.client, &lost), 0);
    assert_int_equal(rpc_call_start(pair.client, &pair.call, 5), -ESHUTDOWN);
    close_pair(&pair);
}

#define BOTH(test)                                                                                 \
    {#test "/fill", test, NULL, NULL, &fills},                                                     \
    {                                                                                              \
#test "/frames", test, NULL, NULL, &writes_frames                                          \
    }

int main(void)
{
    static bool fills = false, writes_frames = true;
    const struct CMUnitTest tests[] = {
        BOTH(call_any_step_is_acknowledged),      BOTH(call_wrong_count_fails),
        BOTH(call_again_after_early_error_works), BOTH(call_reset_is_unavailable),
        BOTH(fill_nothing_waits_for_resume),      BOTH(goaway_lets_calls_end_and_takes_no_more),
        BOTH(goaway_before_the_call_ends_it),     BOTH(push_http1_is_a_breach),
        BOTH(fail_ends_open_calls_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
