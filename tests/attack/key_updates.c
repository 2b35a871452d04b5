/*
 * Sends many KeyUpdates of TLS 1.3 at once, and no data: the attacker of
 * tests/integration/test_attacks_tls.py.
 *
 *     key_updates PORT ALPN COUNT asking|silent
 *
 * They are made before the first is sent, since making one costs as much as taking it. With
 * `asking` each wants one in return, and nothing is read. It ends once the server has closed the
 * connection, with "closed", or with "open" when that takes half a minute. Loopback only.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
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

#define MAX_COUNT 1000000
#define LAST_MS   30000

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static int connect_to(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
        die("connect");
    return fd;
}

/* What TLS has written goes to the socket; false when that is closed. */
static bool flush(int fd, BIO *out)
{
    char *bytes;
    long length = BIO_get_mem_data(out, &bytes);

    for (long sent = 0; sent < length;) {
        ssize_t n = send(fd, bytes + sent, (size_t)(length - sent), MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        sent += n;
    }
    (void)BIO_reset(out);
    return true;
}

static void shake_hands(int fd, SSL *ssl, BIO *in, BIO *out)
{
    while (SSL_do_handshake(ssl) != 1) {
        char bytes[16384];
        ssize_t n = flush(fd, out) ? recv(fd, bytes, sizeof bytes, 0) : -1;

        if (n <= 0)
            die("handshake");
        BIO_write(in, bytes, (int)n);
    }
    if (!flush(fd, out))
        die("handshake");
}

static SSL *make_client(const char *alpn, BIO *in, BIO *out)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL *ssl = context ? SSL_new(context) : NULL;
    unsigned char offer[32];
    size_t length = strlen(alpn);

    if (!ssl || length >= sizeof offer || !SSL_set_min_proto_version(ssl, TLS1_3_VERSION))
        die("TLS");
    offer[0] = (unsigned char)length;
    memcpy(offer + 1, alpn, length);
    SSL_set_alpn_protos(ssl, offer, (unsigned)length + 1);
    SSL_set_bio(ssl, in, out);
    SSL_set_connect_state(ssl);
    SSL_CTX_free(context);
    return ssl;
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* True once the server has closed the connection. What it says before is thrown away; or not read,
 * until it has ended its side. */
static bool is_closed_in_time(int fd, bool deaf)
{
    uint64_t end_ms = now_ms() + LAST_MS;
    struct pollfd poll_fd = {.fd = fd, .events = deaf ? POLLRDHUP : POLLIN};
    char bytes[16384];

    while (now_ms() < end_ms) {
        if (poll(&poll_fd, 1, 1000) <= 0)
            continue;
        if (deaf || recv(fd, bytes, sizeof bytes, 0) <= 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    bool asking = argc == 5 && strcmp(argv[4], "asking") == 0;
    long count = argc == 5 ? strtol(argv[3], NULL, 10) : 0;
    SSL *ssl;
    int fd;

    if (argc != 5 || count < 1 || count > MAX_COUNT) {
        fprintf(stderr, "usage: key_updates PORT ALPN COUNT asking|silent\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    ssl = make_client(argv[2], in, out);
    fd = connect_to((uint16_t)strtol(argv[1], NULL, 10));
    shake_hands(fd, ssl, in, out);
    for (long i = 0; i < count; i++) {
        SSL_key_update(ssl, asking ? SSL_KEY_UPDATE_REQUESTED : SSL_KEY_UPDATE_NOT_REQUESTED);
        if (SSL_do_handshake(ssl) != 1)
            die("KeyUpdate");
    }
    puts(!flush(fd, out) || is_closed_in_time(fd, asking) ? "closed" : "open");
    SSL_free(ssl);
    close(fd);
    return 0;
}
