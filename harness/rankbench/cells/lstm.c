/* Compute the recurrence of an LSTM over all steps, and its gradients. Tensors are contiguous and
 * (batch, steps, ..) unless noted; gates are in the order i, f, g, o. */
#include "tiles.h"

#define ROWS 24   /* sequences that go through all steps together, so that U is read once for all */
#define SLICE 256 /* rows of U that stay in the cache while all of these sequences use them */
#define DEPTH 256 /* steps whose contributions to the gradient of U are summed in registers */
#define WIDTH (2 * LANES) /* columns of a panel */

/* h, c, mask, to_last, to_h and to_c are (batch, hidden). c is the cell state before the first
 * step, states are those after each step. packed is U^T in panels. mask may be null; so may to_h
 * if it is not needed. */
typedef struct {
    long steps, hidden;
    const int32_t *count; /* 0, 1, 2, .. up to 4 hidden - 1 and at least DEPTH - 1 */
    const real *gates, *packed, *U, *h, *c, *mask;
    /* active: gates after sigmoid and tanh; fed: mask h of the previous step; squashed: tanh c */
    real *active, *fed, *states, *squashed, *outputs;
    const real *to_outputs, *to_last; /* gradients of outputs and of the last c */
    real *to_gates, *to_h, *to_c;     /* gradients of gates and of the first h and c */
} Sequence;

/* ---- exp(x) - 1, from which sigmoid and tanh follow without cancellation */

/* e^x - 1 = 2^n (e^r - 1) + 2^n - 1 with |r| <= ln(2) / 2 and a Taylor series in r. x is clamped
 * where e^x would overflow or underflow; NaN stays NaN. */
INLINE real exp_less_1(real x)
{
    const real most = SINGLE ? 87 : 708, to_whole = SINGLE ? 0x1.8p23 : 0x1.8p52;
    const real ln2_high = SINGLE ? 0x1.63p-1 : 0x1.62e42feep-1;
    const real ln2_low = SINGLE ? -0x1.bd0106p-13 : 0x1.a39ef35793c76p-33;
    x = x > most ? most : x;
    x = x < -most ? -most : x;
    const real shifted = x * (real)1.4426950408889634 + to_whole, n = shifted - to_whole;
    const real r = (x - n * ln2_high) - n * ln2_low;
    real sum = SINGLE ? 1 / 5040. : 1 / 6227020800.;
    if (!SINGLE) {
        sum = sum * r + (real)(1 / 479001600.);
        sum = sum * r + (real)(1 / 39916800.);
        sum = sum * r + (real)(1 / 3628800.);
        sum = sum * r + (real)(1 / 362880.);
        sum = sum * r + (real)(1 / 40320.);
        sum = sum * r + (real)(1 / 5040.);
    }
    sum = sum * r + (real)(1 / 720.);
    sum = sum * r + (real)(1 / 120.);
    sum = sum * r + (real)(1 / 24.);
    sum = sum * r + (real)(1 / 6.);
    sum = sum * r + (real)0.5;
    sum = sum * r * r + r;
    union { real number; bits raw; } scale = {shifted};
    scale.raw = (scale.raw + (SINGLE ? 127 : 1023)) << (SINGLE ? 23 : 52);
    return scale.number * sum + (scale.number - 1);
}

INLINE real sigmoid(real x) { return 1 / (2 + exp_less_1(-x)); }

INLINE real tangent(real x)
{
    const real e = exp_less_1(2 * x);
    return e / (e + 2);
}

/* ---- products with U */

INLINE void pack_panel(const real *restrict U, long h, long width, real *restrict to)
{
    for (long k = 0; k < h; k++)
        for (long j = 0; j < width; j++) to[k * WIDTH + j] = U[j * h + k];
}

/* Copy U^T (hidden, 4 hidden) to panels of WIDTH columns, each (hidden, WIDTH). */
void lstm_pack(const real *U, long h, real *to)
{
    long n = 0;
    for (; n + WIDTH <= 4 * h; n += WIDTH) pack_panel(U + n * h, h, WIDTH, to + n * h);
    if (n < 4 * h) pack_panel(U + n * h, h, 4 * h - n, to + n * h);
}

