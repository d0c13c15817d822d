# What this build and this machine have: instruction sets, compiler, number of threads.

def choose_instruction_set(name):
    """Use the instruction set `name` (None: the best one); False where this CPU or build lacks it."""
    if name is None:
        return fs_choose(NULL) == 0
    encoded = name.encode(errors="replace")
    return fs_choose(encoded) == 0


def chosen_instruction_set():
    return fs_chosen().decode()


def available_instruction_sets():
    """The usable instruction sets, best first."""
    found = []
    cdef size_t i = 0
    while fs_available(i) != NULL:
        found.append(fs_available(i).decode())
        i += 1
    return found


cdef extern from *:
    """
    #if defined(__clang__)
    #define FS_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define FS_COMPILER "gcc " __VERSION__
    #elif defined(_MSC_VER)
    #define FS_STRING(x) #x
    #define FS_STRING_OF(x) FS_STRING(x)
    #define FS_COMPILER "msvc " FS_STRING_OF(_MSC_VER)
    #else
    #define FS_COMPILER "unknown"
    #endif
    """
    const char *FS_COMPILER

COMPILER = FS_COMPILER.decode()


def set_num_threads(int count):
    """Use this many threads; returns the number before."""
    return fs_set_num_threads(count)


def get_num_threads():
    return fs_get_num_threads()
