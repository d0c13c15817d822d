/* double as the type of the algorithms: 8 lanes, blocks of 512.  See real_f32.h for the meanings. */
#define REAL double
#define VEC f64x8
#define LANES 8
#define BLOCK 512
#define NAME(name) name##_f64
#define V(operation) f64x8_##operation
#define DTYPE FS_F64
#define FUSED fma
#define EPSILON 0x1p-53

#define MAGIC 0x1.8p52
#define SHIFT_AT 4096.0
#define REACH 1080.0
#define TAME 1000.0
#define LIFT 200
#define EXTREME 0x1p900

/* relative error of the polynomial 2^-57.7 */
#define EXP2_TERMS(T)                                                                                                \
    T(0x1.e80dcdee0c196p-32) T(0x1.e611a937e7293p-28) T(0x1.b5260ea88dea7p-24) T(0x1.62bfcdda2a00bp-20)              \
        T(0x1.ffcbfbf81b3ecp-17) T(0x1.4309130c01ffap-13) T(0x1.5d87fe78b3e70p-10) T(0x1.3b2ab6fba11f7p-7)           \
            T(0x1.c6b08d704a0d3p-5) T(0x1.ebfbdff82c59cp-3) T(0x1.62e42fefa39efp-1) T(1.0)