/* Compute C (+)= A B for a packed B. */
static void multiply(long M, long N, long K, const real *A, const int32_t *fo, const int32_t *ko,
                     const real *B, real *C, int add)
{
    for (long n = 0; n < N; n += WIDTH, B += K * WIDTH)
        product(M, N - n < WIDTH ? N - n : WIDTH, K, A, fo, ko, B, WIDTH, C + n, N, add);
}

static int all_zero(const real *x, long size)
{
    for (long i = 0; i < size; i++)
        if (x[i] != 0) return 0;
    return 1;
}

/* ---- forward */

static void step_forward(long h, const real *restrict x, const real *restrict z,
                         const real *restrict before, real *restrict active, real *restrict after,
                         real *restrict squashed, real *restrict output)
{
    for (long j = 0; j < h; j++) {
        const real i = sigmoid(x[j] + z[j]), f = sigmoid(x[h + j] + z[h + j]);
        const real g = tangent(x[2 * h + j] + z[2 * h + j]);
        const real o = sigmoid(x[3 * h + j] + z[3 * h + j]);
        const real c = f * before[j] + i * g, q = tangent(c);
        active[j] = i, active[h + j] = f, active[2 * h + j] = g, active[3 * h + j] = o;
        after[j] = c, squashed[j] = q, output[j] = o * q;
    }
}

/* Compute to = mask from; `to` may be `from`. */
static void masked(long size, const real *from, const real *mask, real *to)
{
    for (long j = 0; j < size; j++) to[j] = mask ? from[j] * mask[j] : from[j];
}

/* Compute the outputs of sequences first .. end - 1, and what `lstm_backward` needs. `z` must hold
 * lstm_scratch(hidden) reals. */
void lstm_forward(const Sequence *q, long first, long end, real *z)
{
    const long h = q->hidden, T = q->steps;
    int32_t fo[ROWS];
    for (long i = 0; i < ROWS; i++) fo[i] = (int32_t)(i * T * h);
    for (long b = first; b < end; b += ROWS) {
        const long n = end - b < ROWS ? end - b : ROWS;
        for (long t = 0; t < T; t++) {
            for (long r = b; r < b + n; r++)
                masked(h, t ? q->outputs + (r * T + t - 1) * h : q->h + r * h,
                       q->mask ? q->mask + r * h : NULL, q->fed + (r * T + t) * h);
            if (t == 0 && all_zero(q->h + b * h, n * h))
                memset(z, 0, (size_t)(n * 4 * h) * sizeof(real));
            else
                multiply(n, 4 * h, h, q->fed + (b * T + t) * h, fo, q->count, q->packed, z, 0);
            for (long i = 0; i < n; i++) {
                const long r = (b + i) * T + t;
                step_forward(h, q->gates + r * 4 * h, z + i * 4 * h,
                             t ? q->states + (r - 1) * h : q->c + (b + i) * h,
                             q->active + r * 4 * h, q->states + r * h, q->squashed + r * h,
                             q->outputs + r * h);
            }
        }
    }
}

/* ---- backward */

static void step_backward(long h, const real *restrict active, const real *restrict squashed,
                          const real *restrict before, const real *restrict to_output,
                          const real *restrict to_h, real *restrict to_c, real *restrict to_gates)
{
    for (long j = 0; j < h; j++) {
        const real i = active[j], f = active[h + j], g = active[2 * h + j];
        const real o = active[3 * h + j], q = squashed[j], dh = to_output[j] + to_h[j];
        const real dc = to_c[j] + dh * o * (1 - q * q);
        to_gates[j] = dc * g * i * (1 - i);
        to_gates[h + j] = dc * before[j] * f * (1 - f);
        to_gates[2 * h + j] = dc * i * (1 - g * g);
        to_gates[3 * h + j] = dh * q * o * (1 - o);
        to_c[j] = dc * f;
    }
}

