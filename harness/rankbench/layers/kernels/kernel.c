/* Contract the rows of a batch with a chain of small weights, and compute the gradients of the
 * weights and of the rows. Each row goes through all stages while it is in the cache. No tensor is
 * permuted: tables of offsets, made by lowering.py, give the place of every operand. */
#include "scatter.h"
#include "tiles.h"

#define BLOCK (BYTES == 64 ? 16 : 12)  /* rows of a block: two tiles of 8 rows, or of 6 */
#define MOST 32                        /* stages of a program */
#define LINE (64 / (long)sizeof(real)) /* reals in a cache line */
#define LONG 512                       /* reals in a run that the processor prefetches by itself */

/* A stage maps T[h][f][k] to U[h][f][m] = sum_k T[h][f][k] W[h][k][m]. T is read at
 * ho[h] + fo[f] + ko[k]; ko consists of runs of `run` neighbours. Wt is W with k and m swapped. */
typedef struct {
    long H, F, K, M, run;
    const int32_t *ho, *fo, *ko;
    const real *W, *Wt;
} Stage;

/* A chain of stages. The first `split` stages run tile by tile, the others once for a row. Tile t
 * of a row begins at to[t]. Number i of the output is at uo[i] of the last result and goes to
 * yo[i]. `narrow`: the input is bfloat16 and not reals. */
typedef struct {
    long stages, split, tiles, in_size, out_size, widest, narrow; /* widest: the largest K or M */
    const int32_t *to, *uo, *yo, *count;                          /* count: 0, 1, .. widest - 1 */
    const Stage *stage;
} Program;

static void stage_forward(const Stage *s, const real *T, real *U)
{
    for (long h = 0; h < s->H; h++)
        product(s->F, s->M, s->K, T + s->ho[h], s->fo, s->ko, s->W + h * s->K * s->M, s->M,
                U + h * s->F * s->M, s->M, 0);
}

/* Like stage_forward, for the first stage, whose T comes from memory. The work is divided into
 * parts; before each part, a share of the next tile, `size` reals further, is prefetched into the
 * second-level cache. */
static void first_forward(const Stage *s, const real *T, real *U, long size)
{
    const long share = size / (s->H * ((s->F + BLOCK - 1) / BLOCK));
    const real *next = T + size;
    for (long h = 0; h < s->H; h++)
        for (long f = 0; f < s->F; f += BLOCK, next += share) {
            const long n = s->F - f < BLOCK ? s->F - f : BLOCK;
            for (long i = 0; i < share; i += LINE) __builtin_prefetch(next + i, 0, 2);
            product(n, s->M, s->K, T + s->ho[h], s->fo + f, s->ko, s->W + h * s->K * s->M, s->M,
                    U + (h * s->F + f) * s->M, s->M, 0);
        }
}

/* dW[h][k][m] += sum_f T[h][f][k] g[h][f][m] */
static void stage_weight(const Stage *s, const real *T, const real *g, real *dW)
{
    for (long h = 0; h < s->H; h++)
        product(s->K, s->M, s->F, T + s->ho[h], s->ko, s->fo, g + h * s->F * s->M, s->M,
                dW + h * s->K * s->M, s->M, 1);
}

/* dT[h][f][k] = sum_m g[h][f][m] W[h][k][m]. `part` must hold BLOCK * K reals. */
static void stage_input(const Stage *s, const int32_t *count, const real *g, real *part, real *dT)
{
    int32_t fo[BLOCK];
    for (long i = 0; i < BLOCK; i++) fo[i] = (int32_t)(i * s->M);
    for (long h = 0; h < s->H; h++)
        for (long f = 0; f < s->F; f += BLOCK) {
            const long n = s->F - f < BLOCK ? s->F - f : BLOCK;
            product(n, s->K, s->M, g + (h * s->F + f) * s->M, fo, count, s->Wt + h * s->M * s->K,
                    s->K, part, s->K, 0);
            scatter(n, s->K, s->fo + f, s->ko, s->run, part, dT + s->ho[h]);
        }
}

static long tile_size(const Program *p) { return p->in_size / p->tiles; }

/* Return tile t of a row of the input. A narrow input is converted to reals in `room`. */
static const real *tile_of(const Program *p, const void *x, long row, long t, real *room)
{
    const long at = row * p->in_size + p->to[t], size = tile_size(p);
    if (!p->narrow) return (const real *)x + at;
    const uint16_t *from = (const uint16_t *)x + at;
    for (long i = 0; i < size; i++) {
        const union { uint32_t raw; float number; } one = {(uint32_t)from[i] << 16};
        room[i] = one.number;
    }
    return room;
}

