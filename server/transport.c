/*
 * With TLS, a receive fills the caller's buffer with as many records as there are, since what is
 * behind it is fastest with much at a time. OpenSSL reads record by record: only when the buffer
 * ends inside one does it keep bytes that epoll knows nothing of.
 */
#include "server/transport.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define TLS_HANDSHAKE_RECORD 0x16 /* RFC 8446, 5.1: what a client's first byte has to be */

int transport_init(struct transport *transport, int fd, struct ssl_ctx_st *tls)
{
    *transport = (struct transport){.fd = fd, .end = 1};
    if (!tls)
        return 0;
    transport->ssl = SSL_new(tls);
    if (!transport->ssl || !SSL_set_fd(transport->ssl, fd)) {
        SSL_free(transport->ssl);
        ERR_clear_error();
        return -ENOMEM;
    }
    SSL_set_accept_state(transport->ssl);
    tls_guard_init(&transport->guard, transport->ssl);
    return 0;
}

void transport_fini(struct transport *transport)
{
    SSL_free(transport->ssl);
    close(transport->fd);
}

/* What a failed call of OpenSSL's comes to. */
static ssize_t failure(struct transport *transport, int result)
{
    switch (tls_guard_result(&transport->guard, result)) {
    case TLS_WANTS_READ:
    case TLS_WANTS_WRITE:
        return -EAGAIN;
    case TLS_ENDED:
        return 0;
    case TLS_CUT: /* a reset, or an end without a farewell: HTTP/2 has its own */
        return errno && errno != EAGAIN ? -errno : 0;
    case TLS_FLOODED:
        ERR_clear_error();
        return -EOVERFLOW;
    default:
        return -EPROTO;
    }
}

static bool is_end(ssize_t result)
{
    return result != -EAGAIN;
}

/* Whoever speaks plainly to a port with TLS is told apart, so that the log can say what to do. */
static ssize_t look_at_first_byte(int fd)
{
    unsigned char first;
    ssize_t n = recv(fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);

    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    if (n == 0)
        return 0;
    return first == TLS_HANDSHAKE_RECORD ? 1 : -EPROTOTYPE;
}

/* Returns 1 once hands are shaken; else as transport_receive(). */
static ssize_t shake(struct transport *transport)
{
    int result;

    if (!transport->begun) {
        ssize_t n = look_at_first_byte(transport->fd);

        if (n <= 0)
            return n;
        transport->begun = true;
    }
    ERR_clear_error();
    errno = 0;
    result = SSL_do_handshake(transport->ssl);
    transport->wants_write = SSL_want_write(transport->ssl);
    if (result != 1)
        return failure(transport, result);
    transport->shaken = true;
    return 1;
}

static ssize_t receive_tls(struct transport *transport, char *buffer, size_t size)
{
    size_t got = 0, n;
    ssize_t end;

    if (transport->end != 1)
        return transport->end;
    tls_guard_turn(&transport->guard);
    if (!transport->shaken) {
        end = shake(transport);
        if (end != 1)
            return end;
    }
    ERR_clear_error();
    errno = 0;
    transport->wants_write = false;
    while (got < size) {
        if (SSL_read_ex(transport->ssl, buffer + got, size - got, &n)) {
            got += n;
            continue;
        }
        transport->wants_write = SSL_want_write(transport->ssl);
        end = failure(transport, 0);
        if (is_end(end))
            transport->end = end;
        return got ? (ssize_t)got : end;
    }
    return (ssize_t)got;
}

ssize_t transport_receive(struct transport *transport, void *buffer, size_t size)
{
    ssize_t n;

    if (unlikely(transport->ssl != NULL))
        return receive_tls(transport, buffer, size);
    n = recv(transport->fd, buffer, size, MSG_DONTWAIT);
    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    return n;
}

bool transport_has_unread(const struct transport *transport)
{
    int bytes = 0;

    if (transport->ssl && SSL_pending(transport->ssl) > 0)
        return true;
    return ioctl(transport->fd, FIONREAD, &bytes) == 0 && bytes > 0;
}

bool transport_pending(const struct transport *transport)
{
    return transport->ssl && (transport->end != 1 || SSL_pending(transport->ssl) > 0);
}

static ssize_t send_tls(struct transport *transport, const void *bytes, size_t length)
{
    ssize_t result;
    size_t n;

    ERR_clear_error();
    errno = 0;
    if (SSL_write_ex(transport->ssl, bytes, length, &n))
        return (ssize_t)n;
    result = failure(transport, 0);
    return result == 0 ? -ECONNRESET : result;
}

ssize_t transport_send(struct transport *transport, const void *bytes, size_t length)
{
    ssize_t n;

    if (unlikely(transport->ssl != NULL))
        return transport->shaken ? send_tls(transport, bytes, length) : -EAGAIN;
    n = send(transport->fd, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    return n;
}

void transport_shut(struct transport *transport)
{
    if (transport->ssl && transport->shaken && transport->end != -EPROTO) {
        ERR_clear_error();
        SSL_shutdown(transport->ssl);
        ERR_clear_error();
    }
    shutdown(transport->fd, SHUT_WR);
}
