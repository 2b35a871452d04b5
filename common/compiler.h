/* What the compiler can check or be told, under short names. */
#ifndef TALLYD_COMMON_COMPILER_H
#define TALLYD_COMMON_COMPILER_H

/* The caller must look at the result. */
#define MUST_CHECK        __attribute__((warn_unused_result))
#define NOINLINE          __attribute__((noinline)) /* a hot loop gets all registers */
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ARRAY_LENGTH(a) (sizeof(a) / sizeof((a)[0]))

/* Fields that different threads write stand on different cache lines. 64 bytes on x86-64 and on
 * the arm64 cores of servers; twice that, because x86 prefetches lines in pairs. */
#define CACHE_LINE_BYTES 128
#define CACHE_ALIGNED    __attribute__((aligned(CACHE_LINE_BYTES)))

#endif
