// Which processors threads run on: those this process may use, one for each core, and threads bound to one.

#pragma once

#include <pthread.h>
#include <sched.h>

#include <string>
#include <vector>

namespace nemotron {

// The numbers of the CPUs that this process may run on, in ascending order; empty where the system cannot say. A thread
// that is bound to one of them still answers for the process.
std::vector<int> allowed_cpus();

// Of the allowed CPUs, the first of each physical core: hyper-threads share a core.
std::vector<int> first_cpus_of_cores();

// A list of CPUs such as "0-3,8", in its own order; "cores": first_cpus_of_cores(); "none" or "": no CPU. Throws Error
// naming --affinity for anything else, for a CPU that is not allowed, and for one that is named twice.
std::vector<int> parse_affinity(const std::string& text);

// Binds a thread to a CPU; throws Error where the system refuses.
void bind_thread(pthread_t thread, int cpu);
// A thread inherits its starter's CPUs. This gives one that a bound thread started those of the process again.
void release_thread(pthread_t thread);

// The calling thread bound to one CPU for the life of the object, which ends in the same thread.
class BoundCaller {
 public:
  explicit BoundCaller(int cpu);
  ~BoundCaller();
  BoundCaller(const BoundCaller&) = delete;
  BoundCaller& operator=(const BoundCaller&) = delete;

 private:
  pthread_t thread_;
  cpu_set_t before_;
  bool outermost_;
};

}  // namespace nemotron
