# Draws: one entry for arrays of any layout, along any axis, with any of a mask, a bias, filters and log-probabilities.

cdef object _Generator = None  # of numpy.random, which takes as long to import as this package: see is_generator

cdef enum:
    FEW = 8  # uniforms and results that need no array
    FEW_BIASES = 16
    MANY_DRAWS = 256  # from one row: sample_many of categorical.pxi
    REJECTION = 4  # entries that a draw by rejection reads in the time of one by inversion
    DISTINCT_WORK = 256  # of a draw without replacement, in entries that are read once

cdef struct Draws:
    Batch batch
    size_t k  # draws from each row
    const double *u  # or NULL, and a seed, a key and a step for each row
    Keyed keyed  # the seed, the key and the step of each row
    const fs_filters *filters  # NULL: none, or one for each row
    int filters_operand
    fs_indices keep  # of the filters
    const double *coin
    const double *aim  # adaptive_p's, one for each row, or NULL; then `before` is filled
    double *before
    int64_t *index
    double *logprob
    bint distinct  # without replacement: k different indices of each row
    bint stop  # the call ends with the first row that cannot be drawn from
    double few_u[FEW]
    double few_logprobs[FEW]
    int64_t few_indices[FEW]
    double few_biases[FEW_BIASES]
    int64_t few_places[FEW_BIASES]


cdef inline bint any_negative(const int64_t *index, size_t count) noexcept nogil:
    cdef int64_t signs = 0
    cdef size_t i
    for i in range(count):
        signs |= index[i]
    return signs < 0


cdef inline bint needs_scratch(const Draws *f) noexcept nogil:
    return f.distinct or f.filters != NULL or f.filters_operand >= 0


cdef void draw_runs(Draws *f, RowIterator *w, fs_rows *rows, size_t first, size_t past) noexcept nogil:
    """One draw from each row, without filters: runs of rows; `rows` begins as f.batch.rows."""
    cdef size_t i = first, j, count, done
    cdef double *logprob
    while i < past:
        count = set_run(&f.batch, w, past - i, rows)
        logprob = NULL if f.logprob == NULL else f.logprob + i
        if f.u == NULL:
            done = fs_sample_seeded_rows(rows, words_from(f.keyed.seeds, i), words_from(f.keyed.keys, i),
                                         words_from(f.keyed.steps, i), f.index + i, logprob)
        else:
            done = fs_sample_rows(rows, f.u + i, f.index + i, logprob)
        if done < count:
            note_rows(&f.batch.outcome, i, i + count, done)
            return
        if any_negative(f.index + i, count):
            for j in range(i, i + count):
                if f.index[j] < 0:
                    note(&f.batch.outcome, j, FS_NO_MASS)
                    break
        skip_rows(w, count)
        i += count


cdef void draw_rows_one_by_one(Draws *f, RowIterator *w, fs_rows *rows, size_t first, size_t past) noexcept nogil:
    """k draws from each row, filtered, without replacement, or neither."""
    cdef fs_status status
    cdef size_t i, j, k = f.k, n = f.batch.rows.n
    cdef const fs_filters *filters = f.filters
    cdef const double *u
    cdef int64_t *index
    cdef double *logprob
    cdef double coin
    cdef void *scratch = NULL
    if needs_scratch(f):
        scratch = fs_thread_scratch(fs_scratch_size(n))
        if scratch == NULL:
            note(&f.batch.outcome, first, FS_NO_MEMORY)
            return
    for i in range(first, past):
        if f.stop and fs_atomic_load(&f.batch.outcome.rejected) < i << STATUS_BITS:
            return  # the call raises for a row before this one
        set_run(&f.batch, w, 1, rows)
        u = NULL if f.u == NULL else f.u + i * k
        index = f.index + i * k
        logprob = NULL if f.logprob == NULL else f.logprob + i * k
        if f.distinct:
            status = fs_without_replacement(&rows.row, n, rows.temperature[0], k, u, scratch, index)
        elif scratch != NULL:
            if f.filters_operand >= 0:
                filters = <const fs_filters *>w.data[f.filters_operand]
            coin = f.coin[i] if f.coin != NULL else 1.0
            if f.aim != NULL:
                status = fs_sample_adapted(&rows.row, n, rows.temperature[0], filters, &f.keep, coin, f.aim[i], u[0],
                                           scratch, index, logprob, f.before + i)
            elif u == NULL:
                status = fs_sample_filtered_seeded(&rows.row, n, rows.temperature[0], filters, &f.keep, coin,
                                                   word_at(f.keyed.seeds, i), word_at(f.keyed.keys, i),
                                                   word_at(f.keyed.steps, i), scratch, index, logprob)
            else:
                status = fs_sample_filtered(&rows.row, n, rows.temperature[0], filters, &f.keep, coin, k, u, scratch,
                                            index, logprob)
        else:
            status = fs_sample(&rows.row, n, rows.temperature[0], k, u, index, logprob)
        if note(&f.batch.outcome, i, status):
            return
        if status != FS_OK:
            for j in range(k):
                index[j] = -1
                if logprob != NULL:
                    logprob[j] = NAN
        next_row(w)


