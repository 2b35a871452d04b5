/*
 * SHA-256 (FIPS 180-4), for the build tool embed: content-security policies name inlined scripts
 * and styles by it, and entity tags are made from it.
 */
#ifndef TALLYD_HTTP_WWW_SHA256_H
#define TALLYD_HTTP_WWW_SHA256_H

#include <stddef.h>
#include <stdint.h>

#define SHA256_BYTES 32

void sha256_digest(const void *bytes, size_t length, uint8_t digest[SHA256_BYTES]);

#endif
