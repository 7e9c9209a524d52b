/*
 * SHA-256 (FIPS 180-4), to identify models, images and maps in records.
 * No state outside the struct, any thread.
 */
#ifndef SALISCOPE_SHA256_H
#define SALISCOPE_SHA256_H

#include <stddef.h>
#include <stdint.h>

struct sal_sha256 {
    uint32_t state[8];
    uint64_t bytes;
    uint8_t block[64];
};

void sal_sha256_init(struct sal_sha256 *hash);
void sal_sha256_update(struct sal_sha256 *hash, const void *data, size_t size);
void sal_sha256_final(struct sal_sha256 *hash, uint8_t digest[32]);

/* As 64 lower-case hex digits and a NUL. */
void sal_sha256_final_hex(struct sal_sha256 *hash, char hex[65]);

/* The whole of data as 64 lower-case hex digits and a NUL. */
void sal_sha256_hex(const void *data, size_t size, char hex[65]);

#endif
