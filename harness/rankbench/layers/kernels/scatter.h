/* Write the rows of a matrix to their places in a tensor: row i, column k goes to fo[i] + ko[k].
 * Rows or columns that are neighbours in the tensor are written a few at a time, as vectors. */
#pragma once
#include "tiles.h"

typedef real four VECTOR(4 * sizeof(real));
typedef real eight VECTOR(8 * sizeof(real));
typedef bits four_places VECTOR(4 * sizeof(real));
typedef bits eight_places VECTOR(8 * sizeof(real));

#ifdef __clang__
#define SHUFFLE(VEC, A, B, ...) __builtin_shufflevector(A, B, __VA_ARGS__)
#else
#define SHUFFLE(VEC, A, B, ...) __builtin_shuffle(A, B, (VEC##_places){__VA_ARGS__})
#endif

/* Write one row. */
INLINE void put_row(long K, const int32_t *ko, const real *from, real *to)
{
    for (long k = 0; k < K; k++) to[ko[k]] = from[k];
}

/* Write one row whose columns come in runs of four neighbours. */
INLINE void put_row_by_four(long K, const int32_t *ko, const real *from, real *to)
{
    for (long k = 0; k < K; k += 4) *(four *)(to + ko[k]) = *(const four *)(from + k);
}

/* Write two rows whose columns come in runs as long as half of VEC. In the tensor, each run of the
 * second row directly follows the run of the first. */
#define PUT_PAIR(NAME, VEC, LOW, HIGH)                                                            \
    INLINE void NAME(long K, const int32_t *ko, const real *from, real *to)                       \
    {                                                                                             \
        const long L = sizeof(VEC) / sizeof(real);                                                \
        for (long k = 0; k < K; k += L) {                                                         \
            const VEC a = *(const VEC *)(from + k), b = *(const VEC *)(from + K + k);             \
            *(VEC *)(to + ko[k]) = SHUFFLE(VEC, a, b, LOW);                                       \
            *(VEC *)(to + ko[k + L / 2]) = SHUFFLE(VEC, a, b, HIGH);                              \
        }                                                                                         \
    }
#define HALVES(...) __VA_ARGS__
PUT_PAIR(put_pair_by_two, four, HALVES(0, 1, 4, 5), HALVES(2, 3, 6, 7))
PUT_PAIR(put_pair_by_four, eight, HALVES(0, 1, 2, 3, 8, 9, 10, 11),
         HALVES(4, 5, 6, 7, 12, 13, 14, 15))

#define MIX(...) SHUFFLE(four, __VA_ARGS__)

/* Write four rows that are neighbours in every column: transpose blocks of four columns. */
INLINE void put_four_rows(long K, const int32_t *ko, const real *from, real *to)
{
    long k = 0;
    for (; k + 4 <= K; k += 4) {
        four r[4];
        for (int i = 0; i < 4; i++) r[i] = *(const four *)(from + i * K + k);
        const four a = MIX(r[0], r[1], 0, 4, 1, 5), b = MIX(r[2], r[3], 0, 4, 1, 5);
        const four c = MIX(r[0], r[1], 2, 6, 3, 7), d = MIX(r[2], r[3], 2, 6, 3, 7);
        *(four *)(to + ko[k]) = MIX(a, b, 0, 1, 4, 5);
        *(four *)(to + ko[k + 1]) = MIX(a, b, 2, 3, 6, 7);
        *(four *)(to + ko[k + 2]) = MIX(c, d, 0, 1, 4, 5);
        *(four *)(to + ko[k + 3]) = MIX(c, d, 2, 3, 6, 7);
    }
    for (; k < K; k++)
        for (int i = 0; i < 4; i++) to[ko[k] + i] = from[i * K + k];
}

/* Write `rows` rows of K reals; ko consists of runs of `run` neighbours. */
static void scatter(long rows, long K, const int32_t *fo, const int32_t *ko, long run,
                    const real *from, real *to)
{
    long done;
    for (long i = 0; i < rows; i += done) {
        const real *row = from + i * K;
        real *at = to + fo[i];
        const long left = rows - i, step = left > 1 ? fo[i + 1] - fo[i] : 0;
        done = 1;
        if (run % 4 == 0 && K % 8 == 0 && step == 4)
            put_pair_by_four(K, ko, row, at), done = 2;
        else if (run % 4 == 0)
            put_row_by_four(K, ko, row, at);
        else if (run == 2 && K % 4 == 0 && step == 2)
            put_pair_by_two(K, ko, row, at), done = 2;
        else if (left > 3 && fo[i + 3] - fo[i] == 3)
            put_four_rows(K, ko, row, at), done = 4;
        else
            put_row(K, ko, row, at);
    }
}