cdef void draws_task(void *job, size_t first, size_t past) noexcept nogil:
    cdef Draws *f = <Draws *>job
    cdef RowIterator copy
    cdef RowIterator *w = &f.batch.iterator
    cdef fs_rows copied
    cdef fs_rows *rows = &f.batch.rows
    if f.stop and fs_atomic_load(&f.batch.outcome.rejected) < first << STATUS_BITS:
        return
    if first != 0 or past != f.batch.count:  # else it is the whole job, and no other thread needs these
        copy = f.batch.iterator
        w = &copy
        copied = f.batch.rows
        rows = &copied
        go_to_row(w, first)
    if f.k == 1 and not needs_scratch(f):
        draw_runs(f, w, rows, first, past)
    else:
        draw_rows_one_by_one(f, w, rows, first, past)


cdef bint take_mask(Draws *f, object mask, cnp.ndarray a, int axis) noexcept:
    """Whether a mask can be taken as it is: bool in the shape of a, or int32 words for rows along the last axis."""
    cdef cnp.ndarray m
    cdef int kind, i, nd = cnp.PyArray_NDIM(a)
    cdef Py_ssize_t words = <Py_ssize_t>(f.batch.rows.n + 31) // 32
    if take_bools(&f.batch, mask, a, axis):
        return True
    if not is_usable(mask) or cnp.PyArray_NDIM(<cnp.ndarray>mask) != nd:
        return False
    m = <cnp.ndarray>mask
    kind = cnp.PyArray_TYPE(m)
    if not cnp.PyTypeNum_ISINTEGER(kind) or cnp.PyArray_ITEMSIZE(m) != 4 or axis != nd - 1:
        return False
    for i in range(nd):
        if cnp.PyArray_DIM(m, i) != (words if i == axis else cnp.PyArray_DIM(a, i)):
            return False
    f.batch.rows.row.mask_kind = FS_MASK_WORDS
    f.batch.rows.row.mask_stride = cnp.PyArray_STRIDE(m, axis)
    f.batch.mask_operand = add_entries(&f.batch.iterator, m, axis)
    return True


cdef bint take_few_biases(Draws *f, dict bias) noexcept:
    """Whether {index: value} has few of exactly int and float; they are sorted by index."""
    cdef double value
    cdef int64_t place
    cdef size_t count = 0, i
    if len(bias) > FEW_BIASES:
        return False
    for key, given in bias.items():
        if type(key) is not int or not is_number(given, &value):
            return False
        try:
            place = <int64_t>key
        except OverflowError:
            return False
        if not 0 <= place < <int64_t>f.batch.rows.n:
            return False
        i = count
        while i > 0 and f.few_places[i - 1] > place:
            f.few_places[i] = f.few_places[i - 1]
            f.few_biases[i] = f.few_biases[i - 1]
            i -= 1
        f.few_places[i] = place
        f.few_biases[i] = value
        count += 1
    f.batch.rows.row.bias = f.few_biases
    f.batch.rows.row.bias_at = f.few_places
    f.batch.rows.row.bias_count = count
    return True


cdef bint take_bias(Draws *f, object bias, cnp.ndarray bias_at, cnp.ndarray a, int axis) noexcept:
    """Whether a bias can be taken as it is: float64 for the entries of a, a small dict, or values with `bias_at`."""
    cdef cnp.ndarray b
    cdef Py_ssize_t stride
    if type(bias) is dict:
        return take_few_biases(f, <dict>bias)
    if not is_usable(bias) or cnp.PyArray_TYPE(<cnp.ndarray>bias) != cnp.NPY_DOUBLE:
        return False
    b = <cnp.ndarray>bias
    if are_row_biases(bias_at):
        f.batch.row_biases = add_row_biases(&f.batch.iterator, b, bias_at)
        return True
    if bias_at is not None:
        f.batch.rows.row.bias = <const double *>cnp.PyArray_DATA(b)
        f.batch.rows.row.bias_at = <const int64_t *>cnp.PyArray_DATA(bias_at)
        f.batch.rows.row.bias_count = cnp.PyArray_DIM(bias_at, 0)
        return True
    f.batch.bias_operand = add_spread(&f.batch.iterator, b, a, axis, &stride)
    if f.batch.bias_operand < 0:
        return False
    f.batch.rows.row.bias_stride = stride
    f.batch.rows.row.bias = <const double *>cnp.PyArray_DATA(b)
    return True


