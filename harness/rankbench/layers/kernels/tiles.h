/* Small matrix products in vector registers, for kernel.c and lstm.c: C[m][n] (+)= sum_k A[m][k]
 * B[k][n]. Rows of B and C are contiguous; A is read through tables of offsets. The code is
 * compiled for one type of number: define REAL as float or double. */
#pragma once
#include <stdint.h>
#include <string.h>

#ifdef __AVX512F__
#define BYTES 64 /* bytes of a vector register; there are 32 registers */
#define NARROW 2 /* sums of a tile whose rows are shorter than a vector */
#else
#define BYTES 32 /* there are 16 registers */
#define NARROW 1
#endif

#define SINGLE (sizeof(REAL) == 4)

typedef REAL real;
typedef __typeof__(__builtin_choose_expr(SINGLE, (uint32_t)0, (uint64_t)0)) bits;
#define LANES ((long)(BYTES / sizeof(real)))
#define VECTOR(SIZE) __attribute__((vector_size(SIZE), aligned(sizeof(real)), may_alias))
typedef real wide VECTOR(BYTES);
typedef real half VECTOR(BYTES / 2);
typedef real quarter VECTOR(BYTES / 4);
#define INLINE static inline __attribute__((always_inline))

/* Define a function that computes a tile of C, MR rows of NV vectors, and returns the address of
 * the row below the tile. Terms are added to SUMS sums in turn, because in a tile of few vectors
 * each addition would wait for the one before. */
#define TILE(NAME, VEC, MR, NV, SUMS)                                                             \
    INLINE real *NAME(long K, const real *const *a, const int32_t *ko, const real *B, long ldb,   \
                      real *C, long ldc, int add)                                                 \
    {                                                                                             \
        VEC acc[SUMS][MR][NV];                                                                    \
        const long L = sizeof(VEC) / sizeof(real);                                                \
        const real *c = C;                                                                        \
        for (int i = 0; i < MR; i++, c += ldc)                                                    \
            for (int v = 0; v < NV; v++) {                                                        \
                acc[0][i][v] = add ? *(const VEC *)(c + v * L) : (VEC){0};                        \
                for (int s = 1; s < SUMS; s++) acc[s][i][v] = (VEC){0};                           \
            }                                                                                     \
        long k = 0;                                                                               \
        for (; k + SUMS <= K; k += SUMS)                                                          \
            for (int s = 0; s < SUMS; s++) TERM(VEC, MR, NV, acc[s], k + s)                       \
        for (; k < K; k++) TERM(VEC, MR, NV, acc[0], k)                                           \
        for (int i = 0; i < MR; i++, C += ldc)                                                    \
            for (int v = 0; v < NV; v++) {                                                        \
                for (int s = 1; s < SUMS; s++) acc[0][i][v] += acc[s][i][v];                      \
                *(VEC *)(C + v * L) = acc[0][i][v];                                               \
            }                                                                                     \
        return C;                                                                                 \
    }
#define TERM(VEC, MR, NV, SUM, AT)                                                                \
    {                                                                                             \
        VEC b[NV];                                                                                \
        for (int v = 0; v < NV; v++) b[v] = *(const VEC *)(B + (AT) * ldb + v * L);               \
        for (int i = 0; i < MR; i++) {                                                            \
            const real x = a[i][ko[AT]];                                                          \
            for (int v = 0; v < NV; v++) SUM[i][v] += x * b[v];                                   \
        }                                                                                         \
    }

