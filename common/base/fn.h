// Fn<Signature>: a move-only callable, called by whoever holds it. Callbacks in this program are
// Fns; one that promises to be called says so where it is taken.
#pragma once

#include <functional>

namespace ottla {
template <class Signature>
using Fn = std::move_only_function<Signature>;
}
