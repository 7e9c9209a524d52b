#include "saliscope/sha256.h"

#include <stdbool.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
    0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
    0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
    0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
    0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2,
};

static uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static uint32_t load(const uint8_t *bytes)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 8 | bytes[i];
    return value;
}

static void store(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void schedule(uint32_t w[64], const uint8_t *block)
{
    for (int i = 0; i < 16; i++)
        w[i] = load(block + 4 * i);
    for (int i = 16; i < 64; i++) {
        uint32_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + w[i - 7] + (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) +
               (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10);
    }
}

static void compress(uint32_t state[8], const uint8_t *block)
{
    uint32_t words[64];
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t e = state[4], f = state[5], g = state[6], h = state[7];
    schedule(words, block);
    for (int i = 0; i < 64; i++) {
        uint32_t one = h + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) +
                       ((e & f) ^ (~e & g)) + constants[i] + words[i];
        uint32_t two = (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) +
                       ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + one;
        d = c, c = b, b = a, a = one + two;
    }
    const uint32_t after[8] = {a, b, c, d, e, f, g, h};
    for (int i = 0; i < 8; i++)
        state[i] += after[i];
}

#if defined(__x86_64__)

static __m128i four(uint32_t a, uint32_t b, uint32_t c, uint32_t d)
{
    return _mm_set_epi32((int)a, (int)b, (int)c, (int)d);
}

/* A model of 500 MB is hashed at every start; the processor's own instructions
 * do that several times faster. */
__attribute__((target("sha,sse4.1"))) static void
compress_native(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    /* The instructions want {a,b,e,f} and {c,d,g,h}, high to low. */
    __m128i abef = four(state[0], state[1], state[4], state[5]);
    __m128i cdgh = four(state[2], state[3], state[6], state[7]);
    for (; blocks; blocks--, data += 64) {
        __m128i w[4], abef_before = abef, cdgh_before = cdgh;
        for (int i = 0; i < 4; i++)
            w[i] = _mm_shuffle_epi8(
                _mm_loadu_si128((const __m128i *)(const void *)(data + 16 * i)), swap);
        for (int i = 0; i < 16; i++) {
            const void *added = constants + 4 * i;
            __m128i sum = _mm_add_epi32(w[i % 4], _mm_loadu_si128(added));
            cdgh = _mm_sha256rnds2_epu32(cdgh, abef, sum);
            abef = _mm_sha256rnds2_epu32(abef, cdgh, _mm_shuffle_epi32(sum, 0x0e));
            /* Words 4(i+4).. take the place of words 4i.., no longer needed. */
            __m128i older = _mm_sha256msg1_epu32(w[i % 4], w[(i + 1) % 4]);
            __m128i seven = _mm_alignr_epi8(w[(i + 3) % 4], w[(i + 2) % 4], 4);
            __m128i newer = _mm_add_epi32(older, seven);
            w[i % 4] = _mm_sha256msg2_epu32(newer, w[(i + 3) % 4]);
        }
        abef = _mm_add_epi32(abef, abef_before);
        cdgh = _mm_add_epi32(cdgh, cdgh_before);
    }
    uint32_t x[4], y[4];
    _mm_storeu_si128((__m128i *)(void *)x, abef);
    _mm_storeu_si128((__m128i *)(void *)y, cdgh);
    const uint32_t after[8] = {x[3], x[2], y[3], y[2], x[1], x[0], y[1], y[0]};
    memcpy(state, after, sizeof(after));
}

static bool has_native(void)
{
    unsigned a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & bit_SHA) &&
           __get_cpuid(1, &a, &b, &c, &d) && (c & bit_SSE4_1);
}

#else

static bool has_native(void)
{
    return false;
}

static void compress_native(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    for (; blocks; blocks--, data += 64)
        compress(state, data);
}

#endif

static void compress_all(uint32_t state[8], const uint8_t *data, size_t blocks)
{
    /* Asking a virtual machine for its features can cost a trap. */
    if (blocks >= 64 && has_native()) {
        compress_native(state, data, blocks);
        return;
    }
    for (; blocks; blocks--, data += 64)
        compress(state, data);
}

void sal_sha256_init(struct sal_sha256 *hash)
{
    *hash = (struct sal_sha256){
        .state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f,
                  0x9b05688c, 0x1f83d9ab, 0x5be0cd19},
    };
}

void sal_sha256_update(struct sal_sha256 *hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    size_t held = hash->bytes % 64;
    hash->bytes += size;
    if (held && size >= 64 - held) {
        memcpy(hash->block + held, bytes, 64 - held);
        compress(hash->state, hash->block);
        bytes += 64 - held;
        size -= 64 - held;
        held = 0;
    }
    if (!held) {
        compress_all(hash->state, bytes, size / 64);
        bytes += size / 64 * 64;
        size %= 64;
    }
    if (size)
        memcpy(hash->block + held, bytes, size);
}

void sal_sha256_final(struct sal_sha256 *hash, uint8_t digest[32])
{
    static const uint8_t padding[64] = {0x80};
    uint64_t bits = hash->bytes * 8;
    uint8_t length[8];
    store(length, (uint32_t)(bits >> 32));
    store(length + 4, (uint32_t)bits);
    size_t held = hash->bytes % 64;
    sal_sha256_update(hash, padding, (held < 56 ? 56 : 120) - held);
    sal_sha256_update(hash, length, sizeof(length));
    for (int i = 0; i < 8; i++)
        store(digest + 4 * i, hash->state[i]);
}

void sal_sha256_final_hex(struct sal_sha256 *hash, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[32];
    sal_sha256_final(hash, digest);
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[64] = '\0';
}

void sal_sha256_hex(const void *data, size_t size, char hex[65])
{
    struct sal_sha256 hash;
    sal_sha256_init(&hash);
    sal_sha256_update(&hash, data, size);
    sal_sha256_final_hex(&hash, hex);
}
