/*
 * Each side is asked for bytes only when the buffer behind it is empty, so a client that does not
 * read holds up civetweb, whose time-outs end that. The relay has time-outs of its own for what
 * civetweb does not see: the handshake, and the rest of an answer once civetweb has gone.
 *
 * At its end a connection lingers: the client may have sent more than was read, and closing at once
 * would answer that with a reset, which can destroy what the client has not read yet.
 */
#include "http/relay.h"

#include "common/clock.h"
#include "common/tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define TURNS     8 /* of both directions for one event, so that others get theirs */
#define LINGER_MS 2000

int relay_init(struct relay *relay, int epoll_fd, int client_fd, struct ssl_ctx_st *context,
               uint64_t timeout_ms)
{
    relay->client = (struct relay_end){.relay = relay, .fd = client_fd, .wanted = EPOLLIN};
    relay->backend = (struct relay_end){.relay = relay, .fd = -1};
    relay->epoll_fd = epoll_fd;
    relay->stage = RELAY_HANDSHAKE;
    relay->timeout_ms = timeout_ms;
    relay->deadline_ms = clock_now_ms() + timeout_ms;
    relay->client_ended = relay->up_ended = relay->backend_ended = false;
    relay->broken = relay->flooded = false;
    relay->up_start = relay->up_end = relay->down_start = relay->down_end = 0;
    relay->ssl = SSL_new(context);
    if (!relay->ssl || SSL_set_fd(relay->ssl, client_fd) != 1)
        return -ENOMEM;
    SSL_set_accept_state(relay->ssl);
    tls_guard_init(&relay->guard, relay->ssl);
    return 0;
}

void relay_fini(struct relay *relay)
{
    SSL_free(relay->ssl);
    if (relay->client.fd >= 0)
        close(relay->client.fd);
    if (relay->backend.fd >= 0)
        close(relay->backend.fd);
}

bool relay_is_verified(const struct relay *relay)
{
    return tls_peer_verified(relay->ssl);
}

/* ---- Watching ------------------------------------------------------------------------------- */

static bool watch(struct relay *relay, struct relay_end *end)
{
    struct epoll_event event = {.events = end->wanted, .data.ptr = end};

    if (end->fd < 0 || end->left || (end->added && end->watched == end->wanted))
        return true;
    if (epoll_ctl(relay->epoll_fd, end->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, end->fd, &event))
        return false;
    end->added = true;
    end->watched = end->wanted;
    return true;
}

static enum relay_result go_on(struct relay *relay)
{
    return watch(relay, &relay->client) && watch(relay, &relay->backend) ? RELAY_GOES_ON
                                                                         : RELAY_OVER;
}

/* The backend's socket is closed on both sides, which epoll would report without end. What it still
 * holds is read without being asked for. */
static void leave_backend(struct relay *relay)
{
    epoll_ctl(relay->epoll_fd, EPOLL_CTL_DEL, relay->backend.fd, NULL);
    relay->backend.left = true;
}

/* ---- One step in each direction; true when something moved ----------------------------------- */

/* What a call of OpenSSL's that did nothing waits for, or that it is over. */
static bool wait_for_client(struct relay *relay, int result)
{
    switch (tls_guard_result(&relay->guard, result)) {
    case TLS_WANTS_READ:
        relay->client.wanted |= EPOLLIN;
        return false;
    case TLS_WANTS_WRITE:
        relay->client.wanted |= EPOLLOUT;
        return false;
    case TLS_ENDED:
        relay->client_ended = true;
        return true;
    case TLS_FLOODED:
        relay->flooded = true;
        break;
    default:
        break;
    }
    relay->broken = true;
    return false;
}

static bool take_from_client(struct relay *relay)
{
    int result;

    if (relay->up_end > 0 || relay->client_ended)
        return false;
    ERR_clear_error();
    result = SSL_read(relay->ssl, relay->up, sizeof relay->up);
    if (result <= 0)
        return wait_for_client(relay, result);
    relay->up_end = (size_t)result;
    return true;
}

static bool give_to_backend(struct relay *relay)
{
    ssize_t length;

    if (relay->up_end == 0) {
        if (!relay->client_ended || relay->up_ended)
            return false;
        shutdown(relay->backend.fd, SHUT_WR);
        relay->up_ended = true;
        return true;
    }
    length = send(relay->backend.fd, relay->up + relay->up_start, relay->up_end - relay->up_start,
                  MSG_NOSIGNAL);
    if (length < 0 && (errno == EAGAIN || errno == EINTR)) {
        relay->backend.wanted |= EPOLLOUT;
        return false;
    }
    if (length < 0) /* it wants no more; its answer may still be there */
        relay->client_ended = relay->up_ended = true;
    relay->up_start += length < 0 ? relay->up_end - relay->up_start : (size_t)length;
    if (relay->up_start == relay->up_end)
        relay->up_start = relay->up_end = 0;
    return true;
}

