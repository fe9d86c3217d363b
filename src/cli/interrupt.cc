// A signal handler that sets a flag, installed for the life of an object.

#include "cli/interrupt.h"

#include <csignal>

namespace nemotron::cli {
namespace {

volatile std::sig_atomic_t count = 0;
struct sigaction before;

void handle(int) {
  count = count + 1;
  if (count > 1) sigaction(SIGINT, &before, nullptr);  // whoever insists is obeyed
}

}  // namespace

Interrupt::Interrupt() {
  count = 0;
  struct sigaction action = {};
  action.sa_handler = handle;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &before);
}

Interrupt::~Interrupt() { sigaction(SIGINT, &before, nullptr); }

bool Interrupt::requested() { return count > 0; }

}  // namespace nemotron::cli