cdef inline bint are_in_unit_interval(const double *u, size_t count) noexcept nogil:
    cdef bint good = True
    cdef size_t i
    for i in range(count):
        good &= is_not_negative(u[i]) and u[i] < 1.0
    return good


cdef inline bint is_generator(rng) except -1:
    """Whether it is a numpy.random.Generator, and not of a subclass; the first that may be one imports numpy.random."""
    global _Generator
    if rng is None:
        return False
    if _Generator is None:
        from numpy.random import Generator
        _Generator = Generator
    return type(rng) is _Generator


cdef int fill_uniforms(object generator, double *u, size_t count) except -1:
    """The doubles of numpy.random.Generator.random, in order, under its lock."""
    cdef size_t i
    bit_generator = generator.bit_generator
    cdef bitgen_t *bitgen = bitgen_of(bit_generator)
    lock = bit_generator.lock
    lock.acquire()  # an RLock, for which `with` takes twice as long
    try:
        for i in range(count):
            u[i] = bitgen.next_double(bitgen.state)
    finally:
        lock.release()
    return 0


cdef inline bint take_words(object given, int nd, const cnp.npy_intp *shape, fs_words *words, uint64_t *one) noexcept:
    """Whether these are an int for all rows, or int64 or uint64, contiguous, one for each or one for all."""
    cdef int i
    cdef cnp.ndarray a
    words.stride = 0
    if type(given) is int:
        words.word = one
        try:
            one[0] = given
        except OverflowError:
            return False
        return True
    if not is_usable(given):
        return False
    a = <cnp.ndarray>given
    if (not cnp.PyTypeNum_ISINTEGER(cnp.PyArray_TYPE(a)) or cnp.PyArray_ITEMSIZE(a) != 8
            or not cnp.PyArray_IS_C_CONTIGUOUS(a) or cnp.PyArray_NDIM(a) != nd):
        return False
    for i in range(nd):
        if cnp.PyArray_DIM(a, i) != shape[i]:
            return False
    words.word = <const uint64_t *>cnp.PyArray_DATA(a)
    words.stride = 1
    return True


cdef bint take_seed(Draws *f, object seed, object keys, object step, int nd, const cnp.npy_intp *shape) noexcept:
    """Whether these can be taken as they are; without keys they are 0 where each row has its own seed."""
    if not take_words(seed, nd, shape, &f.keyed.seeds, &f.keyed.one[0]):
        return False
    if not take_words(step, nd, shape, &f.keyed.steps, &f.keyed.one[2]):
        return False
    if keys is None and (nd == 0 or f.keyed.seeds.stride != 0):
        keys = 0
    elif type(keys) is int and nd != 0:
        return False
    f.keyed.keys.word = NULL  # the numbers of the rows
    return keys is None or take_words(keys, nd, shape, &f.keyed.keys, &f.keyed.one[1])


