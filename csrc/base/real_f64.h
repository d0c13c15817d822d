/* double as the type of the algorithms: 8 lanes.  See base/real_f32.h for the meanings. */
#define REAL double
#define VEC f64x8
#define LANES 8
#define BLOCK FS_BLOCK_F64
#define NAME(name) name##_f64
#define V(operation) f64x8_##operation
#define BITS uint64_t
#define BITS_OF fs_bits_f64
#define OF_BITS fs_f64_of
#define DTYPE FS_F64
#define FUSED fma
#define SIDE 4
#define TINY (4 * LANES)

#define MAGIC 0x1.8p52
#define STEP 0x1.8p52
#define SHIFT_AT 4096.0
#define REACH 1080.0
#define NORMAL_SPAN 1000.0
#define LIFT 200
#define LEAST_SUM 0x1p-1000
#define EXTREME FS_EXTREME_F64
#define ESTIMATE 0x1p-50
