#ifndef DAVIT_AGENT_RPC_EXEC_INPUT_H_
#define DAVIT_AGENT_RPC_EXEC_INPUT_H_

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <utility>

namespace davit {

// What a client has sent to a command and the command has not had yet. Not
// thread-safe.
class ExecInput {
 public:
  struct Size {
    unsigned rows;
    unsigned columns;
  };

  void AddData(std::string data) {
    if (data.empty() || eof_) return;
    bytes_ += data.size();
    data_.push_back(std::move(data));
  }
  void AddEof() { eof_ = true; }
  void SetSize(Size size) { size_ = size; }

  // The client may go on sending.
  bool has_room() const { return bytes_ < kLimit; }
  bool eof() const { return eof_; }
  size_t bytes() const { return bytes_; }

  // The oldest data, now the caller's; empty if there is none.
  std::string TakeData() {
    if (data_.empty()) return "";
    std::string data = std::move(data_.front());
    data_.pop_front();
    bytes_ -= data.size();
    return data;
  }
  std::optional<Size> TakeSize() { return std::exchange(size_, std::nullopt); }

 private:
  static constexpr size_t kLimit = 256 << 10;

  std::deque<std::string> data_;
  size_t bytes_ = 0;
  bool eof_ = false;
  std::optional<Size> size_;  // the newest
};

}  // namespace davit

#endif  // DAVIT_AGENT_RPC_EXEC_INPUT_H_
