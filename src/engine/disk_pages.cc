#include "engine/disk_pages.h"

namespace sluice::engine {

using PageAt = models::WeightSource::PageAt;

std::string ExpertPages::name(uint32_t page) const {
  return "expert " + std::to_string(paging_.expert_of(page)) + " of layer " +
         std::to_string(paging_.layer_of(page));
}

std::optional<PageAt> ExpertPages::at(uint32_t page) const {
  return source_.page_at(paging_.layer_of(page), paging_.expert_of(page));
}

std::span<std::byte> ExpertPages::room(uint32_t page, int) const {
  return {paging_.pages().at(page),
          static_cast<size_t>(paging_.page_of_layer(paging_.layer_of(page)).bytes)};
}

Status ExpertPages::arrived(uint32_t page, int read) {
  SLUICE_TRY(models::check_page(source_, paging_.layer_of(page), paging_.expert_of(page),
                                room(page, read)));
  take(page);
  return {};
}

Status ExpertPages::make(uint32_t page, int) {
  SLUICE_TRY(source_.read_page(paging_.layer_of(page), paging_.expert_of(page),
                               paging_.pages().at(page), nullptr));
  take(page);
  return {};
}

void ExpertPages::take(uint32_t page) {
  paging_.bind(page);
  paging_.pages().loaded(page);
}

std::string RowPages::name(uint32_t row) const {
  return "row " + std::to_string(row) + " of the embedding";
}

std::optional<PageAt> RowPages::at(uint32_t row) const { return source_.at(row); }

std::span<std::byte> RowPages::room(uint32_t row, int read) const {
  const auto place = source_.at(row);
  const std::span<std::byte> buffer = rows_.buffer(read);
  return place ? buffer.first(static_cast<size_t>(place->bytes)) : buffer;
}

Status RowPages::arrived(uint32_t row, int read) {
  SLUICE_TRY(source_.row(row, room(row, read), row_.data()));
  rows_.load(row, row_.data());
  return {};
}

}  // namespace sluice::engine
