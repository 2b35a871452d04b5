/*
 * The messages that a session's client sends, with their framing: packets of some shapes,
 * compressed or not, and such that are no packets.
 */
#ifndef TALLYD_TESTS_FUZZ_SESSION_PACKETS_H
#define TALLYD_TESTS_FUZZ_SESSION_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SESSION_DEVICES           8  /* "d0", "d1", ... */
#define SESSION_PACKET_BYTES      64 /* room for one with its framing, compressed too */
#define SESSION_MAX_ID_BYTES      32 /* what the server takes; the bad packets know of it */
#define SESSION_MAX_MESSAGE_BYTES 1000

/* Renders a packet of a device in one of some shapes. Returns its length. */
size_t session_packet(uint8_t to[SESSION_PACKET_BYTES], unsigned device, unsigned shape, bool gzip);

/* A packet that is rejected, one of several; static. */
const uint8_t *session_bad_packet(unsigned which, size_t *length);

#endif
