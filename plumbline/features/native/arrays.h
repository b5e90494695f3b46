// Typed, strided views of NumPy arrays, read-only unless the element type is mutable. An array of
// another type or size is refused with what was wanted and what was got. Create and destroy views
// with the GIL held; their memory may be used without it.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace plumbline {

namespace nb = nanobind;

template <class T>
struct Element;  // a type's name, and its format codes in the buffer protocol

template <>
struct Element<int8_t> {
  static constexpr const char *name = "int8", *codes = "b";
};
template <>
struct Element<uint8_t> {
  static constexpr const char *name = "uint8", *codes = "B";
};
template <>
struct Element<int32_t> {
  static constexpr const char *name = "int32", *codes = "il";
};
template <>
struct Element<int64_t> {
  static constexpr const char *name = "int64", *codes = "lq";
};
template <>
struct Element<uint64_t> {
  static constexpr const char *name = "uint64", *codes = "LQ";
};
template <>
struct Element<float> {
  static constexpr const char *name = "float32", *codes = "f";
};
template <>
struct Element<double> {
  static constexpr const char *name = "float64", *codes = "d";
};
template <>
struct Element<PyObject *> {
  static constexpr const char *name = "object", *codes = "O";
};

// One column of an array. The stride is in bytes.
template <class T>
struct Column {
  using Byte = std::conditional_t<std::is_const_v<T>, const char, char>;
  Byte *first = nullptr;
  ptrdiff_t stride = 0;
  size_t size = 0;

  T &operator[](size_t row) const {
    return *reinterpret_cast<T *>(first + static_cast<ptrdiff_t>(row) * stride);
  }
  Column from(size_t row, size_t rows) const {
    return {first + static_cast<ptrdiff_t>(row) * stride, stride, rows};
  }
  bool contiguous() const { return stride == static_cast<ptrdiff_t>(sizeof(T)); }
  T *data() const { return reinterpret_cast<T *>(first); }
};

// A Python buffer, released by the destructor.
class Buffer {
 public:
  Buffer(nb::handle object, const std::string &name, bool writable) {
    const int flags = PyBUF_STRIDES | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object.ptr(), &view_, flags) != 0) {
      PyErr_Clear();
      refuse(name, writable ? "wanted a writable array" : "wanted an array",
             std::string("got ") + Py_TYPE(object.ptr())->tp_name);
    }
  }
  ~Buffer() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }
  Buffer(Buffer &&other) noexcept : view_(other.view_) { other.view_.obj = nullptr; }
  Buffer(const Buffer &) = delete;
  Buffer &operator=(const Buffer &) = delete;
  Buffer &operator=(Buffer &&) = delete;

  const Py_buffer &view() const { return view_; }

  template <class T>
  bool holds() const {
    const char *format = view_.format == nullptr ? "B" : view_.format;
    if (*format == '@' || *format == '=' || *format == '<') ++format;
    return view_.itemsize == sizeof(T) && format[0] != '\0' && format[1] == '\0' &&
           std::string_view(Element<T>::codes).find(format[0]) != std::string_view::npos;
  }

  template <class T>
  void want(const std::string &name, int dimensions) const {
    if (holds<T>() && view_.ndim == dimensions) return;
    refuse(name,
           std::string("wanted ") + Element<T>::name + " of " + std::to_string(dimensions) +
               " dimension(s)",
           "got elements of " + std::to_string(view_.itemsize) + " bytes, format '" +
               (view_.format == nullptr ? "B" : view_.format) + "', " +
               std::to_string(view_.ndim) + " dimension(s)");
  }

  [[noreturn]] static void refuse(const std::string &name, const std::string &wanted,
                                  const std::string &got) {
    throw nb::type_error((name + ": " + wanted + ", " + got + ".").c_str());
  }

 private:
  Py_buffer view_{};
};

// T elements of one dimension; const T is read-only.
template <class T>
class Vector {
 public:
  Vector(nb::handle object, const std::string &name)
      : buffer_(object, name, !std::is_const_v<T>) {
    buffer_.want<std::remove_const_t<T>>(name, 1);
  }
  size_t size() const { return static_cast<size_t>(buffer_.view().shape[0]); }
  Column<T> column() const {
    return {static_cast<typename Column<T>::Byte *>(buffer_.view().buf), buffer_.view().strides[0],
            size()};
  }
  // Requires a contiguous array.
  T *data(const std::string &name) const {
    if (size() > 1 && !column().contiguous())
      Buffer::refuse(name, "wanted a contiguous array", "got a strided one");
    return column().data();
  }
  T *data(const std::string &name, size_t wanted) const {
    if (size() != wanted)
      throw nb::value_error((name + ": wanted " + std::to_string(wanted) + " elements, got " +
                             std::to_string(size()) + ".")
                                .c_str());
    return data(name);
  }

 private:
  Buffer buffer_;
};

// T elements of two dimensions, (rows, columns).
template <class T>
class Matrix {
 public:
  Matrix(nb::handle object, const std::string &name) : buffer_(object, name, !std::is_const_v<T>) {
    buffer_.want<std::remove_const_t<T>>(name, 2);
  }
  size_t rows() const { return static_cast<size_t>(buffer_.view().shape[0]); }
  size_t columns() const { return static_cast<size_t>(buffer_.view().shape[1]); }
  Column<T> column(size_t number) const {
    auto *first = static_cast<typename Column<T>::Byte *>(buffer_.view().buf);
    return {first + static_cast<ptrdiff_t>(number) * buffer_.view().strides[1],
            buffer_.view().strides[0], rows()};
  }

 private:
  Buffer buffer_;
};

// Concatenated strings: string i is data[offsets[i], offsets[i + 1]).
struct Strings {
  const int64_t *offsets = nullptr;
  const uint8_t *data = nullptr;
  size_t size = 0;

  const uint8_t *at(size_t row) const { return data + offsets[row]; }
  size_t length(size_t row) const { return static_cast<size_t>(offsets[row + 1] - offsets[row]); }
};

// The offsets and data of a `plumbline.columns.values.Text`; the offsets are checked.
class TextArrays {
 public:
  TextArrays(nb::handle offsets, nb::handle data, const std::string &name)
      : offsets_(offsets, name + " offsets"), data_(data, name + " data") {
    if (offsets_.size() == 0)
      throw nb::value_error((name + ": wanted one more offset than strings, got none.").c_str());
    strings_ = {offsets_.data(name + " offsets"), data_.data(name + " data"), offsets_.size() - 1};
    const int64_t *at = strings_.offsets;
    bool ascending = at[0] >= 0 && at[strings_.size] <= static_cast<int64_t>(data_.size());
    for (size_t row = 0; row < strings_.size; ++row) ascending &= at[row] <= at[row + 1];
    if (!ascending)
      throw nb::value_error((name + ": wanted ascending offsets within the data.").c_str());
  }
  const Strings &strings() const { return strings_; }

 private:
  Vector<const int64_t> offsets_;
  Vector<const uint8_t> data_;
  Strings strings_;
};

}  // namespace plumbline
