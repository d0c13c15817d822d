/* The kernels for AArch64. */
#include "base/platform.h"

#ifdef FS_ARM64
#define FS_KERNELS fs_kernels_neon
#define FS_KERNELS_NAME "neon"
#include "simd/neon.h"

#include "kernels.h"
#else
typedef int fs_no_neon;
#endif