static bool take_from_backend(struct relay *relay)
{
    ssize_t length;

    if (relay->down_end > 0 || relay->backend_ended)
        return false;
    length = recv(relay->backend.fd, relay->down, sizeof relay->down, 0);
    if (length < 0 && (errno == EAGAIN || errno == EINTR) && !relay->backend.left) {
        relay->backend.wanted |= EPOLLIN;
        return false;
    }
    if (length <= 0) {
        relay->backend_ended = true;
        relay->deadline_ms = clock_now_ms() + relay->timeout_ms;
    } else {
        relay->down_end = (size_t)length;
    }
    return true;
}

static bool give_to_client(struct relay *relay)
{
    size_t length;

    if (relay->down_end == 0)
        return false;
    ERR_clear_error();
    if (SSL_write_ex(relay->ssl, relay->down + relay->down_start,
                     relay->down_end - relay->down_start, &length) != 1)
        return wait_for_client(relay, 0);
    relay->down_start += length;
    if (relay->down_start == relay->down_end)
        relay->down_start = relay->down_end = 0;
    return true;
}

/* ---- Stages --------------------------------------------------------------------------------- */

static enum relay_result shake_hands(struct relay *relay)
{
    int result;

    ERR_clear_error();
    result = SSL_do_handshake(relay->ssl);
    if (result == 1)
        return RELAY_SHAKEN;
    relay->client.wanted = 0;
    switch (tls_guard_result(&relay->guard, result)) {
    case TLS_WANTS_READ:
        relay->client.wanted = EPOLLIN;
        return go_on(relay);
    case TLS_WANTS_WRITE:
        relay->client.wanted = EPOLLOUT;
        return go_on(relay);
    default:
        return RELAY_FAILED;
    }
}

static enum relay_result linger(struct relay *relay)
{
    ssize_t length = recv(relay->client.fd, relay->up, sizeof relay->up, 0);

    return length > 0 || (length < 0 && errno == EAGAIN) ? RELAY_GOES_ON : RELAY_OVER;
}

static enum relay_result carry(struct relay *relay)
{
    bool moved = true;

    relay->client.wanted = relay->backend.wanted = 0;
    for (int turn = 0; turn < TURNS && moved && !relay->broken; turn++) {
        relay->client.wanted = relay->backend.wanted = 0;
        moved = take_from_client(relay);
        moved |= give_to_backend(relay);
        moved |= take_from_backend(relay);
        moved |= give_to_client(relay);
    }
    if (relay->broken)
        return relay->flooded ? RELAY_FAILED : RELAY_OVER;
    if (relay->backend_ended && relay->down_end == 0)
        return RELAY_ANSWERED;
    if (moved) { /* there is more to do, and this event comes at once */
        struct relay_end *end = relay->backend.left ? &relay->client : &relay->backend;

        end->wanted |= EPOLLOUT;
    }
    return go_on(relay);
}

enum relay_result relay_connect(struct relay *relay, int backend_fd)
{
    relay->backend.fd = backend_fd;
    relay->stage = RELAY_CARRIES;
    relay->deadline_ms = 0;
    return carry(relay);
}

enum relay_result relay_linger(struct relay *relay)
{
    ERR_clear_error();
    SSL_shutdown(relay->ssl);
    shutdown(relay->client.fd, SHUT_WR);
    relay->stage = RELAY_LINGERS;
    relay->deadline_ms = clock_now_ms() + LINGER_MS;
    relay->client.wanted = EPOLLIN;
    close(relay->backend.fd); /* which takes it out of the epoll set */
    relay->backend.fd = -1;
    return go_on(relay);
}

enum relay_result relay_handle(struct relay_end *end, uint32_t events)
{
    struct relay *relay = end->relay;

    tls_guard_turn(&relay->guard);
    if (relay->stage == RELAY_HANDSHAKE)
        return shake_hands(relay);
    if (relay->stage == RELAY_LINGERS)
        return linger(relay);
    if (events & (EPOLLHUP | EPOLLERR)) {
        if (end == &relay->client)
            return RELAY_OVER; /* reset */
        leave_backend(relay);
    }
    return carry(relay);
}
