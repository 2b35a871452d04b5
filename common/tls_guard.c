/*
 * The bounds, and why real peers do not come near them.
 *
 * A turn. Two reads bring a record, since OpenSSL asks for its header first. Sixty-four records are
 * more than the largest receive (256 KiB) holds of full ones; of the smallest they cost a tenth of
 * a millisecond.
 *
 * Records that carry no data: handshake, alerts, changes of cipher. A handshake takes about ten,
 * fifty if the peer's buffers are small and its chain is long. After it there is KeyUpdate, once in
 * 2^23 records or more rarely; each has both sides derive keys. In TLS 1.2 there are attempts to
 * renegotiate, which OpenSSL refuses and goes on. Empty records OpenSSL counts itself.
 *
 * The ClientHello. OpenSSL makes room for what its header claims, up to 128 KiB, which come to 180
 * KiB resident before anything is known of the peer. With the keys of post-quantum algorithms one
 * has 2 KiB. A client's certificates are bounded in tls.c. The header of the message is looked at
 * before OpenSSL sees it: there may be two, if the server asks for another key, both in plain text.
 */
#include "common/tls_guard.h"

#include "common/clock.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#define TURN_READS   128
#define RECORD_BURST 128
#define RECORD_RATE  1 /* a second */
#define UNIT         1000
#define HELLO_BYTES  (16 << 10)

#define RECORD_HEADER_BYTES  5 /* RFC 8446, 5.1 */
#define MESSAGE_HEADER_BYTES 4 /* and 4 */

static void refuse(struct tls_guard *guard, enum tls_guard_refusal why)
{
    guard->refusal = why;
    guard->reads_left = 0;
}

/* ---- The ClientHello ------------------------------------------------------------------------ */

/* True while the next message is a ClientHello, if the peer is a client that does what it should:
 * the first state, and the one behind a request for another key. In that the rest of a handshake of
 * TLS 1.3 can come as well, but not in plain text. */
static bool awaits_hello(const SSL *ssl)
{
    OSSL_HANDSHAKE_STATE state = SSL_get_state(ssl);

    return state == TLS_ST_BEFORE || state == TLS_ST_EARLY_DATA;
}

static void look_at_header(struct tls_guard *guard, uint8_t byte)
{
    switch (guard->header_bytes++) {
    case 0:
        guard->type = byte;
        break;
    case 3:
        guard->record_left = (uint32_t)byte << 8;
        break;
    case 4:
        guard->record_left |= byte;
        break;
    default:
        break;
    }
}

static void look_at_message(struct tls_guard *guard, uint8_t byte)
{
    if (guard->message_bytes == MESSAGE_HEADER_BYTES) {
        guard->message--;
    } else {
        guard->message = guard->message << 8 | byte;
        if (++guard->message_bytes < MESSAGE_HEADER_BYTES)
            return;
        guard->message &= 0xFFFFFF;
        if (guard->message > HELLO_BYTES)
            refuse(guard, TLS_GUARD_HELLO);
    }
    if (guard->message == 0)
        guard->message_bytes = 0;
}

/* Follows the records. An old client may begin otherwise (SSL 2): its hello is small, and what is
 * taken for a header in it is of no consequence, for OpenSSL refuses it. */
static void look(struct tls_guard *guard, const uint8_t *bytes, size_t length)
{
    bool awaited = awaits_hello(guard->ssl);

    for (size_t i = 0; i < length; i++) {
        if (guard->header_bytes < RECORD_HEADER_BYTES) {
            look_at_header(guard, bytes[i]);
        } else {
            guard->record_left--;
            if ((awaited || guard->message_bytes > 0) && guard->type == SSL3_RT_HANDSHAKE)
                look_at_message(guard, bytes[i]);
        }
        if (guard->header_bytes == RECORD_HEADER_BYTES && guard->record_left == 0)
            guard->header_bytes = 0;
    }
}

/* ---- OpenSSL's calls ------------------------------------------------------------------------ */