#define TILES(KIND, VEC, NV, SUMS)                                                                \
    TILE(KIND##1, VEC, 1, NV, SUMS)                                                               \
    TILE(KIND##2, VEC, 2, NV, SUMS)                                                               \
    TILE(KIND##3, VEC, 3, NV, SUMS)                                                               \
    TILE(KIND##4, VEC, 4, NV, SUMS)                                                               \
    TILE(KIND##5, VEC, 5, NV, SUMS)                                                               \
    TILE(KIND##6, VEC, 6, NV, SUMS)
#define TALL_TILES(KIND, VEC, NV, SUMS)                                                           \
    TILES(KIND, VEC, NV, SUMS)                                                                    \
    TILE(KIND##7, VEC, 7, NV, SUMS)                                                               \
    TILE(KIND##8, VEC, 8, NV, SUMS)                                                               \
    TILE(KIND##9, VEC, 9, NV, SUMS)                                                               \
    TILE(KIND##10, VEC, 10, NV, SUMS)

TILES(pair_, wide, 2, 1)
TALL_TILES(wide_, wide, 1, 1)
TALL_TILES(half_, half, 1, NARROW)
TILES(real_, real, 1, 2)

#define SWEEP(KIND, MR)                                                                           \
    case MR:                                                                                      \
        for (; m < end; m += MR) {                                                                \
            for (int i = 0; i < MR; i++) a[i] = A + fo[m + i];                                    \
            C = KIND##MR(K, a, ko, B, ldb, C, ldc, add);                                          \
        }                                                                                         \
        break;
#define SWEEPS(KIND)                                                                              \
    SWEEP(KIND, 1) SWEEP(KIND, 2) SWEEP(KIND, 3) SWEEP(KIND, 4) SWEEP(KIND, 5) SWEEP(KIND, 6)
#define TALL_SWEEPS(KIND)                                                                         \
    SWEEPS(KIND) SWEEP(KIND, 7) SWEEP(KIND, 8) SWEEP(KIND, 9) SWEEP(KIND, 10)

/* Define a product with as many columns as the tiles of KIND have. All tiles have about the same
 * number of rows, because a tile with few rows takes as long as one with many. */
#define COLUMNS(KIND, MOST, SWEEPS_OF)                                                            \
    static void KIND##columns(long M, long K, const real *A, const int32_t *fo,                   \
                              const int32_t *ko, const real *B, long ldb, real *C, long ldc,      \
                              int add)                                                            \
    {                                                                                             \
        const long tiles = (M + MOST - 1) / MOST, high = tiles ? (M + tiles - 1) / tiles : 0;     \
        const real *a[10];                                                                        \
        long m = 0, end = high * (M - tiles * (high - 1));                                        \
        for (long rows = high; m < M; rows--, end = M)                                            \
            switch (rows) { SWEEPS_OF(KIND) }                                                     \
    }

COLUMNS(pair_, 6, SWEEPS)
/* Tiles of ten rows need more addresses than there are registers, so only small M uses them. */
COLUMNS(wide_, (M > 20 ? 8 : 10), TALL_SWEEPS)
COLUMNS(half_, (M > 20 ? 8 : 10), TALL_SWEEPS)
COLUMNS(real_, 6, SWEEPS)
#if BYTES == 64
TALL_TILES(quarter_, quarter, 1, NARROW)
COLUMNS(quarter_, (M > 20 ? 8 : 10), TALL_SWEEPS)
#endif

/* Compute C[m][n] = sum_k A[fo[m] + ko[k]] B[k][n], or add to C if `add`. ldb and ldc are the
 * distances between rows of B and C. */
static void product(long M, long N, long K, const real *A, const int32_t *fo, const int32_t *ko,
                    const real *B, long ldb, real *C, long ldc, int add)
{
    long n = 0;
    for (; n + 2 * LANES <= N; n += 2 * LANES)
        pair_columns(M, K, A, fo, ko, B + n, ldb, C + n, ldc, add);
    for (; n + LANES <= N; n += LANES)
        wide_columns(M, K, A, fo, ko, B + n, ldb, C + n, ldc, add);
    for (; n + LANES / 2 <= N; n += LANES / 2)
        half_columns(M, K, A, fo, ko, B + n, ldb, C + n, ldc, add);
#if BYTES == 64
    for (; n + LANES / 4 <= N; n += LANES / 4)
        quarter_columns(M, K, A, fo, ko, B + n, ldb, C + n, ldc, add);
#endif
    for (; n < N; n++)
        real_columns(M, K, A, fo, ko, B + n, ldb, C + n, ldc, add);
}
