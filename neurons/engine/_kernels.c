/* The exact engine's steps between its matrix products, fused: one walk over each row.

   Every function does what `arithmetic.py` and `exact_attention.py` do in a dozen numpy calls: the
   same single IEEE operations on the same elements, so the same bits; tests compare the two.
   Only what has no order is reordered: sums of integers below 2**53, and maxima. Products are
   never fused with sums (-ffp-contract=off). Without this module the engine runs on numpy.

   Buffers are C-contiguous float64 (int64 where said); sizes are checked against the arguments. */

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#if FLT_EVAL_METHOD != 0 || defined(__FAST_MATH__)
#error "float64 operations must round once each; numpy is used instead"
#endif

#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && __GNUC__ >= 12
#define FAST __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define FAST
#endif

typedef int64_t i64;
typedef const double *In;

enum { LANES = 8, STEPS = 2048, OCTAVE_SHIFT = 41, WEIGHT_SCALE = 30 };
static const double STEPS_PER_UNIT = 2954.6394437405963, SLOPE = 0.0003384507717577858;
static const double REACH = 700.0 * STEPS, ROUND = 1.5 * 4503599627370496.0;
static i64 table[STEPS];

/* --- one row -------------------------------------------------------------------------------- */

static inline double largest(In x, i64 n) {
    double lanes[LANES] = {0}, most = 0;
    i64 j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int k = 0; k < LANES; k++) {
            double size = fabs(x[j + k]);
            lanes[k] = size > lanes[k] ? size : lanes[k];
        }
    for (; j < n; j++) most = fabs(x[j]) > most ? fabs(x[j]) : most;
    for (int k = 0; k < LANES; k++) most = lanes[k] > most ? lanes[k] : most;
    return most;
}

static inline double highest(In x, i64 n) {
    double lanes[LANES], most = x[0];
    i64 j = 0;
    for (int k = 0; k < LANES; k++) lanes[k] = most;
    for (; j + LANES <= n; j += LANES)
        for (int k = 0; k < LANES; k++) lanes[k] = x[j + k] > lanes[k] ? x[j + k] : lanes[k];
    for (; j < n; j++) most = x[j] > most ? x[j] : most;
    for (int k = 0; k < LANES; k++) most = lanes[k] > most ? lanes[k] : most;
    return most;
}

static inline double sum(In x, i64 n) {
    double lanes[LANES] = {0}, total = 0;
    i64 j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int k = 0; k < LANES; k++) lanes[k] += x[j + k];
    for (; j < n; j++) total += x[j];
    for (int k = 0; k < LANES; k++) total += lanes[k];
    return total;
}

static inline double squares(In x, i64 n) {
    double lanes[LANES] = {0}, total = 0;
    i64 j = 0;
    for (; j + LANES <= n; j += LANES)
        for (int k = 0; k < LANES; k++) lanes[k] += x[j + k] * x[j + k];
    for (; j < n; j++) total += x[j] * x[j];
    for (int k = 0; k < LANES; k++) total += lanes[k];
    return total;
}

/* frexp's exponent; its own code is for what is no normal number. */
static inline i64 exponent_of(double x) {
    i64 bits;
    memcpy(&bits, &x, 8);
    const i64 field = bits >> 52 & 0x7FF;
    if (field != 0 && field != 0x7FF) return field - 1022;
    int exponent;
    frexp(x, &exponent);
    return exponent;
}

/* `one` (1.0 or 1.5) times 2**exponent. */
static inline double scaled(double one, i64 exponent) {
    if (exponent < -1022 || exponent > 1023) return ldexp(one, (int)exponent);
    i64 bits;
    memcpy(&bits, &one, 8);
    bits += exponent * ((i64)1 << 52);
    memcpy(&one, &bits, 8);
    return one;
}

static inline void round_row(In x, i64 n, i64 bits, double *out) {
    const double shift = scaled(1.5, exponent_of(largest(x, n)) + 52 - bits);
    for (i64 j = 0; j < n; j++) out[j] = (x[j] + shift) - shift;
}

/* 2**(steps / STEPS + scale) in place; `words` is room to work in. */
static inline void exponentials(double *steps, i64 *restrict words, i64 n, i64 scale) {
    for (i64 j = 0; j < n; j++) {
        double rounded = steps[j] + ROUND;
        memcpy(words + j, &rounded, 8);
        rounded -= ROUND;
        steps[j] = (steps[j] - rounded) * SLOPE + 1.0;
    }
    for (i64 j = 0; j < n; j++) {
        const uint64_t octaves = (uint64_t)words[j] << OCTAVE_SHIFT;
        words[j] = (i64)((uint64_t)table[words[j] & (STEPS - 1)] + octaves);
    }
    for (i64 j = 0; j < n; j++) {
        const i64 bits = (i64)((uint64_t)words[j] + ((uint64_t)scale << 52));
        double power;
        memcpy(&power, &bits, 8);
        steps[j] *= power;
    }
}

