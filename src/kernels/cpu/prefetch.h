// Ahead of the loads, in each panel: a panel crosses pages, where the hardware's own prefetch
// stops.

constexpr int64_t kPrefetchBytes = 2048;
