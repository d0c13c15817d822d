/* The kernels in plain C, for every CPU. */
#define FS_KERNELS fs_kernels_scalar
#define FS_KERNELS_NAME "scalar"
#define FS_INLINE static inline
#include "simd/scalar.h"

#include "kernels.h"