/* --- many rows ------------------------------------------------------------------------------ */

FAST static void do_round(In x, double *out, double *scales, i64 n, i64 width, i64 bits, double eps) {
    for (i64 i = 0; i < n; i++) {
        round_row(x + i * width, width, bits, out + i * width);
        if (scales) scales[i] = 1.0 / sqrt(squares(out + i * width, width) / (double)width + eps);
    }
}

FAST static void do_gate(In both, In scales, double *out, i64 n, i64 half, i64 bits, double *steps,
                         i64 *words) {
    for (i64 i = 0; i < n; i++) {
        const double scale = scales[i];
        In gate = both + 2 * i * half, up = gate + half;
        for (i64 j = 0; j < half; j++) {
            double s = gate[j] * scale * -STEPS_PER_UNIT;
            s = s < -REACH ? -REACH : s;
            steps[j] = s > REACH ? REACH : s;
        }
        exponentials(steps, words, half, 0);
        for (i64 j = 0; j < half; j++)
            steps[j] = gate[j] * scale / (steps[j] + 1.0) * (up[j] * scale);
        round_row(steps, half, bits, out + i * half);
    }
}

typedef struct {
    i64 heads, kv_heads, head, query_bits, key_bits;
} Shape;

FAST static void do_remember(In qkv, In scales, In cosines, In sines, const i64 *places, Shape s,
                             double *query, double *stored, double *factors, i64 n, double *fresh) {
    const i64 turned = s.heads + s.kv_heads, all = turned + s.kv_heads, half = s.head / 2;
    for (i64 i = 0; i < n; i++) {
        In cosine = cosines + i * half, sine = sines + i * half;
        for (i64 h = 0; h < all; h++) {
            In x = qkv + (i * all + h) * s.head;
            double *out = stored + (places[i] * 2 * s.kv_heads + h - s.heads) * s.head;
            for (i64 j = 0; j < s.head; j++) fresh[s.head + j] = x[j] * scales[i];
            if (h < turned) {
                In first = fresh + s.head, second = first + half;
                for (i64 j = 0; j < half; j++) {
                    fresh[j] = first[j] * cosine[j] - second[j] * sine[j];
                    fresh[half + j] = second[j] * cosine[j] + first[j] * sine[j];
                }
            } else
                memcpy(fresh, fresh + s.head, (size_t)s.head * 8);
            if (h < s.heads) {
                round_row(fresh, s.head, s.query_bits, query + (i * s.heads + h) * s.head);
                continue;
            }
            round_row(fresh, s.head, s.key_bits, out);
            if (h >= turned) { /* values: integers, and the scale of each */
                const i64 exponent = exponent_of(largest(fresh, s.head)) - s.key_bits;
                const double down = scaled(1.0, -exponent);
                for (i64 j = 0; j < s.head; j++) out[j] *= down;
                factors[places[i] * s.kv_heads + h - turned] = scaled(1.0, exponent);
            }
        }
    }
}

FAST static void do_weigh(double *scores, In factors, double *totals, i64 kv_heads, i64 lines,
                          i64 keys, i64 stride, i64 count, i64 start, double scale, i64 bits,
                          i64 *words) {
    for (i64 i = 0; i < kv_heads * lines; i++) {
        const i64 seen = start + i % lines % count + 1;
        double *row = scores + i * keys;
        In factor = factors + i / lines * stride;
        for (i64 j = 0; j < seen; j++) row[j] *= scale;
        const double top = highest(row, seen);
        for (i64 j = 0; j < seen; j++) {
            const double s = row[j] - top;
            row[j] = s < -REACH ? -REACH : s;
        }
        exponentials(row, words, seen, WEIGHT_SCALE);
        for (i64 j = 0; j < seen; j++) row[j] = (row[j] + ROUND) - ROUND;
        totals[i] = sum(row, seen);
        for (i64 j = 0; j < seen; j++) row[j] *= factor[j];
        round_row(row, seen, bits, row);
        memset(row + seen, 0, (size_t)(keys - seen) * 8);
    }
}

/* Pages joined: keys [kv_head, head, position], values [kv_head, position, head], their scales. */
FAST static void do_gather(In stored, In scales, const i64 *pages, i64 size, i64 length, i64 kv_heads,
                           i64 head, double *keys, double *values, double *factors) {
    for (i64 at = 0; at < length; at++) {
        const i64 place = pages[at / size] * size + at % size;
        In key = stored + place * 2 * kv_heads * head, value = key + kv_heads * head;
        for (i64 h = 0; h < kv_heads; h++) {
            factors[h * length + at] = scales[place * kv_heads + h];
            for (i64 j = 0; j < head; j++)
                keys[(h * head + j) * length + at] = key[h * head + j];
            memcpy(values + (h * length + at) * head, value + h * head, (size_t)head * 8);
        }
    }
}

