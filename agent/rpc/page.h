#ifndef DAVIT_AGENT_RPC_PAGE_H_
#define DAVIT_AGENT_RPC_PAGE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"

namespace davit {

// The rule of all lists: 0 means 500, and more than 500 is 500.
// InvalidArgument for a negative one.
inline absl::StatusOr<size_t> PageSize(int32_t requested) {
  constexpr int32_t kMax = 500;
  if (requested < 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("pageSize: ", requested, " is negative"));
  }
  return requested == 0 || requested > kMax ? kMax : requested;
}

template <typename Item>
struct Page {
  std::vector<Item> items;
  std::string last_key;  // of a page that is not the last one, else empty
};

// The first `size` of `items` whose key is greater than `after`. `items` are in
// ascending order of their unique keys, so pages stay right when items come and
// go between the calls.
template <typename Item, typename KeyOf>
Page<Item> TakePage(std::vector<Item> items, const std::string& after,
                    size_t size, KeyOf key_of) {
  Page<Item> page;
  for (Item& item : items) {
    if (!after.empty() && key_of(item) <= after) continue;
    if (page.items.size() == size) {
      page.last_key = key_of(page.items.back());
      break;
    }
    page.items.push_back(std::move(item));
  }
  return page;
}

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_PAGE_H_
