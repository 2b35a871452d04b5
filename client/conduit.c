/*
 * TLS takes one run of bytes for a record, and asks for the same ones again when the socket was
 * full. Output is a list of pieces, so those that are too small for a record are copied together;
 * they stay in the list until they went out, so asking again finds the same.
 */
#include "client/conduit.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int conduit_init(struct conduit *conduit, int fd, struct ssl_ctx_st *context,
                 const char *server_name)
{
    memset(conduit, 0, sizeof *conduit);
    conduit->fd = fd;
    if (!context)
        return 0;
    conduit->record = malloc(CONDUIT_RECORD_BYTES);
    conduit->ssl = SSL_new(context);
    if (!conduit->record || !conduit->ssl || SSL_set_fd(conduit->ssl, fd) != 1)
        return -ENOMEM;
    SSL_set_connect_state(conduit->ssl);
    tls_guard_init(&conduit->guard, conduit->ssl);
    return tls_expect_name(conduit->ssl, server_name);
}

void conduit_fini(struct conduit *conduit)
{
    if (conduit->ssl && !conduit->why && SSL_is_init_finished(conduit->ssl))
        SSL_shutdown(conduit->ssl);
    ERR_clear_error();
    SSL_free(conduit->ssl);
    free(conduit->record);
    memset(conduit, 0, sizeof *conduit);
}

/* Keeps the reason of a failure. What OpenSSL calls a wrong version number is what comes of reading
 * anything but TLS as if it were. */
static void note_failure(struct conduit *conduit)
{
    if (ERR_GET_REASON(ERR_peek_error()) == SSL_R_WRONG_VERSION_NUMBER) {
        ERR_clear_error();
        conduit->why = "it does not speak TLS";
    } else if (ERR_peek_error() == 0 && BIO_number_read(SSL_get_rbio(conduit->ssl)) == 0) {
        conduit->why = "it closed the connection; does it speak TLS?";
    } else {
        conduit->why = tls_handshake_error(conduit->ssl, conduit->text);
    }
}

enum conduit_state conduit_open(struct conduit *conduit)
{
    int result;

    if (!conduit->ssl)
        return CONDUIT_OPEN;
    tls_guard_turn(&conduit->guard);
    ERR_clear_error();
    result = SSL_do_handshake(conduit->ssl);
    if (result == 1)
        return CONDUIT_OPEN;
    switch (tls_guard_result(&conduit->guard, result)) {
    case TLS_WANTS_READ:
        return CONDUIT_WANTS_READ;
    case TLS_WANTS_WRITE:
        return CONDUIT_WANTS_WRITE;
    default:
        note_failure(conduit);
        return CONDUIT_FAILED;
    }
}

/* A negative errno for a call of OpenSSL's that did nothing. */
static int failure(struct conduit *conduit, int result)
{
    switch (tls_guard_result(&conduit->guard, result)) {
    case TLS_WANTS_READ:
    case TLS_WANTS_WRITE:
        return -EAGAIN;
    case TLS_ENDED:
        return 0;
    case TLS_CUT:
        return errno ? -errno : -ECONNRESET;
    default:
        note_failure(conduit);
        return -ECONNABORTED;
    }
}

ssize_t conduit_receive(struct conduit *conduit, uint8_t *bytes, size_t size)
{
    ssize_t length;
    int result;

    if (!conduit->ssl) {
        do
            length = recv(conduit->fd, bytes, size, 0);
        while (length < 0 && errno == EINTR);
        if (length < 0)
            return errno == EWOULDBLOCK ? -EAGAIN : -errno;
        return length;
    }
    tls_guard_turn(&conduit->guard);
    ERR_clear_error();
    result = SSL_read(conduit->ssl, bytes, (int)size);
    return result > 0 ? result : failure(conduit, result);
}

/* The bytes for the next call of TLS: the first piece, or several small ones put together. */
static const uint8_t *gather(struct conduit *conduit, const struct output *output, size_t *length)
{
    const struct iovec *piece = &output->pieces[output->first];
    size_t used = 0;

    *length = piece->iov_len;
    if (output->count == 1 || piece->iov_len >= CONDUIT_RECORD_BYTES)
        return piece->iov_base;
    for (size_t i = 0; i < output->count && used < CONDUIT_RECORD_BYTES; i++) {
        size_t room = CONDUIT_RECORD_BYTES - used;
        size_t part = piece[i].iov_len < room ? piece[i].iov_len : room;

        memcpy(conduit->record + used, piece[i].iov_base, part);
        used += part;
    }
    *length = used;
    return conduit->record;
}

int conduit_send(struct conduit *conduit, struct output *output)
{
    if (!conduit->ssl)
        return output_send(output, conduit->fd);
    while (output->length > 0) {
        size_t length, sent;
        const uint8_t *bytes = gather(conduit, output, &length);
        int result;

        ERR_clear_error();
        result = SSL_write_ex(conduit->ssl, bytes, length, &sent);
        if (result <= 0) {
            result = failure(conduit, result);
            return result ? result : -ECONNRESET;
        }
        output_drop(output, sent);
    }
    return 0;
}