FAST static void do_settle(double *mixed, In totals, i64 n, i64 heads, i64 head) {
    for (i64 i = 0; i < n; i++)
        for (i64 h = 0; h < heads; h++)
            for (i64 j = 0; j < head; j++) mixed[(i * heads + h) * head + j] /= totals[h * n + i];
}

/* --- Python's side -------------------------------------------------------------------------- */

enum { MOST = 9 };

typedef struct {
    Py_buffer view[MOST];
    int count;
} Buffers;

static void let_go(Buffers *b) {
    while (b->count) PyBuffer_Release(&b->view[--b->count]);
}

/* The memory of the next array; NULL and ValueError unless it holds `items` eight-byte items. */
static void *take(Buffers *b, PyObject *array, i64 items, int writable) {
    if (PyErr_Occurred()) return NULL;
    if (PyObject_GetBuffer(array, &b->view[b->count], writable ? PyBUF_CONTIG : PyBUF_CONTIG_RO))
        return NULL;
    const Py_buffer *view = &b->view[b->count++];
    if (items < 0 || view->itemsize != 8 || view->len / 8 != items)
        return PyErr_Format(PyExc_ValueError, "array %d has %zd bytes, not %lld items of 8",
                            b->count, view->len, (long long)items);
    return view->buf;
}

static i64 whole(PyObject *number) { return PyErr_Occurred() ? -1 : PyLong_AsLongLong(number); }

static PyObject *finish(Buffers *b) {
    let_go(b);
    if (PyErr_Occurred()) return NULL;
    Py_RETURN_NONE;
}

static int wrong(Py_ssize_t given, Py_ssize_t needed) {
    if (given == needed) return 0;
    PyErr_Format(PyExc_TypeError, "%zd arguments are needed, not %zd", needed, given);
    return 1;
}

#define ENTRY(name, needed)                                                      \
    static PyObject *name(PyObject *self, PyObject *const *a, Py_ssize_t given) { \
        Buffers b = {.count = 0};                                                \
        if (wrong(given, needed)) return NULL;

ENTRY(set_table, 1)
    const i64 *entries = take(&b, a[0], STEPS, 0);
    if (entries) memcpy(table, entries, sizeof table);
    return finish(&b);
}

ENTRY(round_rows, 5)
    const i64 n = whole(a[2]), width = whole(a[3]), bits = whole(a[4]);
    In x = take(&b, a[0], n * width, 0);
    double *out = take(&b, a[1], n * width, 1);
    if (!PyErr_Occurred()) do_round(x, out, NULL, n, width, bits, 0.0);
    return finish(&b);
}

ENTRY(round_and_scale, 7)
    const i64 n = whole(a[3]), width = whole(a[4]), bits = whole(a[5]);
    const double epsilon = PyErr_Occurred() ? 0.0 : PyFloat_AsDouble(a[6]);
    In x = take(&b, a[0], n * width, 0);
    double *out = take(&b, a[1], n * width, 1), *scales = take(&b, a[2], n, 1);
    if (!PyErr_Occurred()) do_round(x, out, scales, n, width, bits, epsilon);
    return finish(&b);
}

ENTRY(gate, 6)
    const i64 n = whole(a[3]), half = whole(a[4]), bits = whole(a[5]);
    In both = take(&b, a[0], 2 * n * half, 0), scales = take(&b, a[1], n, 0);
    double *out = take(&b, a[2], n * half, 1);
    void *room = PyErr_Occurred() ? NULL : PyMem_Malloc((size_t)half * 16 + 16);
    if (room)
        do_gate(both, scales, out, n, half, bits, room, (i64 *)room + half);
    else if (!PyErr_Occurred())
        PyErr_NoMemory();
    PyMem_Free(room);
    return finish(&b);
}

