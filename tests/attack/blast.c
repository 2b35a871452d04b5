/*
 * Says the same thing to a server again and again, as fast as it takes it, over many connections:
 * the attacker of tests/integration/harness/attack.py, which makes what is said.
 *
 *     blast PORT CONNECTIONS SECONDS FILE
 *
 * FILE: the opening of a connection, and a unit that is repeated, each as a 32-bit length in the
 * machine's order and its bytes; then flags, the first stream id, the bytes of DATA in the unit,
 * the number of places in the unit that hold a stream id, and the places. The id grows by 2 with
 * each unit. Flag 1: does not read. Flag 2: a connection ends behind its opening, and the next one
 * follows. Flag 4: acknowledges SETTINGS and keeps to the windows of its one stream, so that DATA
 * may go on without end. Connections that the server closes are made anew. They come from
 * 127.0.0.2, so that bounds of an address are not those of other clients. At the end it prints what
 * it did as JSON. Loopback only, and never longer than a minute.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 4096
#define MAX_PLACES      16
#define BATCH_BYTES     65536 /* of units, rendered at once */
#define MAX_SECONDS     60
#define FRAME_HEADER    9
#define HEARD_BYTES     65536

enum { DEAF = 1, ONCE = 2, LEGAL = 4 };
enum { SETTINGS = 4, WINDOW_UPDATE = 8, ACK = 1, INITIAL_WINDOW_SIZE = 4 };
enum { INITIAL_WINDOW = 65535 };

struct blob {
    uint8_t *bytes;
    uint32_t length;
};

struct attack {
    struct blob opening, unit;
    uint32_t flags, first_id, data_bytes, place_count, places[MAX_PLACES];
    uint16_t port;
};

struct peer {
    int fd;
    uint32_t id;
    uint8_t *out;
    size_t length, sent;

    /* With LEGAL. */
    int64_t connection_window, stream_window;
    bool must_acknowledge, acknowledged;
    uint8_t heard[HEARD_BYTES];
    size_t heard_length;
};

static uint64_t connects, closes, units, bytes_sent, failures;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- The file ------------------------------------------------------------------------------- */

static uint32_t read_number(FILE *file)
{
    uint32_t number;

    if (fread(&number, sizeof number, 1, file) != 1)
        die("the file is too short");
    return number;
}

static struct blob read_blob(FILE *file)
{
    struct blob blob = {.length = read_number(file)};

    blob.bytes = malloc(blob.length + 1);
    if (!blob.bytes || fread(blob.bytes, 1, blob.length, file) != blob.length)
        die("the file is too short");
    return blob;
}

static void read_attack(struct attack *attack, const char *path)
{
    FILE *file = fopen(path, "rb");

    if (!file)
        die(path);
    attack->opening = read_blob(file);
    attack->unit = read_blob(file);
    attack->flags = read_number(file);
    attack->first_id = read_number(file);
    attack->data_bytes = read_number(file);
    attack->place_count = read_number(file);
    if (attack->place_count > MAX_PLACES)
        die("too many places");
    for (uint32_t i = 0; i < attack->place_count; i++)
        attack->places[i] = read_number(file);
    fclose(file);
}

/* ---- A connection --------------------------------------------------------------------------- */