def draw(x, bint probs, temperature, axis, size, u, rng, mask, bias, return_logprob, bint stop, filters=None,
         bint distinct=False, cnp.ndarray bias_at=None, cnp.ndarray coins=None, bint prepared=False,
         cnp.ndarray keep=None, cnp.ndarray aims=None, cnp.ndarray before=None, seeded=None):
    """Draws from the rows of x along one axis, and the number of the first row that cannot be drawn from, or -1.

    None, with nothing done, no uniform taken and none of the caller's code run, where an argument is not of a kind that
    can be taken as it is; then _draws.py converts the arguments and calls again with `prepared`.

    size: None or an int.  u: a float, or real numbers in the shape of the result; or None, and rng is a Generator.
    filters: records of _args/filters.py, one or one for each row; coins: XTC's, one for each row; keep: the entries
    that no filter drops, int64, ascending.  aims: adaptive_p's, with filters and one draw, float64, one for each row;
    `before`, of the same shape, gets the probability that each draw had before it.  distinct: without replacement, and
    without filters and log-probabilities; `size` is from 1 to the number of entries.  seeded: instead of u and rng, a
    Seeded of _args/keyed.py, for one draw from each row; with `aims` all rows are drawn from by inversion.
    A row that cannot be drawn from gives -1 and NaN; with `stop` the rows after it may not be drawn.
    """
    x = row_or_same(x, "probs" if probs else "logits")
    mask = array_or_same(mask, "mask")
    bias = array_or_same(bias, "bias")
    cdef Draws f
    cdef cnp.npy_intp shape[MAX_DIMS + 1]
    cdef cnp.ndarray a, temperatures, uniforms = None, numbers = None, index = None, logprob = None
    cdef int code = row_array(x), at, dims, i
    cdef size_t count, row
    cdef int64_t many
    cdef Py_ssize_t size_before
    cdef bint with_logprob = as_flag(return_logprob, "return_logprob")
    if code < 0:
        return None
    a = <cnp.ndarray>x
    dims = cnp.PyArray_NDIM(a) - 1
    at = row_axis(axis, dims + 1)
    if at < 0 or cnp.PyArray_DIM(a, at) == 0:
        return None
    begin_batch(&f.batch, a, at, <fs_dtype>code, probs, shape)
    temperatures = temperature_of(temperature, &f.batch.temperature, prepared)
    if temperatures is not None:
        f.batch.temperature_operand = add_parameter(&f.batch.iterator, temperatures, shape)
    if f.batch.temperature_operand < 0 and not f.batch.temperature >= 0.0:
        return None
    if mask is not None:
        mask = mask_as_bools(mask, a, at)
        if not take_mask(&f, mask, a, at):
            return None
    if bias is not None and not take_bias(&f, bias, bias_at, a, at):
        return None

    f.filters = NULL
    f.filters_operand = -1
    f.coin = NULL if coins is None else <const double *>cnp.PyArray_DATA(coins)
    f.aim = NULL if aims is None else <const double *>cnp.PyArray_DATA(aims)
    f.before = NULL if before is None else <double *>cnp.PyArray_DATA(before)
    if keep is not None and last_of(keep) >= <int64_t>f.batch.rows.n:
        return None
    f.keep = indices_in(keep)
    if filters is not None:
        check_row_length(f.batch.rows.n)
        if cnp.PyArray_NDIM(<cnp.ndarray?>filters) == 0:
            f.filters = filters_in(filters)
        else:
            f.filters_operand = add_parameter(&f.batch.iterator, filters, shape)
            if f.filters_operand < 0:
                return None
    f.distinct = distinct
    if distinct:
        check_row_length(f.batch.rows.n)
        if type(size) is not int or not 1 <= size <= <Py_ssize_t>f.batch.rows.n:
            return None
    if seeded is not None and not take_seed(&f, seeded[0], seeded[1], seeded[2], dims, shape):
        return None
    f.k = 1
    if size is not None:
        many = MANY_DRAWS if u is None and seeded is None and not distinct else 1 << 48
        if type(size) is not int or not 0 <= size < many:
            return None
        f.k = size
        shape[dims] = size
        dims += 1
    f.stop = stop
    count = f.batch.count * f.k

    f.u = f.few_u
    if seeded is not None:
        if f.keyed.keys.word == NULL:
            numbers = <cnp.ndarray>cnp.PyArray_EMPTY(1, <cnp.npy_intp *>&count, cnp.NPY_UINT64, 0)
            f.keyed.keys.word = <const uint64_t *>cnp.PyArray_DATA(numbers)
            f.keyed.keys.stride = 1
            for row in range(count):
                (<uint64_t *>f.keyed.keys.word)[row] = row
        if seeded[3] and f.batch.rows.n >= FS_REJECTION_FROM and aims is None:
            f.u = NULL
        elif count > FEW:
            uniforms = <cnp.ndarray>cnp.PyArray_EMPTY(dims, shape, cnp.NPY_DOUBLE, 0)
            f.u = <const double *>cnp.PyArray_DATA(uniforms)
    elif u is None:
        if not is_generator(rng):
            return None
        if count > FEW:
            uniforms = <cnp.ndarray>cnp.PyArray_EMPTY(dims, shape, cnp.NPY_DOUBLE, 0)
            f.u = <const double *>cnp.PyArray_DATA(uniforms)
    elif isinstance(u, float):
        if dims != 0:
            return None
        f.few_u[0] = <double>u
        if not are_in_unit_interval(f.few_u, 1):
            return None
    else:
        if not is_usable(u) or cnp.PyArray_NDIM(<cnp.ndarray>u) != dims:
            return None
        for i in range(dims):
            if cnp.PyArray_DIM(<cnp.ndarray>u, i) != shape[i]:
                return None
        uniforms = doubles_of(u)
        if uniforms is None:
            return None
        f.u = <const double *>cnp.PyArray_DATA(uniforms)
        if not are_in_unit_interval(f.u, count):
            return None

    f.index = f.few_indices
    f.logprob = f.few_logprobs if with_logprob else NULL
    if dims > 0:
        index = <cnp.ndarray>cnp.PyArray_EMPTY(dims, shape, cnp.NPY_INT64, 0)
        f.index = <int64_t *>cnp.PyArray_DATA(index)
        if with_logprob:
            logprob = <cnp.ndarray>cnp.PyArray_EMPTY(dims, shape, cnp.NPY_DOUBLE, 0)
            f.logprob = <double *>cnp.PyArray_DATA(logprob)
    if seeded is not None:
        if f.u != NULL:
            run_keyed(&f.keyed, count, 0, <double *>f.u)
    elif u is None:
        size_before = cnp.PyArray_SIZE(a)
        fill_uniforms(rng, <double *>f.u, count)
        # A bit generator may be the caller's own code.
        if cnp.PyArray_DATA(a) != f.batch.iterator.data[ROW] or cnp.PyArray_SIZE(a) != size_before:
            raise ValueError("the array was changed while its uniforms were drawn")
    run_draws(&f)
    result = f.index[0] if index is None else index
    if with_logprob:
        result = result, (f.logprob[0] if logprob is None else logprob)
    cdef Py_ssize_t bad = -1
    if f.batch.outcome.rejected != NOTHING:
        bad = f.batch.outcome.rejected >> STATUS_BITS
    return result, bad


