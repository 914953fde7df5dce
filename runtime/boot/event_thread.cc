#include "runtime/boot/event_thread.h"

#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"
#include "runtime/base/errno_error.h"
#include "runtime/base/status_macros.h"

namespace davit {

absl::StatusOr<std::unique_ptr<EventThread>> EventThread::Create() {
  ASSIGN_OR_RETURN(Epoll epoll, Epoll::Create());
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return ErrnoError("eventfd");
  std::unique_ptr<EventThread> events(
      new EventThread(std::move(epoll), std::move(wake)));
  RETURN_IF_ERROR(
      events->epoll_.Add(events->wake_.get(), EPOLLIN,
                         [raw = events.get()](uint32_t) { raw->RunPosted(); }));
  events->thread_ = std::thread([raw = events.get()] { raw->Loop(); });
  return events;
}

EventThread::EventThread(Epoll epoll, UniqueFd wake)
    : epoll_(std::move(epoll)), wake_(std::move(wake)) {}

EventThread::~EventThread() {
  if (!thread_.joinable()) return;
  std::vector<Aside> aside;
  {
    absl::MutexLock lock(&mutex_);
    aside.swap(aside_);
  }
  for (Aside& one : aside) one.thread.join();
  Post([this] { stop_ = true; });
  thread_.join();
}

void EventThread::Post(std::function<void()> work) {
  absl::MutexLock lock(&mutex_);
  posted_.push_back(std::move(work));
  eventfd_write(wake_.get(), 1);
}

void EventThread::RunAndWait(const std::function<void()>& work) {
  if (std::this_thread::get_id() == thread_.get_id()) return work();
  absl::Notification done;
  Post([&] {
    work();
    done.Notify();
  });
  done.WaitForNotification();
}

void EventThread::RunAside(std::function<void()> work) {
  absl::MutexLock lock(&mutex_);
  std::erase_if(aside_, [](Aside& one) {
    if (!*one.done) return false;
    one.thread.join();
    return true;
  });
  auto done = std::make_shared<std::atomic<bool>>(false);
  std::thread thread([work = std::move(work), done] {
    work();
    *done = true;
  });
  aside_.push_back({std::move(thread), std::move(done)});
}

void EventThread::Loop() {
  // The daemon's signals are for its main thread.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
  while (!stop_) {
    // Only a programming error makes epoll_wait(2) fail.
    if (!epoll_.Wait(absl::InfiniteDuration()).ok()) return;
  }
}

void EventThread::RunPosted() {
  eventfd_t count;
  eventfd_read(wake_.get(), &count);
  std::vector<std::function<void()>> work;
  {
    absl::MutexLock lock(&mutex_);
    work.swap(posted_);
  }
  for (const std::function<void()>& one : work) one();
}

}  // namespace davit
