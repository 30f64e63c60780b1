/* The kernels as a Python module: addresses and sizes in, nothing out.
 *
 * Who calls has made sure that the memory is there and is of the precision named. The interpreter
 * lock is given back meanwhile, so that chunks of rows can be worked on side by side.
 */
#define PY_SSIZE_T_CLEAN
#define Py_LIMITED_API 0x030B0000
#include <Python.h>

#include <stdlib.h>

#include "kernels.h"

#define A(T, address) ((T *)(intptr_t)(address))

/* Call `kernel` in the precision that `is_double` names, with scratch memory for both. */
#define CALL(n_scratch, kernel, ...)                                                     \
    void *scratch = malloc((size_t)(n_scratch) * sizeof(double));               \
    if (scratch == NULL) return PyErr_NoMemory();                                        \
    Py_BEGIN_ALLOW_THREADS                                                               \
    if (is_double) { typedef double T; kernel##_float64(__VA_ARGS__, A(T, scratch)); }   \
    else { typedef float T; kernel##_float32(__VA_ARGS__, A(T, scratch)); }              \
    Py_END_ALLOW_THREADS                                                                 \
    free(scratch);                                                              \
    Py_RETURN_NONE

static PyObject *spline_forward(PyObject *self, PyObject *arguments) {
    int is_double, n_bins;
    Py_ssize_t x, x_column, x_row, parameters, z, z_column, z_row, log_derivative, m, n;
    double bound;
    if (!PyArg_ParseTuple(
            arguments, "innnnnnnnnnid", &is_double, &x, &x_column, &x_row, &parameters, &z,
            &z_column, &z_row, &log_derivative, &m, &n, &n_bins, &bound
        ))
        return NULL;
    CALL(
        2 * n_bins * BLOCK, spline_forward, A(const T, x), x_column, x_row, A(const T, parameters),
        A(T, z), z_column, z_row, A(T, log_derivative), m, n, n_bins, bound
    );
}

static PyObject *spline_inverse(PyObject *self, PyObject *arguments) {
    int is_double, n_bins;
    Py_ssize_t z, z_column, z_row, parameters, x, x_column, x_row, m, n;
    double bound;
    if (!PyArg_ParseTuple(
            arguments, "innnnnnnnnid", &is_double, &z, &z_column, &z_row, &parameters, &x,
            &x_column, &x_row, &m, &n, &n_bins, &bound
        ))
        return NULL;
    CALL(
        2 * n_bins * BLOCK, spline_inverse, A(const T, z), z_column, z_row, A(const T, parameters),
        A(T, x), x_column, x_row, m, n, n_bins, bound
    );
}

static PyObject *spline_backward(PyObject *self, PyObject *arguments) {
    int is_double, n_bins;
    Py_ssize_t x, x_column, x_row, parameters, grad_z, gz_column, gz_row, grad_log, gl_column,
        gl_row, grad_x, gx_column, gx_row, grad_parameters, m, n;
    double bound;
    if (!PyArg_ParseTuple(
            arguments, "innnnnnnnnnnnnnnnid", &is_double, &x, &x_column, &x_row, &parameters,
            &grad_z, &gz_column, &gz_row, &grad_log, &gl_column, &gl_row, &grad_x, &gx_column,
            &gx_row, &grad_parameters, &m, &n, &n_bins, &bound
        ))
        return NULL;
    CALL(
        2 * n_bins * BLOCK, spline_backward, A(const T, x), x_column, x_row,
        A(const T, parameters), A(const T, grad_z), gz_column, gz_row, A(const T, grad_log),
        gl_column, gl_row, A(T, grad_x), gx_column, gx_row, A(T, grad_parameters), m, n, n_bins,
        bound
    );
}

static PyMethodDef methods[] = {
    {"spline_forward", spline_forward, METH_VARARGS, NULL},
    {"spline_inverse", spline_inverse, METH_VARARGS, NULL},
    {"spline_backward", spline_backward, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_native", "Kernels on the CPU, compiled.", 0, methods,
    NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__native(void) { return PyModuleDef_Init(&definition); }