/* OpenSSL takes a KeyUpdate for a handshake that is not finished. */
static bool is_shaken(struct tls_guard *guard)
{
    if (!guard->shaken)
        guard->shaken = SSL_is_init_finished(guard->ssl);
    return guard->shaken;
}

static long come_again(BIO *bio)
{
    BIO_clear_retry_flags(bio);
    BIO_set_retry_read(bio);
    return -1;
}

/* Called before and after the socket is read (and written, and all else). */
static long on_socket(BIO *bio, int operation, const char *bytes, size_t length, int argi,
                      /* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's type */
                      long argl, int result, size_t *processed)
{
    struct tls_guard *guard = (struct tls_guard *)(void *)BIO_get_callback_arg(bio);

    (void)length, (void)argi, (void)argl;
    if (operation == BIO_CB_READ) {
        if (guard->reads_left == 0)
            return come_again(bio);
        guard->reads_left--;
    } else if (operation == (BIO_CB_READ | BIO_CB_RETURN) && result > 0 && !is_shaken(guard)) {
        look(guard, (const uint8_t *)bytes, *processed);
        if (guard->refusal)
            return come_again(bio);
    }
    return result;
}

static void take_record(struct tls_guard *guard)
{
    uint64_t now_ms = clock_now_ms(), leaked = (now_ms - guard->since_ms) * RECORD_RATE;

    guard->level = guard->level > leaked ? guard->level - leaked : 0;
    guard->since_ms = now_ms;
    guard->level += UNIT;
    if (guard->level > (uint64_t)RECORD_BURST * UNIT)
        refuse(guard, TLS_GUARD_FLOOD);
}

/* Called for each record with its header, and, when it is one of TLS 1.3 that was encrypted, again
 * with the type inside; and for each message. */
static void on_message(int sent, int version, int type, const void *bytes, size_t length, SSL *ssl,
                       void *argument)
{
    (void)version, (void)length, (void)ssl;
    if (!sent && (type == SSL3_RT_HEADER || type == SSL3_RT_INNER_CONTENT_TYPE) &&
        *(const uint8_t *)bytes != SSL3_RT_APPLICATION_DATA)
        take_record(argument);
}

/* ---- What others call ------------------------------------------------------------------------ */

void tls_guard_init(struct tls_guard *guard, struct ssl_st *ssl)
{
    BIO *bio = SSL_get_rbio(ssl);

    *guard = (struct tls_guard){.ssl = ssl, .since_ms = clock_now_ms()};
    BIO_set_callback_arg(bio, (char *)guard);
    BIO_set_callback_ex(bio, on_socket);
    SSL_set_msg_callback(ssl, on_message);
    SSL_set_msg_callback_arg(ssl, guard);
}

void tls_guard_turn(struct tls_guard *guard)
{
    guard->reads_left = guard->refusal ? 0 : TURN_READS;
}

static enum tls_result refused(struct tls_guard *guard)
{
    const char *why = guard->refusal == TLS_GUARD_HELLO
                          ? "its first message is too large"
                          : "it sends too many records that carry no data";

    ERR_clear_error();
    ERR_raise_data(ERR_LIB_USER, ERR_R_PASSED_INVALID_ARGUMENT, "%s", why);
    return is_shaken(guard) ? TLS_FLOODED : TLS_FAILED;
}

enum tls_result tls_guard_result(struct tls_guard *guard, int result)
{
    int error = errno;

    if (guard->refusal)
        return refused(guard);
    switch (SSL_get_error(guard->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        return TLS_WANTS_READ;
    case SSL_ERROR_WANT_WRITE:
        return TLS_WANTS_WRITE;
    case SSL_ERROR_ZERO_RETURN:
        return TLS_ENDED;
    case SSL_ERROR_SYSCALL:
        ERR_clear_error();
        errno = error;
        return TLS_CUT;
    default:
        return TLS_FAILED;
    }
}
