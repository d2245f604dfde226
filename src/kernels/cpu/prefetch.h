// Ahead of the loads: a panel crosses pages, where the hardware's own prefetch stops. Into the
// second cache: what the first one can wait for at a time does not hide the time that memory takes
// (on Zen 4 it is 12 GB/s of the 16 to 18 that one core can read).
//
// How far ahead is measured, on Zen 4 with AVX2 and AVX-512, in turn within one process. Weights:
// one panel, or two, gain 2 to 10 % from 4 to 6 KiB, and with 1 KiB they read 4 to 47 % slower;
// four at once read 4 to 19 % faster with 1 KiB than with 4. The panels of a KV cache are short and
// lie head after head: with 8 KiB attention of one token reads 0 to 60 % faster than with 4.

//
// On Zen 3 (AVX2) two panels of a block format at once, each sent for 1 to 2 KiB ahead, read 4
// (MXFP4) to 20 % (8 and 4 bits) faster with one token than one after the other, and 4 to 8 % with
// two tokens, but for formats with a table of values, which instructions bind. Not tried with
// AVX-512.

constexpr int64_t kAheadInCache = 8192;  // bytes
constexpr int64_t ahead_in_weights(int panels) { return panels < 4 ? 6144 : 1024; }
constexpr int64_t ahead_in_block_weights(int panels) {
  return panels == 1 ? ahead_in_weights(1) : 1536;
}

SLUICE_INLINE void send_for(const void* line) { __builtin_prefetch(line, 0, 2); }
