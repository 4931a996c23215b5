/* Small products of matrices in vector registers, which kernel.c and lstm.c are made of: C[m][n]
 * (+)= sum_k A[m][k] B[k][n] with rows of B and C contiguous; A is reached through offset tables.
 * Compiled for one type of number: REAL is float or double. */
#pragma once
#include <stdint.h>
#include <string.h>

typedef REAL real;
#define LANES ((long)(32 / sizeof(real)))
typedef real wide __attribute__((vector_size(32), aligned(sizeof(real)), may_alias));
typedef real half __attribute__((vector_size(16), aligned(sizeof(real)), may_alias));
#define INLINE static inline __attribute__((always_inline))

#define TILE(NAME, VEC, MR, NV)                                                                   \
    INLINE void NAME(long K, const real *const *a, const int32_t *ko, const real *B, long ldb,    \
                     real *C, long ldc, int add)                                                  \
    {                                                                                             \
        VEC acc[MR][NV];                                                                          \
        const long L = sizeof(VEC) / sizeof(real);                                                \
        for (int i = 0; i < MR; i++)                                                              \
            for (int v = 0; v < NV; v++)                                                          \
                acc[i][v] = add ? *(const VEC *)(C + i * ldc + v * L) : (VEC){0};                 \
        for (long k = 0; k < K; k++) {                                                            \
            VEC b[NV];                                                                            \
            for (int v = 0; v < NV; v++) b[v] = *(const VEC *)(B + k * ldb + v * L);              \
            for (int i = 0; i < MR; i++) {                                                        \
                const real x = a[i][ko[k]];                                                       \
                for (int v = 0; v < NV; v++) acc[i][v] += x * b[v];                               \
            }                                                                                     \
        }                                                                                         \
        for (int i = 0; i < MR; i++)                                                              \
            for (int v = 0; v < NV; v++) *(VEC *)(C + i * ldc + v * L) = acc[i][v];               \
    }

TILE(tile_6x2, wide, 6, 2)
TILE(tile_5x2, wide, 5, 2)
TILE(tile_4x2, wide, 4, 2)
TILE(tile_3x2, wide, 3, 2)
TILE(tile_2x2, wide, 2, 2)
TILE(tile_1x2, wide, 1, 2)
TILE(tile_8x1, wide, 8, 1)
TILE(tile_2x1, wide, 2, 1)
TILE(tile_1x1, wide, 1, 1)
TILE(tile_8xh, half, 8, 1)
TILE(tile_1xh, half, 1, 1)
TILE(tile_1xs, real, 1, 1)

INLINE const real **rows(const real **a, const real *A, const int32_t *fo, int n)
{
    for (int i = 0; i < n; i++) a[i] = A + fo[i];
    return a;
}

#define SWEEP(NAME, MR)                                                                           \
    for (; m + MR <= M; m += MR)                                                                  \
        NAME(K, rows(a, A, fo + m, MR), ko, B + n, ldb, C + m * ldc + n, ldc, add);

static void product(long M, long N, long K, const real *A, const int32_t *fo, const int32_t *ko,
                    const real *B, long ldb, real *C, long ldc, int add)
{
    const real *a[8];
    long n = 0;
    for (; n + 2 * LANES <= N; n += 2 * LANES) {
        long m = 0;
        for (long tiles = (M + 5) / 6; tiles; tiles--) { /* all about as high */
            const long high = (M - m + tiles - 1) / tiles;
            rows(a, A, fo + m, (int)high);
            real *to = C + m * ldc + n;
            switch (high) {
            case 6: tile_6x2(K, a, ko, B + n, ldb, to, ldc, add); break;
            case 5: tile_5x2(K, a, ko, B + n, ldb, to, ldc, add); break;
            case 4: tile_4x2(K, a, ko, B + n, ldb, to, ldc, add); break;
            case 3: tile_3x2(K, a, ko, B + n, ldb, to, ldc, add); break;
            case 2: tile_2x2(K, a, ko, B + n, ldb, to, ldc, add); break;
            default: tile_1x2(K, a, ko, B + n, ldb, to, ldc, add);
            }
            m += high;
        }
    }
    for (; n + LANES <= N; n += LANES) {
        long m = 0;
        SWEEP(tile_8x1, 8)
        SWEEP(tile_2x1, 2)
        SWEEP(tile_1x1, 1)
    }
    for (; n + LANES / 2 <= N; n += LANES / 2) {
        long m = 0;
        SWEEP(tile_8xh, 8)
        SWEEP(tile_1xh, 1)
    }
    for (; n < N; n++) {
        long m = 0;
        SWEEP(tile_1xs, 1)
    }
}
