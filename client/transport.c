/*
 * TLS takes one run of bytes for a record, and asks for the same ones again when the socket was
 * full. Output is a list of pieces, so those that are too small for a record are copied together;
 * they stay in the list until they went out, so asking again finds the same.
 */
#include "client/transport.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int transport_init(struct transport *transport, int fd, struct ssl_ctx_st *context,
                   const char *server_name)
{
    memset(transport, 0, sizeof *transport);
    transport->fd = fd;
    if (!context)
        return 0;
    transport->record = malloc(TRANSPORT_RECORD_BYTES);
    transport->ssl = SSL_new(context);
    if (!transport->record || !transport->ssl || SSL_set_fd(transport->ssl, fd) != 1)
        return -ENOMEM;
    SSL_set_connect_state(transport->ssl);
    return tls_expect_name(transport->ssl, server_name);
}

void transport_fini(struct transport *transport)
{
    if (transport->ssl && !transport->why && SSL_is_init_finished(transport->ssl))
        SSL_shutdown(transport->ssl);
    ERR_clear_error();
    SSL_free(transport->ssl);
    free(transport->record);
    memset(transport, 0, sizeof *transport);
}

/* Keeps the reason of a failure. What OpenSSL calls a wrong version number is what comes of reading
 * anything but TLS as if it were. */
static void note_failure(struct transport *transport)
{
    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER) {
        ERR_clear_error();
        transport->why = "it does not speak TLS";
    } else {
        transport->why = tls_handshake_error(transport->ssl, transport->text);
    }
}

enum transport_state transport_open(struct transport *transport)
{
    int result;

    if (!transport->ssl)
        return TRANSPORT_OPEN;
    ERR_clear_error();
    result = SSL_do_handshake(transport->ssl);
    if (result == 1)
        return TRANSPORT_OPEN;
    switch (SSL_get_error(transport->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TRANSPORT_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TRANSPORT_WANTS_WRITE;
    default:
        note_failure(transport);
        return TRANSPORT_FAILED;
    }
}

/* A negative errno for a call of OpenSSL's that did nothing. */
static int failure(struct transport *transport, int result)
{
    int error = errno;

    switch (SSL_get_error(transport->ssl, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return -EAGAIN;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        return error ? -error : -ECONNRESET;
    default:
        note_failure(transport);
        return -ECONNABORTED;
    }
}

ssize_t transport_receive(struct transport *transport, uint8_t *bytes, size_t size)
{
    ssize_t length;
    int result;

    if (!transport->ssl) {
        do
            length = recv(transport->fd, bytes, size, 0);
        while (length < 0 && errno == EINTR);
        if (length < 0)
            return errno == EWOULDBLOCK ? -EAGAIN : -errno;
        return length;
    }
    ERR_clear_error();
    result = SSL_read(transport->ssl, bytes, (int)size);
    if (result > 0)
        return result;
    return SSL_get_error(transport->ssl, result) == SSL_ERROR_ZERO_RETURN
               ? 0
               : failure(transport, result);
}

/* The bytes for the next call of TLS: the first piece, or several small ones put together. */
static const uint8_t *gather(struct transport *transport, const struct output *output,
                             size_t *length)
{
    const struct iovec *piece = &output->pieces[output->first];
    size_t used = 0;

    *length = piece->iov_len;
    if (output->count == 1 || piece->iov_len >= TRANSPORT_RECORD_BYTES)
        return piece->iov_base;
    for (size_t i = 0; i < output->count && used < TRANSPORT_RECORD_BYTES; i++) {
        size_t room = TRANSPORT_RECORD_BYTES - used;
        size_t part = piece[i].iov_len < room ? piece[i].iov_len : room;

        memcpy(transport->record + used, piece[i].iov_base, part);
        used += part;
    }
    *length = used;
    return transport->record;
}

int transport_send(struct transport *transport, struct output *output)
{
    if (!transport->ssl)
        return output_send(output, transport->fd);
    while (output->length > 0) {
        size_t length, sent;
        const uint8_t *bytes = gather(transport, output, &length);
        int result;

        ERR_clear_error();
        result = SSL_write_ex(transport->ssl, bytes, length, &sent);
        if (result <= 0)
            return failure(transport, result);
        output_drop(output, sent);
    }
    return 0;
}