/* Compute the gradients of sequences first .. end - 1: to_gates, to_c and, if it is not null,
 * q->to_h. The scratch memory `to_h` must hold lstm_scratch(hidden) reals. */
void lstm_backward(const Sequence *q, long first, long end, real *to_h)
{
    const long h = q->hidden, T = q->steps;
    int32_t fo[ROWS];
    for (long i = 0; i < ROWS; i++) fo[i] = (int32_t)(i * T * 4 * h);
    for (long b = first; b < end; b += ROWS) {
        const long n = end - b < ROWS ? end - b : ROWS;
        memset(to_h, 0, (size_t)(n * h) * sizeof(real));
        memcpy(q->to_c + b * h, q->to_last + b * h, (size_t)(n * h) * sizeof(real));
        for (long t = T - 1; t >= 0; t--) {
            for (long i = 0; i < n; i++) {
                const long r = (b + i) * T + t;
                step_backward(h, q->active + r * 4 * h, q->squashed + r * h,
                              t ? q->states + (r - 1) * h : q->c + (b + i) * h,
                              q->to_outputs + r * h, to_h + i * h, q->to_c + (b + i) * h,
                              q->to_gates + r * 4 * h);
            }
            if (t == 0 && !q->to_h) break;
            for (long k = 0; k < 4 * h; k += SLICE)
                product(n, h, 4 * h - k < SLICE ? 4 * h - k : SLICE,
                        q->to_gates + (b * T + t) * 4 * h + k, fo, q->count, q->U + k * h, h, to_h,
                        h, k > 0);
            masked(n * h, to_h, q->mask ? q->mask + b * h : NULL, t ? to_h : q->to_h + b * h);
        }
    }
}

/* ---- the gradient of U */

/* Set rows first .. end - 1 of to_U to the contribution of `depth` steps, or add it if `add`. Step
 * k is number row[k] of to_gates; fed holds the packed inputs of U of these steps. */
static void weight_part(const Sequence *q, const int32_t *row, long depth, const real *fed,
                        long first, long end, real *part, real *to_U, int add)
{
    const long h = q->hidden;
    int32_t fo[ROWS];
    for (long i = 0; i < ROWS; i++) fo[i] = (int32_t)(i * depth);
    for (long m = first; m < end; m += ROWS) {
        const long n = end - m < ROWS ? end - m : ROWS;
        for (long k = 0; k < depth; k++)
            for (long i = 0; i < n; i++) part[i * depth + k] = q->to_gates[row[k] * 4 * h + m + i];
        multiply(n, h, depth, part, fo, q->count, fed, to_U + m * h, add);
    }
}

/* Compute rows first .. end - 1 of to_U[n][k] = sum_r to_gates[r][n] fed[r][k] over all `total`
 * steps r of all sequences. Steps with an all-zero input of U, such as the first, are left out. */
void lstm_weight(const Sequence *q, long total, long first, long end, real *scratch, real *to_U)
{
    const long h = q->hidden;
    real *fed = scratch + ROWS * DEPTH;
    int32_t row[DEPTH];
    long r = 0;
    do {
        const int add = r > 0;
        long depth = 0;
        for (; r < total && depth < DEPTH; r++)
            if (!all_zero(q->fed + r * h, h)) row[depth++] = (int32_t)r;
        for (long k = 0; k < depth; k++)
            for (long n = 0; n < h; n += WIDTH)
                memcpy(fed + n * depth + k * WIDTH, q->fed + row[k] * h + n,
                       (size_t)(h - n < WIDTH ? h - n : WIDTH) * sizeof(real));
        weight_part(q, row, depth, fed, first, end, scratch, to_U, add);
    } while (r < total);
}

/* Return how many reals of scratch memory the functions above need. */
long lstm_scratch(long hidden)
{
    const long steps = ROWS * 4 * hidden, weight = DEPTH * (ROWS + hidden + WIDTH);
    return steps > weight ? steps : weight;
}

/* Return how many reals a packed U^T takes. */
long lstm_packed(long h) { return h * ((4 * h + WIDTH - 1) / WIDTH) * WIDTH; }