static void connect_peer(struct peer *peer, const struct attack *attack)
{
    struct sockaddr_in server = {
        .sin_family = AF_INET,
        .sin_port = htons(attack->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    struct sockaddr_in own = {
        .sin_family = AF_INET,
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1),
    };
    struct linger at_once = {1, 0}; /* no port is kept waiting */
    int least = 1, yes = 1;

    peer->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (peer->fd < 0)
        die("socket");
    setsockopt(peer->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    if (attack->flags & DEAF) /* the server's answers soon find no room */
        setsockopt(peer->fd, SOL_SOCKET, SO_RCVBUF, &least, sizeof least);
    setsockopt(peer->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(peer->fd, (struct sockaddr *)&own, sizeof own))
        die("bind");
    if (connect(peer->fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS) {
        failures++;
        close(peer->fd);
        peer->fd = -1;
        return;
    }
    connects++;
    peer->id = attack->first_id;
    memcpy(peer->out, attack->opening.bytes, attack->opening.length);
    peer->length = attack->opening.length;
    peer->sent = 0;
    peer->connection_window = peer->stream_window = INITIAL_WINDOW;
    peer->must_acknowledge = peer->acknowledged = false;
    peer->heard_length = 0;
}

static void drop_peer(struct peer *peer)
{
    close(peer->fd);
    peer->fd = -1;
    closes++;
}

/* True when another unit may be sent. */
static bool is_allowed(const struct peer *peer, const struct attack *attack)
{
    return !(attack->flags & LEGAL) ||
           (peer->acknowledged && peer->connection_window >= attack->data_bytes &&
            peer->stream_window >= attack->data_bytes);
}

static void render(struct peer *peer, const struct attack *attack)
{
    static const uint8_t acknowledgement[FRAME_HEADER] = {0, 0, 0, SETTINGS, ACK};

    peer->length = peer->sent = 0;
    if (peer->must_acknowledge) {
        memcpy(peer->out, acknowledgement, sizeof acknowledgement);
        peer->length = sizeof acknowledgement;
        peer->must_acknowledge = false;
        peer->acknowledged = true;
    }
    while (peer->length + attack->unit.length <= BATCH_BYTES && is_allowed(peer, attack)) {
        uint8_t *unit = peer->out + peer->length;
        uint32_t id = htonl(peer->id);

        memcpy(unit, attack->unit.bytes, attack->unit.length);
        for (uint32_t i = 0; i < attack->place_count; i++)
            memcpy(unit + attack->places[i], &id, sizeof id);
        peer->id += 2;
        peer->length += attack->unit.length;
        peer->connection_window -= attack->data_bytes;
        peer->stream_window -= attack->data_bytes;
        units++;
    }
}

/* Returns false when the connection is at its end. */
static bool say(struct peer *peer, const struct attack *attack)
{
    ssize_t n;

    if (peer->sent == peer->length) {
        if (attack->flags & ONCE)
            return false;
        if (attack->unit.length == 0)
            return true;
        render(peer, attack);
        if (peer->length == 0)
            return true;
    }
    n = send(peer->fd, peer->out + peer->sent, peer->length - peer->sent, MSG_NOSIGNAL);
    if (n < 0)
        return errno == EAGAIN;
    peer->sent += (size_t)n;
    bytes_sent += (uint64_t)n;
    return true;
}

static uint32_t number_at(const uint8_t *bytes)
{
    uint32_t number;

    memcpy(&number, bytes, sizeof number);
    return ntohl(number);
}

static void take_settings(struct peer *peer, const uint8_t *payload, size_t length)
{
    for (size_t i = 0; i + 6 <= length; i += 6) {
        if (payload[i] == 0 && payload[i + 1] == INITIAL_WINDOW_SIZE)
            peer->stream_window += (int64_t)number_at(payload + i + 2) - INITIAL_WINDOW;
    }
    peer->must_acknowledge = true;
}

static void take_frame(struct peer *peer, const uint8_t *frame, size_t length)
{
    const uint8_t *payload = frame + FRAME_HEADER;

    if (frame[3] == SETTINGS && !(frame[4] & ACK))
        take_settings(peer, payload, length);
    else if (frame[3] == WINDOW_UPDATE && number_at(frame + 5) == 0)
        peer->connection_window += number_at(payload);
    else if (frame[3] == WINDOW_UPDATE)
        peer->stream_window += number_at(payload);
}

/* The server's frames are small. */
static bool hear(struct peer *peer)
{
    size_t at = 0, room = sizeof peer->heard - peer->heard_length;
    ssize_t n = recv(peer->fd, peer->heard + peer->heard_length, room, 0);

    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    peer->heard_length += (size_t)n;
    while (peer->heard_length - at >= FRAME_HEADER) {
        const uint8_t *frame = peer->heard + at;
        size_t length = number_at(frame) >> 8;

        if (peer->heard_length - at < FRAME_HEADER + length)
            break;
        take_frame(peer, frame, length);
        at += FRAME_HEADER + length;
    }
    memmove(peer->heard, peer->heard + at, peer->heard_length - at);
    peer->heard_length -= at;
    return true;
}

static bool has_more(const struct peer *peer, const struct attack *attack)
{
    return peer->sent < peer->length || attack->flags & ONCE || peer->must_acknowledge ||
           (attack->unit.length > 0 && is_allowed(peer, attack));
}

static void serve(struct peer *peer, const struct attack *attack, short events)
{
    bool lives = !(events & (POLLERR | POLLHUP));

    if (lives && events & POLLIN)
        lives = hear(peer);
    if (lives && events & POLLOUT)
        lives = say(peer, attack);
    if (!lives)
        drop_peer(peer);
}

int main(int argc, char **argv)
{
    static struct peer peers[MAX_CONNECTIONS];
    static struct pollfd polls[MAX_CONNECTIONS];
    struct attack attack = {0};
    unsigned count;
    uint64_t end;

    count = argc == 5 ? (unsigned)atoi(argv[2]) : 0;
    if (count < 1 || count > MAX_CONNECTIONS || atof(argv[3]) > MAX_SECONDS)
        die("usage: blast PORT CONNECTIONS SECONDS FILE");
    attack.port = (uint16_t)atoi(argv[1]);
    read_attack(&attack, argv[4]);
    for (unsigned i = 0; i < count; i++) {
        peers[i].fd = -1;
        peers[i].out = malloc(BATCH_BYTES + attack.opening.length + attack.unit.length);
        if (!peers[i].out)
            die("malloc");
    }
    end = now_ms() + (uint64_t)(atof(argv[3]) * 1000);
    while (now_ms() < end) {
        for (unsigned i = 0; i < count; i++) {
            if (peers[i].fd < 0)
                connect_peer(&peers[i], &attack);
            polls[i].fd = peers[i].fd;
            polls[i].events = (short)((attack.flags & DEAF ? 0 : POLLIN) |
                                      (has_more(&peers[i], &attack) ? POLLOUT : 0));
        }
        if (poll(polls, count, 10) < 0)
            die("poll");
        for (unsigned i = 0; i < count; i++) {
            if (polls[i].fd >= 0 && polls[i].revents)
                serve(&peers[i], &attack, polls[i].revents);
        }
    }
    printf("{\"connects\": %llu, \"closes\": %llu, \"units\": %llu, \"bytes\": %llu, "
           "\"failures\": %llu}\n",
           (unsigned long long)connects, (unsigned long long)closes, (unsigned long long)units,
           (unsigned long long)bytes_sent, (unsigned long long)failures);
    return 0;
}
