/* See healthcheck.h. */
#include "server/healthcheck.h"

#include "common/tls.h"

#include <errno.h>
#include <netdb.h>
#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define TIMEOUT_S 2

static int connect_to(const char *host, uint16_t port)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST}, *found;
    const struct timeval timeout = {.tv_sec = TIMEOUT_S};
    char service[8];
    int fd, error = 0;

    snprintf(service, sizeof service, "%u", port);
    if (getaddrinfo(host, service, &hints, &found))
        return -EINVAL;
    fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0) {
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    }
    if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen)) {
        error = -errno;
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(found);
    return error ? error : fd;
}

/* Over TLS nobody is verified: what is asked is this host, and what it answers is no secret. The
 * socket's time-outs make OpenSSL want something, which is given up for. */
static int secure(int fd, SSL_CTX **context, SSL **ssl)
{
    char error[ERROR_BYTES];

    *context = tls_connect_context(NULL, NULL, NULL, "http/1.1", error);
    *ssl = *context ? SSL_new(*context) : NULL;
    if (!*ssl || SSL_set_fd(*ssl, fd) != 1)
        return -ENOMEM;
    if (SSL_connect(*ssl) == 1)
        return 0;
    return errno == EAGAIN ? -ETIMEDOUT : -EPROTO;
}

/* Sends the request and takes the beginning of the answer. `ssl` may be NULL. */
static int ask(int fd, SSL *ssl, char *answer, size_t size)
{
    static const char request[] = "GET /healthz HTTP/1.0\r\n\r\n";
    const int length = sizeof request - 1;
    ssize_t n = ssl ? SSL_write(ssl, request, length) : send(fd, request, length, MSG_NOSIGNAL);
    size_t have = 0;

    if (n < length)
        return ssl ? -EPROTO : -errno;
    do {
        char *room = answer + have;

        n = ssl ? SSL_read(ssl, room, (int)(size - 1 - have)) : recv(fd, room, size - 1 - have, 0);
        if (n > 0)
            have += (size_t)n;
    } while (have < size - 1 && n > 0);
    answer[have] = '\0';
    if (n < 0 && errno == EAGAIN) /* the socket's time-out */
        return -ETIMEDOUT;
    return n < 0 ? -EIO : 0;
}

/* "HTTP/1.1 200 OK"; or 401 or 403 from one that lives and does not count /healthz among what
 * everybody may ask for. */
static bool tells_life(const char *answer)
{
    static const char *const alive[] = {" 200 ", " 401 ", " 403 "};

    for (size_t i = 0; i < ARRAY_LENGTH(alive); i++) {
        if (strlen(answer) > 12 && !strncmp(answer + 8, alive[i], strlen(alive[i])))
            return true;
    }
    return false;
}

/* What a port with TLS says to plain HTTP: an alert, or nothing. */
static bool is_of_tls(const char *answer)
{
    const char alert = 21; /* the type of the record: RFC 8446, section 5.1 */

    return !*answer || *answer == alert;
}

int healthcheck(const char *bind, uint16_t port, bool tls)
{
    /* With "::" HTTP listens on IPv4 too, and on nothing else where civetweb lacks IPv6. */
    bool any = strcmp(bind, "0.0.0.0") == 0 || strcmp(bind, "::") == 0;
    int fd = connect_to(any ? "127.0.0.1" : bind, port), error = 0;
    SSL_CTX *context = NULL;
    char answer[16] = "";
    SSL *ssl = NULL;

    if (fd < 0)
        return fd;
    if (tls)
        error = secure(fd, &context, &ssl);
    if (!error)
        error = ask(fd, ssl, answer, sizeof answer);
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    if (!tls && (!error || error == -EIO) && is_of_tls(answer))
        return -EPROTOTYPE;
    if (error)
        return error;
    return tells_life(answer) ? 0 : -EBADMSG;
}
