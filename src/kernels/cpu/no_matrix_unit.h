// For ISAs that multiply by vectors alone.

template <class K>
constexpr bool has_matrix_unit() {
  return false;
}
constexpr int64_t kTokensForMatrixUnit = 0;
template <class K, class Pace>
using MatrixSlabs = VectorSlabs<K, Pace>;
