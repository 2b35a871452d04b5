/* See session_client.h. */
#include "tests/fuzz/session_client.h"

#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD_BYTES 9

void session_client_init(struct session_client *client, int fd)
{
    nghttp2_hd_inflater *inflater;

    client->fd = fd;
    client->output_length = client->input_length = 0;
    client->saw_goaway = client->saw_end = false;
    client->last_stream = UINT32_MAX;
    memset(client->answers, 0, sizeof client->answers);
    FUZZ_CHECK(nghttp2_hd_inflate_new(&inflater) == 0);
    client->inflater = inflater;
}

void session_client_fini(struct session_client *client)
{
    nghttp2_hd_inflate_del(client->inflater);
    close(client->fd);
}

/* ---- Output --------------------------------------------------------------------------------- */

bool session_put(struct session_client *client, const void *bytes, size_t length)
{
    if (length > sizeof client->output - client->output_length)
        return false;
    if (length > 0)
        memcpy(client->output + client->output_length, bytes, length);
    client->output_length += length;
    return true;
}

bool session_frame(struct session_client *client, unsigned type, unsigned flags, uint32_t stream,
                   const void *payload, size_t length)
{
    const uint8_t head[HEAD_BYTES] = {
        (uint8_t)(length >> 16), (uint8_t)(length >> 8), (uint8_t)length,
        (uint8_t)type,           (uint8_t)flags,         (uint8_t)(stream >> 24),
        (uint8_t)(stream >> 16), (uint8_t)(stream >> 8), (uint8_t)stream,
    };

    if (HEAD_BYTES + length > sizeof client->output - client->output_length)
        return false;
    return session_put(client, head, sizeof head) && session_put(client, payload, length);
}

void session_header(uint8_t block[512], size_t *length, const char *name, const char *value)
{
    const char *texts[] = {name, value};

    FUZZ_CHECK(*length + strlen(name) + strlen(value) + 3 <= 512);
    block[(*length)++] = 0; /* a literal that is not indexed */
    for (int i = 0; i < 2; i++) {
        size_t bytes = strlen(texts[i]);

        FUZZ_CHECK(bytes < 127);
        block[(*length)++] = (uint8_t)bytes;
        memcpy(block + *length, texts[i], bytes);
        *length += bytes;
    }
}

/* ---- Input ---------------------------------------------------------------------------------- */

static uint64_t number_of(const uint8_t *text, size_t length)
{
    uint64_t number = 0;

    for (size_t i = 0; i < length; i++) {
        FUZZ_CHECK(text[i] >= '0' && text[i] <= '9');
        number = number * 10 + (text[i] - '0');
    }
    return number;
}

static void read_headers(struct session_client *client, struct session_answer *answer,
                         const uint8_t *block, size_t length)
{
    nghttp2_nv header;
    int flags;

    do {
        ssize_t used = nghttp2_hd_inflate_hd2(client->inflater, &header, &flags, block, length, 1);

        FUZZ_CHECK(used >= 0);
        block += used;
        length -= (size_t)used;
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT) || !answer)
            continue;
        if (header.namelen == 11 && memcmp(header.name, "grpc-status", 11) == 0) {
            FUZZ_CHECK(!answer->has_status);
            answer->has_status = true;
            answer->status = (int)number_of(header.value, header.valuelen);
        } else if (header.namelen == 14 && memcmp(header.name, "tally-received", 14) == 0) {
            answer->number = number_of(header.value, header.valuelen);
        }
    } while (!(flags & NGHTTP2_HD_INFLATE_FINAL));
    nghttp2_hd_inflate_end_headers(client->inflater);
}

uint64_t session_answered(const struct session_answer *answer)
{
    uint64_t number = 0;
    size_t at = 6;

    if (!answer->has_status || answer->status != 0)
        return answer->number;
    if (answer->body_length == 5) /* received = 0 is no field */
        return 0;
    FUZZ_CHECK(answer->body_length > 6 && answer->body[0] == 0 && answer->body[5] == 0x08);
    for (unsigned shift = 0; at < answer->body_length; shift += 7)
        number |= (uint64_t)(answer->body[at++] & 0x7f) << shift;
    return number;
}

static uint32_t read_u32(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void read_frame(struct session_client *client, const uint8_t *head, const uint8_t *payload,
                       size_t length)
{
    uint32_t stream = read_u32(head + 5);
    struct session_answer *answer =
        stream % 2 && stream / 2 < SESSION_STREAMS ? &client->answers[stream / 2] : NULL;

    switch (head[3]) {
    case F_HEADERS:
        FUZZ_CHECK(stream && head[4] & F_END_HEADERS);
        read_headers(client, answer, payload, length);
        break;
    case F_DATA:
        for (size_t i = 0; answer && i < length && answer->body_length < 32; i++)
            answer->body[answer->body_length++] = payload[i];
        break;
    case F_RST:
        FUZZ_CHECK(length == 4);
        if (answer) {
            answer->reset = true;
            answer->reset_code = payload[3];
        }
        break;
    case F_GOAWAY:
        FUZZ_CHECK(length >= 8 && read_u32(payload) <= client->last_stream);
        client->saw_goaway = true;
        client->last_stream = read_u32(payload);
        break;
    default:
        FUZZ_CHECK(head[3] == F_SETTINGS || head[3] == F_PING || head[3] == F_WINDOW);
    }
}

static void read_frames(struct session_client *client)
{
    size_t at = 0;

    if (client->input_length >= 4 && memcmp(client->input, "HTTP", 4) == 0) {
        client->saw_end = true; /* an answer to what looked like HTTP/1 */
        client->input_length = 0;
        return;
    }
    while (client->input_length - at >= HEAD_BYTES) {
        const uint8_t *head = client->input + at;
        size_t length = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];

        if (client->input_length - at < HEAD_BYTES + length)
            break;
        read_frame(client, head, head + HEAD_BYTES, length);
        at += HEAD_BYTES + length;
    }
    client->input_length -= at;
    memmove(client->input, client->input + at, client->input_length);
}

void session_read(struct session_client *client)
{
    for (;;) {
        ssize_t got = recv(client->fd, client->input + client->input_length,
                           sizeof client->input - client->input_length, MSG_DONTWAIT);

        client->saw_end |= got == 0 || (got < 0 && errno != EAGAIN);
        if (got <= 0)
            return;
        client->input_length += (size_t)got;
        read_frames(client);
        FUZZ_CHECK(client->input_length < sizeof client->input);
    }
}