cdef int run_draws(Draws *f) except -1:
    """Draw from all rows.  Filters are several times the work of a row without."""
    cdef bint filtered = needs_scratch(f) and not f.distinct
    cdef size_t work = FILTER_WORK * f.batch.rows.n if filtered else f.batch.rows.n
    if f.u == NULL and not filtered:
        work //= REJECTION
    merge_axes(&f.batch.iterator)
    return run_rows(draws_task, f, &f.batch.outcome, f.batch.count,
                    work + (DISTINCT_WORK * f.k if f.distinct else 8 * (f.k - 1)), not filtered,
                    rows_together(&f.batch) if f.k == 1 and not needs_scratch(f) else 1)


cdef int draw_from_row(const fs_row *row, size_t n, double temperature, const fs_filters *filters, cnp.ndarray keep,
                       const double *coin, const double *u, const uint64_t *words, int64_t *index, double *logprob,
                       const double *aim, double *before) except -1:
    """One draw from one row of any kind; -1 where it cannot be drawn from.  All but coin, u and index may be none.

    words: instead of u, which is NULL then, a seed, a key and a step; not with aim.
    """
    cdef fs_status status
    cdef Draws f
    cdef fs_rows *rows = &f.batch.rows
    rows.row = row[0]
    rows.n = n
    rows.count = 1
    rows.step = rows.mask_step = rows.bias_step = rows.temperature_step = 0
    rows.temperature = &temperature
    index[0] = -1
    if filters == NULL and n < REJECTION * RELEASE_GIL_AT_ONE and u == NULL:
        status = fs_sample_seeded(row, n, temperature, words[0], words[1], words[2], index, logprob)
        if status == FS_NO_MEMORY:
            raise MemoryError("not enough memory for the workspace of a row")
        if status != FS_OK:
            index[0] = -1
        return 0
    if filters == NULL and n < RELEASE_GIL_AT_ONE:
        if fs_sample_rows(rows, u, index, logprob) < 1:
            raise MemoryError("not enough memory for the workspace of a row")
        return 0
    f.batch.iterator.dims = 0
    f.batch.iterator.operands = 1
    f.batch.iterator.data[ROW] = <char *>row.data
    f.batch.count = f.k = 1
    f.batch.temperature = temperature
    f.batch.temperature_operand = f.batch.mask_operand = f.batch.bias_operand = f.filters_operand = -1
    f.batch.row_biases = no_row_biases()
    f.filters = filters
    f.keep = indices_in(keep)
    f.coin = coin
    f.aim = aim
    f.before = before
    f.u = u
    if u == NULL:
        f.keyed.seeds = fs_words(words, 0)
        f.keyed.keys = fs_words(words + 1, 0)
        f.keyed.steps = fs_words(words + 2, 0)
    f.index = index
    f.logprob = logprob
    f.stop = True
    f.distinct = False
    if filters != NULL:
        check_row_length(n)
    return run_draws(&f)
