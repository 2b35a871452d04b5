/*
 * See session_oracle.h. What a stream's packets come to is known but for some cases, in which the
 * stream is uncertain: the server ended it by itself, and of what crossed with that some may not
 * count. Then the least is nothing, and the most what was sent.
 */
#include "tests/fuzz/session_oracle.h"

#include "tests/fuzz/fuzz.h"

#include <string.h>

#define DEADLINE_EXCEEDED 4 /* gRPC's numbers for a server that did not wait for us */
#define UNAVAILABLE       14

/* What may have been counted and rejected. */
struct bounds {
    uint64_t least[SESSION_DEVICES], most[SESSION_DEVICES], least_rejected, most_rejected;
};

void session_oracle_init(struct session_oracle *oracle, struct session_client *client)
{
    memset(oracle, 0, sizeof *oracle);
    oracle->client = client;
}

struct session_stream *session_oracle_open_stream(struct session_oracle *oracle, unsigned detail,
                                                  uint32_t *id)
{
    for (unsigned i = 0; i < oracle->opened; i++) {
        unsigned place = (i + detail) % oracle->opened;
        const struct session_answer *answer = &oracle->client->answers[place];
        struct session_stream *stream = &oracle->streams[place];

        if (!stream->ended && !stream->reset && !answer->has_status && !answer->reset) {
            *id = 2 * place + 1;
            return stream;
        }
    }
    return NULL;
}

/* A stream may stall that stands inside a packet. */
void session_oracle_pass_time(struct session_oracle *oracle, uint64_t ms)
{
    for (unsigned i = 0; i < oracle->opened; i++) {
        struct session_stream *stream = &oracle->streams[i];

        stream->still_ms += stream->rest_length ? ms : 0;
        stream->stalled |= stream->still_ms >= SESSION_STALL_MS;
    }
}

uint64_t session_oracle_counted(const struct session_oracle *oracle)
{
    uint64_t total = oracle->others;

    for (int i = 0; i < SESSION_DEVICES; i++)
        total += oracle->counted[i];
    return total;
}

/* A stream that was answered before we ended it has not taken all that we sent, maybe. */
void session_oracle_read(struct session_oracle *oracle)
{
    uint64_t answered = 0;

    session_read(oracle->client);
    for (unsigned i = 0; i < SESSION_STREAMS; i++) {
        const struct session_answer *answer = &oracle->client->answers[i];
        struct session_stream *stream = &oracle->streams[i];

        if ((answer->has_status || answer->reset) && !stream->ended && !stream->failed)
            stream->uncertain = true;
        if (answer->has_status &&
            (answer->status == DEADLINE_EXCEEDED || answer->status == UNAVAILABLE))
            stream->uncertain = true;
        if (answer->has_status && stream->counts)
            answered += session_answered(answer);
    }
    FUZZ_CHECK(answered <= oracle->committed);
}

static bool is_uncertain(const struct session_oracle *oracle, unsigned i)
{
    const struct session_answer *answer = &oracle->client->answers[i];
    const struct session_stream *stream = &oracle->streams[i];

    if (stream->uncertain || oracle->shutting_down)
        return true;
    if (answer->has_status)
        return false;
    /* A stream too many is refused, of which we hear nothing when we reset it at once; nor of a
     * deadline or a stall, when we reset the stream while its answer waits. */
    return answer->reset ||
           (stream->reset && (i >= SESSION_MAX_STREAMS || stream->timed || stream->stalled));
}

/* What was sent in a stream is exactly what its answer tells, once there is one. */
static void check_stream(const struct session_oracle *oracle, unsigned i, struct bounds *bounds)
{
    const struct session_answer *answer = &oracle->client->answers[i];
    const struct session_stream *stream = &oracle->streams[i];
    bool uncertain = is_uncertain(oracle, i);
    uint64_t sent = 0;

    for (int d = 0; d < SESSION_DEVICES; d++) {
        sent += stream->packets[d];
        bounds->most[d] += stream->packets[d];
        bounds->least[d] += uncertain ? 0 : stream->packets[d];
    }
    bounds->most_rejected += stream->rejected;
    bounds->least_rejected += stream->rejected && !uncertain;
    if (!answer->has_status)
        return;
    FUZZ_CHECK(session_answered(answer) <= sent);
    if (answer->status == 0)
        FUZZ_CHECK(stream->ended && !stream->failed && session_answered(answer) == sent);
    if (!uncertain && !stream->timed)
        FUZZ_CHECK(session_answered(answer) == sent);
}

void session_oracle_check(const struct session_oracle *oracle, bool connected)
{
    const struct session_client *client = oracle->client;
    bool alive = connected && !client->saw_goaway && !client->saw_end;
    struct bounds bounds = {0};

    FUZZ_CHECK(oracle->received == session_oracle_counted(oracle) + oracle->rejected);
    if (oracle->any_frame)
        return;
    for (unsigned i = 0; i < oracle->opened; i++) {
        const struct session_answer *answer = &client->answers[i];
        const struct session_stream *stream = &oracle->streams[i];

        if (!stream->counts || 2 * i + 1 > client->last_stream)
            continue;
        if (alive && (stream->ended || stream->failed) && !stream->reset)
            FUZZ_CHECK(answer->has_status || answer->reset);
        check_stream(oracle, i, &bounds);
    }
    FUZZ_CHECK(oracle->others == 0);
    FUZZ_CHECK(oracle->rejected <= bounds.most_rejected);
    FUZZ_CHECK(!alive || oracle->rejected >= bounds.least_rejected);
    for (int d = 0; d < SESSION_DEVICES; d++) {
        FUZZ_CHECK(oracle->counted[d] <= bounds.most[d]);
        FUZZ_CHECK(!alive || oracle->counted[d] >= bounds.least[d]);
    }
}