ENTRY(remember, 15)
    const i64 n = whole(a[8]), slots = whole(a[9]);
    const Shape s = {whole(a[10]), whole(a[11]), whole(a[12]), whole(a[13]), whole(a[14])};
    const i64 all = s.heads + 2 * s.kv_heads;
    In qkv = take(&b, a[0], n * all * s.head, 0), scales = take(&b, a[1], n, 0);
    In cosines = take(&b, a[2], n * (s.head / 2), 0), sines = take(&b, a[3], n * (s.head / 2), 0);
    const i64 *places = take(&b, a[4], n, 0);
    double *query = take(&b, a[5], n * s.heads * s.head, 1);
    double *stored = take(&b, a[6], slots * 2 * s.kv_heads * s.head, 1);
    double *factors = take(&b, a[7], slots * s.kv_heads, 1);
    for (i64 i = 0; !PyErr_Occurred() && i < n; i++)
        if (places[i] < 0 || places[i] >= slots)
            PyErr_SetString(PyExc_ValueError, "a position lies outside the cache");
    void *room = PyErr_Occurred() ? NULL : PyMem_Malloc((size_t)s.head * 16 + 16);
    if (room)
        do_remember(qkv, scales, cosines, sines, places, s, query, stored, factors, n, room);
    else if (!PyErr_Occurred())
        PyErr_NoMemory();
    PyMem_Free(room);
    return finish(&b);
}

ENTRY(weigh, 11)
    const i64 kv_heads = whole(a[3]), lines = whole(a[4]), keys = whole(a[5]), stride = whole(a[6]);
    const i64 count = whole(a[7]), start = whole(a[8]), bits = whole(a[10]);
    const double scale = PyErr_Occurred() ? 0.0 : PyFloat_AsDouble(a[9]);
    double *scores = take(&b, a[0], kv_heads * lines * keys, 1);
    In factors = take(&b, a[1], kv_heads * stride, 0);
    double *totals = take(&b, a[2], kv_heads * lines, 1);
    if (!PyErr_Occurred() && (count < 1 || start < 0 || start + count > keys || keys > stride))
        PyErr_SetString(PyExc_ValueError, "the queries see more keys than there are");
    void *room = PyErr_Occurred() ? NULL : PyMem_Malloc((size_t)keys * 8 + 8);
    if (room)
        do_weigh(scores, factors, totals, kv_heads, lines, keys, stride, count, start, scale, bits, room);
    else if (!PyErr_Occurred())
        PyErr_NoMemory();
    PyMem_Free(room);
    return finish(&b);
}

ENTRY(gather, 11)
    const i64 slots = whole(a[6]), size = whole(a[7]), length = whole(a[8]);
    const i64 kv_heads = whole(a[9]), head = whole(a[10]), wide = kv_heads * head;
    In stored = take(&b, a[0], slots * 2 * wide, 0), scales = take(&b, a[1], slots * kv_heads, 0);
    const i64 used = size > 0 ? (length + size - 1) / size : -1;
    const i64 *pages = take(&b, a[2], used, 0);
    double *keys = take(&b, a[3], length * wide, 1), *values = take(&b, a[4], length * wide, 1);
    double *factors = take(&b, a[5], length * kv_heads, 1);
    for (i64 i = 0; !PyErr_Occurred() && i < used; i++)
        if (pages[i] < 0 || (pages[i] + 1) * size > slots)
            PyErr_SetString(PyExc_ValueError, "a page lies outside the cache");
    if (!PyErr_Occurred())
        do_gather(stored, scales, pages, size, length, kv_heads, head, keys, values, factors);
    return finish(&b);
}

ENTRY(settle, 5)
    const i64 n = whole(a[2]), heads = whole(a[3]), head = whole(a[4]);
    double *mixed = take(&b, a[0], n * heads * head, 1);
    In totals = take(&b, a[1], n * heads, 0);
    if (!PyErr_Occurred()) do_settle(mixed, totals, n, heads, head);
    return finish(&b);
}

#define METHOD(name, text) {#name, (PyCFunction)(void (*)(void))name, METH_FASTCALL, text}

static PyMethodDef methods[] = {
    METHOD(set_table, "set_table(entries): the exponential's table, int64 [2048]."),
    METHOD(round_rows, "round_rows(x, out, n, width, bits): exact.quantise."),
    METHOD(round_and_scale, "round_and_scale(x, out, scales, n, width, bits, epsilon)."),
    METHOD(gate, "gate(gate_up, scales, out, n, half, bits): exact.gated, rounded."),
    METHOD(remember, "remember(qkv, scales, cosines, sines, places, query, stored, factors, n, "
                     "slots, heads, kv_heads, head, query_bits, key_bits)."),
    METHOD(weigh, "weigh(scores, factors, totals, kv_heads, lines, keys, stride, count, start, "
                  "scale, bits): exact.softmax of causal scores, in place."),
    METHOD(gather, "gather(stored, scales, pages, keys, values, factors, slots, page, length, "
                   "kv_heads, head): the keys and values of a sequence."),
    METHOD(settle, "settle(mixed, totals, n, heads, head): sums over their totals, in place."),
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {
    PyModuleDef_HEAD_INIT, "_kernels", "Fused steps of the exact engine.", 0, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__kernels(void) { return PyModule_Create(&module); }
