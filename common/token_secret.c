/* See token_secret.h. OpenSSL does the hashing, the kernel the randomness. */
#include "common/token_secret.h"

#include "common/base64url.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>
#include <sys/random.h>

#define RANDOM_BYTES 32
#define PREFIX_CHARS (sizeof TOKEN_SECRET_PREFIX - 1)

int token_secret_make(char secret[TOKEN_SECRET_CHARS + 1])
{
    uint8_t bytes[RANDOM_BYTES];

    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return -errno;
    memcpy(secret, TOKEN_SECRET_PREFIX, PREFIX_CHARS);
    base64url_encode(bytes, sizeof bytes, secret + PREFIX_CHARS);
    OPENSSL_cleanse(bytes, sizeof bytes);
    return 0;
}

bool token_secret_is_one(const char *text, size_t length)
{
    return length == TOKEN_SECRET_CHARS && memcmp(text, TOKEN_SECRET_PREFIX, PREFIX_CHARS) == 0 &&
           base64url_has_only_digits(text + PREFIX_CHARS, length - PREFIX_CHARS);
}

int token_secret_hash(const char *text, size_t length, uint8_t hash[TOKEN_HASH_BYTES])
{
    return EVP_Digest(text, length, hash, NULL, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
}
