/* float as the type of the algorithms: 16 lanes.  Included before the -inl.h files, and undone by real_end.h. */
#define REAL float
#define REAL_IS_FLOAT
#define VEC f32x16
#define LANES 16
#define BLOCK FS_BLOCK_F32
#define NAME(name) name##_f32
#define V(operation) f32x16_##operation
#define BITS uint32_t
#define BITS_OF fs_bits_f32
#define OF_BITS fs_f32_of
#define DTYPE FS_F32
#define FUSED fmaf
/* Rows and columns of the block that V(transpose) takes. */
#define SIDE 8
/* A row of up to this many entries is short: four vectors, whose weights are summed as they are. */
#define TINY (4 * LANES)

/* 1.5 * 2^23: adding it leaves the nearest integer in the low bits of the sum. */
#define MAGIC 0x1.8p23f
/* The same for the steps of softmax/exp2.h: eighths. */
#define STEP 0x1.8p20f
/* At |max * c| >= SHIFT_AT the maximum is subtracted before the product: exact for all that does not underflow. */
#define SHIFT_AT 512.0f
/* 2^(1/2 - REACH) rounds to 0; weights of more than 2^-NORMAL_SPAN are normal; LIFT takes 2^-REACH among the normal. */
#define REACH 152.0f
#define NORMAL_SPAN 120.0f
#define LIFT 64
/* A sum of weights above this has lost nothing that counts to those that underflow. */
#define LEAST_SUM 0x1p-100
/* The formula serves temperatures from 1/EXTREME to EXTREME (base/dtype.h). */
#define EXTREME FS_EXTREME_F32
/* Relative error of a mass that is estimated (filter/mass-inl.h), with a margin. */
#define ESTIMATE 0x1p-21
