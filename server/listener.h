/*
 * The listening socket. Thread: main.
 */
#ifndef TALLYD_SERVER_LISTENER_H
#define TALLYD_SERVER_LISTENER_H

#include "common/compiler.h"

#include <stdint.h>

struct sockaddr_storage;

/* Listens on an IPv4 or IPv6 address. Returns a non-blocking socket that the caller closes, or a
 * negative errno: -EADDRINUSE when the port is taken. */
int listener_open(const char *address, uint16_t port) MUST_CHECK;

/* Accepts one connection: a non-blocking socket with TCP_NODELAY, which the caller owns; `peer`
 * gets its address. Returns -EAGAIN when none waits, or another negative errno. */
int listener_accept(int listener, struct sockaddr_storage *peer) MUST_CHECK;

#endif
