/* See token_secret.h. OpenSSL does the hashing, the kernel the randomness. */
#include "common/token_secret.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#define RANDOM_BYTES 32
#define PREFIX_CHARS (sizeof TOKEN_SECRET_PREFIX - 1)

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* base64url without padding (RFC 4648, 5): six bits a character, zeros behind the last byte. */
static void encode(const uint8_t *bytes, size_t length, char *text)
{
    uint32_t bits = 0;
    unsigned held = 0;

    for (size_t i = 0; i < length; i++) {
        bits = bits << 8 | bytes[i];
        for (held += 8; held >= 6; held -= 6)
            *text++ = digits[bits >> (held - 6) & 63];
    }
    if (held)
        *text++ = digits[bits << (6 - held) & 63];
    *text = '\0';
}

int token_secret_make(char secret[TOKEN_SECRET_CHARS + 1])
{
    uint8_t bytes[RANDOM_BYTES];

    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return -errno;
    memcpy(secret, TOKEN_SECRET_PREFIX, PREFIX_CHARS);
    encode(bytes, sizeof bytes, secret + PREFIX_CHARS);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return 0;
}

bool token_secret_is_one(const char *text, size_t length)
{
    if (length != TOKEN_SECRET_CHARS || memcmp(text, TOKEN_SECRET_PREFIX, PREFIX_CHARS) != 0)
        return false;
    for (size_t i = PREFIX_CHARS; i < length; i++) {
        if (!memchr(digits, text[i], sizeof digits - 1))
            return false;
    }
    return true;
}

int token_secret_hash(const char *text, size_t length, uint8_t hash[TOKEN_HASH_BYTES])
{
    return EVP_Digest(text, length, hash, NULL, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
}