static long output_size(const Program *p, long s)
{
    const long one = p->stage[s].H * p->stage[s].F * p->stage[s].M;
    return s == p->split - 1 ? one * p->tiles : one;
}

/* Divide `scratch` into U[s], the result of each stage s, and g[s], its gradient. Return the rest
 * of the scratch memory. */
static real *divide(const Program *p, real *scratch, real **U, real **g)
{
    for (long s = 0; s < p->stages; s++) {
        const long size = output_size(p, s);
        U[s] = scratch;
        g[s] = scratch + size;
        scratch += 2 * size;
    }
    return scratch;
}

/* Return how many reals of scratch memory `forward` and `backward` need. */
long scratch_size(const Program *p)
{
    long size = BLOCK * p->widest + (p->narrow ? tile_size(p) : 0);
    for (long s = 0; s < p->stages; s++) size += 2 * output_size(p, s);
    return size;
}

/* Run stage s on one tile; s is one of the stages that run tile by tile. */
static void tile_forward(const Program *p, long s, const real *T, real *U)
{
    if (s == 0 && p->stage->run < LONG && !p->narrow)
        first_forward(p->stage, T, U, tile_size(p));
    else
        stage_forward(p->stage + s, T, U);
}

static void tiles_forward(const Program *p, const void *x, long row, real **U, real *joined,
                          real *room)
{
    const long last = p->split - 1, size = output_size(p, last) / p->tiles;
    for (long t = 0; t < p->tiles; t++) {
        const real *T = tile_of(p, x, row, t, room);
        for (long s = 0; s < last; T = U[s++]) tile_forward(p, s, T, U[s]);
        tile_forward(p, last, T, joined + t * size);
    }
}

/* Compute y = W x for rows first .. end - 1. `kept`, if not null, receives the joined results of
 * the tiles, which `backward` would otherwise compute again. */
void forward(const Program *p, const void *x, real *y, real *kept, long first, long end,
             real *scratch)
{
    real *U[MOST], *g[MOST];
    real *room = divide(p, scratch, U, g);
    const long joint = output_size(p, p->split - 1);
    for (long row = first; row < end; row++) {
        real *T = kept ? kept + row * joint : U[p->split - 1];
        tiles_forward(p, x, row, U, T, room);
        for (long s = p->split; s < p->stages; T = U[s++]) stage_forward(p->stage + s, T, U[s]);
        for (long i = 0; i < p->out_size; i++) y[row * p->out_size + p->yo[i]] = T[p->uo[i]];
    }
}

/* Add the gradient of the weight of each stage s, summed over rows first .. end - 1, to dW[s].
 * Given are x, the gradient gy of y, and `kept` as `forward` left it, or null. dx, if not null,
 * receives the gradient of x. */
void backward(const Program *p, const void *x, const real *gy, const real *kept, long first,
              long end, real *scratch, real **dW, real *dx)
{
    real *U[MOST], *g[MOST];
    real *part = divide(p, scratch, U, g), *room = part + BLOCK * p->widest;
    const long split = p->split, top = p->stages - 1, joint = output_size(p, split - 1);
    memset(scratch, 0, (size_t)(part - scratch) * sizeof(real)); /* padding has no gradient */
    for (long row = first; row < end; row++) {
        const real *joined = U[split - 1];
        if (kept)
            joined = kept + row * joint;
        else
            tiles_forward(p, x, row, U, U[split - 1], room);
        for (long s = split; s < top; s++)
            stage_forward(p->stage + s, s == split ? joined : U[s - 1], U[s]);
        for (long i = 0; i < p->out_size; i++) g[top][p->uo[i]] = gy[row * p->out_size + p->yo[i]];
        for (long s = top; s >= split; s--) {
            stage_weight(p->stage + s, s == split ? joined : U[s - 1], g[s], dW[s]);
            stage_input(p->stage + s, p->count, g[s], part, g[s - 1]);
        }
        for (long t = 0; t < p->tiles; t++) {
            const real *T = tile_of(p, x, row, t, room);
            const real *gt = g[split - 1] + t * (joint / p->tiles);
            for (long s = 0; s < split - 1; s++)
                tile_forward(p, s, s ? U[s - 1] : T, U[s]);
            for (long s = split - 1; s >= 0; s--) {
                const real *gs = s == split - 1 ? gt : g[s];
                stage_weight(p->stage + s, s ? U[s - 1] : T, gs, dW[s]);
                real *gT = s ? g[s - 1] : dx ? dx + row * p->in_size + p->to[t] : NULL;
                if (gT) stage_input(p->stage + s, p->count, gs, part, gT);
            }
        }
    }
}
