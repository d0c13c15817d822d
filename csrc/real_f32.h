/* float as the type of the algorithms: 16 lanes, blocks of 1,024. Coefficients: tools/exp2_coefficients.py. */
#define REAL float
#define VEC f32x16
#define LANES 16
#define BLOCK 1024
#define NAME(name) name##_f32
#define V(operation) f32x16_##operation
#define DTYPE FS_F32
#define FUSED fmaf
#define EPSILON 0x1p-24

/* 1.5 * 2^23: adding it leaves the nearest integer in the low bits of the sum. */
#define MAGIC 0x1.8p23f
/* At |max * c| >= SHIFT_AT the maximum is subtracted before the product: exact for all that does not underflow. */
#define SHIFT_AT 512.0f
/* 2^(1/2 - REACH) rounds to 0; weights of more than 2^-TAME are normal; LIFT takes 2^-REACH among the normal. */
#define REACH 152.0f
#define TAME 120.0f
#define LIFT 64
/* The formula serves for temperatures between 1/EXTREME and EXTREME; beyond, csrc/limit_rows.h. */
#define EXTREME 0x1p90

/* 2^f = 1 + f * (...) on [-1/2, 1/2], relative error of the polynomial 2^-28.3 */
#define EXP2_TERMS(T)                                                                                                \
    T(0x1.417aa2p-13f) T(0x1.5f0948p-10f) T(0x1.3b2dd2p-7f) T(0x1.c6af7ap-5f) T(0x1.ebfbdcp-3f) T(0x1.62e430p-1f)    \
        T(1.0f)
